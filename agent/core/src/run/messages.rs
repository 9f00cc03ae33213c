//! Messages in the JSON shapes of the GenAI conventions (`gen-ai-input-messages.json` and its siblings).

use serde_json::{Map, Value, json};

use crate::call::{Completion, Message, Part, ToolDefinition};

/// `gen_ai.input.messages`.
pub(super) fn input(messages: &[Message]) -> Value {
    messages.iter().map(message).collect()
}

/// `gen_ai.output.messages`: every message says its finish reason, because readers that validate the shape
/// drop the whole attribute where it is missing.
pub(super) fn output(messages: &[Message], raw: &[String], completion: Completion) -> Value {
    let one = |(index, it): (usize, &Message)| {
        let mut value = message(it);
        value["finish_reason"] = finish_reason(it, raw.get(index), completion).into();
        value
    };
    messages.iter().enumerate().map(one).collect()
}

/// The conventions' finish reasons, one per choice. `error` where one was due and never came.
pub(super) fn finish_reasons(messages: &[Message], raw: &[String], completion: Completion) -> Vec<String> {
    if messages.is_empty() {
        return raw.iter().map(|reason| known(reason)).collect();
    }
    let one = |(index, it): (usize, &Message)| finish_reason(it, raw.get(index), completion);
    messages.iter().enumerate().map(one).collect()
}

fn finish_reason(message: &Message, raw: Option<&String>, completion: Completion) -> String {
    match (&message.finish_reason, raw) {
        (Some(reason), _) => reason.clone(),
        (None, Some(raw)) => known(raw),
        (None, None) if completion == Completion::Complete => "stop".to_owned(),
        (None, None) => "error".to_owned(),
    }
}

/// A provider's word in the conventions' words; unknown ones as they are.
fn known(raw: &str) -> String {
    match raw {
        "end_turn" | "stop_sequence" | "completed" | "STOP" => "stop",
        "tool_calls" | "tool_use" | "function_call" => "tool_call",
        "max_tokens" | "max_output_tokens" | "MAX_TOKENS" | "model_context_window_exceeded" => "length",
        "refusal" | "SAFETY" => "content_filter",
        "failed" | "cancelled" => "error",
        other => other,
    }
    .to_owned()
}

/// `gen_ai.system_instructions`.
pub(super) fn parts(parts: &[Part]) -> Value {
    let said = |it: &&Part| !matches!(it, Part::Seal(_));
    parts.iter().filter(said).map(part).collect()
}

/// `gen_ai.tool.definitions`, with descriptions and schemas.
pub(super) fn definitions(tools: &[ToolDefinition]) -> Value {
    let one = |tool: &ToolDefinition| {
        let mut value = Map::new();
        value.insert("type".into(), tool.kind.clone().into());
        value.insert("name".into(), tool.name.clone().into());
        if let Some(description) = &tool.description {
            value.insert("description".into(), description.clone().into());
        }
        if let Some(parameters) = &tool.parameters {
            value.insert("parameters".into(), parameters.clone());
        }
        Value::Object(value)
    };
    tools.iter().map(one).collect()
}

/// Text of a message, its text parts joined.
pub(super) fn text(message: &Message) -> Option<String> {
    let texts: Vec<&str> = message.parts.iter().filter_map(text_part).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn text_part(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) | Part::Refusal(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn message(message: &Message) -> Value {
    json!({"role": message.role, "parts": parts(&message.parts)})
}

/// Whether a provider's item is the answer of a server-run tool and not its call.
pub(super) fn is_server_result(item: &Value) -> bool {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("_result") || kind.ends_with("_output")
}

fn part(part: &Part) -> Value {
    let mut value = match part {
        Part::Text(content) => json!({"type": "text", "content": content}),
        // The conventions have no part for it; readers show parts that they do not know.
        Part::Refusal(content) => json!({"type": "refusal", "content": content}),
        Part::Reasoning(content) => json!({"type": "reasoning", "content": content}),
        Part::ToolCall(call) => json!({
            "type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments,
        }),
        Part::ToolResult(result) => json!({
            "type": "tool_call_response", "id": result.id, "response": result.response,
        }),
        Part::ServerTool { id, name, item } => server_tool(id.as_deref(), name, item),
        Part::Media { modality, mime_type, uri, bytes } => match uri {
            Some(uri) if uri.contains("://") => {
                json!({"type": "uri", "modality": modality, "mime_type": mime_type, "uri": uri})
            }
            Some(file) => {
                json!({"type": "file", "modality": modality, "mime_type": mime_type, "file_id": file})
            }
            // The bytes were never kept; their number stands in for them.
            None => json!({
                "type": "blob", "modality": modality, "mime_type": mime_type, "content": "", "bytes": bytes,
            }),
        },
        Part::Other(kind) => json!({"type": kind}),
        Part::Seal(_) => return Value::Null,
    };
    if let Value::Object(members) = &mut value {
        members.retain(|key, member| !member.is_null() || key == "arguments" || key == "response");
    }
    value
}

fn server_tool(id: Option<&str>, name: &str, item: &Value) -> Value {
    let mut inner = match item {
        Value::Object(members) => members.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("value".to_owned(), other.clone())]),
    };
    inner.entry("type").or_insert_with(|| name.into());
    if is_server_result(item) {
        json!({"type": "server_tool_call_response", "id": id, "server_tool_call_response": inner})
    } else {
        json!({"type": "server_tool_call", "id": id, "name": name, "server_tool_call": inner})
    }
}
