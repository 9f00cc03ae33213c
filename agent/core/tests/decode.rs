//! Small exchanges of every format, written by hand, and what they must be read as.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/replay.rs"]
mod support;

use std::io::Write;

use proptest::prelude::*;
use serde_json::json;
use support::Replay;
use trackway_core::call::{Call, Completion, Kind, Llm, Part, ToolCall, Usage};

const CHAT: (&str, &str) =
    (include_str!("fixtures/chat-request.json"), include_str!("fixtures/chat-stream.sse"));
const RESPONSES: (&str, &str) =
    (include_str!("fixtures/responses-request.json"), include_str!("fixtures/responses-stream.sse"));
const MESSAGES: (&str, &str) =
    (include_str!("fixtures/messages-request.json"), include_str!("fixtures/messages-stream.sse"));

fn llm(replay: Replay) -> (Call, Llm) {
    let call = one(replay.run(0));
    let Kind::Llm(llm) = call.kind.clone() else { panic!("plain: {call:?}") };
    (call, *llm)
}

fn one(calls: Vec<Call>) -> Call {
    assert_eq!(calls.len(), 1);
    calls.into_iter().next().unwrap()
}

fn call(id: &str, name: &str, arguments: serde_json::Value, kind: &'static str) -> Part {
    Part::ToolCall(ToolCall { id: Some(id.to_owned()), name: name.to_owned(), arguments, kind })
}

#[test]
fn chat_stream() {
    let replay = Replay::new("/openai/v1/chat/completions", CHAT.0, CHAT.1)
        .header("content-type", "text/event-stream")
        .header("x-request-id", "req_1")
        .request_header("x-stainless-retry-count", "2")
        .request_header("user-agent", "OpenAI/Python 3.54");
    let (call_, llm) = llm(replay);
    assert_eq!(call_.completion, Completion::Complete);
    assert!(call_.faults.is_empty(), "{:?}", call_.faults);
    assert!(call_.first_chunk > call_.first_byte);
    assert_eq!(call_.http.request_id.as_deref(), Some("req_1"));
    assert_eq!(call_.http.resend_count, Some(2));
    assert_eq!(call_.http.status, Some(200));
    assert_eq!(call_.http.response_bytes, CHAT.1.len() as u64);
    assert_eq!((llm.api, llm.operation, llm.provider.as_str()), ("openai.chat", "chat", "openai"));
    assert!(llm.stream);
    assert_eq!(llm.request_model.as_deref(), Some("gpt-5-mini"));
    assert_eq!(llm.response_model.as_deref(), Some("gpt-5-mini-2025"));
    assert_eq!(llm.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(llm.service_tier.as_deref(), Some("default"));
    assert_eq!(llm.finish_reasons, ["tool_calls", "length"]);
    assert_eq!(
        llm.usage,
        Usage {
            input: Some(50),
            output: Some(20),
            cache_read: Some(32),
            cache_write: None,
            reasoning: Some(8),
            ..Usage::default()
        }
    );
    assert_eq!(llm.output.len(), 2);
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("tool_call"));
    assert_eq!(
        llm.output[0].parts,
        [
            Part::Reasoning("Hm".into()),
            Part::Text("Let me ä".into()),
            call("call_a", "weather", json!({"city": "Bonn"}), "function"),
            call("call_b", "shell", json!("ls -l"), "custom"),
        ]
    );
    assert_eq!(llm.output[1].parts, [Part::Text("Sunny".into())]);
    assert_eq!(llm.conversation.map(|c| (c.id, c.source)), Some(("k-1".into(), "body:prompt_cache_key")));
    assert_eq!(llm.user.as_deref(), Some("u-1"));
    assert_eq!(llm.params.max_tokens, Some(100));
    assert_eq!(llm.params.stop, ["END"]);
    assert_eq!(llm.params.choices, Some(2));
    assert_eq!(llm.params.output_type, Some("json"));
    assert_eq!(
        llm.tools.iter().map(|t| (t.kind.as_str(), t.name.as_str())).collect::<Vec<_>>(),
        [("function", "weather"), ("custom", "shell")]
    );
    assert_eq!(
        llm.input[1].parts[1],
        Part::Media { modality: "image", mime_type: Some("image/png".into()), uri: None, bytes: 4 }
    );
    let result = llm.input[3].parts.first();
    assert!(
        matches!(result, Some(Part::ToolResult(r)) if r.response == json!({"city": "Bonn"})),
        "{result:?}"
    );
}

