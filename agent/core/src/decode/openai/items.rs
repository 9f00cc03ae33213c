//! Items of the Responses API, which requests and answers share.

use serde_json::Value;

use super::content;
use crate::call::{Message, Part, ToolCall, ToolResult};
use crate::decode::json::{self, Get, Object, take_items, take_text};
use crate::limits;

/// Adds an item to a list of messages. What the model says in one turn comes as several items and becomes
/// one message, in a request as in an answer, so that both can be compared.
pub(super) fn read(item: Value, out: &mut Vec<Message>) {
    let Value::Object(item) = item else { return };
    let seal = item.filled("id").map(Part::seal);
    let (role, mut parts) = one(item);
    parts.extend(seal.filter(|_| role == "assistant"));
    let full = out.len() >= limits::PARTS;
    match out.last_mut() {
        Some(last) if role == "assistant" && last.role == "assistant" => {
            last.parts.extend(parts.into_iter().take(limits::PARTS.saturating_sub(last.parts.len())));
        }
        _ if !full => out.push(Message { role, parts, finish_reason: None }),
        _ => {}
    }
}

/// One item: who speaks, and what.
fn one(mut item: Object) -> (String, Vec<Part>) {
    let kind = take_text(&mut item, "type").unwrap_or_else(|| "message".to_owned());
    let assistant = || "assistant".to_owned();
    match kind.as_str() {
        "message" => {
            let mut parts = Vec::new();
            content::read(item.get_mut("content").map(Value::take).unwrap_or_default(), &mut parts);
            (take_text(&mut item, "role").unwrap_or_else(assistant), parts)
        }
        "agent_message" => {
            let mut parts = Vec::new();
            content::read(item.get_mut("content").map(Value::take).unwrap_or_default(), &mut parts);
            (take_text(&mut item, "role").unwrap_or_else(|| "user".to_owned()), parts)
        }
        "reasoning" => (assistant(), reasoning(&mut item)),
        "function_call" => {
            let arguments = json::arguments(item.get_mut("arguments").map(Value::take).unwrap_or_default());
            (assistant(), vec![call(item, arguments, "function")])
        }
        "custom_tool_call" => {
            let input = item.get_mut("input").map(Value::take).unwrap_or_default();
            (assistant(), vec![call(item, input, "custom")])
        }
        // The client runs these as well: it answers them with an item of the same name plus `_output`.
        "local_shell_call" | "shell_call" | "apply_patch_call" | "computer_call" => {
            let arguments = ["action", "operation", "actions"]
                .iter()
                .find_map(|key| item.get_mut(*key).map(Value::take).filter(|value| !value.is_null()));
            let name = kind.trim_end_matches("_call").to_owned();
            item.insert("name".to_owned(), Value::String(name));
            (assistant(), vec![call(item, arguments.unwrap_or_default(), "function")])
        }
        "mcp_list_tools" => (assistant(), vec![server(&kind, item)]),
        // Answers to questions of the server, by the client.
        "mcp_approval_response" | "item_reference" | "additional_tools" => {
            ("user".to_owned(), vec![Part::Other(kind)])
        }
        _ if kind.ends_with("_call_output") => ("tool".to_owned(), vec![output(item)]),
        _ if kind.ends_with("_call") => (assistant(), vec![server(&kind, item)]),
        _ => {
            let role = take_text(&mut item, "role").unwrap_or_else(assistant);
            (role, vec![Part::Other(kind)])
        }
    }
}

/// The summary that may be shown, then the text where a server shows it; encrypted reasoning has neither.
fn reasoning(item: &mut Object) -> Vec<Part> {
    let mut parts = Vec::new();
    for key in ["summary", "content"] {
        for entry in take_items(item, key).into_iter().take(limits::PARTS) {
            let text = entry.as_object().and_then(|entry| entry.filled("text"));
            parts.extend(text.map(|text| Part::Reasoning(text.to_owned())));
        }
    }
    parts
}

fn call(mut item: Object, arguments: Value, kind: &'static str) -> Part {
    let id = ["call_id", "id"].iter().find_map(|key| take_text(&mut item, key).filter(|id| !id.is_empty()));
    let name = take_text(&mut item, "name").unwrap_or_default();
    Part::ToolCall(ToolCall { id, name, arguments, kind })
}

/// A tool that the server ran.
fn server(kind: &str, item: Object) -> Part {
    let id = item.filled("id").or_else(|| item.filled("call_id")).map(str::to_owned);
    let name = item.filled("name").unwrap_or(kind.trim_end_matches("_call")).to_owned();
    let mut item = item;
    item.insert("type".to_owned(), Value::String(kind.to_owned()));
    let mut item = Value::Object(item);
    json::shrink(&mut item);
    Part::ServerTool { id, name, item }
}

fn output(mut item: Object) -> Part {
    let raw = item.get_mut("output").map(Value::take).unwrap_or_default();
    let failed = matches!(item.text("status"), Some("failed" | "incomplete"))
        || raw.member("success").and_then(Value::as_bool) == Some(false);
    Part::ToolResult(ToolResult {
        id: take_text(&mut item, "call_id").filter(|id| !id.is_empty()),
        name: take_text(&mut item, "name"),
        response: json::result(flat(raw)),
        is_error: failed,
    })
}

/// A list of text parts is one text.
fn flat(output: Value) -> Value {
    match output {
        Value::Array(list)
            if !list.is_empty()
                && list
                    .iter()
                    .all(|part| matches!(part.text("type"), Some("input_text" | "output_text" | "text"))) =>
        {
            Value::String(list.iter().filter_map(|part| part.text("text")).collect())
        }
        other => other,
    }
}
