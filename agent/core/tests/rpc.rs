//! MCP and A2A, as recorded and as invented: what was said, however the bytes were cut.
//!
//! The recordings lie beside the repository and are not part of it. Without them the first test says so and
//! passes, unless `TRACKWAY_RECORDINGS` says where they are, or `CI` that nothing may be skipped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/replay.rs"]
mod support;

use std::collections::HashMap;

use recorded::{folder, lines};
use serde_json::{Value, json};
use support::Replay;
use trackway_core::call::{A2a, Call, Completion, Kind, Mcp};
use trackway_core::capture::recording;
use trackway_core::limits;

const SPLITS: u64 = 20;

/// What a call says apart from its times.
fn meaning(calls: &[Call]) -> String {
    let one = |call: &Call| format!("{:?} {:?} {:?}", call.kind, call.completion, call.faults);
    calls.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The call of an exchange, which must be the same for every cut.
fn play(replay: Replay) -> Call {
    let mut whole = replay.clone().run(0);
    let expect = meaning(&whole);
    for seed in 1..=SPLITS {
        assert_eq!(meaning(&replay.clone().run(seed * 0x9e37_79b9)), expect, "seed {seed}");
    }
    if replay.completion == Completion::Complete {
        assert_eq!(meaning(&support::observe(&[replay], 0x1234_5678)), expect, "as bytes");
    }
    assert_eq!(whole.len(), 1);
    whole.remove(0)
}

fn mcp(replay: Replay) -> (Mcp, Call) {
    let call = play(replay);
    let Kind::Mcp(mcp) = call.kind.clone() else { panic!("no MCP: {call:?}") };
    (*mcp, call)
}

fn a2a(replay: Replay) -> (A2a, Call) {
    let call = play(replay);
    let Kind::A2a(a2a) = call.kind.clone() else { panic!("no A2A: {call:?}") };
    (*a2a, call)
}

/// A POST of JSON.
fn post(path: &str, request: &Value, response: &Value) -> Replay {
    let response = if response.is_null() { String::new() } else { response.to_string() };
    Replay::new(path, request.to_string(), response)
        .request_header("content-type", "application/json")
        .header("content-type", "application/json")
}

/// A POST of JSON that is answered by events.
fn ask(path: &str, request: &Value, events: &[Value]) -> Replay {
    let text: String =
        events.iter().map(|event| format!("event: message\r\ndata: {event}\r\n\r\n")).collect();
    Replay::new(path, request.to_string(), text)
        .request_header("content-type", "application/json")
        .header("content-type", "text/event-stream")
}

fn get(path: &str, events: &str) -> Replay {
    let mut replay = Replay::new(path, "", events).header("content-type", "text/event-stream");
    replay.head.method = "GET".to_owned();
    replay
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn answer(result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": result})
}

/// What a call says in the fields of the expected answers.
fn told(call: &Call) -> Value {
    match &call.kind {
        Kind::Mcp(it) => json!({"api_format": "mcp", "operation": it.operation().unwrap_or("other"),
            "stream": it.stream, "complete": call.completion == Completion::Complete, "rpc": {
            "method": it.method, "id": it.id, "messages": it.messages,
            "error": it.error.as_ref().map(|error| &error.raw), "tool_name": it.tool_name,
            "tool_arguments": it.tool_arguments, "session_id": it.session_id,
            "protocol_version": it.protocol_version, "client_info": it.client_info, "is_error": it.is_error}}),
        Kind::A2a(it) => json!({"api_format": "a2a", "operation": it.operation().unwrap_or("other"),
            "stream": it.stream, "complete": call.completion == Completion::Complete, "rpc": {
            "method": it.method, "id": it.id, "messages": it.messages,
            "error": it.error.as_ref().map(|error| &error.raw), "a2a_version": it.version,
            "request_text": it.request_text, "task_id": it.task_id, "context_id": it.context_id,
            "states": it.states, "result_texts": it.result_texts}}),
        Kind::Llm(_) | Kind::Plain => json!({"api_format": "none"}),
    }
}

#[test]
fn recordings_say_what_is_expected_of_them() {
    let Some(folder) = folder("mcp-local.jsonl.gz") else { return };
    let mut compared = HashMap::new();
    for (file, expected) in [
        ("mcp-local.jsonl.gz", "mcp-local-expected.jsonl.gz"),
        ("a2a-local.jsonl.gz", "a2a-local-expected.jsonl.gz"),
        ("exchanges.jsonl.gz", "expected.jsonl.gz"),
    ] {
        let wanted: HashMap<String, Value> = lines(folder.join(expected))
            .map(|line| serde_json::from_slice::<Value>(&line).unwrap())
            .filter(|want| want["rpc"].is_object())
            .map(|want| (want["id"].as_str().unwrap().to_owned(), want))
            .collect();
        for line in lines(folder.join(file)) {
            let exchange = recording::read(&line).unwrap();
            let id = exchange.id.clone().unwrap();
            let Some(want) = wanted.get(&id) else {
                // None of the others may be taken for one.
                let calls = exchange.replay();
                assert!(!calls.iter().any(|call| matches!(call.kind, Kind::Mcp(_) | Kind::A2a(_))), "{id}");
                continue;
            };
            let got = told(&play(Replay::from_recording(exchange)));
            for field in ["api_format", "operation", "stream", "complete", "rpc"] {
                assert_eq!(got[field], want[field], "{id} {field}");
            }
            *compared.entry(want["api_format"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    println!("compared: {compared:?}");
    assert!(compared["mcp"] > 80 && compared["a2a"] > 30);
    for line in lines(folder.join("negatives.jsonl.gz")) {
        let exchange = recording::read(&line).unwrap();
        let id = exchange.id.clone();
        assert!(exchange.replay().iter().all(|call| matches!(call.kind, Kind::Plain)), "{id:?}");
    }
}

#[test]
fn a_tool_call_with_all_that_surrounds_it() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let asked = request(
        "tools/call",
        json!({"name": "draw", "arguments": {"what": "a cat"}, "_meta": {"progressToken": 7, "traceparent": trace}}),
    );
    let events = [
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7, "progress": 1}}),
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}),
        json!({"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {"message": "which?"}}),
        answer(json!({"content": [{"type": "text", "text": "here"},
            {"type": "image", "data": "QUJDRA==", "mimeType": "image/png"}], "structuredContent": {"cats": 1}})),
    ];
    let (it, call) = mcp(ask("/any/where", &asked, &events)
        .request_header("mcp-session-id", "s-1")
        .request_header("mcp-protocol-version", "2025-06-18"));
    assert_eq!(it.operation(), Some("execute_tool"));
    assert_eq!((it.messages, it.notifications, it.progress, it.questions), (4, 2, 1, 1));
    assert_eq!(it.session_id.as_deref(), Some("s-1"));
    assert_eq!(it.tool_arguments, Some(json!({"what": "a cat"})));
    assert_eq!(
        it.result,
        Some(json!({"content": [{"type": "text", "text": "here"},
        {"type": "image", "data": "[8 bytes]", "mimeType": "image/png"}], "structuredContent": {"cats": 1}}))
    );
    assert_eq!(it.others.len(), 1);
    assert!(it.others[0].by_server && it.others[0].method.as_deref() == Some("elicitation/create"));
    assert_eq!(call.http.traceparent.as_deref(), Some(trace));
    assert!(it.stream && call.completion == Completion::Complete && call.first_chunk.is_some());
    assert!(call.faults.is_empty(), "{:?}", call.faults);
}

#[test]
fn two_kinds_of_errors() {
    let asked = request("tools/call", json!({"name": "x", "arguments": {}}));
    let (it, _) = mcp(post("/", &asked, &answer(json!({"content": [], "isError": true}))));
    assert!(it.is_error && it.error.is_none());
    let refused = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": "no", "data": [1]}});
    let (it, call) = mcp(post("/", &asked, &refused));
    let error = it.error.unwrap();
    assert_eq!((error.code, error.message.as_str()), (-32602, "no"));
    assert_eq!(error.raw, refused["error"]);
    assert!(!it.is_error && call.completion == Completion::Complete);
    // What could not be parsed is refused without its id.
    let (it, call) = mcp(post(
        "/",
        &asked,
        &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "?"}}),
    ));
    assert_eq!(it.error.unwrap().code, -32700);
    assert_eq!(call.completion, Completion::Complete);
    // A door keeper's answer is none of the server's.
    let mut refused = post("/", &asked, &json!({"error": "invalid_token"}));
    refused.status = 401;
    let (it, call) = mcp(refused);
    assert_eq!((it.messages, it.error, call.completion), (0, None, Completion::Complete));
}

