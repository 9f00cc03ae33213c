//! Small exchanges with Bedrock and watsonx, written by hand, and what they must be read as.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/frames.rs"]
mod frames;
#[path = "support/replay.rs"]
mod support;

use frames::{chunk, event, exception};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::Replay;
use trackway_core::call::{Call, Completion, Kind, Llm, Part, ToolCall, Usage};

const FRAMES: &str = "application/vnd.amazon.eventstream";

fn one(calls: Vec<Call>) -> Call {
    assert_eq!(calls.len(), 1);
    calls.into_iter().next().unwrap()
}

fn llm(replay: Replay) -> (Call, Llm) {
    let call = one(replay.run(0));
    let Kind::Llm(llm) = call.kind.clone() else { panic!("plain: {call:?}") };
    (call, *llm)
}

fn exchange(path: &str, request: &Value, response: impl Into<Vec<u8>>) -> Replay {
    Replay::new(path, request.to_string(), response)
}

fn whole(path: &str, request: &Value, response: &Value) -> Replay {
    exchange(path, request, response.to_string()).header("content-type", "application/json")
}

fn streamed(path: &str, request: &Value, frames: &[Vec<u8>]) -> Replay {
    exchange(path, request, frames.concat()).header("content-type", FRAMES)
}

fn text(llm: &Llm) -> String {
    let texts = llm.output.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn counts(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

fn question() -> Value {
    json!({
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"text": "Weather?"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t0", "name": "look", "input": {"a": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t0", "status": "error",
                "content": [{"json": {"rain": true}}]}}]},
        ],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"top_k": 7, "reasoning_effort": "low"},
        "outputConfig": {"textFormat": {"type": "json_schema"}},
        "requestMetadata": {"team": "red", "user_id": "u-7"},
        "serviceTier": {"type": "flex"},
        "toolConfig": {"tools": [
            {"toolSpec": {"name": "look", "description": "Looks.", "inputSchema": {"json": {"type": "object"}}}},
            {"systemTool": {"name": "nova_grounding"}},
        ]},
    })
}

fn conversation() -> Vec<Vec<u8>> {
    [
        ("messageStart", json!({"role": "assistant", "p": "abc"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm"}}})),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"text": "Gr\u{fc}"}})),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"text": "\u{df}e"}})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "look"}}}),
        ),
        ("contentBlockDelta", json!({"contentBlockIndex": 2, "delta": {"toolUse": {"input": "{\"to"}}})),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 2, "delta": {"toolUse": {"input": "wn\":\"Ulm\"}"}}}),
        ),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "t2", "name": "stop"}}}),
        ),
        ("messageStop", json!({"stopReason": "tool_use"})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 118,
            "cacheReadInputTokens": 100, "cacheWriteInputTokens": 3,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 3}]}, "metrics": {"latencyMs": 9}}),
        ),
    ]
    .iter()
    .map(|(name, payload)| event(name, &payload.to_string()))
    .collect()
}

fn call(id: &str, name: &str, arguments: Value) -> Part {
    Part::ToolCall(ToolCall { id: Some(id.to_owned()), name: name.to_owned(), arguments, kind: "function" })
}

