//! Conversations that a tool call started: their first message stands in its arguments.

use serde_json::Value;

use crate::call::{Message, Part};
use crate::limits::EVIDENCE_BYTES;

/// The text of a part, where it is text.
pub(super) fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        _ => None,
    }
}

/// What the user says first, without white space.
pub(super) fn opening(messages: &[Message]) -> String {
    let said = messages.iter().filter(|message| message.role == "user");
    let mut out = String::new();
    for text in said.flat_map(|message| &message.parts).filter_map(text_of) {
        add(text, &mut out);
    }
    out
}

/// The texts of arguments, without white space; short ones say nothing.
pub(super) fn prompts(arguments: &Value, least: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut room = EVIDENCE_BYTES;
    gather(arguments, least, &mut room, &mut out);
    out
}

fn gather(value: &Value, least: usize, room: &mut usize, out: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let mut level = String::new();
            add(text.get(..text.floor_char_boundary(*room)).unwrap_or_default(), &mut level);
            *room = room.saturating_sub(text.len());
            if level.len() >= least {
                out.push(level);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, least, room, out)),
        Value::Object(members) => members.values().for_each(|item| gather(item, least, room, out)),
        _ => {}
    }
}

/// Appends a text without its white space, within bounds.
pub(super) fn add(text: &str, out: &mut String) {
    let room = EVIDENCE_BYTES.saturating_sub(out.len());
    let text = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
    out.extend(text.split_whitespace());
}