#[test]
fn a_stream_without_its_answer_is_cut() {
    let asked = request("tools/call", json!({"name": "x"}));
    let other = json!({"jsonrpc": "2.0", "id": 8, "result": {}});
    let (it, call) = mcp(ask("/mcp", &asked, std::slice::from_ref(&other)));
    assert_eq!(call.completion, Completion::Partial);
    assert_eq!((it.messages, it.result), (1, None));
    // It answers what was asked elsewhere.
    assert_eq!((it.others.len(), &it.others[0].id), (1, &Some(json!(8))));
    // The answer is whole although the connection broke after it.
    let mut cut = ask("/mcp", &asked, &[answer(json!({"content": []}))]);
    cut.completion = Completion::Partial;
    assert_eq!(mcp(cut).1.completion, Completion::Complete);
    // A notification is only acknowledged.
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let mut replay = post("/mcp", &note, &Value::Null);
    replay.status = 202;
    let (it, call) = mcp(replay);
    assert_eq!((it.id, it.messages, call.completion), (None, 0, Completion::Complete));
}

#[test]
fn a_batch_keeps_its_messages_apart() {
    let asked = json!([
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "one", "arguments": {"n": 1}}},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "two"}}]);
    let answers = [
        json!({"jsonrpc": "2.0", "id": "b", "result": {"content": [], "isError": true}}),
        json!({"jsonrpc": "2.0", "id": "a", "result": {"content": [{"type": "text", "text": "1"}]}}),
    ];
    for replay in [ask("/mcp", &asked, &answers), post("/mcp", &asked, &json!(answers))] {
        let (it, call) = mcp(replay);
        let [one, two] = it.others.as_slice() else { panic!("{it:?}") };
        assert_eq!((it.method.as_deref(), it.messages), (Some("notifications/cancelled"), 2));
        assert_eq!((one.tool_name.as_deref(), one.is_error), (Some("one"), false));
        assert_eq!(one.result.as_ref().unwrap()["content"][0]["text"], "1");
        assert_eq!((two.tool_name.as_deref(), two.is_error), (Some("two"), true));
        assert_eq!(call.completion, Completion::Complete);
    }
    let (_, call) = mcp(ask("/mcp", &asked, &answers[..1]));
    assert_eq!(call.completion, Completion::Partial);
}

