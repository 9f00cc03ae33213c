//! Connections that probes read: joined in the middle, and under names that are given again.
#![expect(clippy::panic, reason = "a test fails by panicking, and says what it compared")]

#[path = "support/replay.rs"]
mod support;

use bytes::Bytes;
use support::{Replay, bytes, flow};
use trackway_core::call::{Call, Completion, Kind, Llm};
use trackway_core::flow::{Close, Direction, Flow, Plane, Slice, Start, Time};
use trackway_core::observe::Observer;

const C: Direction = Direction::ToOrigin;
const S: Direction = Direction::ToClient;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const CHAT: &str = r#"{"model":"gpt-x","messages":[{"role":"user","content":"hi"}]}"#;
const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","model":"gpt-x-1","choices":[{"index":0,"message":{"role":"assistant","content":"ho"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

struct Tap {
    observer: Observer,
    offsets: [u64; 2],
    clock: u64,
    calls: Vec<Call>,
}

impl Tap {
    fn new(host: &str, start: Start) -> Self {
        let flow = Flow { plane: Plane::Tap(None), start, ..flow(host, true) };
        Self { observer: Observer::new(flow), offsets: [0; 2], clock: 0, calls: Vec::new() }
    }

    fn send(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.clock += 10;
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        let way = usize::from(direction == S);
        let offset = self.offsets[way];
        self.offsets[way] += bytes.len() as u64;
        self.observer.push(Slice { direction, offset, bytes, time: Time(self.clock) }, &mut self.calls);
        self
    }

    fn close(mut self) -> Vec<Call> {
        self.observer.close(Close::Clean, Time(self.clock + 10), &mut self.calls);
        self.calls
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u16::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
}

/// POST over https, with whatever stands at indices 62 to 64 of the table.
fn request(stream: u8, body: &str) -> Vec<u8> {
    [frame(1, 4, stream, [0x83, 0x87, 0xbe, 0xbf, 0xc0]), frame(0, 1, stream, body)].concat()
}

fn answer(stream: u8, body: &str) -> Vec<u8> {
    [frame(1, 4, stream, [0x88]), frame(0, 1, stream, body)].concat()
}

fn llm(call: &Call) -> &Llm {
    let Kind::Llm(llm) = &call.kind else { panic!("a plain call: {call:?}") };
    llm
}

fn kinds(call: &Call) -> Vec<&str> {
    call.faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn calls_after_the_join_are_those_of_a_full_reading() {
    let replay = || Replay::new("/v1/chat/completions", CHAT, ANSWER);
    let (request, response) = bytes(&replay());
    let mut full = Tap::new("api.openai.com", Start::Seen);
    let mut joined = Tap::new("api.openai.com", Start::Unknown);
    full.send(C, &request).send(S, &response);
    // Of the first exchange the end of the answer was seen.
    joined.clock += 10;
    joined.send(S, &response[response.len() - 50..]);
    assert!(!joined.observer.is_read());
    for tap in [&mut full, &mut joined] {
        tap.send(C, &request).send(S, &response);
    }
    assert!(joined.observer.is_read());
    let (full, mut joined) = (full.close(), joined.close());
    assert_eq!((full.len(), joined.len()), (2, 1));
    assert_eq!(kinds(&joined[0]), ["join.response"]);
    joined[0].faults.clear();
    joined[0].index = 1;
    assert_eq!(format!("{:?}", joined[0]), format!("{:?}", full[1]));
}

#[test]
fn what_was_under_way_is_marked() {
    let (request, response) = bytes(&Replay::new("/v1/chat/completions", CHAT, ANSWER));
    let mut tap = Tap::new("api.openai.com", Start::Unknown);
    tap.send(C, &request[request.len() - 20..]).send(S, &response).send(C, &request).send(S, &response);
    let calls = tap.close();
    assert_eq!(calls.len(), 1);
    assert_eq!(kinds(&calls[0]), ["join", "join.response"]);
    assert_eq!(calls[0].completion, Completion::Complete);
    assert_eq!(llm(&calls[0]).usage.output, Some(4));
}

#[test]
fn a_name_is_given_to_another_connection() {
    let mut tap = Tap::new("h", Start::Unknown);
    let path = b"\x83\x87\x44\x02/a\x41\x01h";
    tap.send(C, [PREFACE, &frame(4, 0, 0, b"")].concat()).send(S, frame(4, 0, 0, b""));
    tap.send(C, frame(1, 5, 1, path)).send(S, answer(1, "one")).send(C, frame(1, 5, 3, path));
    // The second is never answered. A new connection begins, with streams and tables of its own.
    tap.send(C, [PREFACE, &frame(4, 0, 0, b"")[..], &frame(1, 5, 1, path)].concat());
    tap.send(S, [frame(4, 0, 0, b""), answer(1, "three")].concat());
    // And then one that speaks HTTP/1.
    tap.send(C, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        .send(S, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour");
    let calls = tap.close();
    let seen: Vec<_> =
        calls.iter().map(|call| (call.index, call.completion, call.http.response_bytes)).collect();
    assert_eq!(
        seen,
        [
            (0, Completion::Complete, 3),
            (1, Completion::Unanswered, 0),
            (2, Completion::Complete, 5),
            (3, Completion::Complete, 4)
        ]
    );
    assert!(calls.iter().all(|call| call.http.path == "/a" && call.faults.is_empty()), "{calls:?}");
}

#[test]
fn a_model_is_recognised_without_its_path() {
    let call = |host: &str, body: &str, said: &str| {
        let mut tap = Tap::new(host, Start::Unknown);
        tap.send(C, request(9, body)).send(S, answer(9, said));
        let mut calls = tap.close();
        assert_eq!(calls.len(), 1);
        assert_eq!(kinds(&calls[0]), ["join", "h2.joined"]);
        assert_eq!((calls[0].http.method.as_str(), calls[0].http.path.as_str()), ("POST", ""));
        calls.remove(0)
    };
    let chat = call("api.openai.com", CHAT, ANSWER);
    assert_eq!((llm(&chat).api, llm(&chat).usage.output), ("openai.chat", Some(4)));
    assert_eq!(llm(&chat).request_model.as_deref(), Some("gpt-x"));
    let messages = r#"{"model":"c","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    let said = r#"{"type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"ho"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
    assert_eq!(llm(&call("api.anthropic.com", messages, said)).usage.output, Some(2));
    let responses = r#"{"model":"m","input":"hi","stream":false}"#;
    assert_eq!(llm(&call("api.openai.com", responses, "{}")).api, "openai.responses");
    // Elsewhere, and where it may be another thing, it stays what it is known to be.
    for (host, body) in [
        ("example.com", CHAT),
        ("api.openai.com", r#"{"model":"m","input":"hi"}"#),
        ("api.anthropic.com", r#"{"model":"c","messages":[],"system":"counted only"}"#),
    ] {
        let kind = call(host, body, ANSWER).kind;
        assert!(matches!(kind, Kind::Plain), "{host} {body}: {kind:?}");
    }
}
