//! Each provider's format by small invented exchanges: whole, streamed, failed, and cut.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/cuts.rs"]
mod cuts;
#[path = "support/replay.rs"]
mod support;

use cuts::{call, counts, events, exchange, llm, text};
use serde_json::json;
use trackway_core::call::{Completion, Kind, Part};

#[test]
fn gemini_counts_thoughts_and_tools_beside_and_names_calls_without_ids() {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "2+2?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 2}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"sum": 4}}}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "add"}]}, {"googleSearch": {}}],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9}});
    let answer = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hm", "thought": true},
        {"text": "Four"}, {"functionCall": {"name": "add", "args": {"a": 1}}}]}, "finishReason": "STOP"}],
        "modelVersion": "gemini-x-1", "responseId": "r1", "usageMetadata": {"promptTokenCount": 10,
        "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "cachedContentTokenCount": 2}});
    let path = "/v1/projects/p1/locations/l/publishers/google/models/gemini-x:generateContent";
    let call = call(&exchange(path, &request, &answer.to_string()));
    let llm = llm(&call);
    assert_eq!(
        (llm.api, llm.provider.as_str(), llm.provider_said),
        ("gemini.generate", "gcp.vertex_ai", false)
    );
    assert_eq!(
        (llm.request_model.as_deref(), llm.response_model.as_deref()),
        (Some("gemini-x"), Some("gemini-x-1"))
    );
    assert_eq!(llm.project.as_deref(), Some("p1"));
    assert_eq!(counts(llm), [Some(15), Some(7), Some(2), None, Some(4)]);
    assert_eq!(text(llm), "Four");
    assert_eq!(llm.finish_reasons, ["STOP"]);
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("tool_call"));
    assert!(llm.tool_calls().all(|tool| tool.id.is_none() && tool.name == "add"));
    assert_eq!(llm.tool_results().next().unwrap().response, json!({"sum": 4}));
    let names: Vec<&str> = llm.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["add", "google_search"]);
    assert_eq!((llm.params.temperature, llm.params.max_tokens), (Some(0.5), Some(9)));
}

#[test]
fn gemini_streams_as_events_and_as_a_list() {
    let pieces = [
        json!({"candidates": [{"content": {"parts": [{"text": "Hel"}]}}], "usageMetadata": {"trafficType": "ON_DEMAND"}}),
        json!({"candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": 1}],
            "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 1}}),
    ];
    let request = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let path = "/v1beta/models/m:streamGenerateContent";
    let list = format!("[{},\r\n{}\n]", pieces[0], pieces[1]);
    for body in [events(&pieces), list] {
        let call = call(&exchange(path, &request, &body));
        let llm = llm(&call);
        assert!(llm.stream);
        assert_eq!((text(llm).as_str(), call.completion), ("Hello", Completion::Complete));
        assert_eq!(counts(llm), [Some(2), Some(1), None, None, None]);
        assert_eq!(llm.output[0].finish_reason.as_deref(), Some("stop"));
    }
    let cut = call(&exchange(path, &request, &events(&pieces[..1])));
    assert_eq!((cut.completion, counts(llm(&cut))), (Completion::Partial, [None; 5]));
    let failed = r#"[{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}]"#;
    let failed = call(&exchange(path, &request, failed));
    assert!(!llm(&failed).stream);
    assert_eq!(llm(&failed).error.as_ref().unwrap().message, "no such model");
    // Gemini CLI wraps both sides.
    let wrapped = json!({"model": "m2", "project": "p", "request": request});
    let body = events(&[json!({"response": pieces[0]}), json!({"response": pieces[1]})]);
    let wrapped = call(&exchange("/v1internal:streamGenerateContent", &wrapped, &body));
    assert_eq!((text(llm(&wrapped)).as_str(), llm(&wrapped).request_model.as_deref()), ("Hello", Some("m2")));
}

#[test]
fn cohere_says_what_was_used_and_thinks_in_plans() {
    let request = json!({"model": "command", "messages": [{"role": "user", "content": "x"}], "p": 0.5});
    let stream = events(&[
        json!({"type": "message-start", "id": "c1"}),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}}),
        json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"id": "t", "function": {"name": "f", "arguments": ""}}}}}),
        json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}}),
        json!({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL",
            "usage": {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 9, "output_tokens": 2}}}}),
    ]);
    let call = call(&exchange("/v2/chat", &request, &stream));
    let llm = llm(&call);
    assert_eq!((llm.api, llm.response_id.as_deref()), ("cohere.v2.chat", Some("c1")));
    assert_eq!(counts(llm)[..2], [Some(9), Some(2)]);
    assert_eq!(llm.output[0].parts[0], Part::Reasoning("I look.".into()));
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("tool_call"));
    assert_eq!((llm.params.top_p, call.completion), (Some(0.5), Completion::Complete));
}