#[test]
fn converse_streams() {
    let (call_, llm) =
        llm(streamed("/model/us.amazon.nova-2%3A0/converse-stream", &question(), &conversation()));
    assert_eq!((call_.completion, call_.faults), (Completion::Complete, vec![]));
    assert_eq!(
        (llm.api, llm.operation, llm.provider.as_str()),
        ("bedrock.converse_stream", "chat", "aws.bedrock")
    );
    assert!(llm.stream);
    assert_eq!(llm.request_model.as_deref(), Some("us.amazon.nova-2:0"));
    assert_eq!(
        llm.usage,
        Usage { cache_read: Some(100), cache_write: Some(3), cache_write_1h: Some(3), ..counts(113, 5) }
    );
    assert_eq!(llm.finish_reasons, ["tool_use"]);
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("tool_call"));
    let parts = [
        Part::Reasoning("Hm".into()),
        Part::Text("Gr\u{fc}\u{df}e".into()),
        call("t1", "look", json!({"town": "Ulm"})),
        call("t2", "stop", json!({})),
    ];
    assert_eq!(llm.output[0].parts, parts);
    // The request.
    assert_eq!(llm.user.as_deref(), Some("u-7"));
    let params = &llm.params;
    assert_eq!((params.max_tokens, params.temperature, params.top_p), (Some(50), Some(0.5), Some(0.9)));
    assert_eq!((params.top_k, params.stop.as_slice()), (Some(7.0), ["END".to_owned()].as_slice()));
    assert_eq!((params.reasoning_level.as_deref(), params.output_type), (Some("low"), Some("json")));
    assert_eq!(params.service_tier.as_deref(), Some("flex"));
    assert_eq!(llm.system, [Part::Text("Be brief.".into())]);
    assert_eq!(llm.input.len(), 3);
    assert_eq!(llm.tooling().len(), 2);
    let result = llm.tool_results().next().unwrap();
    assert_eq!((result.id.as_deref(), &result.response), (Some("t0"), &json!({"rain": true})));
    assert!(result.is_error);
    let names: Vec<&str> = llm.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["look", "nova_grounding"]);
}

#[test]
fn converse_whole_with_citations_and_server_tools() {
    let answer = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {}}},
            {"toolResult": {"toolUseId": "s1", "type": "nova_code_interpreter_result", "content": []}},
            {"citationsContent": {"citations": [], "content": [{"text": "It is so."}]}},
        ]}},
        "stopReason": "guardrail_intervened",
        "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/x"}},
        "usage": {"inputTokens": 4, "outputTokens": 0, "totalTokens": 4, "cacheReadInputTokenCount": 0},
    });
    let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Adefault-prompt-router%2Fx/converse";
    let (call, llm) = llm(whole(path, &question(), &answer));
    assert_eq!(call.completion, Completion::Complete);
    assert_eq!(llm.request_model.as_deref(), Some("arn:aws:bedrock:us-east-1:1:default-prompt-router/x"));
    assert_eq!(llm.response_model.as_deref(), Some("arn:aws:bedrock:us-east-1::foundation-model/x"));
    assert_eq!(llm.tool_calls().count(), 0);
    assert!(
        matches!(&llm.output[0].parts[0], Part::ServerTool { name, .. } if name == "nova_code_interpreter")
    );
    assert_eq!(text(&llm), "It is so.");
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("content_filter"));
    assert_eq!(llm.usage, Usage { cache_read: Some(0), ..counts(4, 0) });
}

