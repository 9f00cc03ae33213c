//! One exchange of a given format, its answer or its request made of fuzzed bytes.

use bytes::Bytes;
use trackway_core::call::Call;
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Slice, Start, Time};
use trackway_core::observe::Observer;

/// A request that a format claims, and how its answer is labelled.
pub struct Case(pub &'static str, pub &'static str, pub &'static str, pub &'static str);

const JSON: &str = "application/json";

/// Reads the bytes twice, cut differently: no panic, one call, the same meaning.
pub fn fuzz(cases: &[Case], data: &[u8]) {
    let [case, mode, rest @ ..] = data else { return };
    let Case(method, path, request, kind) = &cases[usize::from(*case) % cases.len()];
    // One in eight fuzzes the request.
    let (request, response) = if mode % 8 == 7 { (rest, &[][..]) } else { (request.as_bytes(), rest) };
    let kind = if mode & 16 == 0 { kind } else { JSON };
    let whole = read(method, path, request, kind, response, usize::MAX);
    let cut = read(method, path, request, kind, response, usize::from(mode / 8) + 1);
    assert_eq!(whole.len(), 1);
    assert_eq!(format!("{:?}", whole[0].kind), format!("{:?}", cut[0].kind));
}

fn read(method: &str, path: &str, request: &[u8], kind: &str, response: &[u8], size: usize) -> Vec<Call> {
    let flow = Flow {
        id: FlowId(1),
        process: None,
        plane: Plane::Redirect,
        start: Start::Seen,
        host: Some("api.example".to_owned()),
        destination: None,
        port: 443,
        tls: true,
        alpn: None,
        opened: Time(0),
    };
    let (mut observer, mut calls) = (Observer::new(flow), Vec::new());
    let mut send = |direction, head: String, body: &[u8]| {
        let all = [head.as_bytes(), body].concat();
        let (mut offset, mut rest) = (0, all.as_slice());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            let bytes = Bytes::copy_from_slice(piece);
            observer.push(Slice { direction, offset, bytes, time: Time(1) }, &mut calls);
            offset += piece.len() as u64;
            rest = after;
        }
    };
    let fields = "host: h\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
                  anthropic-version: 1\r\na2a-version: 1.0\r\n";
    let length = request.len();
    send(Direction::ToOrigin, format!("{method} {path} HTTP/1.1\r\n{fields}content-length: {length}\r\n\r\n"), request);
    let length = response.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    send(Direction::ToClient, head, response);
    observer.close(Close::Clean, Time(2), &mut calls);
    calls
}
