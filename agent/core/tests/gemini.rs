//! Small exchanges with Gemini, Vertex and Interactions, written by hand, and what they must be read as.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/replay.rs"]
mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::Replay;
use trackway_core::call::{Call, Completion, Kind, Llm, Message, Part, ToolCall, Usage};

const MODEL: &str = "/v1beta/models/gemini-2.5-pro";
const VERTEX: &str = "/v1/projects/shop-1/locations/europe-west4";

fn llm(replay: Replay) -> (Call, Llm) {
    let call = one(replay.run(0));
    let Kind::Llm(llm) = call.kind.clone() else { panic!("plain: {call:?}") };
    (call, *llm)
}

fn one(calls: Vec<Call>) -> Call {
    assert_eq!(calls.len(), 1);
    calls.into_iter().next().unwrap()
}

fn post(path: &str, request: &Value, response: impl Into<Vec<u8>>) -> Replay {
    Replay::new(path, request.to_string(), response)
}

fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

fn call(id: Option<&str>, name: &str, arguments: Value) -> Part {
    Part::ToolCall(ToolCall { id: id.map(str::to_owned), name: name.to_owned(), arguments, kind: "function" })
}

fn texts(llm: &Llm) -> Vec<String> {
    llm.output
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| if let Part::Text(text) = part { Some(text.clone()) } else { None })
        .collect()
}

/// A request with everything in it, in camel case.
fn asked() -> Value {
    json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "Weather?"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}},
            ]},
            {"role": "model", "parts": [
                {"text": "Hm", "thought": true},
                {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}, "thoughtSignature": "eA=="},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sun"}}},
                {"functionResponse": {"name": "weather", "response": {"error": "no such town"}}},
            ]},
        ],
        "tools": [
            {"functionDeclarations": [
                {"name": "weather", "description": "d", "parametersJsonSchema": {"type": "object"}},
            ]},
            {"googleSearch": {}},
        ],
        "generationConfig": {"temperature": 0.5, "topP": 0.9, "topK": 40, "maxOutputTokens": 100, "seed": 7,
            "stopSequences": ["END"], "candidateCount": 2, "responseMimeType": "application/json",
            "thinkingConfig": {"thinkingLevel": "LOW"}},
        "serviceTier": "flex",
    })
}

/// The chunks of an answer to it.
fn chunks() -> Vec<Value> {
    vec![
        json!({"candidates": [{"content": {"parts": [{"text": "Thinking", "thought": true}]}}],
            "usageMetadata": {"trafficType": "ON_DEMAND"}, "modelVersion": "gemini-2.5-pro-001", "responseId": "r1"}),
        json!({"candidates": [{"content": {"parts": [{"text": "It is "}]}},
            {"index": 1, "content": {"parts": [{"text": "Sunny ☀"}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"text": "warm"}, {"functionCall": {"name": "map", "args": {}}}]},
            "finishReason": "STOP"}, {"index": 1, "finishReason": "MAX_TOKENS"}],
            "usageMetadata": {"promptTokenCount": 50, "candidatesTokenCount": 8, "thoughtsTokenCount": 5,
                "toolUsePromptTokenCount": 20, "cachedContentTokenCount": 30, "totalTokenCount": 83,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 46}, {"modality": "AUDIO", "tokenCount": 4}],
                "trafficType": "ON_DEMAND"}}),
    ]
}

fn check_chunks(call: &Call, llm: &Llm) {
    assert_eq!(call.completion, Completion::Complete);
    assert!(call.faults.is_empty(), "{:?}", call.faults);
    assert!(llm.stream);
    assert_eq!((llm.api, llm.operation), ("gemini.stream_generate", "generate_content"));
    assert_eq!(llm.response_model.as_deref(), Some("gemini-2.5-pro-001"));
    assert_eq!(llm.response_id.as_deref(), Some("r1"));
    assert_eq!(llm.finish_reasons, ["STOP", "MAX_TOKENS"]);
    assert_eq!(llm.service_tier.as_deref(), Some("ON_DEMAND"));
    assert_eq!(
        llm.usage,
        Usage {
            input: Some(70),
            output: Some(13),
            cache_read: Some(30),
            reasoning: Some(5),
            audio_input: Some(4),
            ..Usage::default()
        }
    );
    let reasons: Vec<_> = llm.output.iter().map(|message| message.finish_reason.as_deref()).collect();
    assert_eq!(reasons, [Some("tool_call"), Some("length")]);
    assert_eq!(
        llm.output[0].parts,
        [Part::Reasoning("Thinking".into()), Part::Text("It is warm".into()), call_("map")]
    );
    assert_eq!(llm.output[1].parts, [Part::Text("Sunny ☀".into())]);
}

