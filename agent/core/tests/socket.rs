//! Responses over a WebSocket, as Codex speaks it.
#![expect(clippy::panic, reason = "a test fails by panicking, and says what it compared")]

#[path = "support/replay.rs"]
mod support;

use bytes::Bytes;
use serde_json::{Value, json};
use support::flow;
use trackway_core::call::{Call, Completion, Fault, Kind, Llm, Thread};
use trackway_core::flow::{Direction, Time};
use trackway_core::http::{Event, RequestHead, ResponseHead};
use trackway_core::observe::Reader;

struct Socket {
    reader: Reader,
    out: Vec<Call>,
    clock: u64,
}

impl Socket {
    fn open(path: &str) -> Self {
        let mut socket =
            Self { reader: Reader::new(flow("api.openai.com", true)), out: Vec::new(), clock: 0 };
        let headers = [
            ("authorization", "Bearer sk-proj-0123456789abcdefghijklmnop"),
            ("originator", "codex_cli_rs"),
            ("session-id", "s1"),
            ("thread-id", "t2"),
            ("x-codex-parent-thread-id", "t1"),
        ];
        let head = Box::new(RequestHead {
            method: "GET".into(),
            target: path.into(),
            authority: Some("api.openai.com".into()),
            version: "1.1",
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        });
        let time = socket.tick();
        socket.event(Event::Request { id: 0, head, first_byte: time, time });
        let time = socket.tick();
        socket.event(Event::RequestEnd { id: 0, time });
        let head = Box::new(ResponseHead { status: 101, headers: Vec::new() });
        socket.event(Event::Response { id: 0, head, first_byte: time, time });
        socket
    }

    fn tick(&mut self) -> Time {
        self.clock += 10;
        Time(self.clock)
    }

    fn event(&mut self, event: Event) {
        self.reader.event(event, &mut self.out);
    }

    fn message(&mut self, direction: Direction, message: &Value) -> Time {
        let time = self.tick();
        let bytes = Bytes::from(message.to_string());
        self.event(Event::Message { id: 0, direction, text: true, bytes, time });
        time
    }

    fn client(&mut self, message: Value) -> Time {
        self.message(Direction::ToOrigin, &message)
    }

    fn server(&mut self, message: Value) -> Time {
        self.message(Direction::ToClient, &message)
    }

    fn close(mut self, completion: Completion) -> Vec<Call> {
        let time = self.tick();
        self.event(Event::End { id: 0, completion, wire_request: 0, wire_response: 0, time });
        self.out
    }
}

fn llm(call: &Call) -> &Llm {
    match &call.kind {
        Kind::Llm(llm) => llm,
        _ => panic!("no inference call"),
    }
}

fn completed(id: &str, output: Value) -> Value {
    json!({"type": "response.completed", "response": {"id": id, "object": "response", "status": "completed",
        "model": "gpt-5-codex", "output": output, "usage": {"input_tokens": 9, "output_tokens": 3}}})
}

