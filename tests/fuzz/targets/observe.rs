//! A provider's answer, whatever it is: no panic, and one call.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Slice, Time};
use trackway_core::observe::Observer;

const PATHS: [&str; 4] = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"];

fuzz_target!(|data: &[u8]| {
    let [path, kind, cut, rest @ ..] = data else { return };
    let (request, response) = rest.split_at(usize::from(*cut) * rest.len() / 256);
    let kind = if kind & 1 == 0 { "application/json" } else { "text/event-stream" };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    let flow = Flow {
        id: FlowId(1),
        process: None,
        plane: Plane::Redirect,
        host: Some("api.example".to_owned()),
        destination: None,
        port: 443,
        tls: true,
        alpn: None,
        opened: Time(0),
    };
    let mut observer = Observer::new(flow);
    let mut calls = Vec::new();
    let mut send = |direction, head: String, body: &[u8]| {
        let bytes = Bytes::from([head.as_bytes(), body].concat());
        observer.push(Slice { direction, offset: 0, bytes, time: Time(1) }, &mut calls);
    };
    let length = request.len();
    send(Direction::ToOrigin, format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n"), request);
    let length = response.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    send(Direction::ToClient, head, response);
    observer.close(Close::Clean, Time(2), &mut calls);
    assert_eq!(calls.len(), 1);
});