fn call_(name: &str) -> Part {
    call(None, name, json!({}))
}

#[test]
fn a_request_is_read_whole() {
    let (_, llm) = llm(post(&format!("{MODEL}:generateContent"), &asked(), "{}"));
    assert_eq!((llm.api, llm.provider.as_str()), ("gemini.generate", "gcp.gemini"));
    assert_eq!(llm.request_model.as_deref(), Some("gemini-2.5-pro"));
    assert_eq!(llm.system, [Part::Text("Be brief.".into())]);
    let params = &llm.params;
    assert_eq!((params.temperature, params.top_p, params.top_k), (Some(0.5), Some(0.9), Some(40.0)));
    assert_eq!((params.max_tokens, params.seed, params.choices), (Some(100), Some(7), Some(2)));
    assert_eq!(params.stop, ["END"]);
    assert_eq!((params.reasoning_level.as_deref(), params.output_type), (Some("LOW"), Some("json")));
    assert_eq!(params.service_tier.as_deref(), Some("flex"));
    let offered: Vec<_> = llm.tools.iter().map(|tool| (tool.kind.as_str(), tool.name.as_str())).collect();
    assert_eq!(offered, [("function", "weather"), ("google_search", "google_search")]);
    assert_eq!(llm.tools[0].parameters, Some(json!({"type": "object"})));
    let roles: Vec<_> = llm.input.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(
        llm.input[0].parts[1..],
        [
            Part::Media { modality: "image", mime_type: Some("image/png".into()), uri: None, bytes: 4 },
            Part::Media {
                modality: "video",
                mime_type: Some("video/mp4".into()),
                uri: Some("gs://b/v.mp4".into()),
                bytes: 0
            },
        ]
    );
    assert_eq!(
        llm.input[1].parts,
        [Part::Reasoning("Hm".into()), call(None, "weather", json!({"city": "Bonn"})), Part::seal("eA==")]
    );
    let results: Vec<_> =
        llm.tool_results().map(|it| (it.id.as_deref(), it.name.as_deref(), it.is_error)).collect();
    assert_eq!(results, [(Some("c1"), Some("weather"), false), (None, Some("weather"), true)]);
}

#[test]
fn snake_case_and_lone_objects_say_the_same() {
    let request = json!({
        "system_instruction": {"parts": {"text": "Be brief."}},
        "contents": {"parts": {"text": "Hi"}},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        "generation_config": {"max_output_tokens": 9, "response_modalities": ["IMAGE"], "top_k": 3},
    });
    let (_, llm) =
        llm(post(&format!("{VERTEX}/publishers/google/models/m%2D1%3AgenerateContent"), &request, "{}"));
    assert_eq!(llm.request_model.as_deref(), Some("m-1"));
    assert_eq!((llm.provider.as_str(), llm.project.as_deref()), ("gcp.vertex_ai", Some("shop-1")));
    assert_eq!(llm.system, [Part::Text("Be brief.".into())]);
    assert_eq!(llm.input[0].parts, [Part::Text("Hi".into())]);
    assert_eq!(llm.input[0].role, "user");
    assert_eq!(llm.tools[0].name, "f");
    assert_eq!((llm.params.max_tokens, llm.params.output_type), (Some(9), Some("image")));
}