#[test]
fn the_stateless_revision_is_told_by_its_fields_alone() {
    let mut replay =
        Replay::new("/", b"not what it says".to_vec(), answer(json!({"content": []})).to_string())
            .request_header("content-type", "application/json")
            .request_header("content-encoding", "gzip")
            .request_header("mcp-protocol-version", "2026-07-28")
            .request_header("mcp-method", "tools/call")
            .request_header("mcp-name", "look");
    replay.status = 200;
    let (it, call) = mcp(replay);
    assert_eq!((it.method.as_deref(), it.tool_name.as_deref()), (Some("tools/call"), Some("look")));
    assert_eq!(it.protocol_version.as_deref(), Some("2026-07-28"));
    assert!(!call.faults.is_empty());
    let listen = request(
        "subscriptions/listen",
        json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}),
    );
    let note = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    let mut replay = ask("/", &listen, &[note.clone(), note]);
    replay.completion = Completion::Cancelled;
    let (it, call) = mcp(replay);
    assert_eq!((it.notifications, call.completion), (2, Completion::Complete));
    assert_eq!(it.protocol_version.as_deref(), Some("2026-07-28"));
}

#[test]
fn a_stream_from_the_server_is_counted_to_its_end() {
    let question =
        json!({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {"messages": []}});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "a"}});
    let events = format!("id: 1\ndata:\n\n: ping\n\ndata: {question}\n\ndata: {note}\n\n").repeat(500);
    let mut replay = get("/mcp", &events)
        .request_header("accept", "text/event-stream")
        .request_header("mcp-session-id", "s");
    replay.completion = Completion::Cancelled;
    let (it, call) = mcp(replay);
    assert_eq!((it.method, it.messages, it.questions, it.notifications), (None, 1000, 500, 500));
    assert_eq!((it.others.len(), call.completion), (500, Completion::Complete));
    let events = format!("data: {question}\n\n").repeat(limits::RPC_BATCH + 10);
    let replay = get("/mcp", &events)
        .request_header("accept", "text/event-stream")
        .request_header("mcp-session-id", "s");
    let (it, call) = mcp(replay);
    assert_eq!((it.others.len(), it.questions), (limits::RPC_BATCH, limits::RPC_BATCH as u64 + 10));
    assert_eq!(call.faults[0].kind, "limit.rpc");
}