#[test]
fn exceptions_inside_a_stream_are_errors() {
    let start = &conversation()[..6];
    for frame in [
        exception("exception", ":exception-type", "throttlingException", r#"{"message":"Too many"}"#),
        exception("error", ":error-code", "throttlingException", ""),
    ] {
        let frames = [start, &[frame]].concat();
        let (call, llm) = llm(streamed("/model/m/converse-stream", &question(), &frames));
        assert_eq!(call.completion, Completion::Partial);
        let error = llm.error.clone().unwrap();
        assert_eq!(error.kind, "throttlingException");
        assert!(["Too many", "said in a header"].contains(&error.message.as_str()), "{error:?}");
        assert_eq!(text(&llm), "Gr\u{fc}\u{df}e");
        assert_eq!(llm.usage, Usage::default());
    }
}

#[test]
fn broken_and_cut_streams_keep_what_they_hold() {
    let mut frames = conversation();
    let last = frames[4].len() - 1;
    frames[4][last] ^= 1;
    let (call, llm_) = llm(streamed("/model/m/converse-stream", &question(), &frames));
    assert_eq!(text(&llm_), "\u{df}e");
    assert_eq!(call.faults[0].kind, "eventstream");
    assert_eq!(llm_.usage.output, Some(5));
    // Cut inside a frame, before the end.
    let mut bytes = conversation()[..6].concat();
    bytes.truncate(bytes.len() - 3);
    let (call, llm_) =
        llm(exchange("/model/m/converse-stream", &question(), bytes).header("content-type", FRAMES));
    assert_eq!(call.completion, Completion::Partial);
    assert_eq!(text(&llm_), "Gr\u{fc}");
    assert!(call.faults.iter().any(|fault| fault.kind == "eventstream"));
    assert_eq!(llm_.usage, Usage::default());
    // Without the counts it is as whole as its connection.
    let frames = &conversation()[..11];
    let mut cut = streamed("/model/m/converse-stream", &question(), frames);
    assert_eq!(one(cut.clone().run(0)).completion, Completion::Complete);
    cut.completion = Completion::Partial;
    assert_eq!(one(cut.run(0)).completion, Completion::Partial);
}

#[test]
fn errors_before_a_stream() {
    let mut replay = whole("/model/m/converse-stream", &question(), &json!({"message": "No such model"}))
        .header("x-amzn-errortype", "ValidationException:http://internal.example/");
    replay.status = 400;
    let (call, llm) = llm(replay);
    assert!(!llm.stream);
    assert_eq!(call.completion, Completion::Complete);
    let error = llm.error.unwrap();
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("ValidationException", "No such model"));
    assert!(llm.output.is_empty());
}

#[test]
fn anthropic_inside_invoke() {
    let request = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
        "metadata": {"user_id": "user_1_account_2_session_3"},
        "messages": [{"role": "user", "content": "Hi"}]});
    let pieces = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "role": "assistant",
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics":
            {"inputTokenCount": 3, "outputTokenCount": 7, "cacheReadInputTokenCount": 20}}),
    ];
    let frames: Vec<Vec<u8>> = pieces.iter().map(chunk).collect();
    let path = "/model/eu.anthropic.claude/invoke-with-response-stream";
    let (call, llm_) = llm(streamed(path, &request, &frames));
    assert_eq!((call.completion, call.faults), (Completion::Complete, vec![]));
    assert_eq!((llm_.api, llm_.response_id.as_deref()), ("bedrock.invoke_stream", Some("msg_1")));
    assert_eq!(text(&llm_), "Hello");
    // What the model itself says counts, not what was measured beside it.
    assert_eq!(llm_.usage, Usage { cache_read: Some(20), ..counts(23, 8) });
    assert_eq!(llm_.conversation.unwrap().id, "3");
    // Cut before the end: what was generated so far is not known.
    let (call, llm_) = llm(streamed(path, &request, &frames[..3]));
    assert_eq!((call.completion, llm_.usage.output), (Completion::Partial, None));
}

