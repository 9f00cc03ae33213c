//! Content blocks of Converse, which requests and answers share.

use serde_json::Value;

use crate::call::{Part, ToolCall, ToolResult};
use crate::decode::json::{self, Get, Object, take_items, take_object, take_text};
use crate::decode::media;
use crate::decode::sieve::length;
use crate::limits;

/// Appends the parts of a list of blocks.
pub(super) fn read(content: Value, out: &mut Vec<Part>) {
    let Value::Array(list) = content else { return };
    for block in list {
        if let Value::Object(block) = block
            && out.len() < limits::PARTS
        {
            one(block, out);
        }
    }
}

fn one(mut block: Object, out: &mut Vec<Part>) {
    if let Some(text) = take_text(&mut block, "text") {
        out.extend(Some(text).filter(|text| !text.is_empty()).map(Part::Text));
        return;
    }
    let Some((kind, value)) = block.into_iter().find(|(_, value)| value.is_object()) else { return };
    let Value::Object(mut inner) = value else { return };
    match kind.as_str() {
        "toolUse" if inner.text("type").is_some_and(|kind| kind.starts_with("server")) => {
            out.push(server(inner, "server_tool_use"));
        }
        "toolUse" => out.push(Part::ToolCall(ToolCall {
            id: take_text(&mut inner, "toolUseId").filter(|id| !id.is_empty()),
            name: take_text(&mut inner, "name").unwrap_or_default(),
            arguments: inner.get_mut("input").map(Value::take).unwrap_or_default(),
            kind: "function",
        })),
        "toolResult" if inner.text("type").is_some_and(|kind| kind != "tool_result") => {
            out.push(server(inner, "server_tool_result"));
        }
        "toolResult" => out.push(Part::ToolResult(ToolResult {
            id: take_text(&mut inner, "toolUseId").filter(|id| !id.is_empty()),
            name: None,
            is_error: inner.text("status") == Some("error"),
            response: json::result(flat(inner.get_mut("content").map(Value::take).unwrap_or_default())),
        })),
        "reasoningContent" => {
            let text = inner.object("reasoningText").and_then(|text| text.filled("text"));
            out.extend(text.map(|text| Part::Reasoning(text.to_owned())));
        }
        "citationsContent" => {
            for piece in take_items(&mut inner, "content") {
                out.extend(piece.filled("text").map(|text| Part::Text(text.to_owned())));
            }
        }
        "guardContent" => {
            let text = take_object(&mut inner, "text").and_then(|mut text| take_text(&mut text, "text"));
            out.extend(text.filter(|text| !text.is_empty()).map(Part::Text));
        }
        "image" | "video" | "audio" | "document" => out.push(source(&kind, &inner)),
        "cachePoint" => {}
        _ => out.push(Part::Other(json::snake(&kind))),
    }
}

fn server(mut inner: Object, kind: &str) -> Part {
    let id = inner.filled("toolUseId").map(str::to_owned);
    let name = inner.filled("name").unwrap_or(kind).to_owned();
    inner.insert("type".to_owned(), Value::from(kind));
    let mut item = Value::Object(inner);
    json::shrink(&mut item);
    Part::ServerTool { id, name, item }
}

/// What a tool gave: texts are one text, one JSON value is that value.
fn flat(content: Value) -> Value {
    match content {
        Value::Array(list) if !list.is_empty() && list.iter().all(|block| block.text("text").is_some()) => {
            Value::String(list.iter().filter_map(|block| block.text("text")).collect::<Vec<_>>().join("\n"))
        }
        Value::Array(mut list)
            if list.len() == 1 && list.iter().all(|block| block.member("json").is_some()) =>
        {
            list.iter_mut().find_map(|block| block.get_mut("json").map(Value::take)).unwrap_or_default()
        }
        other => other,
    }
}

fn source(kind: &str, block: &Object) -> Part {
    let modality = match kind {
        "image" => "image",
        "video" => "video",
        "audio" => "audio",
        _ => "document",
    };
    let source = block.object("source");
    if let Some(uri) = source.and_then(|source| source.object("s3Location")?.filled("uri")) {
        return media::stored(modality, uri);
    }
    let bytes = source.and_then(|source| source.text("bytes")).map_or(0, length);
    let mime = block.filled("format").map(|format| match modality {
        "document" => format!("application/{format}"),
        _ => format!("{modality}/{format}"),
    });
    media::inline(modality, mime, bytes)
}
