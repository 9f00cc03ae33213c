//! Bedrock's formats by small invented exchanges: whole, streamed, failed, and cut.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/cuts.rs"]
mod cuts;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/replay.rs"]
mod support;

use cuts::{call, counts, exchange, llm, text};
use frames::{event, exception};
use serde_json::{Value, json};
use support::Replay;
use trackway_core::call::Completion;

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
        event("messageStart", &json!({"role": "assistant"}).to_string()),
        event(
            "contentBlockStart",
            &json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}})
                .to_string(),
        ),
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{\"a\":"}}}).to_string(),
        ),
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "1}"}}}).to_string(),
        ),
    ]
    .concat();
    let end = [
        event("messageStop", &json!({"stopReason": "tool_use"}).to_string()),
        event("metadata", &json!({"usage": {"inputTokens": 1, "outputTokens": 2}}).to_string()),
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
    let slow = exception("exception", ":exception-type", "throttlingException", r#"{"message":"slow down"}"#);
    let slow = read([start.clone(), slow].concat());
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
    let read = call(&Replay::new(
        path,
        r#"{"inputText":"x"}"#,
        event("chunk", &json!({"bytes": chunk}).to_string()),
    ));
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
