//! Each provider's format by small invented exchanges: whole, streamed, failed, and cut.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/replay.rs"]
mod support;

use serde_json::{Value, json};
use support::Replay;
use trackway_core::call::{Call, Completion, Kind, Llm, Part};

/// Replays an exchange in several cuts, which must all mean the same.
fn call(replay: &Replay) -> Call {
    let calls = replay.clone().run(0);
    assert_eq!(calls.len(), 1);
    let call = calls.into_iter().next().unwrap();
    for seed in 1..8 {
        let again = replay.clone().run(seed);
        assert_eq!(format!("{:?}", again[0].kind), format!("{:?}", call.kind), "seed {seed}");
        assert_eq!(again[0].completion, call.completion, "seed {seed}");
    }
    call
}

fn llm(call: &Call) -> &Llm {
    match &call.kind {
        Kind::Llm(llm) => llm,
        other => panic!("{other:?}"),
    }
}

fn exchange(path: &str, request: &Value, response: &str) -> Replay {
    Replay::new(path, request.to_string(), response)
}

fn events(list: &[Value]) -> String {
    list.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

fn text(llm: &Llm) -> String {
    let part = |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
    llm.output.iter().flat_map(|message| &message.parts).map(part).collect()
}

/// Tokens: input, output, read from a cache, written to it, reasoning.
fn counts(llm: &Llm) -> [Option<u64>; 5] {
    let usage = &llm.usage;
    [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning]
}

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

/// A frame of an AWS event stream.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    let mut out = u32::try_from(16 + head.len() + payload.len()).unwrap().to_be_bytes().to_vec();
    out.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
    out.extend(crc(&out).to_be_bytes());
    out.extend(head);
    out.extend(payload.as_bytes());
    out.extend(crc(&out).to_be_bytes());
    out
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    frame(&[(":event-type", name), (":message-type", "event")], &payload.to_string())
}

#[test]
fn converse_counts_its_cache_beside_the_input() {
    let request = json!({"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "t0", "status": "error",
        "content": [{"text": "no"}]}}]}], "system": [{"text": "s"}], "inferenceConfig": {"maxTokens": 5},
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}});
    let answer = json!({"output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "ok"},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}]}}, "stopReason": "tool_use",
        "usage": {"inputTokens": 3, "outputTokens": 2, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 4}});
    let path = "/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Aprofile%2Fx/converse";
    let call = call(&exchange(path, &request, &answer.to_string()));
    let llm = llm(&call);
    assert_eq!(llm.request_model.as_deref(), Some("arn:aws:bedrock:eu:1:profile/x"));
    assert_eq!(counts(llm), [Some(17), Some(2), Some(10), Some(4), None]);
    assert_eq!((text(llm).as_str(), llm.tools[0].name.as_str()), ("ok", "f"));
    assert!(llm.tool_results().next().unwrap().is_error);
    assert_eq!(llm.tool_calls().next().unwrap().arguments, json!({"a": 1}));
}

