//! Invented traffic in the shape of real agents': code, command output, tool calls, long histories.

use serde_json::{Value, json};

/// Path of Chat Completions.
pub(crate) const CHAT: &str = "/v1/chat/completions";
/// Path of Messages.
pub(crate) const MESSAGES: &str = "/v1/messages";
/// Path of Responses.
pub(crate) const RESPONSES: &str = "/v1/responses";

const CODE: &str = "fn main() {\n    let name = \"world\";\n    println!(\"hello {name}, again and again\");\n    // nothing else happens here, and it happens often\n}\n\n";
const PROSE: &str = "The test fails because the clock went back, so I will look at how the time is taken and then \
                     mend the comparison; after that the suite should be green again. ";

/// Chat requests of 4 KB, 100 KB and 1 MB.
pub(crate) fn requests() -> Vec<(&'static str, Vec<u8>)> {
    [
        ("chat request of 4 KB", 4_000),
        ("chat request of 100 KB", 100_000),
        ("chat request of 1 MB", 1_000_000),
    ]
    .into_iter()
    .map(|(title, size)| (title, request(size)))
    .collect()
}

fn request(size: usize) -> Vec<u8> {
    let tools: Vec<Value> = (0..if size < 10_000 { 2 } else { 12 }).map(tool).collect();
    let mut messages = vec![
        json!({"role": "system", "content": PROSE.repeat(if size < 10_000 { 2 } else { 40 })}),
        json!({"role": "user", "content": "Please mend the failing test."}),
    ];
    let mut length = 0;
    let mut turn = 0;
    while length + 3_000 < size {
        let id = format!("call_{turn:024}");
        let arguments =
            json!({"command": format!("sed -n {turn},200p src/main.rs"), "timeout_ms": 5000}).to_string();
        let output = CODE.repeat(if size < 10_000 { 2 } else { 8 + turn % 20 });
        length += output.len() + PROSE.len() + 400;
        messages.push(json!({"role": "assistant", "content": PROSE, "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "shell", "arguments": arguments}}]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": output}));
        turn += 1;
    }
    json!({"model": "gpt-4.1", "stream": true, "temperature": 0.2, "tools": tools, "messages": messages,
        "stream_options": {"include_usage": true}, "max_completion_tokens": 4096})
    .to_string()
    .into_bytes()
}

fn tool(number: usize) -> Value {
    json!({"type": "function", "function": {"name": format!("tool_{number}"), "description": PROSE,
        "parameters": {"type": "object", "properties": {"command": {"type": "string", "description": PROSE},
            "timeout_ms": {"type": "integer"}}, "required": ["command"]}}})
}

/// Streamed answers: their title, the path that they answer, their bytes.
pub(crate) fn streams() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("chat stream, 2,000 chunks of text", CHAT, chat(2000, false)),
        ("chat stream, 2,000 chunks of tool arguments", CHAT, chat(2000, true)),
        ("Messages stream, 2,000 deltas", MESSAGES, messages(2000)),
        ("Responses stream, 2,000 deltas", RESPONSES, responses(2000)),
    ]
}

fn words() -> impl Iterator<Item = &'static str> {
    PROSE.split_inclusive(' ').cycle()
}

fn chat(count: usize, tools: bool) -> Vec<u8> {
    let mut out = String::new();
    let mut chunk = |delta: Value, reason: Value| {
        let body = json!({"id": "chatcmpl-CabcdefghijklmnopqrstuvwxyzABCDE", "object": "chat.completion.chunk",
            "created": 1_790_000_000, "model": "gpt-4.1-2025-04-14", "service_tier": "default",
            "system_fingerprint": "fp_0123456789", "choices": [{"index": 0, "delta": delta, "logprobs": null,
            "finish_reason": reason}], "usage": null, "obfuscation": "aB3dE5gH"});
        out.push_str(&format!("data: {body}\n\n"));
    };
    if tools {
        chunk(
            json!({"role": "assistant", "content": null, "tool_calls": [{"index": 0, "id": "call_1",
            "type": "function", "function": {"name": "shell", "arguments": ""}}]}),
            Value::Null,
        );
        chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"command\":\""}}]}),
            Value::Null,
        );
    } else {
        chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    }
    for word in words().take(count) {
        let delta = if tools {
            json!({"tool_calls": [{"index": 0, "function": {"arguments": word}}]})
        } else {
            json!({"content": word})
        };
        chunk(delta, Value::Null);
    }
    if tools {
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"}"}}]}), Value::Null);
    }
    chunk(json!({}), if tools { "tool_calls" } else { "stop" }.into());
    let usage = json!({"id": "chatcmpl-CabcdefghijklmnopqrstuvwxyzABCDE", "object": "chat.completion.chunk",
        "created": 1_790_000_000, "model": "gpt-4.1-2025-04-14", "choices": [],
        "usage": {"prompt_tokens": 20000, "completion_tokens": count, "total_tokens": 20000 + count}});
    out.push_str(&format!("data: {usage}\n\ndata: [DONE]\n\n"));
    out.into_bytes()
}

fn messages(count: usize) -> Vec<u8> {
    let mut out = String::new();
    let mut event = |body: Value| {
        out.push_str(&format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default()));
    };
    event(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5", "content": [], "stop_reason": null, "usage": {"input_tokens": 20, "output_tokens": 1}}}));
    event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    for word in words().take(count) {
        event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}),
        );
    }
    event(json!({"type": "content_block_stop", "index": 0}));
    event(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": count}}),
    );
    event(json!({"type": "message_stop"}));
    out.into_bytes()
}

fn responses(count: usize) -> Vec<u8> {
    let mut out = String::new();
    let mut number = 0;
    let mut event = |kind: &str, mut body: Value| {
        body["type"] = kind.into();
        body["sequence_number"] = number.into();
        number += 1;
        out.push_str(&format!("event: {kind}\ndata: {body}\n\n"));
    };
    let response = |status: &str, output: Value, usage: Value| {
        json!({"response": {"id": "resp_1", "object": "response", "status": status, "model": "gpt-5.1",
            "output": output, "usage": usage}})
    };
    event("response.created", response("in_progress", json!([]), Value::Null));
    event(
        "response.output_item.added",
        json!({"output_index": 0, "item": {"id": "msg_1", "type": "message"}}),
    );
    let mut text = String::new();
    for word in words().take(count) {
        text.push_str(word);
        event(
            "response.output_text.delta",
            json!({"item_id": "msg_0123456789abcdef0123456789abcdef", "output_index": 0,
            "content_index": 0, "delta": word, "logprobs": [], "obfuscation": "k3Jd0aLq"}),
        );
    }
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]});
    event("response.output_item.done", json!({"output_index": 0, "item": item}));
    event(
        "response.completed",
        response("completed", json!([item]), json!({"input_tokens": 9, "output_tokens": count})),
    );
    out.into_bytes()
}