#[test]
fn lines_are_streams() {
    let first = "{\"event_type\":\"stream-start\",\"generation_id\":\"g\"}\n{\"event_type\":\"text-generation\",\"text\":\"ok\"}\n";
    let last = "{\"event_type\":\"stream-end\",\"finish_reason\":\"COMPLETE\",\"response\":{\"text\":\"ok\",\
                \"meta\":{\"tokens\":{\"input_tokens\":1,\"output_tokens\":2}}}}\n";
    let request =
        json!({"message": "x", "model": "command", "chat_history": [{"role": "USER", "message": "y"}]});
    let whole = call(&exchange("/v1/chat", &request, &format!("{first}{last}")));
    assert_eq!((text(llm(&whole)).as_str(), llm(&whole).stream, llm(&whole).input.len()), ("ok", true, 2));
    assert_eq!(call(&exchange("/v1/chat", &request, first)).completion, Completion::Partial);

    let request = json!({"model": "llama", "messages": [{"role": "user", "content": "x"}], "options": {"num_predict": 5}});
    let lines = "{\"model\":\"llama\",\"message\":{\"content\":\"o\"},\"done\":false}\n\
                 {\"model\":\"llama\",\"message\":{\"content\":\"k\"},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":2}\n";
    let ollama = call(&exchange("/api/chat", &request, lines));
    let llm = llm(&ollama);
    assert_eq!((llm.provider.as_str(), text(llm).as_str(), llm.stream), ("ollama", "ok", true));
    // A prompt that was cached as a whole is not counted: unknown is not zero.
    assert_eq!(counts(llm), [None, Some(2), None, None, None]);
    assert_eq!(llm.params.max_tokens, Some(5));
}

#[test]
fn vectors_and_ranks_are_counted_and_not_looked_at() {
    let vector = format!("[{}]", vec!["0.25"; 3000].join(","));
    let answer = format!(r#"{{"data":[{{"embedding":{vector}}}],"model":"e","usage":{{"total_tokens":4}}}}"#);
    let embedded = call(&exchange(
        "/v1/embeddings",
        &json!({"model": "e", "input": ["a", "b"], "dimensions": 8}),
        &answer,
    ));
    let embedding = llm(&embedded);
    assert_eq!(
        (embedding.operation, embedding.usage.input, embedding.usage.output),
        ("embeddings", Some(4), None)
    );
    assert_eq!((embedding.dimensions, embedding.input.len()), (Some(8), 2));
    let answer = format!(
        r#"{{"id":"x","embeddings":{{"float":[{vector}]}},"meta":{{"billed_units":{{"input_tokens":3}}}}}}"#
    );
    let cohere = call(&exchange("/v2/embed", &json!({"model": "e", "texts": ["a"]}), &answer));
    assert_eq!((llm(&cohere).usage.input, llm(&cohere).response_id.as_deref()), (Some(3), Some("x")));
    let rank = exchange(
        "/v1/rerank",
        &json!({"model": "r", "query": "q", "documents": ["a"]}),
        r#"{"results":[],"model":"r"}"#,
    );
    assert_eq!(llm(&call(&rank)).operation, "rerank");
}

#[test]
fn completions_and_the_first_format_of_anthropic() {
    let stream = events(&[
        json!({"id": "c", "choices": [{"index": 0, "text": "o", "finish_reason": null}]}),
        json!({"id": "c", "choices": [{"index": 0, "text": "k", "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ]) + "data: [DONE]\n\n";
    let request = json!({"model": "m", "prompt": ["a", "b"]});
    let completed = call(&exchange("/v1/completions", &request, &stream));
    assert_eq!((text(llm(&completed)).as_str(), llm(&completed).input.len()), ("ok", 2));
    assert_eq!(counts(llm(&completed))[..2], [Some(1), Some(2)]);
    let answer =
        r#"{"type":"completion","id":"x","completion":" ok","stop_reason":"stop_sequence","model":"m"}"#;
    let request = json!({"model": "m", "prompt": "\n\nHuman: x", "max_tokens_to_sample": 9});
    let first = call(&exchange("/v1/complete", &request, answer));
    assert_eq!(
        (llm(&first).api, text(llm(&first)).as_str(), counts(llm(&first))),
        ("anthropic.complete", " ok", [None; 5])
    );
}

#[test]
fn what_anthropic_bills_beside_is_told_beside() {
    let answer = json!({"type": "message", "id": "m", "model": "c", "content": [], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 9,
            "cache_creation": {"ephemeral_1h_input_tokens": 4, "ephemeral_5m_input_tokens": 5},
            "iterations": [{"type": "message", "input_tokens": 1}, {"type": "compaction", "input_tokens": 50, "output_tokens": 6}]}});
    let request = json!({"model": "c", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]});
    let call = call(&exchange("/v1/messages", &request, &answer.to_string()));
    let llm = llm(&call);
    assert_eq!(
        (llm.usage.input, llm.usage.cache_write, llm.usage.cache_write_1h),
        (Some(10), Some(9), Some(4))
    );
    assert_eq!(llm.outside.len(), 1);
    assert_eq!((llm.outside[0].kind.as_str(), llm.outside[0].usage.input), ("compaction", Some(50)));
}

#[test]
fn mcp_and_a2a_are_told_by_what_is_said() {
    let request = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1}}});
    let stream = events(&[
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 3, "result": {"isError": true, "content": [{"type": "text", "text": "no"}]}}),
    ]);
    let replay =
        |body: &str| exchange("/any/path", &request, body).request_header("content-type", "application/json");
    let whole = call(&replay(&stream));
    let Kind::Mcp(mcp) = &whole.kind else { panic!("{:?}", whole.kind) };
    assert_eq!(
        (mcp.tool_name.as_deref(), mcp.is_error, mcp.messages, mcp.notifications),
        (Some("add"), true, 2, 1)
    );
    assert_eq!(mcp.tool_arguments, Some(json!({"a": 1})));
    let failed = call(&replay(r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"no method"}}"#));
    let Kind::Mcp(mcp) = &failed.kind else { panic!("{:?}", failed.kind) };
    assert_eq!(mcp.error.as_ref().unwrap().code, -32601);

    let request = json!({"jsonrpc": "2.0", "id": "a", "method": "message/send", "params": {"message": {"kind": "message", "role": "user", "messageId": "m",
        "parts": [{"kind": "text", "text": "hi"}]}}});
    let answer = json!({"jsonrpc": "2.0", "id": "a", "result": {"kind": "task", "id": "t", "contextId": "c",
        "status": {"state": "completed"}, "artifacts": [{"parts": [{"kind": "text", "text": "4"}]}]}});
    let old = exchange("/", &request, &answer.to_string()).request_header("content-type", "application/json");
    let old = call(&old);
    let Kind::A2a(a2a) = &old.kind else { panic!("{:?}", old.kind) };
    assert_eq!(
        (a2a.method.as_str(), a2a.version.as_deref(), a2a.task_id.as_deref()),
        ("message/send", Some("0.3"), Some("t"))
    );
    assert_eq!(
        (a2a.states.as_slice(), a2a.result_texts.as_slice()),
        (&["completed".to_owned()][..], &["4".to_owned()][..])
    );

    for other in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": []}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {}}),
    ] {
        let plain = exchange("/rpc", &other, "{}").request_header("content-type", "application/json");
        assert!(matches!(call(&plain).kind, Kind::Plain), "{other}");
    }
}