#[test]
fn the_first_transport_answers_on_another_stream() {
    let answers = format!(
        "event: endpoint\ndata: /messages/?session_id=abc\n\nevent: message\ndata: {}\n\n",
        answer(json!({"content": [], "isError": true}))
    );
    let (it, call) = mcp(get("/events", &answers).request_header("accept", "text/event-stream"));
    assert_eq!((it.session_id.as_deref(), it.messages), (Some("abc"), 1));
    assert!(it.others[0].is_error && it.others[0].by_server);
    assert_eq!(call.completion, Completion::Complete);
    let mut replay = post("/messages/?session_id=abc", &request("ping", json!({})), &Value::Null);
    replay.status = 202;
    replay.response = b"Accepted".to_vec();
    let (it, _) = mcp(replay);
    assert_eq!((it.method.as_deref(), it.session_id.as_deref()), (Some("ping"), Some("abc")));
    // The answer to a question of the server has no method.
    let (it, _) = mcp(post("/messages/?session_id=abc", &answer(json!({"role": "assistant"})), &Value::Null));
    assert_eq!((it.method, it.id, it.result), (None, Some(json!(7)), Some(json!({"role": "assistant"}))));
}

#[test]
fn other_json_rpc_stays_plain() {
    let bodies = [
        request("initialize", json!({"processId": 1, "rootUri": "file:///x", "capabilities": {}})),
        request("textDocument/hover", json!({"position": {}})),
        request("eth_blockNumber", json!([])),
        request("ping", json!([])),
        request("tools/call", json!(["positional"])),
        request("SendMessage", json!({"chat_id": 1, "text": "x"})),
        request("GetTask", json!({"task": 1})),
        request("tasks/list", json!({})),
        request("message/send", json!({"to": "x", "message": "text"})),
        json!({"jsonrpc": "1.0", "id": 1, "method": "tools/list"}),
        json!({"id": 1, "method": "tools/list"}),
        json!([{"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": []}]),
        answer(json!({"content": []})),
        json!({"method": "tools/call"}),
    ];
    for body in bodies {
        let call = play(post("/rpc", &body, &answer(json!({"content": []}))));
        assert!(matches!(call.kind, Kind::Plain), "{body}");
        assert!(call.faults.is_empty() && call.first_chunk.is_none(), "{body} {call:?}");
    }
    // The same names count where the head says whose they are.
    let ping = || post("/rpc", &request("ping", json!({})), &answer(json!({})));
    assert_eq!(mcp(ping().request_header("accept", "application/json, text/event-stream")).0.messages, 1);
    let list = post("/rpc", &request("tasks/list", json!({})), &answer(json!({"tasks": []})));
    assert_eq!(a2a(list.clone().request_header("a2a-version", "1.0")).0.messages, 1);
    assert_eq!(mcp(list.request_header("mcp-protocol-version", "2025-11-25")).0.messages, 1);
    // Tasks are MCP's or A2A's by how they are named.
    assert_eq!(
        mcp(post("/", &request("tasks/get", json!({"taskId": "t"})), &answer(json!({})))).0.messages,
        1
    );
    assert_eq!(a2a(post("/", &request("tasks/get", json!({"id": "t"})), &answer(json!({})))).0.messages, 1);
}

