//! Small exchanges with Converse of Bedrock, written by hand, and what they must be read as.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/replay.rs"]
mod support;

use calls::{FRAMES, counts, exchange, llm, one, streamed, text, whole};
use frames::{event, exception};
use proptest::prelude::*;
use serde_json::{Value, json};
use trackway_core::call::{Call, Completion, Kind, Part, ToolCall, Usage};

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
fn an_exception_that_is_no_json_is_kept_in_its_words() {
    let frame = exception("exception", ":exception-type", "internalServerException", "upstream is gone");
    for path in ["/model/m/converse-stream", "/model/m/invoke-with-response-stream"] {
        let (_, llm) = llm(streamed(path, &question(), std::slice::from_ref(&frame)));
        let error = llm.error.unwrap();
        assert_eq!(
            (error.kind.as_str(), error.message.as_str()),
            ("internalServerException", "upstream is gone")
        );
    }
    let long = exception("exception", ":exception-type", "e", &"\u{fc}".repeat(100_000));
    let (_, llm) = llm(streamed("/model/m/converse-stream", &question(), &[long]));
    assert!((4000..=4096).contains(&llm.error.unwrap().message.len()));
}

#[test]
fn refusals_are_named_by_header_body_or_status() {
    for (body, header, kind, message) in [
        (
            json!({"Message": "No"}),
            Some("AccessDeniedException:http://internal/"),
            "AccessDeniedException",
            "No",
        ),
        (
            json!({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "No"}),
            None,
            "AccessDeniedException",
            "No",
        ),
        (
            json!({"error": {"type": "authentication_error", "message": "No"}}),
            None,
            "authentication_error",
            "No",
        ),
        (json!({"Message": "No"}), None, "403", "No"),
    ] {
        let mut replay = whole("/model/m/converse", &question(), &body);
        replay.status = 403;
        if let Some(header) = header {
            replay = replay.header("x-amzn-errortype", header);
        }
        let (_, llm) = llm(replay);
        let error = llm.error.unwrap();
        assert_eq!((error.kind.as_str(), error.message.as_str()), (kind, message), "{body}");
    }
}

#[test]
fn results_of_the_providers_tools_come_in_pieces() {
    let start = json!({"toolResult": {"toolUseId": "s1", "type": "nova_code_interpreter_result", "status": "success"}});
    let piece = |piece: Value| json!({"contentBlockIndex": 0, "delta": {"toolResult": [piece]}}).to_string();
    let frames = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event("contentBlockStart", &json!({"contentBlockIndex": 0, "start": start}).to_string()),
        event("contentBlockDelta", &piece(json!({"text": "4"}))),
        event("contentBlockDelta", &piece(json!({"text": "2"}))),
        event("contentBlockDelta", &piece(json!({"json": {"exit": 0}}))),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
    ];
    let (_, llm) = llm(streamed("/model/m/converse-stream", &question(), &frames));
    let [Part::ServerTool { id, item, .. }] = &llm.output[0].parts[..] else { panic!("{:?}", llm.output) };
    assert_eq!(id.as_deref(), Some("s1"));
    assert_eq!(item["content"], json!([{"text": "42"}, {"json": {"exit": 0}}]));
}

#[test]
fn only_two_hex_digits_are_decoded() {
    let (_, llm) = llm(whole("/model/a%3Ab%+f%4/converse", &question(), &json!({})));
    assert_eq!(llm.request_model.as_deref(), Some("a:b%+f%4"));
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
