//! OpenAI Chat Completions, as the server writes them.

use serde_json::{Value, json};

use super::script::{Answer, Fault, ToolInput, Usage};

/// The whole answer in one body.
pub fn body(id: &str, model: &str, answer: &Answer) -> Value {
    json!({
        "id": id, "object": "chat.completion", "created": 1_764_000_000, "model": model,
        "choices": [{
            "index": 0, "logprobs": null, "finish_reason": finish(answer),
            "message": {
                "role": "assistant", "content": answer.text, "refusal": null, "annotations": [],
                "tool_calls": if answer.tools.is_empty() { Value::Null } else { tools(answer).into() },
            },
        }],
        "usage": usage(answer.usage), "service_tier": "default", "system_fingerprint": "fp_mock",
    })
}

/// The answer as events. Usage comes only where the request asked for it.
pub fn events(id: &str, model: &str, answer: &Answer, include_usage: bool) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": 1_764_000_000, "model": model,
            "service_tier": "default", "system_fingerprint": "fp_mock", "choices": choices, "obfuscation": "xY3",
        });
        if include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), Value::Null)
    };
    let mut events = vec![delta(json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null)];
    for piece in super::pieces(&answer.text, 9) {
        events.push(delta(json!({ "content": piece }), Value::Null));
    }
    for (index, tool) in tools(answer).into_iter().enumerate() {
        let arguments = tool["function"]["arguments"].as_str().unwrap_or_default().to_owned();
        let mut first = tool;
        first["index"] = index.into();
        first["function"]["arguments"] = "".into();
        events.push(delta(json!({ "tool_calls": [first] }), Value::Null));
        for piece in super::pieces(&arguments, 5) {
            let part = json!({ "index": index, "function": { "arguments": piece } });
            events.push(delta(json!({ "tool_calls": [part] }), Value::Null));
        }
    }
    if answer.fault == Fault::ErrorInStream {
        events.push(format!("data: {}\n\n", super::error(500)));
        return events;
    }
    events.push(delta(json!({}), finish(answer).into()));
    if include_usage {
        events.push(chunk(json!([]), usage(answer.usage)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn finish(answer: &Answer) -> &'static str {
    if answer.tools.is_empty() { "stop" } else { "tool_calls" }
}

fn tools(answer: &Answer) -> Vec<Value> {
    let write = |tool: &super::script::ToolUse| match &tool.input {
        ToolInput::Json(arguments) => json!({
            "id": tool.id, "type": "function",
            "function": { "name": tool.name, "arguments": arguments.to_string() },
        }),
        ToolInput::Text(input) => {
            json!({ "id": tool.id, "type": "custom", "custom": { "name": tool.name, "input": input } })
        }
    };
    answer.tools.iter().map(write).collect()
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": { "cached_tokens": usage.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}