#[test]
fn a_stream_of_events_and_a_list_are_one_answer() {
    let path = format!("{MODEL}:streamGenerateContent");
    let (call, from_events) = llm(post(&format!("{path}?alt=sse"), &asked(), sse(&chunks())));
    check_chunks(&call, &from_events);
    let list = serde_json::to_string_pretty(&chunks()).unwrap();
    let (call, from_list) = llm(post(&path, &asked(), list));
    check_chunks(&call, &from_list);
    assert!(call.first_chunk.is_some());
}

#[test]
fn a_cut_stream_is_partial_in_either_form() {
    let path = format!("{MODEL}:streamGenerateContent");
    let (events, list) = (sse(&chunks()), serde_json::to_string(&chunks()).unwrap());
    for whole in [events, list] {
        let end = whole.find("It is").unwrap();
        let end = end + whole[end..].find("Sunny").unwrap() + 40;
        let (call, llm) = llm(post(&path, &asked(), &whole.as_bytes()[..end]));
        assert_eq!(call.completion, Completion::Partial, "{whole}");
        assert_eq!((llm.usage.input, llm.usage.output), (None, None), "{whole}");
        assert!(llm.stream && llm.finish_reasons.is_empty(), "{whole}");
        assert_eq!(llm.response_id.as_deref(), Some("r1"), "{whole}");
    }
}

#[test]
fn enumerations_may_be_numbers() {
    let answer = json!([{"candidates": [{"content": {"role": "model"}, "finishReason": 2}],
        "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 4, "totalTokenCount": 9, "trafficType": 1,
            "promptTokensDetails": [{"modality": 4, "tokenCount": 5}]}}]);
    let path =
        format!("{VERTEX}/publishers/google/models/m:streamGenerateContent?$alt=json%3Benum-encoding%3Dint");
    let (call, llm) = llm(post(&path, &json!({"contents": []}), answer.to_string()));
    assert_eq!(call.completion, Completion::Complete);
    assert!(llm.stream);
    assert_eq!(llm.finish_reasons, ["2"]);
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("length"));
    assert_eq!((llm.usage.input, llm.usage.output, llm.usage.reasoning), (Some(5), Some(4), Some(4)));
    assert_eq!((llm.usage.audio_input, llm.service_tier), (Some(5), None));
}

#[test]
fn errors_say_their_word() {
    let error = json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}});
    let request = json!({"contents": [{"parts": [{"text": "x"}]}]});
    for (verb, body) in [
        ("generateContent", error.to_string()),
        ("streamGenerateContent", json!([error]).to_string()),
        ("streamGenerateContent", error.to_string()),
    ] {
        let mut replay = post(&format!("{MODEL}:{verb}"), &request, body);
        replay.status = 429;
        let (call, llm) = llm(replay);
        let said = llm.error.unwrap();
        assert_eq!((said.kind.as_str(), said.message.as_str()), ("RESOURCE_EXHAUSTED", "slow down"));
        assert_eq!((llm.stream, call.completion), (false, Completion::Complete), "{verb}");
        assert_eq!((llm.usage, llm.output.len()), (Usage::default(), 0));
    }
    // In the middle of a stream.
    let events = [chunks()[0].clone(), chunks()[1].clone(), error];
    let (call, llm) = llm(post(&format!("{MODEL}:streamGenerateContent"), &request, sse(&events)));
    assert_eq!(llm.error.map(|error| error.kind).as_deref(), Some("RESOURCE_EXHAUSTED"));
    assert_eq!((llm.stream, call.completion), (true, Completion::Partial));
}

#[test]
fn a_blocked_prompt_has_no_answer_and_is_whole() {
    let answer = json!({"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r",
        "usageMetadata": {"promptTokenCount": 14, "totalTokenCount": 14}});
    let (call, llm) =
        llm(post(&format!("{MODEL}:streamGenerateContent"), &json!({"contents": []}), sse(&[answer])));
    assert_eq!(call.completion, Completion::Complete);
    assert_eq!((llm.usage.input, llm.usage.output), (Some(14), None));
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("content_filter"));
}

