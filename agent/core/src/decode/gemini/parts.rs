//! Parts of content, which requests and answers share.

use serde_json::Value;

use super::either;
use crate::call::{Part, ToolCall, ToolResult};
use crate::decode::json::{self, Get, Object, take_text};
use crate::decode::media;
use crate::decode::sieve::length;
use crate::limits;

/// Appends the parts of content: a list of them, or one.
pub(super) fn read(content: Value, out: &mut Vec<Part>) {
    match content {
        Value::Array(list) => {
            for part in list {
                if let Value::Object(part) = part
                    && out.len() < limits::PARTS
                {
                    let seal = seal(&part);
                    out.extend(one(part));
                    out.extend(seal);
                }
            }
        }
        Value::Object(part) => out.extend(one(part)),
        _ => {}
    }
}

/// The signature that clients send back with a part.
pub(super) fn seal(part: &Object) -> Option<Part> {
    either(part, "thoughtSignature", "thought_signature").and_then(Value::as_str).map(Part::seal)
}

/// One part; `None` where it says nothing (a signature alone).
pub(super) fn one(mut part: Object) -> Option<Part> {
    if let Some(text) = take_text(&mut part, "text") {
        let thought = part.is_true("thought");
        let part = if thought { Part::Reasoning(text) } else { Part::Text(text) };
        return Some(part)
            .filter(|part| !matches!(part, Part::Text(text) | Part::Reasoning(text) if text.is_empty()));
    }
    let mut take = |camel: &str, snake: &str| {
        [camel, snake].iter().find_map(|key| match part.get_mut(*key).map(Value::take) {
            Some(Value::Object(inner)) => Some(inner),
            _ => None,
        })
    };
    if let Some(mut call) = take("functionCall", "function_call") {
        return Some(Part::ToolCall(ToolCall {
            id: take_text(&mut call, "id").filter(|id| !id.is_empty()),
            name: take_text(&mut call, "name").unwrap_or_default(),
            // No arguments at all are written as nothing.
            arguments: call
                .get_mut("args")
                .map(Value::take)
                .filter(|args| !args.is_null())
                .unwrap_or_else(|| Value::Object(Object::new())),
            kind: "function",
        }));
    }
    if let Some(mut result) = take("functionResponse", "function_response") {
        let response = json::result(result.get_mut("response").map(Value::take).unwrap_or_default());
        return Some(Part::ToolResult(ToolResult {
            id: take_text(&mut result, "id").filter(|id| !id.is_empty()),
            name: take_text(&mut result, "name"),
            // `output` and `error` are the names that the API gives to the two.
            is_error: response.member("error").is_some() && response.member("output").is_none(),
            response,
        }));
    }
    if let Some(data) = take("inlineData", "inline_data") {
        let mime = either(&data, "mimeType", "mime_type").and_then(Value::as_str);
        return Some(media::inline(
            modality(mime),
            mime.map(str::to_owned),
            data.text("data").map_or(0, length),
        ));
    }
    if let Some(file) = take("fileData", "file_data") {
        let mime = either(&file, "mimeType", "mime_type").and_then(Value::as_str);
        let uri = either(&file, "fileUri", "file_uri").and_then(Value::as_str)?;
        return Some(Part::Media {
            modality: modality(mime),
            mime_type: mime.map(str::to_owned),
            uri: Some(crate::redact::url(uri).into_owned()),
            bytes: 0,
        });
    }
    // Tools that the provider ran itself.
    for (camel, snake, name) in [
        ("executableCode", "executable_code", "code_execution"),
        ("codeExecutionResult", "code_execution_result", "code_execution"),
        ("toolCall", "tool_call", "tool_call"),
        ("toolResponse", "tool_response", "tool_response"),
    ] {
        if let Some(mut inner) = take(camel, snake) {
            let id = inner.filled("id").map(str::to_owned);
            let name = inner.filled("toolType").map_or_else(|| name.to_owned(), str::to_lowercase);
            inner.insert("type".to_owned(), Value::from(json::snake(camel)));
            let mut item = Value::Object(inner);
            json::shrink(&mut item);
            return Some(Part::ServerTool { id, name, item });
        }
    }
    let kind =
        part.iter().find(|(key, value)| !value.is_null() && !key.contains("ignature") && *key != "thought");
    kind.map(|(key, _)| Part::Other(json::snake(key)))
}

fn modality(mime: Option<&str>) -> &'static str {
    match mime.and_then(|mime| mime.split('/').next()) {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "document",
    }
}
