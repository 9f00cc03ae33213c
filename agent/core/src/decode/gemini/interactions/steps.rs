//! Steps and contents of Interactions, which requests and answers share.

use serde_json::Value;

use crate::call::{Part, ToolCall, ToolResult};
use crate::decode::json::{self, Get, Object, take_text};
use crate::decode::media;
use crate::decode::sieve::length;
use crate::limits;

/// Appends the parts of a step, a content, or a turn.
pub(super) fn read(mut item: Object, out: &mut Vec<Part>) {
    let kind = take_text(&mut item, "type").unwrap_or_default();
    match kind.as_str() {
        // A step that holds contents, or a turn.
        "model_output" | "user_input" | "" => contents(item.get_mut("content").map(Value::take), out),
        "thought" => {
            let mut summary = Vec::new();
            contents(item.get_mut("summary").map(Value::take), &mut summary);
            out.extend(summary.into_iter().map(|part| match part {
                Part::Text(text) => Part::Reasoning(text),
                other => other,
            }));
        }
        _ => out.extend(one(kind, item)),
    }
}

/// A text, a content, or a list of either.
pub(super) fn contents(value: Option<Value>, out: &mut Vec<Part>) {
    let list = match value {
        Some(Value::Array(list)) => list,
        other => other.into_iter().collect(),
    };
    for entry in list.into_iter().take(limits::PARTS) {
        match entry {
            Value::String(text) if !text.is_empty() => out.push(Part::Text(text)),
            Value::Object(mut entry) => {
                let kind = take_text(&mut entry, "type").unwrap_or_default();
                out.extend(one(kind, entry));
            }
            _ => {}
        }
    }
}

/// One content or step that is no list of contents; `None` where it says nothing.
pub(super) fn one(kind: String, mut item: Object) -> Option<Part> {
    Some(match kind.as_str() {
        "text" => Part::Text(take_text(&mut item, "text").filter(|text| !text.is_empty())?),
        "image" => medium("image", &item),
        "audio" => medium("audio", &item),
        "video" => medium("video", &item),
        "document" => medium("document", &item),
        "function_call" => Part::ToolCall(ToolCall {
            id: take_text(&mut item, "id").filter(|id| !id.is_empty()),
            name: take_text(&mut item, "name").unwrap_or_default(),
            arguments: match item.get_mut("arguments").map(Value::take) {
                None | Some(Value::Null) => Value::Object(Object::new()),
                Some(arguments) => json::arguments(arguments),
            },
            kind: "function",
        }),
        "function_result" => Part::ToolResult(ToolResult {
            id: take_text(&mut item, "call_id").filter(|id| !id.is_empty()),
            name: take_text(&mut item, "name"),
            response: json::result(flat(item.get_mut("result").map(Value::take).unwrap_or_default())),
            is_error: item.is_true("is_error"),
        }),
        _ if kind.ends_with("_call") || kind.ends_with("_result") => {
            let id = item.filled("id").or_else(|| item.filled("call_id")).map(str::to_owned);
            let tool = kind.trim_end_matches("_call").trim_end_matches("_result");
            let name = item.filled("name").unwrap_or(tool).to_owned();
            item.remove("signature");
            item.insert("type".to_owned(), Value::String(kind));
            let mut item = Value::Object(item);
            json::shrink(&mut item);
            Part::ServerTool { id, name, item }
        }
        _ => Part::Other(kind),
    })
}

/// A list of texts is one text.
fn flat(result: Value) -> Value {
    match result {
        Value::Array(list) if !list.is_empty() && list.iter().all(|it| it.text("type") == Some("text")) => {
            Value::String(list.iter().filter_map(|it| it.text("text")).collect())
        }
        other => other,
    }
}

fn medium(modality: &'static str, item: &Object) -> Part {
    let mime_type = item.filled("mime_type").map(str::to_owned);
    match item.filled("uri") {
        Some(uri) => {
            Part::Media { modality, mime_type, uri: Some(crate::redact::url(uri).into_owned()), bytes: 0 }
        }
        None => media::inline(modality, mime_type, item.text("data").map_or(0, length)),
    }
}