#[test]
fn tools_of_the_provider_are_shown() {
    let answer = json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [
        {"executableCode": {"language": "PYTHON", "code": "1+1", "id": "x1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2", "id": "x1"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s1", "args": {"queries": ["a"]}}},
        {"thoughtSignature": "eA=="},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAAAAAA"}},
        {"text": "2"},
    ]}}]});
    let (_, llm) =
        llm(post(&format!("{MODEL}:generateContent"), &json!({"contents": []}), answer.to_string()));
    let named: Vec<_> = llm.output[0]
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::ServerTool { id, name, .. } => Some((id.as_deref().unwrap(), name.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(named, [("x1", "code_execution"), ("x1", "code_execution"), ("s1", "google_search_web")]);
    let audio = Part::Media { modality: "audio", mime_type: Some("audio/wav".into()), uri: None, bytes: 8 };
    assert_eq!(llm.output[0].parts[3..], [audio, Part::Text("2".into()), Part::seal("eA")]);
    assert_eq!(llm.output[0].finish_reason.as_deref(), Some("stop"));
}

#[test]
fn arguments_may_come_in_pieces() {
    let piece = |part: Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}}]});
    let more = |path: &str, text: &str| {
        piece(json!({"functionCall": {"willContinue": true, "partialArgs":
            [{"jsonPath": path, "stringValue": text, "willContinue": true}]}}))
    };
    let events = [
        piece(
            json!({"functionCall": {"name": "write", "id": "c1", "willContinue": true}, "thoughtSignature": "eA=="}),
        ),
        more("$.path", "/tmp/"),
        more("$.path", "a"),
        more("$.lines[0]", "one"),
        piece(json!({"functionCall": {"partialArgs": [{"jsonPath": "$.mode", "numberValue": 420}]}})),
        piece(json!({"functionCall": {"name": "done", "args": {"ok": true}}})),
        json!({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]}),
    ];
    let path = format!("{VERTEX}/publishers/google/models/m:streamGenerateContent?alt=sse");
    let (call_, llm) = llm(post(&path, &json!({"contents": []}), sse(&events)));
    assert!(call_.faults.is_empty(), "{:?}", call_.faults);
    let written = json!({"path": "/tmp/a", "lines": ["one"], "mode": 420});
    assert_eq!(
        llm.output[0].parts,
        [call(Some("c1"), "write", written), call(None, "done", json!({"ok": true})), Part::seal("eA==")]
    );
}

#[test]
fn code_assist_wraps_both_sides() {
    let request = json!({"model": "gemini-2.5-flash", "project": "my-project", "user_prompt_id": "u",
        "request": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "session_id": "s-1",
            "generationConfig": {"temperature": 0}}});
    let chunk = json!({"response": chunks()[2], "traceId": "t"});
    for (verb, body, stream) in [
        ("generateContent", chunk.to_string(), false),
        ("streamGenerateContent?alt=sse", sse(std::slice::from_ref(&chunk)), true),
        ("streamGenerateContent", json!([chunk]).to_string(), true),
    ] {
        let replay = post(&format!("/v1internal:{verb}"), &request, body)
            .request_header("user-agent", "GeminiCLI/0.9 (linux; x64)");
        let (call, llm) = llm(replay);
        assert_eq!((call.completion, llm.stream), (Completion::Complete, stream), "{verb}");
        assert_eq!(llm.request_model.as_deref(), Some("gemini-2.5-flash"));
        assert_eq!((llm.project.as_deref(), llm.agent.as_deref()), (Some("my-project"), Some("gemini-cli")));
        assert_eq!(llm.conversation.as_ref().map(|it| it.id.as_str()), Some("s-1"));
        assert_eq!(llm.params.temperature, Some(0.0));
        assert_eq!(llm.input[0].parts, [Part::Text("Hi".into())]);
        assert_eq!((llm.usage.input, llm.usage.output), (Some(70), Some(13)), "{verb}");
    }
}