#[test]
fn a_cut_stream_keeps_what_came_and_knows_no_usage() {
    for (path, (request, stream), text) in [
        ("/v1/chat/completions", CHAT, "Let me"),
        ("/v1/responses", RESPONSES, "It is"),
        ("/v1/messages", MESSAGES, "Trying"),
    ] {
        let end = stream.find(text).unwrap();
        let end = end + stream[end..].find("\n\n").unwrap() + 2;
        let (call, llm) = llm(Replay::new(path, request, &stream[..end]));
        assert_eq!(call.completion, Completion::Partial, "{path}");
        assert!(call.faults.iter().any(|fault| fault.kind == "truncated"), "{path}");
        assert_eq!(llm.usage.output, None, "{path}");
        assert!(llm.finish_reasons.is_empty(), "{path}");
        let parts: Vec<&Part> = llm.output.iter().flat_map(|m| &m.parts).collect();
        assert!(parts.iter().any(|p| matches!(p, Part::Text(t) if t.starts_with(text))), "{path}: {parts:?}");
    }
}

#[test]
fn a_whole_stream_is_whole_whatever_became_of_the_connection() {
    let mut replay = Replay::new("/v1/messages", MESSAGES.0, MESSAGES.1);
    replay.completion = Completion::Cancelled;
    assert_eq!(llm(replay).0.completion, Completion::Complete);
    let end = MESSAGES.1.find("event: message_delta").unwrap();
    let mut replay = Replay::new("/v1/messages", MESSAGES.0, &MESSAGES.1[..end]);
    replay.completion = Completion::Cancelled;
    assert_eq!(llm(replay).0.completion, Completion::Cancelled);
}

#[test]
fn chat_error_inside_a_stream() {
    let stream = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\nevent: error\ndata: \
        {\"error\":{\"message\":\"bad key sk-abcdefghijklmnop1234\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\"}}\n\n";
    let (call, llm) = llm(Replay::new("/v1/chat/completions", CHAT.0, stream));
    let error = llm.error.unwrap();
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("tool_use_failed", "bad key [redacted]"));
    assert_eq!(call.completion, Completion::Partial);
}

