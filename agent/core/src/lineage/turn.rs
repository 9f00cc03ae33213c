//! A history in a canonical form, so that it is recognised when a client sends it again.
//!
//! Clients change what they resend: they put it into another JSON, trim white space, join or split text parts,
//! give tool calls new ids, drop visible reasoning, add or change instructions. None of that changes a turn.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::call::{Message, Part};

/// Equal where the meaning is equal; the same on every machine.
pub(super) type Digest = [u8; 16];

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The user, and the tools that the client ran.
    Client,
    /// The model.
    Model,
}

/// All that one side says before the other speaks.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) side: Side,
    pub(super) digest: Digest,
    /// Characters of text, and parts beside it: how much there is to recognise it by.
    pub(super) weight: usize,
    /// The tool calls of the model's turn, in their order.
    pub(super) calls: Vec<Mark>,
    /// The results in the client's turn; their numbers count all results of the request.
    pub(super) results: Vec<(usize, Mark)>,
    /// What the provider marked the turn with.
    pub(super) seals: Vec<u64>,
}

/// What a tool call and its result share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

impl Mark {
    fn new(id: Option<&str>, name: Option<&str>) -> Self {
        let filled = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self { id: filled(id), name: filled(name) }
    }
}

/// A digest over parts that are kept apart.
pub(super) fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    short(hash)
}

fn short(hash: Sha256) -> Digest {
    let whole: [u8; 32] = hash.finalize().into();
    let mut out = [0; 16];
    out.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    out
}

/// Reads messages into turns.
#[derive(Clone, Default)]
pub(super) struct Turns {
    done: Vec<Turn>,
    open: Option<Open>,
    results: usize,
    /// Seals that stand before the turn that they belong to.
    seals: Vec<(Side, u64)>,
}

#[derive(Clone)]
struct Open {
    side: Side,
    text: Sha256,
    letters: usize,
    items: Vec<Digest>,
    calls: Vec<Mark>,
    results: Vec<(usize, Mark)>,
    seals: Vec<u64>,
}

impl Turns {
    /// Of a history.
    pub(super) fn of(messages: &[Message]) -> Self {
        let mut turns = Self::default();
        messages.iter().for_each(|message| turns.push(message));
        turns
    }

    /// Adds a message.
    pub(super) fn push(&mut self, message: &Message) {
        let side = match message.role.as_str() {
            // Instructions are often written anew for every request.
            "system" | "developer" => return,
            "assistant" | "model" | "chatbot" | "ai" => Side::Model,
            _ => Side::Client,
        };
        message.parts.iter().for_each(|part| self.part(side, part));
    }

    fn part(&mut self, side: Side, part: &Part) {
        match part {
            Part::Text(text) | Part::Refusal(text) => self.text(side, text),
            Part::ToolCall(call) => {
                let arguments = canonical(&call.arguments);
                self.item(side, digest(&[b"call", call.name.as_bytes(), &arguments]));
                let mark = Mark::new(call.id.as_deref(), Some(&call.name));
                self.turn(side).calls.push(mark);
            }
            Part::ToolResult(result) => {
                let response = letters_of(&result.response);
                self.item(side, digest(&[b"result", response.as_bytes()]));
                let mark = (self.results, Mark::new(result.id.as_deref(), result.name.as_deref()));
                self.results += 1;
                self.turn(side).results.push(mark);
            }
            Part::Media { modality, uri, bytes, .. } => {
                let uri = uri.as_deref().unwrap_or_default();
                self.item(
                    side,
                    digest(&[b"media", modality.as_bytes(), uri.as_bytes(), &bytes.to_le_bytes()]),
                );
            }
            // What is nothing but its seal is no turn.
            Part::Seal(seal) => match self.open.as_mut().filter(|open| open.side == side) {
                Some(open) => open.seals.push(*seal),
                None => self.seals.push((side, *seal)),
            },
            // Neither is resent by everyone.
            Part::Reasoning(_) | Part::ServerTool { .. } | Part::Other(_) => {}
        }
    }

    fn text(&mut self, side: Side, text: &str) {
        let mut words = text.split_whitespace().peekable();
        if words.peek().is_none() {
            return;
        }
        let open = self.turn(side);
        for word in words {
            if word.is_ascii() {
                open.text.update(word);
            } else {
                word.chars().for_each(|letter| plain(letter, &mut open.text));
            }
            open.letters += word.len();
        }
    }

    fn item(&mut self, side: Side, item: Digest) {
        self.turn(side).items.push(item);
    }

    fn turn(&mut self, side: Side) -> &mut Open {
        if self.open.as_ref().is_some_and(|open| open.side != side) {
            self.done.extend(self.open.take().map(Open::close));
        }
        let seals = &mut self.seals;
        self.open.get_or_insert_with(|| Open {
            side,
            text: Sha256::new(),
            letters: 0,
            items: Vec::new(),
            calls: Vec::new(),
            results: Vec::new(),
            seals: seals.drain(..).filter(|(of, _)| *of == side).map(|(_, seal)| seal).collect(),
        })
    }

    /// What was read.
    pub(super) fn close(mut self) -> Vec<Turn> {
        self.done.extend(self.open.map(Open::close));
        self.done
    }
}

impl Open {
    fn close(self) -> Turn {
        let weight = self.letters + 32 * self.items.len();
        let side: &[u8] = if self.side == Side::Model { b"model" } else { b"client" };
        let text = short(self.text);
        let parts: Vec<&[u8]> =
            [side, &text].into_iter().chain(self.items.iter().map(<[u8; 16]>::as_slice)).collect();
        let digest = digest(&parts);
        let (calls, results, seals) = (self.calls, self.results, self.seals);
        Turn { side: self.side, digest, weight, calls, results, seals }
    }
}

/// Typographic characters in the form that clients without Unicode send.
fn plain(letter: char, hash: &mut Sha256) {
    match letter {
        '\u{2018}' | '\u{2019}' => hash.update("'"),
        '\u{201c}' | '\u{201d}' => hash.update("\""),
        '\u{2010}'..='\u{2015}' => hash.update("-"),
        '\u{2026}' => hash.update("..."),
        other => hash.update(other.encode_utf8(&mut [0; 4])),
    }
}

/// Arguments as bytes: no white space between, members in one order; nothing at all where there are none.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    if empty { Vec::new() } else { value.to_string().into_bytes() }
}

/// The text of a result, however it is wrapped: clients put the same result into a string, a text part, or an
/// object with one member.
fn letters_of(value: &Value) -> String {
    let mut out = String::new();
    gather(value, &mut out);
    out
}

fn gather(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => gather(&inner, out),
            _ => out.extend(text.split_whitespace()),
        },
        Value::Array(items) => items.iter().for_each(|item| gather(item, out)),
        Value::Object(members) => {
            members.iter().filter(|(key, _)| *key != "type").for_each(|(_, it)| gather(it, out))
        }
        other => out.push_str(&other.to_string()),
    }
}