#[test]
fn other_streams_and_requests_stay_plain_without_a_trace() {
    let stream = get("/events", "event: price\ndata: {\"jsonrpc\": 1}\n\ndata: x\n\n");
    let html = {
        let mut it = get("/sse", "<html></html>");
        it.headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        it
    };
    let task = {
        let mut it = get("/api/tasks/12", "{\"id\": 12, \"status\": \"done\"}");
        it.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        it
    };
    let card = get("/.well-known/agent.json", "{\"name\": \"x\", \"version\": 1}");
    let login = get("/.well-known/oauth-protected-resource", "{\"resource\": \"x\"}")
        .request_header("accept", "application/json")
        .request_header("mcp-protocol-version", "2025-06-18");
    let broken = Replay::new("/x", "{\"jsonrpc\": \"2.0\", ", "not JSON")
        .request_header("content-type", "application/json");
    let coded = Replay::new("/x", "\x1f\u{8b}garbage", "{}")
        .request_header("content-type", "application/json")
        .request_header("content-encoding", "gzip");
    let send = post("/v1/message:send", &json!({"message": "text"}), &json!({}));
    for replay in [stream, html, task, card, login, broken, coded, send] {
        let replay = replay.request_header("accept", "text/event-stream");
        let call = play(replay.clone());
        assert!(matches!(call.kind, Kind::Plain), "{replay:?} {call:?}");
        assert!(call.faults.is_empty() && call.first_chunk.is_none(), "{replay:?} {call:?}");
    }
}

#[test]
fn long_arguments_and_results_are_bounded() {
    let long = "word ".repeat(limits::RPC_BODY_BYTES / 4);
    let asked = json!({"jsonrpc": "2.0", "method": "tools/call",
        "params": {"name": "write", "arguments": {"text": long}}, "id": 3});
    let (it, call) = mcp(post(
        "/",
        &asked,
        &json!({"jsonrpc": "2.0", "id": 3, "result": {"content": [
        {"type": "text", "text": long}]}}),
    ));
    assert_eq!((it.id, it.tool_arguments, it.result), (Some(json!(3)), None, None));
    let kinds: Vec<&str> = call.faults.iter().map(|fault| fault.kind).collect();
    assert!(kinds.contains(&"limit.request_body") && kinds.contains(&"limit.rpc"), "{kinds:?}");
    assert_eq!(call.completion, Completion::Complete);
}

#[test]
fn an_answer_before_the_request_is_whole_is_read() {
    use bytes::Bytes;
    use trackway_core::flow::Time;
    use trackway_core::http::{Event, RequestHead, ResponseHead};
    use trackway_core::observe::Reader;
    let asked = request("tools/list", json!({})).to_string();
    let (mut reader, mut out) = (Reader::new(support::flow("h", false)), Vec::new());
    let head = RequestHead {
        method: "POST".to_owned(),
        target: "/mcp".to_owned(),
        authority: None,
        version: "2",
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
    };
    let time = Time(1);
    reader.event(Event::Request { id: 0, head: Box::new(head), first_byte: time, time }, &mut out);
    reader.event(Event::RequestData { id: 0, bytes: Bytes::from(asked), time }, &mut out);
    let head = ResponseHead { status: 200, headers: vec![("mcp-session-id".to_owned(), "s".to_owned())] };
    reader.event(Event::Response { id: 0, head: Box::new(head), first_byte: time, time }, &mut out);
    let bytes = Bytes::from(answer(json!({"tools": []})).to_string());
    reader.event(Event::ResponseData { id: 0, bytes, time }, &mut out);
    reader.event(Event::RequestEnd { id: 0, time }, &mut out);
    let end = Event::End { id: 0, completion: Completion::Complete, wire_request: 1, wire_response: 1, time };
    reader.event(end, &mut out);
    let Kind::Mcp(it) = &out[0].kind else { panic!("{out:?}") };
    assert_eq!((it.messages, it.session_id.as_deref()), (1, Some("s")));
    assert_eq!(it.result, Some(json!({"tools": []})));
}