#[test]
fn what_stands_behind_an_answer_is_not_read_wherever_it_is_cut() {
    let request = json!({"model": "m", "messages": []});
    let answer = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}} x {"id":"d"} y {"id":"e"}"#;
    let list = r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}] , [{"error":{"message":"b"}}]"#;
    for seed in 0..200 {
        let listed =
            exchange("/v1beta/models/m:streamGenerateContent", &json!({"contents": []}), list).run(seed);
        assert!(llm(&listed[0]).error.is_none() && text(llm(&listed[0])) == "a", "{seed}");
        let calls = exchange("/v1/chat/completions", &request, answer).run(seed);
        let llm = llm(&calls[0]);
        assert_eq!((llm.response_id.as_deref(), llm.stream), (Some("c"), false), "{seed}");
    }
}

#[test]
fn a_refusal_is_an_error_whatever_its_body_says() {
    for body in ["<html>", "", r#"{"title":"no"}"#] {
        let mut replay = exchange("/v1/chat/completions", &json!({"model": "m", "messages": []}), body);
        replay.status = 503;
        let call = call(&replay);
        assert_eq!(llm(&call).error.as_ref().unwrap().kind, "503", "{body}");
    }
    // An app's own chat is nobody's format.
    let app = exchange("/api/chat", &json!({"message": "hi", "conversation_id": "c"}), r#"{"reply":"ho"}"#);
    assert!(matches!(call(&app).kind, Kind::Plain));
}

#[test]
fn whose_format_it_is_is_not_whose_host_it_is() {
    let request = json!({"model": "m", "messages": []});
    let answer = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.5}}"#;
    let call = call(&exchange("/proxy/openai/v1/chat/completions", &request, answer));
    assert_eq!((llm(&call).provider.as_str(), llm(&call).provider_said), ("openai", false));
    assert_eq!(llm(&call).stated_cost, Some(0.5));
}
