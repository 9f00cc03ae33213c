//! Content blocks, which requests and answers share.

use serde_json::Value;

use crate::call::{Part, ToolCall, ToolResult};
use crate::decode::json::{self, Get, Object, take_text};
use crate::decode::media;
use crate::decode::sieve::length;
use crate::limits;

/// Appends the parts of content: a string, or a list of blocks.
pub(super) fn read(content: Value, out: &mut Vec<Part>) {
    match content {
        Value::String(text) if !text.is_empty() => out.push(Part::Text(text)),
        Value::Array(list) => {
            for block in list {
                if let Value::Object(block) = block
                    && out.len() < limits::PARTS
                {
                    out.extend(one(block));
                }
            }
        }
        _ => {}
    }
}

/// One block; `None` where it says nothing.
pub(super) fn one(mut block: Object) -> Option<Part> {
    let kind = take_text(&mut block, "type").unwrap_or_default();
    Some(match kind.as_str() {
        "text" => Part::Text(take_text(&mut block, "text").filter(|text| !text.is_empty())?),
        "thinking" => Part::Reasoning(take_text(&mut block, "thinking").filter(|text| !text.is_empty())?),
        "tool_use" => Part::ToolCall(ToolCall {
            id: take_text(&mut block, "id").filter(|id| !id.is_empty()),
            name: take_text(&mut block, "name").unwrap_or_default(),
            arguments: block.get_mut("input").map(Value::take).unwrap_or_default(),
            kind: "function",
        }),
        "tool_result" => Part::ToolResult(ToolResult {
            id: take_text(&mut block, "tool_use_id").filter(|id| !id.is_empty()),
            name: None,
            response: json::result(flat(block.get_mut("content").map(Value::take).unwrap_or_default())),
            is_error: block.is_true("is_error"),
        }),
        "image" => source("image", &block),
        "document" => source("document", &block),
        _ if kind == "server_tool_use" || kind == "mcp_tool_use" || kind.ends_with("_tool_result") => {
            let id = block.filled("id").or_else(|| block.filled("tool_use_id")).map(str::to_owned);
            let name = block.filled("name").unwrap_or(&kind).to_owned();
            block.insert("type".to_owned(), Value::String(kind));
            let mut item = Value::Object(block);
            json::shrink(&mut item);
            Part::ServerTool { id, name, item }
        }
        _ => Part::Other(kind),
    })
}

/// A list of text blocks is one text.
fn flat(content: Value) -> Value {
    match content {
        Value::Array(list)
            if !list.is_empty() && list.iter().all(|block| block.text("type") == Some("text")) =>
        {
            let texts: Vec<&str> = list.iter().filter_map(|block| block.text("text")).collect();
            Value::String(texts.join("\n"))
        }
        other => other,
    }
}

fn source(modality: &'static str, block: &Object) -> Part {
    let Some(source) = block.object("source") else { return media::inline(modality, None, 0) };
    if let Some(url) = source.filled("url") {
        return media::from_url(modality, url);
    }
    if let Some(id) = source.filled("file_id") {
        return media::stored(modality, id);
    }
    let bytes = source.text("data").map_or(0, length);
    media::inline(modality, source.filled("media_type").map(str::to_owned), bytes)
}