#[test]
fn agents_until_version_0_3() {
    let message = json!({"kind": "message", "role": "user", "messageId": "m", "taskId": "t0", "contextId": "c",
        "parts": [{"kind": "text", "text": "What is "}, {"kind": "data", "data": {}}, {"kind": "text", "text": "2 + 2?"}]});
    let update = |state: &str, last: bool| {
        answer(json!({"kind": "status-update", "taskId": "t", "contextId": "c", "final": last,
            "status": {"state": state}}))
    };
    let made = answer(json!({"kind": "artifact-update", "taskId": "t", "contextId": "c", "append": true,
        "artifact": {"artifactId": "a", "parts": [{"kind": "text", "text": "fo"}, {"kind": "text", "text": "ur"}]}}));
    let asked = request("message/stream", json!({"message": message}));
    let events = [update("submitted", false), update("working", false), made, update("completed", true)];
    let (it, call) = a2a(ask("/agents/calc", &asked, &events));
    assert_eq!((it.method.as_str(), it.version.as_deref()), ("message/stream", Some("0.3")));
    assert_eq!(it.operation(), Some("invoke_agent"));
    assert_eq!((it.request_text.as_str(), it.messages), ("What is 2 + 2?", 4));
    assert_eq!((it.task_id.as_deref(), it.context_id.as_deref()), (Some("t"), Some("c")));
    assert_eq!(it.asked_task.as_deref(), Some("t0"));
    assert_eq!(it.states, ["submitted", "working", "completed"]);
    assert_eq!(it.result_texts, ["fo", "ur"]);
    assert_eq!(call.completion, Completion::Complete);
    let (it, call) = a2a(ask("/", &asked, &events[..2]));
    assert_eq!((it.states.len(), call.completion), (2, Completion::Partial));
    let said = answer(json!({"kind": "message", "role": "agent", "messageId": "n", "contextId": "d",
        "parts": [{"kind": "text", "text": "four"}]}));
    let (it, call) = a2a(post("/", &request("message/send", json!({"message": message})), &said));
    assert_eq!((it.result_texts, it.context_id.as_deref()), (vec!["four".to_owned()], Some("d")));
    assert_eq!(call.completion, Completion::Complete);
}

#[test]
fn agents_over_plain_http() {
    let asked = json!({"message": {"role": "ROLE_USER", "messageId": "m", "content": [{"text": "hi"}]}});
    let task = json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}});
    let (it, call) = a2a(post("/v1/message:send", &asked, &json!({"task": task})));
    assert_eq!((it.method.as_str(), it.request_text.as_str()), ("SendMessage", "hi"));
    assert_eq!((it.version, it.states.as_slice()), (None, &["TASK_STATE_WORKING".to_owned()][..]));
    assert_eq!(call.completion, Completion::Complete);
    let json = |mut replay: Replay, verb: &str| {
        replay.headers = vec![("content-type".to_owned(), "application/a2a+json".to_owned())];
        replay.head.method = verb.to_owned();
        replay
    };
    // A task is known by its shape, whatever the fields say.
    let (it, _) = a2a(json(get("/team/tasks/t", &task.to_string()), "GET"));
    assert_eq!((it.method.as_str(), it.task_id.as_deref()), ("GetTask", Some("t")));
    let error =
        json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "no such task", "details": []}});
    let mut replay =
        json(get("/tasks/t:cancel", &error.to_string()), "POST").request_header("a2a-version", "1.0");
    replay.status = 404;
    let (it, _) = a2a(replay);
    assert_eq!((it.method.as_str(), it.version.as_deref()), ("CancelTask", Some("1.0")));
    assert_eq!(it.error.unwrap().raw, error["error"]);
    let card = json!({"name": "x", "skills": [], "capabilities": {}}).to_string();
    assert_eq!(a2a(json(get("/a/.well-known/agent.json", &card), "GET")).0.method, "GET agent-card");
    let mut missing = json(get("/.well-known/agent-card.json", ""), "GET");
    missing.status = 404;
    assert_eq!(a2a(missing).0.messages, 0);
    // The configuration of a task's notifications is no task.
    let config = json!({"id": "config", "taskId": "t", "url": "https://hook.example"}).to_string();
    let replay = json(get("/tasks/t/pushNotificationConfigs/config", &config), "GET");
    let (it, _) = a2a(replay.request_header("a2a-version", "1.0"));
    assert_eq!((it.method.as_str(), it.task_id), ("GetTaskPushNotificationConfig", None));
}

#[test]
fn states_and_texts_are_bounded() {
    let asked =
        request("SendStreamingMessage", json!({"message": {"role": "ROLE_USER", "parts": [{"text": "x"}]}}));
    let event = answer(json!({"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_WORKING",
        "message": {"parts": [{"text": "word ".repeat(2000)}]}}}}));
    let events = vec![event; limits::RPC_STATES + 100];
    let (it, call) = a2a(ask("/", &asked, &events));
    assert_eq!(it.states.len(), limits::RPC_STATES);
    assert!(it.result_texts.iter().map(String::len).sum::<usize>() <= limits::RPC_KEPT_BYTES);
    assert!(call.faults.iter().any(|fault| fault.kind == "limit.rpc"));
    assert_eq!(call.completion, Completion::Partial);
}