#[test]
fn converse_streams_end_whole_cut_or_in_an_exception() {
    let request = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    let start = [
        event("messageStart", &json!({"role": "assistant"})),
        event(
            "contentBlockStart",
            &json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        ),
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{\"a\":"}}}),
        ),
        event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "1}"}}})),
    ]
    .concat();
    let end = [
        event("messageStop", &json!({"stopReason": "tool_use"})),
        event("metadata", &json!({"usage": {"inputTokens": 1, "outputTokens": 2}})),
    ]
    .concat();
    let read = |body: Vec<u8>| {
        call(
            &Replay::new("/model/m/converse-stream", request.to_string(), body)
                .header("content-type", "application/vnd.amazon.eventstream"),
        )
    };
    let whole = read([start.clone(), end].concat());
    assert_eq!(
        (whole.completion, counts(llm(&whole))),
        (Completion::Complete, [Some(1), Some(2), None, None, None])
    );
    assert_eq!(llm(&whole).tool_calls().next().unwrap().arguments, json!({"a": 1}));
    assert_eq!(read(start.clone()).completion, Completion::Partial);
    let headers = [(":message-type", "exception"), (":exception-type", "throttlingException")];
    let slow = read([start.clone(), frame(&headers, r#"{"message":"slow down"}"#)].concat());
    assert_eq!(llm(&slow).error.as_ref().unwrap().kind, "throttlingException");
    assert_eq!(slow.completion, Completion::Partial);
    let mut broken = start;
    broken[40] ^= 1;
    assert!(read(broken).faults.iter().any(|fault| fault.kind == "eventstream"));
}

#[test]
fn what_a_guardrail_says_ends_a_stream() {
    // {"outputText":"blocked","amazon-bedrock-guardrailAction":"INTERVENED"}
    let chunk =
        "eyJvdXRwdXRUZXh0IjoiYmxvY2tlZCIsImFtYXpvbi1iZWRyb2NrLWd1YXJkcmFpbEFjdGlvbiI6IklOVEVSVkVORUQifQ==";
    let path = "/model/m/invoke-with-response-stream";
    let read = call(&Replay::new(path, r#"{"inputText":"x"}"#, event("chunk", &json!({"bytes": chunk}))));
    assert_eq!((text(llm(&read)).as_str(), read.completion), ("blocked", Completion::Complete));
}

#[test]
fn invoke_reads_every_family() {
    let read = |request: Value, response: Value| {
        let replay = exchange("/model/m.x-v1/invoke", &request, &response.to_string())
            .header("x-amzn-bedrock-input-token-count", "7")
            .header("x-amzn-bedrock-output-token-count", "8");
        call(&replay)
    };
    let prompt = json!({"prompt": "x", "max_gen_len": 3});
    for (request, response, tokens) in [
        (
            prompt.clone(),
            json!({"generation": "ok", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop"}),
            (1, 2),
        ),
        (prompt.clone(), json!({"outputs": [{"text": "ok", "stop_reason": "stop"}]}), (7, 8)),
        (prompt.clone(), json!({"generations": [{"text": "ok", "finish_reason": "COMPLETE"}]}), (7, 8)),
        (
            prompt.clone(),
            json!({"completions": [{"data": {"text": "ok", "tokens": [1, 2]}, "finishReason": {"reason": "endoftext"}}],
            "prompt": {"tokens": [1, 2, 3]}}),
            (3, 2),
        ),
        (prompt, json!({"choices": [{"text": "ok", "finish_reason": "stop"}]}), (7, 8)),
        (
            json!({"inputText": "x", "textGenerationConfig": {}}),
            json!({"inputTextTokenCount": 4,
            "results": [{"tokenCount": 5, "outputText": "ok", "completionReason": "FINISH"}]}),
            (4, 5),
        ),
        (
            json!({"anthropic_version": "b", "max_tokens": 1, "messages": []}),
            json!({"type": "message", "id": "m",
            "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2}}),
            (1, 2),
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"text": "x"}]}], "inferenceConfig": {}}),
            json!({"output":
            {"message": {"role": "assistant", "content": [{"text": "ok"}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2}}),
            (1, 2),
        ),
        (
            json!({"messages": [{"role": "user", "content": "x"}]}),
            json!({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
            (1, 2),
        ),
    ] {
        let call = read(request, response.clone());
        let llm = llm(&call);
        assert_eq!(text(llm), "ok", "{response}");
        assert_eq!((llm.usage.input, llm.usage.output), (Some(tokens.0), Some(tokens.1)), "{response}");
        assert_eq!(llm.output[0].finish_reason.as_deref(), Some("stop"), "{response}");
        assert_eq!(llm.request_model.as_deref(), Some("m.x-v1"));
    }
    let embedding = read(
        json!({"inputText": "x", "normalize": true}),
        json!({"embedding": [0.5], "inputTextTokenCount": 3}),
    );
    assert_eq!((llm(&embedding).operation, llm(&embedding).usage.input), ("embeddings", Some(3)));
    let mut failed = exchange("/model/m/invoke", &json!({"prompt": "x"}), r#"{"message":"no access"}"#)
        .header("x-amzn-errortype", "AccessDeniedException:http://x");
    failed.status = 403;
    assert_eq!(llm(&call(&failed)).error.as_ref().unwrap().kind, "AccessDeniedException");
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