#[test]
fn errors_instead_of_answers() {
    let check = |path: &str, request: &str, status: u16, body: &str, kind: &str| {
        let mut replay = Replay::new(path, request, body);
        replay.status = status;
        let (call, llm) = llm(replay);
        assert_eq!(llm.error.map(|error| error.kind).as_deref(), Some(kind), "{body}");
        assert_eq!(call.completion, Completion::Complete);
        assert_eq!(llm.usage, Usage::default());
    };
    let chat = "/v1/chat/completions";
    check(
        chat,
        CHAT.0,
        429,
        r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#,
        "rate_limit_exceeded",
    );
    check(chat, CHAT.0, 401, r#"{"error":{"message":"m","code":"401"}}"#, "401");
    check(chat, CHAT.0, 400, r#"{"code":"invalid-argument","error":"text"}"#, "invalid-argument");
    check(
        chat,
        CHAT.0,
        422,
        r#"{"object":"error","message":"m","type":"invalid_request","code":null}"#,
        "invalid_request",
    );
    check(chat, CHAT.0, 401, r#"{"detail":"Invalid"}"#, "_OTHER");
    check(
        "/v1/responses",
        RESPONSES.0,
        400,
        r#"{"error":{"message":"m","type":"invalid_request_error"}}"#,
        "invalid_request_error",
    );
    check(
        "/v1/messages",
        MESSAGES.0,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
        "overloaded_error",
    );
}

#[test]
fn responses_stream_with_an_empty_terminal_output() {
    let (call_, llm) = llm(Replay::new("/v1/responses", RESPONSES.0, RESPONSES.1));
    assert_eq!(call_.completion, Completion::Complete);
    assert!(call_.faults.is_empty(), "{:?}", call_.faults);
    assert_eq!(llm.previous_response_id.as_deref(), Some("resp_0"));
    assert_eq!(llm.response_id.as_deref(), Some("resp_1"));
    assert_eq!(llm.conversation.as_ref().map(|c| c.id.as_str()), Some("conv_1"));
    assert_eq!(llm.finish_reasons, ["completed"]);
    assert_eq!(llm.usage.input, Some(30));
    assert_eq!(llm.usage.cache_read, Some(0));
    assert_eq!(llm.usage.reasoning, Some(5));
    assert_eq!(llm.output.len(), 1);
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("tool_call"));
    let parts: Vec<&Part> = llm.output[0].parts.iter().filter(|it| !matches!(it, Part::Seal(_))).collect();
    assert_eq!(*parts[0], Part::Reasoning("Easy.".into()));
    assert!(matches!(parts[1], Part::ServerTool { name, .. } if name == "web_search"), "{parts:?}");
    assert_eq!(*parts[2], Part::Text("It is four.".into()));
    assert_eq!(*parts[3], call("call_2", "exec", json!("echo 4"), "custom"));
    assert_eq!(llm.system, [Part::Text("Be brief.".into())]);
    assert_eq!(llm.tools.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["add", "web_search", "read"]);
    assert_eq!(llm.params.reasoning_level.as_deref(), Some("high"));
    let roles: Vec<&str> = llm.input.iter().map(|m| m.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    let ids: Vec<_> = llm.tool_results().map(|r| r.id.as_deref()).collect();
    assert_eq!(ids, [Some("call_1")]);
}

#[test]
fn a_background_response_is_counted_once() {
    let queued = r#"{"id":"resp_9","object":"response","status":"queued","background":true,"model":"m","output":[],"usage":null}"#;
    let (_, begun) = llm(Replay::new("/v1/responses", RESPONSES.0, queued));
    assert_eq!(begun.finish_reasons, ["queued"]);
    assert_eq!(begun.usage, Usage::default());
    let get = |body: &str| {
        let mut replay = Replay::new("/v1/responses/resp_9", "", body);
        replay.head.method = "GET".to_owned();
        llm(replay).1
    };
    assert!(get(queued).auxiliary);
    let done = get(
        r#"{"id":"resp_9","object":"response","status":"completed","model":"m","output":[],"usage":{"input_tokens":1,"output_tokens":2}}"#,
    );
    assert!(!done.auxiliary);
    assert_eq!((done.operation, done.usage.output), ("fetch_response", Some(2)));
}

#[test]
fn messages_stream() {
    let replay = Replay::new("/v1/messages?beta=true", MESSAGES.0, MESSAGES.1)
        .request_header("anthropic-version", "2023-06-01")
        .request_header("user-agent", "claude-cli/2.1.197 (external, cli)")
        .request_header("x-claude-code-session-id", "s1")
        .request_header("x-claude-code-agent-id", "ag1")
        .header("request-id", "req_2");
    let (call_, llm) = llm(replay);
    assert_eq!(call_.completion, Completion::Complete);
    assert!(call_.faults.is_empty(), "{:?}", call_.faults);
    assert_eq!(call_.http.query.as_deref(), Some("beta=true"));
    assert_eq!(call_.http.request_id.as_deref(), Some("req_2"));
    assert_eq!(
        (llm.api, llm.provider.as_str(), llm.agent.as_deref()),
        ("anthropic.messages", "anthropic", Some("claude-code"))
    );
    assert_eq!(
        llm.conversation.as_ref().map(|c| (c.id.as_str(), c.source)),
        Some(("s1", "header:x-claude-code-session-id"))
    );
    assert_eq!(llm.thread.as_ref().map(|t| t.id.as_str()), Some("ag1"));
    assert_eq!(llm.user.as_deref(), Some("a1"));
    assert_eq!(
        llm.usage,
        Usage {
            input: Some(1110),
            output: Some(40),
            cache_read: Some(1000),
            cache_write: Some(100),
            reasoning: None,
            ..Usage::default()
        }
    );
    assert_eq!(llm.finish_reasons, ["tool_use"]);
    assert_eq!(
        llm.output[0].parts,
        [
            Part::Reasoning("Hm.".into()),
            Part::Text("Trying again…".into()),
            call("toolu_1", "Bash", json!({"command": "ls -l"}), "function"),
            call("toolu_2", "Pwd", json!({}), "function"),
        ]
    );
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("tool_call"));
    let result = llm.tool_results().next().unwrap();
    assert!(result.is_error);
    assert_eq!(result.response, json!("denied"));
    assert_eq!(llm.params.top_k, Some(5.0));
    assert_eq!(llm.tools[1].kind, "web_search_20250305");
}

#[test]
fn what_is_no_inference_call_is_plain_and_not_kept() {
    let check = |path: &str, request: &str, response: &str| {
        let call = one(Replay::new(path, request, response).run(3));
        assert!(matches!(call.kind, Kind::Plain), "{path}");
        assert_eq!(call.http.request_bytes, request.len() as u64);
    };
    check("/api/chat.postMessage", r#"{"text":"hi"}"#, "{}");
    check("/channels/1/messages", r#"{"content":"hi"}"#, "{}");
    check("/v1/threads/t/messages", r#"{"role":"user","content":"x"}"#, "{}");
    check("/forms/1/responses", r#"{"answers":[1]}"#, "{}");
    check("/v1/messages/count_tokens", MESSAGES.0, r#"{"input_tokens":5}"#);
    check("/v1/responses/input_tokens", RESPONSES.0, r#"{"input_tokens":5}"#);
    check("/api/event_logging/v2/batch", r#"{"events":[{"messages":[]}]}"#, "{}");
    check("/v1/traces/ingest", r#"{"data":[]}"#, "");
}

#[test]
fn answers_that_are_no_json_leave_a_fault() {
    let (call, llm) = llm(Replay::new("/v1/chat/completions", CHAT.0, "<html>bad gateway</html>"));
    assert!(call.faults.iter().any(|fault| fault.kind == "json"), "{:?}", call.faults);
    assert_eq!(call.completion, Completion::Complete);
    assert_eq!(llm.usage, Usage::default());
    assert!(!llm.stream);
}

#[test]
fn a_broken_request_still_has_its_answer() {
    let (call, llm) = llm(Replay::new("/v1/chat/completions", "{\"model\":", CHAT.1));
    assert!(call.faults.iter().any(|fault| fault.kind == "json"));
    assert_eq!(llm.request_model, None);
    assert_eq!(llm.usage.input, Some(50));
}

#[test]
fn gateways_send_blanks_and_comments_first() {
    let blank = format!(
        "\n\n   {}",
        r#"{"id":"gen-1","choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#
    );
    assert_eq!(
        llm(Replay::new("/api/v1/chat/completions", CHAT.0, blank)).1.response_id.as_deref(),
        Some("gen-1")
    );
    let comment = format!(": PROCESSING\n\n{}", CHAT.1);
    assert!(llm(Replay::new("/api/v1/chat/completions", CHAT.0, comment)).1.stream);
}

#[test]
fn no_credential_is_in_a_call() {
    let secret = "sk-proj-0123456789abcdefghijklmnop";
    let replay = Replay::new(&format!("/v1/chat/completions?key={secret}&api-version=1"), CHAT.0, CHAT.1)
        .request_header("authorization", &format!("Bearer {secret}"))
        .request_header("x-api-key", secret)
        .request_header("api-key", secret)
        .request_header("cookie", secret)
        .request_header("user-agent", &format!("agent {secret}"))
        .header("set-cookie", secret);
    let (call, llm) = llm(replay);
    assert!(!format!("{call:?}{llm:?}").contains(secret));
    assert_eq!(call.http.query.as_deref(), Some("key=[redacted]&api-version=1"));
}

#[test]
fn bodies_in_any_coding() {
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let plain = Replay::new("/v1/responses", RESPONSES.0, RESPONSES.1);
    let coded =
        Replay::new("/v1/responses", zstd::encode_all(RESPONSES.0.as_bytes(), 3).unwrap(), gzip(RESPONSES.1))
            .request_header("content-encoding", "zstd")
            .header("content-encoding", "gzip");
    for seed in 0..40 {
        let (want, got) = (one(plain.clone().run(seed)), one(coded.clone().run(seed)));
        assert_eq!(format!("{:?}", got.kind), format!("{:?}", want.kind), "{seed}");
        assert!(got.faults.is_empty(), "{:?}", got.faults);
    }
    // What ends a coding may come after the last byte that it encodes.
    let ended = Replay::new("/v1/responses", gzip(RESPONSES.0), RESPONSES.1)
        .request_header("content-encoding", "gzip");
    for seed in 0..40 {
        let got = one(ended.clone().run(seed));
        assert!(got.faults.is_empty(), "{seed}: {:?}", got.faults);
    }
    let broken = Replay::new("/v1/responses", RESPONSES.0, "no gzip").header("content-encoding", "gzip");
    assert!(llm(broken).0.faults.iter().any(|fault| fault.kind == "encoding"));
}

#[test]
fn a_body_too_long_to_keep_leaves_a_fault() {
    let word = "word ".repeat(1000);
    let message = format!(r#"{{"role":"user","content":"{word}"}},"#);
    let count = trackway_core::limits::REQUEST_BODY_BYTES / message.len() + 1;
    let request = CHAT.0.replacen("[", &format!("[{}", message.repeat(count)), 1);
    let (call, llm) = llm(Replay::new("/v1/chat/completions", request, CHAT.1));
    assert!(call.faults.iter().any(|fault| fault.kind == "limit.request_body"), "{:?}", call.faults);
    assert_eq!(llm.usage.input, Some(50));
    // What fitted is there.
    assert!(llm.input.pieces() > count - 3);
    assert_eq!(llm.input.first().map(|message| message.role.as_str()), Some("user"));
}

#[test]
fn marks_and_blanks_before_a_body_mean_nothing_however_they_are_cut() {
    let json = r#"{"id":"c-1","choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    for seed in 1..60 {
        for body in [format!("\u{feff}\r\n {json}"), format!("\u{feff}data: {json}\n\ndata: [DONE]\n\n")] {
            let calls = Replay::new("/v1/chat/completions", CHAT.0, body.clone()).run(seed);
            let Kind::Llm(llm) = one(calls).kind else { panic!("plain") };
            assert_eq!(llm.response_id.as_deref(), Some("c-1"), "{seed} {body}");
        }
    }
}

#[test]
fn bytes_of_one_connection_become_calls_in_order() {
    let replays = [
        Replay::new("/v1/chat/completions", CHAT.0, CHAT.1),
        Replay::new("/v1/models", "", "{}"),
        Replay::new("/v1/responses", RESPONSES.0, RESPONSES.1),
        Replay::new("/v1/messages", MESSAGES.0, MESSAGES.1),
    ];
    for seed in 0..30 {
        let calls = support::observe(&replays, seed);
        assert_eq!(calls.iter().map(|call| call.index).collect::<Vec<_>>(), [0, 1, 2, 3], "{seed}");
        for (call, replay) in calls.iter().zip(&replays) {
            let want = one(replay.clone().run(0));
            assert_eq!(format!("{:?}", call.kind), format!("{:?}", want.kind), "{seed}");
            assert_eq!(call.completion, Completion::Complete, "{seed}");
            assert!(call.faults.is_empty(), "{:?}", call.faults);
            assert_eq!(call.http.host, "api.example");
            assert!(call.start < call.end);
        }
    }
}

/// Everything that does not depend on the clock.
fn timeless(mut call: Call) -> String {
    let zero = trackway_core::flow::Time(0);
    (call.start, call.request_end, call.end) = (zero, zero, zero);
    call.first_byte = call.first_byte.map(|_| zero);
    call.first_chunk = call.first_chunk.map(|_| zero);
    format!("{call:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_call(seed in 1u64.., which in 0usize..3, crlf: bool) {
        let (path, (request, stream)) =
            [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES), ("/v1/messages", MESSAGES)][which];
        let stream = if crlf { stream.replace('\n', "\r\n") } else { stream.to_owned() };
        let replay = Replay::new(path, request, stream);
        let whole = timeless(one(replay.clone().run(0)));
        prop_assert_eq!(timeless(one(replay.run(seed))), whole);
    }

    #[test]
    fn broken_bytes_never_panic(seed in 1u64.., which in 0usize..3, at in 0usize..4000, byte: u8, cut in 0usize..6000) {
        let (path, (request, stream)) =
            [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES), ("/v1/messages", MESSAGES)][which];
        let mut request = request.as_bytes().to_vec();
        let mut stream = stream.as_bytes().to_vec();
        if let Some(place) = request.get_mut(at / 4) { *place = byte; }
        if let Some(place) = stream.get_mut(at) { *place = byte; }
        stream.truncate(cut);
        prop_assert_eq!(Replay::new(path, request, stream).run(seed).len(), 1);
    }

    #[test]
    fn random_bytes_never_panic(seed in 1u64.., request: Vec<u8>, response: Vec<u8>, which in 0usize..3) {
        let path = ["/v1/chat/completions", "/v1/responses", "/v1/messages"][which];
        let calls = Replay::new(path, request, response).request_header("anthropic-version", "1").run(seed);
        prop_assert_eq!(calls.len(), 1);
    }
}