#[test]
fn embeddings_of_all_three_kinds() {
    let text = |text: &str| json!({"parts": [{"text": text}]});
    let batch = json!({"requests": [{"model": "models/e", "content": text("a"), "outputDimensionality": 64},
        {"model": "models/e", "content": text("b")}]});
    let (_, many) =
        llm(post("/v1beta/models/e:batchEmbedContents", &batch, r#"{"embeddings": [{"values": [0.1]}]}"#));
    assert_eq!((many.api, many.operation), ("gemini.embed", "embeddings"));
    assert_eq!((many.dimensions, many.input.len(), many.usage.input), (Some(64), 2, None));
    let answer = r#"{"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 3}}"#;
    let single = json!({"content": text("a"), "embedContentConfig": {"outputDimensionality": 8}});
    let (_, single) =
        llm(post(&format!("{VERTEX}/publishers/google/models/e:embedContent"), &single, answer));
    assert_eq!((single.provider.as_str(), single.dimensions), ("gcp.vertex_ai", Some(8)));
    assert_eq!((single.usage.input, single.input.len()), (Some(3), 1));
    let request = json!({"instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}, {"content": "b"}],
        "parameters": {"outputDimensionality": 16}});
    let answer = json!({"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 2}}},
        {"embeddings": {"values": [0.1], "statistics": {"token_count": 3}}}]});
    let path = format!("{VERTEX}/publishers/google/models/text-embedding-005:predict");
    let (_, predicted) = llm(post(&path, &request, answer.to_string()));
    assert_eq!((predicted.api, predicted.usage.input), ("vertex.predict_embed", Some(5)));
    assert_eq!((predicted.dimensions, predicted.input.len()), (Some(16), 2));
}

#[test]
fn other_calls_to_the_same_hosts_are_plain() {
    let contents = json!({"contents": [{"parts": [{"text": "x"}]}], "model": "models/m"});
    let messages = json!({"anthropic_version": "vertex-2023-10-16", "messages": [], "max_tokens": 1});
    for (path, request) in [
        (format!("{MODEL}:countTokens"), contents.clone()),
        ("/v1beta/cachedContents".to_owned(), contents.clone()),
        (format!("{MODEL}:batchGenerateContent"), json!({"batch": {}})),
        (
            format!("{VERTEX}/publishers/google/models/imagen-4:predict"),
            json!({"instances": [{"prompt": "x"}]}),
        ),
        (format!("{VERTEX}/endpoints/12:predict"), json!({"instances": [{"content": "x"}]})),
        (format!("{VERTEX}/publishers/anthropic/models/count-tokens:rawPredict"), messages.clone()),
        (format!("{VERTEX}/endpoints/12:rawPredict"), messages),
        ("/v1internal:loadCodeAssist".to_owned(), json!({"metadata": {}})),
        (format!("{MODEL}:generateContent"), json!({"prompt": "x"})),
        ("/v1/interactions".to_owned(), json!({"name": "a", "input": "x"})),
        ("/v1/messages/count_tokens".to_owned(), json!({"model": "m", "messages": []})),
        ("/v1/messages/batches".to_owned(), json!({"requests": []})),
    ] {
        let call = one(post(&path, &request, "{}").request_header("anthropic-version", "1").run(0));
        assert!(matches!(call.kind, Kind::Plain), "{path} {:?}", call.kind);
    }
}

#[test]
fn anthropic_on_vertex() {
    let request = json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hi"}]});
    let path = format!("{VERTEX}/publishers/anthropic/models/claude-x%4020250101");
    let usage = json!({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 2,
    "cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 5},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "iterations": [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 9, "cache_read_input_tokens": 50},
        {"type": "message", "input_tokens": 3, "output_tokens": 4},
        {"type": "advisor_message", "model": "claude-y", "input_tokens": 7, "output_tokens": 1},
    ]});
    let answer = json!({"type": "message", "id": "msg_1", "role": "assistant", "model": "claude-x",
        "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn", "usage": usage});
    let (_, whole) = llm(post(&format!("{path}:rawPredict"), &request, answer.to_string()));
    let mut start = answer.clone();
    start["content"] = json!([]);
    start["usage"] = json!({"input_tokens": 3, "output_tokens": 1});
    let events = [
        json!({"type": "message_start", "message": start}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    let (_, streamed) = llm(post(&format!("{path}:streamRawPredict"), &request, sse(&events)));
    for (llm, stream) in [(whole, false), (streamed, true)] {
        assert_eq!((llm.api, llm.provider.as_str()), ("anthropic.messages", "gcp.vertex_ai"));
        assert_eq!((llm.stream, llm.project.as_deref()), (stream, Some("shop-1")));
        assert_eq!(llm.request_model.as_deref(), Some("claude-x@20250101"));
        assert_eq!(texts(&llm), ["Hello"]);
        assert_eq!((llm.usage.input, llm.usage.output), (Some(10), Some(4)));
        assert_eq!((llm.usage.cache_write, llm.usage.cache_write_1h), (Some(5), Some(5)));
        assert_eq!(llm.tool_uses, [("web_fetch".to_owned(), 0), ("web_search".to_owned(), 2)]);
        let outside: Vec<_> = llm
            .outside
            .iter()
            .map(|run| (run.kind.as_str(), run.model.as_deref(), run.usage.input, run.usage.output))
            .collect();
        assert_eq!(
            outside,
            [
                ("compaction", None, Some(150), Some(9)),
                ("advisor_message", Some("claude-y"), Some(7), Some(1))
            ]
        );
    }
}

#[test]
fn other_publishers_on_vertex_speak_chat() {
    let request = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5});
    let answer = json!({"id": "c", "model": "mistral-small", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    for (tail, model) in [
        ("publishers/mistralai/models/mistral-small-2503:rawPredict", Some("mistral-small-2503")),
        ("endpoints/openapi/chat/completions", None),
    ] {
        let (_, llm) = llm(post(&format!("{VERTEX}/{tail}"), &request, answer.to_string()));
        assert_eq!((llm.api, llm.provider.as_str()), ("openai.chat", "gcp.vertex_ai"));
        assert_eq!((llm.request_model.as_deref(), llm.project.as_deref()), (model, Some("shop-1")));
        assert_eq!(texts(&llm), ["Hello"]);
    }
}

fn interaction() -> Value {
    json!({
        "model": "gemini-3-flash", "previous_interaction_id": "i0", "stream": true,
        "system_instruction": "Be brief.", "service_tier": "priority",
        "input": [
            {"type": "text", "text": "Weather?"},
            {"role": "model", "content": [{"type": "text", "text": "Where?"}]},
            {"type": "function_call", "id": "c0", "name": "town", "arguments": {}},
            {"type": "function_result", "call_id": "c0", "name": "town", "result": [{"type": "text", "text": "Bonn"}]},
        ],
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}, {"type": "google_search"}],
        "generation_config": {"temperature": 0.2, "max_output_tokens": 64, "thinking_level": "low"},
        "response_format": {"type": "text", "mime_type": "application/json", "schema": {}},
    })
}

