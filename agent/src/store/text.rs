//! What of a span can be found by its words.
//!
//! Requests repeat their history, so a text counts where it is first said in its run.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;
use serde_json::value::RawValue;
use trackway_core::names;
use trackway_core::telemetry::{AttributeValue, Content, Span, Status};

use super::limits;

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A message to the model.
    Input,
    /// A message of the model.
    Output,
    /// Arguments of a tool.
    Arguments,
    /// Result of a tool.
    Result,
    /// Reasoning, or why a tool was called.
    Reasoning,
    /// What went wrong.
    Error,
    /// The operator's instructions.
    System,
    /// A process's arguments.
    Command,
    /// A request's address.
    Url,
}

const ALL: [(Place, &str); 9] = [
    (Place::Input, "input"),
    (Place::Output, "output"),
    (Place::Arguments, "arguments"),
    (Place::Result, "result"),
    (Place::Reasoning, "reasoning"),
    (Place::Error, "error"),
    (Place::System, "system"),
    (Place::Command, "command"),
    (Place::Url, "url"),
];

impl Place {
    pub(super) fn code(self) -> i64 {
        self as i64
    }

    pub(super) fn read(code: i64) -> Self {
        ALL.iter().find(|(place, _)| place.code() == code).map_or(Place::Input, |(place, _)| *place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ALL.iter().find(|(place, _)| place == self).map_or("", |(_, word)| word);
        f.pad(word)
    }
}

/// The texts that a run has said, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Texts {
    seen: HashSet<u64>,
}

impl Texts {
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// What a span says that its run has not said before.
    pub(super) fn of(&mut self, span: &Span, policy: Content) -> Vec<(Place, String)> {
        let mut found = Vec::new();
        if let Status::Error(message) = &span.status {
            let kind = span.attribute(names::ERROR_TYPE).and_then(AttributeValue::as_text);
            let text: Vec<&str> = [Some(message.as_str()), kind].into_iter().flatten().collect();
            found.push((Place::Error, text.join(" ")));
        }
        for attribute in span.attributes.iter().filter(|attribute| policy.shows(attribute.class)) {
            match (&*attribute.key, &attribute.value) {
                (names::SYSTEM_INSTRUCTIONS, AttributeValue::Text(text)) if self.first(text) => {
                    let parts = serde_json::from_str(text).unwrap_or(Value::Null);
                    each(&parts, Place::System, true, &mut found);
                }
                (names::INPUT_MESSAGES, AttributeValue::Text(text)) => {
                    self.messages(text, Place::Input, &mut found);
                }
                (names::OUTPUT_MESSAGES, AttributeValue::Text(text)) => {
                    self.messages(text, Place::Output, &mut found);
                }
                (names::TOOL_ARGUMENTS, AttributeValue::Text(text)) => {
                    found.push((Place::Arguments, said(text)));
                }
                (names::TOOL_RESULT, AttributeValue::Text(text)) => found.push((Place::Result, said(text))),
                (names::DECISION_RATIONALE, AttributeValue::Text(text)) => {
                    found.push((Place::Reasoning, text.clone()));
                }
                (names::PROCESS_COMMAND_ARGS, AttributeValue::Texts(words)) => {
                    found.push((Place::Command, words.join(" ")));
                }
                (names::URL_FULL, AttributeValue::Text(text)) => found.push((Place::Url, text.clone())),
                _ => {}
            }
        }
        found.retain_mut(|(place, text)| {
            text.truncate(text.floor_char_boundary(limits::SAID_BYTES));
            // Each failure is one, however often it is told in the same words.
            !text.trim().is_empty() && (*place == Place::Error || self.first(text.trim()))
        });
        found
    }

    fn messages(&mut self, text: &str, place: Place, found: &mut Vec<(Place, String)>) {
        let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        for element in elements {
            // A message that was sent before is not looked into again.
            if self.first(element.get()) {
                let message: Value = serde_json::from_str(element.get()).unwrap_or(Value::Null);
                each(message.get("parts").unwrap_or(&Value::Null), place, place == Place::Input, found);
            }
        }
    }

    fn first(&mut self, text: &str) -> bool {
        if self.seen.len() >= limits::REMEMBERED {
            self.seen.clear();
        }
        let mut hash = DefaultHasher::new();
        text.hash(&mut hash);
        self.seen.insert(hash.finish())
    }
}

/// The texts of a message's parts. `calls`: tool calls too, which in an answer have spans of their own.
fn each(parts: &Value, place: Place, calls: bool, found: &mut Vec<(Place, String)>) {
    for part in parts.as_array().into_iter().flatten() {
        let member = |name: &str| part.get(name).filter(|it| !it.is_null());
        match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" | "refusal" => found.extend(member("content").map(|it| (place, words(it)))),
            "reasoning" => found.extend(member("content").map(|it| (Place::Reasoning, words(it)))),
            "tool_call" if calls => found.extend(member("arguments").map(|it| (Place::Arguments, words(it)))),
            "tool_call_response" => found.extend(member("response").map(|it| (Place::Result, words(it)))),
            _ => {}
        }
    }
}

/// An attribute that holds a JSON value, or text.
fn said(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => words(&value),
        Err(_) => text.to_owned(),
    }
}

/// The words of a value, without the marks of JSON where it is text alone.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.is_empty() && items.iter().all(|it| it["text"].is_string()) => {
            let texts: Vec<&str> = items.iter().filter_map(|it| it["text"].as_str()).collect();
            texts.join("\n")
        }
        // Inner strings without their escapes, so that a line end does not hide the word behind it.
        Value::Object(members) if members.values().all(Value::is_string) => {
            let members =
                members.iter().map(|(key, it)| format!("{key}: {}", it.as_str().unwrap_or_default()));
            members.collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}