#[test]
fn one_connection_carries_many_calls() {
    let mut socket = Socket::open("/v1/responses");
    socket.client(json!({"type": "response.create", "model": "gpt-5-codex", "generate": false, "input": [
        {"type": "additional_tools", "role": "developer", "tools": [
            {"type": "custom", "name": "exec"},
            {"type": "namespace", "name": "mcp__fs__", "tools": [{"type": "function", "name": "read"}]}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}));
    socket.server(completed("resp_1", json!([])));
    let start = socket.client(
        json!({"type": "response.create", "model": "gpt-5-codex", "previous_response_id": "resp_1",
        "input": [], "client_metadata": {"thread_id": "t2",
            "ws_request_header_traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}),
    );
    let first = socket
        .server(json!({"type": "response.created", "response": {"id": "resp_2", "status": "in_progress"}}));
    let item = json!({"type": "custom_tool_call", "call_id": "call_1", "name": "exec", "input": "ls"});
    socket.server(json!({"type": "response.output_item.done", "output_index": 0, "item": item.clone()}));
    let end = socket.server(completed("resp_2", json!([item])));
    socket
        .client(json!({"type": "response.create", "model": "gpt-5-codex", "previous_response_id": "resp_2",
        "input": [{"type": "custom_tool_call_output", "call_id": "call_1", "output": "a.txt"}]}));
    socket.server(
        json!({"type": "error", "status": 429, "error": {"type": "usage_limit_reached", "message": "later"}}),
    );
    let calls = socket.close(Completion::Complete);
    assert_eq!(calls.len(), 3);

    let warm = llm(&calls[0]);
    assert!(warm.auxiliary);
    assert_eq!(warm.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["exec", "read"]);
    assert_eq!(warm.input.len(), 1);

    let second = &calls[1];
    assert_eq!((second.start, second.first_byte, second.end), (start, Some(first), end));
    assert_eq!(second.completion, Completion::Complete);
    assert_eq!(second.http.version, "websocket");
    assert!(second.http.traceparent.is_some() && calls[0].http.traceparent.is_none());
    assert!(!llm(second).auxiliary);
    assert!(llm(second).input.is_empty());
    assert_eq!(llm(second).previous_response_id.as_deref(), Some("resp_1"));
    assert_eq!(llm(second).usage.output, Some(3));
    assert_eq!(llm(second).agent.as_deref(), Some("codex"));
    assert_eq!(llm(second).conversation.as_ref().map(|c| c.id.as_str()), Some("s1"));
    assert_eq!(
        llm(second).thread,
        Some(Thread { id: "t2".into(), parent: Some("t1".into()), spawned: true })
    );
    assert_eq!(llm(second).tool_calls().next().and_then(|call| call.id.as_deref()), Some("call_1"));

    let third = llm(&calls[2]);
    assert_eq!(third.tool_results().next().and_then(|result| result.id.as_deref()), Some("call_1"));
    assert_eq!(third.error.as_ref().map(|error| error.kind.as_str()), Some("usage_limit_reached"));
    assert_eq!(calls.iter().map(|call| call.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(!format!("{calls:?}").contains("sk-proj-0123"));
}

#[test]
fn a_lost_connection_leaves_a_partial_call() {
    let mut socket = Socket::open("/backend-api/codex/responses");
    socket.client(
        json!({"type": "response.create", "model": "m", "input": [{"role": "user", "content": "hi"}]}),
    );
    socket.server(json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}));
    socket.server(json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"}));
    let calls = socket.close(Completion::Partial);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].completion, Completion::Partial);
    assert_eq!(llm(&calls[0]).usage.output, None);
    assert_eq!(llm(&calls[0]).response_id.as_deref(), Some("resp_1"));
    assert_eq!(llm(&calls[0]).output.len(), 1);
}

#[test]
fn another_socket_is_a_plain_call() {
    let mut socket = Socket::open("/v1/realtime");
    socket.client(json!({"type": "response.create", "response": {}}));
    let calls = socket.close(Completion::Complete);
    assert_eq!(calls.len(), 1);
    assert!(matches!(calls[0].kind, Kind::Plain));
    assert_eq!(calls[0].http.version, "websocket");
}

#[test]
fn lost_messages_end_what_is_open() {
    let mut socket = Socket::open("/v1/responses");
    let create = || json!({"type": "response.create", "model": "gpt-5-codex", "input": []});
    socket.client(create());
    socket.server(json!({"type": "response.created", "response": {"id": "resp_1"}}));
    // The first response's end was in there, and the next one must not be taken for it.
    let fault = Fault { kind: "gap", detail: "900 bytes were not seen".into() };
    socket.event(Event::Fault { id: Some(0), fault });
    socket.server(completed("resp_1", json!([])));
    socket.client(create());
    socket.server(completed("resp_2", json!([])));
    let calls = socket.close(Completion::Complete);
    let seen: Vec<_> = calls.iter().map(|call| (call.completion, llm(call).response_id.as_deref())).collect();
    assert_eq!(seen, [(Completion::Partial, Some("resp_1")), (Completion::Complete, Some("resp_2"))]);
    assert_eq!(calls[0].faults.len(), 1);
}