fn interaction_events() -> Vec<Value> {
    let step = |index: u64, step: Value| json!({"event_type": "step.start", "index": index, "step": step});
    let delta =
        |index: u64, delta: Value| json!({"event_type": "step.delta", "index": index, "delta": delta});
    vec![
        json!({"event_type": "interaction.created", "interaction": {"id": "i1", "model": "gemini-3-flash", "status": "in_progress"}}),
        step(0, json!({"type": "thought"})),
        delta(0, json!({"type": "thought_summary", "content": {"type": "text", "text": "Hm"}})),
        delta(0, json!({"type": "thought_signature", "signature": "eA=="})),
        step(1, json!({"type": "google_search_call", "id": "s1", "arguments": {"queries": ["bonn"]}})),
        step(2, json!({"type": "model_output", "content": [{"type": "text", "text": "It "}]})),
        delta(2, json!({"type": "text", "text": "is "})),
        delta(2, json!({"type": "text", "text": "wärm"})),
        step(3, json!({"type": "function_call", "id": "c1", "name": "weather", "arguments": {}})),
        delta(3, json!({"type": "arguments_delta", "arguments": "{\"city\":"})),
        delta(3, json!({"type": "arguments_delta", "arguments": "\"Bonn\"}"})),
        json!({"event_type": "interaction.completed", "interaction": {"id": "i1", "status": "requires_action", "service_tier": "priority",
            "usage": {"total_input_tokens": 20, "total_tool_use_tokens": 3, "total_cached_tokens": 0, "total_output_tokens": 8,
                "total_thought_tokens": 6, "total_tokens": 37, "grounding_tool_count": [{"type": "google_search", "count": 1}]}}}),
    ]
}

