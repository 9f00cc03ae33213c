//! Messages of the GenAI conventions taken apart, for conventions that number them.

use serde_json::Value;

use crate::limits::OVERLAY_ITEMS;
use crate::names;
use crate::telemetry::{Class, Span};

/// One message. Every answer of a tool is one of its own.
#[derive(Debug, Default)]
pub(super) struct Flat {
    pub(super) role: String,
    pub(super) pieces: Vec<Piece>,
    pub(super) calls: Vec<Call>,
    /// The call that it answers.
    pub(super) answers: Option<String>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Image(String),
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Flat {
    /// Its text; `None` where it has none.
    pub(super) fn text(&self) -> Option<String> {
        let texts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Image(_) => None,
        });
        let texts: Vec<&str> = texts.collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    pub(super) fn has_images(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Image(_)))
    }
}

/// What was sent: the system's instructions first. With their class.
pub(super) fn input(span: &Span) -> Option<(Vec<Flat>, Class)> {
    let system = super::find(span, names::SYSTEM_INSTRUCTIONS);
    let messages = super::find(span, names::INPUT_MESSAGES);
    let class = system.into_iter().chain(messages).map(|it| it.class).max()?;
    let mut all = Vec::new();
    if let Some(Value::Array(parts)) = system.and_then(|it| json(it.value.as_text())) {
        flatten(&"system".into(), &parts, None, &mut all);
    }
    let kept = newest(messages.and_then(|it| json(it.value.as_text())));
    kept.iter().for_each(|message| add(message, &mut all));
    Some((all, class))
}

/// What was answered.
pub(super) fn output(span: &Span) -> Option<(Vec<Flat>, Class)> {
    let messages = super::find(span, names::OUTPUT_MESSAGES)?;
    let mut all = Vec::new();
    newest(json(messages.value.as_text())).iter().for_each(|message| add(message, &mut all));
    Some((all, messages.class))
}

/// The items of a JSON array, the newest of them where they are too many.
pub(super) fn newest(value: Option<Value>) -> Vec<Value> {
    let Some(Value::Array(mut items)) = value else { return Vec::new() };
    let too_many = items.len().saturating_sub(OVERLAY_ITEMS);
    items.drain(..too_many);
    items
}

pub(super) fn json(text: Option<&str>) -> Option<Value> {
    serde_json::from_str(text?).ok()
}

/// Strings as they are, everything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn add(message: &Value, all: &mut Vec<Flat>) {
    let (Some(role), Some(Value::Array(parts))) = (message.get("role"), message.get("parts")) else { return };
    flatten(role, parts, message.get("finish_reason"), all);
}

fn flatten(role: &Value, parts: &[Value], finish_reason: Option<&Value>, all: &mut Vec<Flat>) {
    let mut own = Flat { role: plain(role), finish_reason: finish_reason.map(plain), ..Flat::default() };
    let mut answers = Vec::new();
    for part in parts {
        let member = |key: &str| part.get(key).filter(|value| !value.is_null());
        match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" | "refusal" => own.pieces.extend(member("content").map(|it| Piece::Text(plain(it)))),
            "tool_call" => own.calls.push(Call {
                id: member("id").map(plain),
                name: member("name").map(plain).unwrap_or_default(),
                arguments: member("arguments").map(plain).unwrap_or_default(),
            }),
            "tool_call_response" => answers.push(Flat {
                role: "tool".to_owned(),
                pieces: member("response").map(|it| Piece::Text(plain(it))).into_iter().collect(),
                answers: member("id").map(plain),
                ..Flat::default()
            }),
            "uri" if part.get("modality").and_then(Value::as_str) == Some("image") => {
                own.pieces.extend(member("uri").map(|it| Piece::Image(plain(it))));
            }
            // What neither convention has a place for stays in the messages themselves.
            _ => {}
        }
    }
    let only_answers = own.pieces.is_empty() && own.calls.is_empty() && !answers.is_empty();
    all.append(&mut answers);
    if !only_answers {
        all.push(own);
    }
}
