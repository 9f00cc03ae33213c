//! One answer against the expected one, field by field.
//!
//! Everything is compared exactly, but for these, which say the same in two ways:
//! - absent, `null` and an empty string are one, and so is the provider `unknown`;
//! - a response id or finish reason that the wire gave as a number is its text, and a choice without a finish
//!   reason has none;
//! - a tool call has `arguments`, or where they are no JSON `arguments_text`; 1 and 1.0 are one number;
//! - a tool result is compared by the call's id and its name, not by the beginning of its content, which the
//!   expected answers spell in Python's JSON;
//! - an error is there or not, and has the same message and kind where the expected one, which is the
//!   provider's own object, has them under their usual names.
//!
//! `other` is what the expected answers call traffic with a provider that runs no model or none that they
//! read: no AI call.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A field that differs: its name, what was expected and what came.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) want: Value,
    pub(super) got: Value,
}

/// Fields that are compared as they stand.
const PLAIN: [&str; 17] = [
    "provider",
    "api_format",
    "operation",
    "stream",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens_total",
    "output_tokens_total",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "output_text",
    "conversation_id",
    "previous_response_id",
    "user",
    "complete",
];

/// The kind that an exchange of this API is.
pub(super) fn kind(api: &str) -> &str {
    match api {
        "other" => "none",
        "mcp" | "a2a" => api,
        _ => "llm",
    }
}

/// Whether recordings that were edited, or numbers that their own bytes contradict, are at issue: they prove
/// nothing.
pub(super) fn doubtful(want: &Value) -> bool {
    let ambiguous = |note: &Value| note.as_str().is_some_and(|note| note.contains("AMBIGUOUS"));
    want["suspected_handmade"] == true
        || want["notes"].as_array().is_some_and(|notes| notes.iter().any(ambiguous))
}

/// Whether a call compacts a conversation: a model runs and is billed for it, as the answer's `usage` says, but
/// the expected answers file these under what they did not look at.
pub(super) fn compaction(want: &Value, got: &Value) -> bool {
    want["api_format"] == "other" && got["api_format"] == "openai.responses_compact"
}

/// Every field that is compared, with both sides in the same words.
pub(super) fn fields(want: &Value, got: &Value) -> BTreeMap<String, (Value, Value)> {
    let mut out = BTreeMap::new();
    let api = want["api_format"].as_str().unwrap_or_default();
    out.insert("kind".to_owned(), (kind(api).into(), got["kind"].clone()));
    // What was taken for something else has none of the other fields.
    if got["kind"] != kind(api) || kind(api) == "none" {
        return out;
    }
    for field in PLAIN {
        let mut wanted = &want[field];
        // Where nobody worked out a total (watsonx), the provider's own count is what there is to compare.
        if let Some(own) = field.strip_suffix("_total").filter(|_| wanted.is_null()) {
            wanted = &want[own];
        }
        out.insert(field.to_owned(), (plain(wanted), plain(&got[field])));
    }
    let mut both = |field: &str, read: fn(&Value) -> Value| {
        out.insert(field.to_owned(), (read(&want[field]), read(&got[field])));
    };
    both("finish_reasons", |value| list(value, text));
    both("tool_calls", |value| list(value, tool_call));
    both("tool_results_in_request", |value| {
        list(value, |result| json!([plain(&result["tool_call_id"]), plain(&result["name"])]))
    });
    out.insert("error".to_owned(), error(&want["error"], &got["error"]));
    if let Some(rpc) = want["rpc"].as_object() {
        for (field, value) in rpc {
            out.insert(format!("rpc.{field}"), (plain(value), plain(&got["rpc"][field])));
        }
    }
    out
}

/// The fields that differ.
pub(super) fn differences(fields: &BTreeMap<String, (Value, Value)>) -> Vec<Difference> {
    fields
        .iter()
        .filter(|(_, (want, got))| !same(want, got))
        .map(|(field, (want, got))| Difference { field: field.clone(), want: want.clone(), got: got.clone() })
        .collect()
}

fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() || text == "unknown" => Value::Null,
        other => other.clone(),
    }
}

fn text(value: &Value) -> Value {
    if value.is_number() { value.to_string().into() } else { plain(value) }
}

fn list(value: &Value, item: fn(&Value) -> Value) -> Value {
    value.as_array().into_iter().flatten().map(item).filter(|item| !item.is_null()).collect()
}

fn tool_call(call: &Value) -> Value {
    let arguments = if call["arguments"].is_null() { &call["arguments_text"] } else { &call["arguments"] };
    json!([plain(&call["id"]), call["name"], arguments])
}

fn error(want: &Value, got: &Value) -> (Value, Value) {
    let (mut wanted, mut found) = (json!({"there": !want.is_null()}), json!({"there": !got.is_null()}));
    if want.is_null() || got.is_null() {
        return (wanted, found);
    }
    if let Some(message) = want["message"].as_str() {
        // An error that is quoted as the text of its JSON is known by its message.
        let quoted: Value = serde_json::from_str(message).unwrap_or_default();
        wanted["message"] = quoted["error"].get("message").cloned().unwrap_or_else(|| message.into());
        found["message"] = got["message"].clone();
    }
    let kinds: Vec<Value> = ["type", "code", "status", "error_type"]
        .iter()
        .map(|name| text(&want[name]))
        .filter(|k| !k.is_null())
        .collect();
    let kind = text(&got["type"]);
    if !kinds.is_empty() && !kinds.contains(&kind) {
        wanted["type"] = kinds.into();
        found["type"] = kind;
    }
    (wanted, found)
}

/// Equal, numbers by their value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        // A response id may be a number on the wire.
        (Value::Number(number), Value::String(text)) => number.to_string() == *text,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests;