fn check_interaction(call_: &Call, llm: &Llm) {
    assert_eq!(call_.completion, Completion::Complete);
    assert!(call_.faults.is_empty(), "{:?}", call_.faults);
    assert_eq!(llm.response_id.as_deref(), Some("i1"));
    assert_eq!(llm.response_model.as_deref(), Some("gemini-3-flash"));
    assert_eq!((llm.finish_reasons.as_slice(), llm.output.len()), (&["requires_action".to_owned()][..], 1));
    let Message { role, parts, finish_reason } = &llm.output[0];
    assert_eq!((role.as_str(), finish_reason.as_deref()), ("assistant", Some("tool_call")));
    let item = json!({"type": "google_search_call", "id": "s1", "arguments": {"queries": ["bonn"]}});
    let search = Part::ServerTool { id: Some("s1".into()), name: "google_search".into(), item };
    assert_eq!(
        parts,
        &[
            Part::Reasoning("Hm".into()),
            search,
            Part::Text("It is wärm".into()),
            call(Some("c1"), "weather", json!({"city": "Bonn"})),
        ]
    );
    let usage = Usage {
        input: Some(23),
        output: Some(14),
        cache_read: Some(0),
        reasoning: Some(6),
        ..Usage::default()
    };
    assert_eq!(llm.usage, usage);
    assert_eq!(llm.tool_uses, [("google_search".to_owned(), 1)]);
    assert_eq!(llm.service_tier.as_deref(), Some("priority"));
}

#[test]
fn interactions_streamed_and_whole() {
    let (call, streamed) = llm(post("/v1beta/interactions", &interaction(), sse(&interaction_events())));
    check_interaction(&call, &streamed);
    assert!(streamed.stream);
    assert_eq!((streamed.api, streamed.operation), ("gemini.interactions", "generate_content"));
    assert_eq!(streamed.previous_response_id.as_deref(), Some("i0"));
    assert_eq!(streamed.system, [Part::Text("Be brief.".into())]);
    let params = &streamed.params;
    assert_eq!((params.temperature, params.max_tokens), (Some(0.2), Some(64)));
    assert_eq!((params.reasoning_level.as_deref(), params.output_type), (Some("low"), Some("json")));
    let roles: Vec<_> = streamed.input.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "assistant", "tool"]);
    let results: Vec<_> = streamed.tool_results().map(|it| (it.id.as_deref(), &it.response)).collect();
    assert_eq!(results, [(Some("c0"), &json!("Bonn"))]);
    let offered: Vec<_> = streamed.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(offered, ["weather", "google_search"]);

    let last = interaction_events().pop().unwrap();
    let mut body = last["interaction"].clone();
    body["model"] = json!("gemini-3-flash");
    let output = json!({"type": "model_output", "content": [{"type": "text", "text": "It is wärm"}]});
    let thought =
        json!({"type": "thought", "signature": "eA==", "summary": [{"type": "text", "text": "Hm"}]});
    let asked =
        json!({"type": "function_call", "id": "c1", "name": "weather", "arguments": {"city": "Bonn"}});
    let search = json!({"type": "google_search_call", "id": "s1", "arguments": {"queries": ["bonn"]}, "signature": "eA=="});
    let input = json!({"type": "user_input", "content": [{"type": "text", "text": "Weather?"}]});
    body["steps"] = json!([input, thought, search, output, asked]);
    let (call, whole) = llm(post("/v1beta/interactions", &interaction(), body.to_string()));
    check_interaction(&call, &whole);
    assert!(!whole.stream);
    // As it was before it had steps.
    let steps = body.as_object_mut().unwrap().remove("steps").unwrap();
    let mut outputs = steps.as_array().unwrap()[1..].to_vec();
    outputs[2] = json!({"type": "text", "text": "It is wärm"});
    body["outputs"] = outputs.into();
    let (call, old) = llm(post("/v1beta/interactions", &interaction(), body.to_string()));
    check_interaction(&call, &old);
}