#[test]
fn every_family_in_its_own_words() {
    type Case = (&'static str, Value, Value, &'static str, &'static str, Option<&'static str>, Usage);
    let unknown = Usage::default;
    let cases: Vec<Case> = vec![
        (
            "Nova",
            json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
                "inferenceConfig": {"max_new_tokens": 4}}),
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "Yes"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 1, "outputTokens": 2}}),
            "chat",
            "Yes",
            Some("end_turn"),
            counts(1, 2),
        ),
        (
            "Llama",
            json!({"prompt": "Hi", "max_gen_len": 4}),
            json!({"generation": "Yes", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop"}),
            "text_completion",
            "Yes",
            Some("stop"),
            counts(1, 2),
        ),
        (
            "Titan",
            json!({"inputText": "Hi", "textGenerationConfig": {"maxTokenCount": 4}}),
            json!({"inputTextTokenCount": 1, "results": [{"tokenCount": 2, "outputText": "Yes", "completionReason": "FINISH"}]}),
            "text_completion",
            "Yes",
            Some("FINISH"),
            counts(1, 2),
        ),
        (
            "Mistral, a prompt",
            json!({"prompt": "<s>[INST] Hi [/INST]", "max_tokens": 4}),
            json!({"outputs": [{"text": "Yes", "stop_reason": "length"}]}),
            "text_completion",
            "Yes",
            Some("length"),
            unknown(),
        ),
        (
            "Mistral, messages",
            json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}, "stop_reason": "stop"}]}),
            "chat",
            "Yes",
            Some("stop"),
            unknown(),
        ),
        (
            "gpt-oss",
            json!({"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 4}),
            json!({"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"},
                "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
            "chat",
            "Yes",
            Some("stop"),
            counts(1, 2),
        ),
        (
            "DeepSeek",
            json!({"prompt": "Hi", "max_tokens": 4}),
            json!({"choices": [{"text": "Yes", "stop_reason": "stop"}]}),
            "text_completion",
            "Yes",
            Some("stop"),
            unknown(),
        ),
        (
            "Cohere Command",
            json!({"prompt": "Hi", "max_tokens": 4}),
            json!({"id": "c", "generations": [{"id": "g", "text": "Yes", "finish_reason": "COMPLETE"}]}),
            "text_completion",
            "Yes",
            Some("COMPLETE"),
            unknown(),
        ),
        (
            "Jurassic",
            json!({"prompt": "Hi", "maxTokens": 4}),
            json!({"id": 7, "prompt": {"text": "Hi", "tokens": [{}]}, "completions":
                [{"data": {"text": "Yes", "tokens": [{}, {}]}, "finishReason": {"reason": "endoftext"}}]}),
            "text_completion",
            "Yes",
            Some("endoftext"),
            counts(1, 2),
        ),
        (
            "Claude's first format",
            json!({"prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 4}),
            json!({"completion": "Yes", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}),
            "text_completion",
            "Yes",
            Some("stop_sequence"),
            unknown(),
        ),
        (
            "Titan vectors",
            json!({"inputText": "Hi", "dimensions": 2, "normalize": true}),
            json!({"embedding": [0.1, 0.2], "inputTextTokenCount": 1}),
            "embeddings",
            "",
            None,
            Usage { input: Some(1), ..unknown() },
        ),
        (
            "Cohere vectors",
            json!({"texts": ["Hi"], "input_type": "search_query"}),
            json!({"id": "e", "embeddings": [[0.1]], "texts": ["hi"]}),
            "embeddings",
            "",
            None,
            unknown(),
        ),
        (
            "Cohere rerank",
            json!({"query": "Hi", "documents": ["a"], "api_version": 2}),
            json!({"results": [{"index": 0, "relevance_score": 0.5}]}),
            "rerank",
            "",
            None,
            unknown(),
        ),
    ];
    for (name, request, response, operation, said, reason, usage) in cases {
        let (call, llm_) = llm(whole("/model/m/invoke", &request, &response));
        assert_eq!((call.completion, call.faults), (Completion::Complete, vec![]), "{name}");
        assert_eq!((llm_.api, llm_.operation), ("bedrock.invoke", operation), "{name}");
        assert_eq!(text(&llm_), said, "{name}");
        assert_eq!(llm_.finish_reasons, reason.into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(llm_.usage, usage, "{name}");
        assert_eq!(llm_.params.max_tokens.is_some(), !said.is_empty(), "{name}");
        // The fields of the response tell where the body does not.
        let counted = whole("/model/m/invoke", &request, &response)
            .header("x-amzn-bedrock-input-token-count", "30")
            .header("x-amzn-bedrock-output-token-count", "40");
        let (_, llm_) = llm(counted);
        let said = |own: Option<u64>, other| own.or(Some(other));
        assert_eq!(
            (llm_.usage.input, llm_.usage.output),
            (said(usage.input, 30), said(usage.output, 40)),
            "{name}"
        );
    }
}

#[test]
fn every_family_as_a_stream() {
    let metrics = json!({"inputTokenCount": 10, "outputTokenCount": 20});
    let cases = [
        (
            "Llama",
            json!({"prompt": "Hi"}),
            vec![
                json!({"generation": "Y", "prompt_token_count": 1, "generation_token_count": 1, "stop_reason": null}),
                json!({"generation": "es", "prompt_token_count": null, "generation_token_count": 2, "stop_reason": "stop"}),
            ],
            "stop",
            (1, 2),
        ),
        (
            "Titan",
            json!({"inputText": "Hi"}),
            vec![
                json!({"outputText": "Y", "index": 0, "inputTextTokenCount": 1, "totalOutputTextTokenCount": null}),
                json!({"outputText": "es", "index": 0, "totalOutputTextTokenCount": 2, "completionReason": "FINISH"}),
            ],
            "FINISH",
            (1, 2),
        ),
        (
            "Mistral, messages",
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            vec![
                json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Y"}, "stop_reason": null}]}),
                json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "es"}, "stop_reason": "stop"}]}),
            ],
            "stop",
            (10, 20),
        ),
        (
            "gpt-oss",
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            vec![
                json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Y"}, "finish_reason": null}]}),
                json!({"choices": [{"index": 0, "delta": {"content": "es"}, "finish_reason": "stop"}]}),
            ],
            "stop",
            (10, 20),
        ),
        (
            "Mistral, a prompt",
            json!({"prompt": "Hi"}),
            vec![
                json!({"outputs": [{"text": "Y", "stop_reason": null}]}),
                json!({"outputs": [{"text": "es", "stop_reason": "stop"}]}),
            ],
            "stop",
            (10, 20),
        ),
        (
            "Cohere Command R",
            json!({"message": "Hi"}),
            vec![
                json!({"event_type": "text-generation", "is_finished": false, "text": "Y"}),
                json!({"event_type": "text-generation", "is_finished": false, "text": "es"}),
                json!({"event_type": "stream-end", "is_finished": true, "finish_reason": "COMPLETE",
                "response": {"text": "Yes", "generation_id": "g", "finish_reason": "COMPLETE"}}),
            ],
            "COMPLETE",
            (10, 20),
        ),
        (
            "Nova",
            json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
            vec![
                json!({"messageStart": {"role": "assistant"}}),
                json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Yes"}}}),
                json!({"messageStop": {"stopReason": "end_turn"}}),
                json!({"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2}}}),
            ],
            "end_turn",
            (1, 2),
        ),
    ];
    for (name, request, mut pieces, reason, (input, output)) in cases {
        pieces.last_mut().unwrap()["amazon-bedrock-invocationMetrics"] = metrics.clone();
        let frames: Vec<Vec<u8>> = pieces.iter().map(chunk).collect();
        let path = "/model/m/invoke-with-response-stream";
        let (call, llm_) = llm(streamed(path, &request, &frames));
        assert_eq!((call.completion, call.faults), (Completion::Complete, vec![]), "{name}");
        assert_eq!((text(&llm_).as_str(), llm_.output.len()), ("Yes", 1), "{name}");
        assert_eq!(llm_.finish_reasons, [reason], "{name}");
        assert_eq!(llm_.usage, counts(input, output), "{name}");
        let (call, llm_) = llm(streamed(path, &request, &frames[..1]));
        assert_eq!(call.completion, Completion::Partial, "{name}");
        assert!(llm_.stream && llm_.finish_reasons.is_empty(), "{name}");
    }
}

#[test]
fn several_generations_and_calls_of_cohere() {
    let answer = json!({"generations": [{"text": "A", "finish_reason": "COMPLETE"}, {"text": "B", "finish_reason": "MAX_TOKENS"}]});
    let (_, llm_) = llm(whole("/model/m/invoke", &json!({"prompt": "Hi", "num_generations": 2}), &answer));
    assert_eq!(
        (llm_.output.len(), llm_.finish_reasons),
        (2, vec!["COMPLETE".to_owned(), "MAX_TOKENS".to_owned()])
    );
    let answer = json!({"text": "", "generation_id": "g", "response_id": "r", "finish_reason": "COMPLETE",
        "tool_calls": [{"name": "look", "parameters": {"a": 1}}]});
    let request = json!({"message": "Hi", "preamble": "Be brief.",
        "chat_history": [{"role": "USER", "message": "Before"}],
        "tool_results": [{"call": {"name": "look", "parameters": {}}, "outputs": [{"b": 2}]}]});
    let (_, llm_) = llm(whole("/model/m/invoke", &request, &answer));
    assert_eq!(llm_.tool_calls().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["look"]);
    assert_eq!(llm_.tool_results().count(), 1);
    assert_eq!((llm_.response_id.as_deref(), llm_.input.len()), (Some("r"), 3));
    assert_eq!(llm_.output[0].finish_reason.as_deref(), Some("tool_call"));
}

#[test]
fn other_paths_and_bodies_are_none_of_these() {
    for (path, request) in [
        ("/model/m/count-tokens", question()),
        ("/v1/converse", question()),
        ("/model/m/invoke", json!({"features": [1, 2]})),
        ("/model/m/converse", json!({"text": "Hi"})),
        ("/guardrail/g/version/1/apply", json!({"content": []})),
        ("/ml/v1/text/generation", json!({"text": "Hi"})),
    ] {
        let call = one(whole(path, &request, &json!({})).run(0));
        assert!(matches!(call.kind, Kind::Plain), "{path}");
    }
}

#[test]
fn watsonx_whole_and_streamed() {
    let request = json!({"model_id": "ibm/granite", "input": "Hi", "project_id": "p",
        "parameters": {"max_new_tokens": 4, "stop_sequences": ["\n"]}});
    let result = |text: &str, input: u64, output: u64, reason: &str| {
        json!({"model_id": "ibm/granite", "results": [{"generated_text": text, "generated_token_count": output,
            "input_token_count": input, "stop_reason": reason}]})
    };
    let (_, llm_) = llm(whole("/ml/v1/text/generation", &request, &result("Yes", 3, 2, "eos_token")));
    assert_eq!(
        (llm_.api, llm_.operation, llm_.provider.as_str()),
        ("watsonx.generate", "text_completion", "ibm.watsonx.ai")
    );
    assert_eq!((text(&llm_).as_str(), llm_.usage), ("Yes", counts(3, 2)));
    assert_eq!((llm_.project.as_deref(), llm_.params.max_tokens), (Some("p"), Some(4)));
    let events: String =
        [("", 3, 0, "not_finished"), ("Y", 0, 1, "not_finished"), ("es", 0, 2, "max_tokens")]
            .iter()
            .map(|(text, input, output, reason)| {
                format!("id: 1\nevent: message\ndata: {}\n\n", result(text, *input, *output, reason))
            })
            .collect();
    let request = json!({"input": "Hi", "parameters": {}});
    let (call, llm_) = llm(exchange("/ml/v1/deployments/d1/text/generation_stream", &request, events)
        .header("content-type", "text/event-stream"));
    assert_eq!((call.completion, text(&llm_).as_str()), (Completion::Complete, "Yes"));
    assert_eq!((llm_.usage, llm_.request_model.as_deref()), (counts(3, 2), Some("d1")));
    assert_eq!(llm_.finish_reasons, ["max_tokens"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_means_the_same(seed in 1u64.., labelled: bool, broken in prop::option::of(0usize..2000)) {
        let mut bytes = conversation().concat();
        if let Some(at) = broken {
            let at = at % bytes.len();
            bytes[at] ^= 0x55;
        }
        let mut replay = exchange("/model/m/converse-stream", &question(), bytes);
        if labelled {
            replay = replay.header("content-type", FRAMES);
        }
        let meaning = |call: Call| format!("{:?} {:?} {:?}", call.kind, call.completion, call.faults);
        prop_assert_eq!(meaning(one(replay.clone().run(0))), meaning(one(replay.run(seed))));
    }
}
