//! OpenAI Responses, as the server writes them.

use serde_json::{Value, json};

use super::script::{Answer, Fault, ToolInput, ToolUse, Usage};

/// The whole answer in one body.
pub fn body(id: &str, model: &str, answer: &Answer) -> Value {
    object(id, model, "completed", items(id, answer), usage(answer.usage))
}

/// The answer as events (also the messages of the WebSocket transport).
pub fn events(id: &str, model: &str, answer: &Answer) -> Vec<Value> {
    let mut events = Vec::new();
    let mut push = |mut event: Value| {
        event["sequence_number"] = events.len().into();
        events.push(event);
    };
    let begun = object(id, model, "in_progress", Vec::new(), Value::Null);
    push(json!({ "type": "response.created", "response": begun }));
    push(json!({ "type": "response.in_progress", "response": begun }));
    let items = items(id, answer);
    for (index, item) in items.iter().enumerate() {
        let mut opened = item.clone();
        opened["status"] = "in_progress".into();
        let id = item["id"].clone();
        match item["type"].as_str() {
            Some("message") => {
                opened["content"] = json!([]);
                push(json!({ "type": "response.output_item.added", "output_index": index, "item": opened }));
                let part = json!({ "type": "output_text", "annotations": [], "text": "" });
                push(json!({
                    "type": "response.content_part.added", "item_id": id, "output_index": index,
                    "content_index": 0, "part": part,
                }));
                for piece in super::pieces(&answer.text, 9) {
                    push(json!({
                        "type": "response.output_text.delta", "item_id": id, "output_index": index,
                        "content_index": 0, "delta": piece, "logprobs": [], "obfuscation": "qQ",
                    }));
                }
                push(json!({
                    "type": "response.output_text.done", "item_id": id, "output_index": index,
                    "content_index": 0, "text": answer.text, "logprobs": [],
                }));
                push(json!({
                    "type": "response.content_part.done", "item_id": id, "output_index": index,
                    "content_index": 0, "part": item["content"][0],
                }));
            }
            Some("function_call") => {
                let arguments = item["arguments"].as_str().unwrap_or_default().to_owned();
                opened["arguments"] = "".into();
                push(json!({ "type": "response.output_item.added", "output_index": index, "item": opened }));
                for piece in super::pieces(&arguments, 6) {
                    push(json!({
                        "type": "response.function_call_arguments.delta", "item_id": id,
                        "output_index": index, "delta": piece, "obfuscation": "z",
                    }));
                }
                push(json!({
                    "type": "response.function_call_arguments.done", "item_id": id,
                    "output_index": index, "arguments": arguments, "name": item["name"],
                }));
            }
            _ => {
                let input = item["input"].as_str().unwrap_or_default().to_owned();
                opened["input"] = "".into();
                push(json!({ "type": "response.output_item.added", "output_index": index, "item": opened }));
                push(json!({
                    "type": "response.custom_tool_call_input.delta", "item_id": id,
                    "output_index": index, "delta": input,
                }));
                push(json!({
                    "type": "response.custom_tool_call_input.done", "item_id": id,
                    "output_index": index, "input": input,
                }));
            }
        }
        push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
    }
    if answer.fault == Fault::ErrorInStream {
        let mut failed = object(id, model, "failed", Vec::new(), Value::Null);
        failed["error"] = json!({ "code": "server_error", "message": "the mock failed on purpose" });
        push(json!({ "type": "response.failed", "response": failed }));
        return events;
    }
    let whole = object(id, model, "completed", items, usage(answer.usage));
    push(json!({ "type": "response.completed", "response": whole }));
    events
}

fn object(id: &str, model: &str, status: &str, output: Vec<Value>, usage: Value) -> Value {
    json!({
        "id": id, "object": "response", "created_at": 1_764_000_000, "status": status, "model": model,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "metadata": {}, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": { "effort": null, "summary": null }, "store": false,
        "temperature": 1.0, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null, "service_tier": "default",
    })
}

fn items(id: &str, answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    if !answer.text.is_empty() {
        items.push(json!({
            "id": format!("msg_{id}"), "type": "message", "status": "completed", "role": "assistant",
            "content": [{ "type": "output_text", "annotations": [], "logprobs": [], "text": answer.text }],
        }));
    }
    let call = |tool: &ToolUse| match &tool.input {
        ToolInput::Json(arguments) => {
            let mut item = json!({
                "id": format!("fc_{}", tool.id), "type": "function_call", "status": "completed",
                "call_id": tool.id, "name": tool.name, "arguments": arguments.to_string(),
            });
            if let Some(namespace) = tool.namespace {
                item["namespace"] = namespace.into();
            }
            item
        }
        ToolInput::Text(input) => json!({
            "id": format!("ctc_{}", tool.id), "type": "custom_tool_call", "status": "completed",
            "call_id": tool.id, "name": tool.name, "input": input,
        }),
    };
    items.extend(answer.tools.iter().map(call));
    items
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.output, "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.input + usage.output,
    })
}