#[test]
fn interactions_that_end_otherwise() {
    let events = interaction_events();
    let (call, cut) = llm(post("/v1beta/interactions", &interaction(), sse(&events[..7])));
    assert_eq!(call.completion, Completion::Partial);
    assert_eq!(
        (texts(&cut), cut.finish_reasons.len(), cut.usage),
        (vec!["It is ".to_owned()], 0, Usage::default())
    );
    let broken = [
        events[0].clone(),
        json!({"event_type": "error", "error": {"code": "resource_exhausted", "message": "later"}}),
    ];
    let (call, failed) = llm(post("/v1beta/interactions", &interaction(), sse(&broken)));
    assert_eq!(call.completion, Completion::Partial);
    assert_eq!(failed.error.map(|error| error.kind).as_deref(), Some("resource_exhausted"));
    let request = json!({"agent": "deep-research", "input": "Why?", "background": true});
    let (_, queued) = llm(post("/v1beta/interactions", &request, r#"{"id": "i2", "status": "in_progress"}"#));
    assert_eq!(queued.request_model.as_deref(), Some("deep-research"));
    assert_eq!(queued.finish_reasons, ["in_progress"]);
    assert_eq!(queued.input[0].parts, [Part::Text("Why?".into())]);
    // Where the total leaves no room for them, thoughts are inside the output.
    let usage = json!({"total_input_tokens": 5, "total_output_tokens": 9, "total_thought_tokens": 4, "total_tokens": 14});
    let body = json!({"id": "i3", "status": "completed", "usage": usage}).to_string();
    let (_, inside) = llm(post("/v1beta/interactions", &request, body));
    assert_eq!((inside.usage.output, inside.usage.reasoning), (Some(9), Some(4)));
}

/// What a call says, apart from times.
fn meaning(call: &Call) -> String {
    format!("{:?} {:?} {:?}", call.kind, call.completion, call.faults)
}

fn samples() -> Vec<(String, Value, String)> {
    let stream = format!("{MODEL}:streamGenerateContent");
    let wrapped = json!({"model": "m", "request": asked()});
    let answers: Vec<Value> = chunks().into_iter().map(|chunk| json!({"response": chunk})).collect();
    vec![
        (stream.clone(), asked(), sse(&chunks())),
        (stream, asked(), serde_json::to_string_pretty(&chunks()).unwrap()),
        (format!("{MODEL}:generateContent"), asked(), chunks()[2].to_string()),
        ("/v1internal:streamGenerateContent".to_owned(), wrapped, sse(&answers)),
        ("/v1beta/interactions".to_owned(), interaction(), sse(&interaction_events())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_call(seed in 1u64.., which in 0usize..5) {
        let (path, request, response) = samples().swap_remove(which);
        let replay = post(&path, &request, response);
        let whole = one(replay.clone().run(0));
        prop_assert!(matches!(whole.kind, Kind::Llm(_)));
        prop_assert_eq!(meaning(&one(replay.run(seed))), meaning(&whole));
    }

    #[test]
    fn broken_bytes_never_panic(seed in 1u64.., which in 0usize..5, at in 0usize..2000, byte: u8, cut in 0usize..3000) {
        let (path, request, response) = samples().swap_remove(which);
        let (mut request, mut response) = (request.to_string().into_bytes(), response.into_bytes());
        if let Some(place) = request.get_mut(at / 2) { *place = byte; }
        if let Some(place) = response.get_mut(at) { *place = byte; }
        response.truncate(cut);
        prop_assert_eq!(Replay::new(&path, request, response).run(seed).len(), 1);
    }
}
