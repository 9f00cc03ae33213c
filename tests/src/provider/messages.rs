//! Anthropic Messages, as the server writes them.

use serde_json::{Value, json};

use super::script::{Answer, Fault, ToolInput, Usage};

/// The whole answer in one body.
pub fn body(id: &str, model: &str, answer: &Answer) -> Value {
    let mut body = message(id, model, usage(answer.usage));
    body["content"] = blocks(answer).into();
    body["stop_reason"] = stop(answer).into();
    body
}

/// The answer as events.
pub fn events(id: &str, model: &str, answer: &Answer) -> Vec<String> {
    let mut events = Vec::new();
    let mut push = |event: Value| {
        let name = event["type"].as_str().unwrap_or_default();
        events.push(format!("event: {name}\ndata: {event}\n\n"));
    };
    // The first event's output count is a placeholder, as the real service sends it.
    let begun = usage(Usage { output: 1, ..answer.usage });
    push(json!({ "type": "message_start", "message": message(id, model, begun) }));
    for (index, block) in blocks(answer).into_iter().enumerate() {
        let mut opened = block.clone();
        let (key, part, pieces) = if block["type"] == "text" {
            opened["text"] = "".into();
            ("text_delta", "text", super::pieces(&answer.text, 9))
        } else {
            opened["input"] = json!({});
            ("input_json_delta", "partial_json", super::pieces(&block["input"].to_string(), 6))
        };
        push(json!({ "type": "content_block_start", "index": index, "content_block": opened }));
        if index == 0 {
            push(json!({ "type": "ping" }));
        }
        for piece in pieces {
            push(
                json!({ "type": "content_block_delta", "index": index, "delta": { "type": key, part: piece } }),
            );
        }
        push(json!({ "type": "content_block_stop", "index": index }));
    }
    if answer.fault == Fault::ErrorInStream {
        push(error(529));
        return events;
    }
    push(json!({
        "type": "message_delta", "delta": { "stop_reason": stop(answer), "stop_sequence": null },
        "usage": usage(answer.usage),
    }));
    push(json!({ "type": "message_stop" }));
    events
}

/// The service's error object.
pub fn error(status: u16) -> Value {
    let kind = match status {
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({
        "type": "error", "request_id": "req_mock",
        "error": { "type": kind, "message": "the mock failed on purpose" },
    })
}

fn message(id: &str, model: &str, usage: Value) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    })
}

fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !answer.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": answer.text }));
    }
    for tool in &answer.tools {
        let input = match &tool.input {
            ToolInput::Json(arguments) => arguments.clone(),
            ToolInput::Text(text) => json!({ "input": text }),
        };
        blocks.push(json!({ "type": "tool_use", "id": tool.id, "name": tool.name, "input": input }));
    }
    blocks
}

fn stop(answer: &Answer) -> &'static str {
    if answer.tools.is_empty() { "end_turn" } else { "tool_use" }
}

/// Anthropic counts cached tokens beside the input, not in it.
fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_read_input_tokens": usage.cached, "cache_creation_input_tokens": usage.written,
        "cache_creation": { "ephemeral_5m_input_tokens": usage.written, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": usage.output, "service_tier": "standard",
    })
}
