//! MCP and A2A over HTTP and over pipes: no panic, within bounds, and the same however the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::call::Kind;
use trackway_core::capture::{Body, Chunk, Ending, Exchange, Response};
use trackway_core::flow::{Direction, Time};
use trackway_core::http::{Headers, RequestHead, ResponseHead};
use trackway_core::limits;
use trackway_core::observe::{Pipe, PipeCall};

const VERBS: [&str; 4] = ["POST", "POST", "GET", "DELETE"];
const PATHS: [&str; 4] = ["/mcp", "/messages/?session_id=a", "/v1/message:stream", "/tasks/a"];
/// Fields that tell of the protocols; bits of the second byte choose among them.
const FIELDS: [(&str, &str); 8] = [
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("mcp-session-id", "s"),
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "n"),
    ("a2a-version", "1.0"),
    ("content-encoding", "gzip"),
];

fuzz_target!(|data: &[u8]| {
    let [place, fields, cut, split, rest @ ..] = data else { return };
    let size = usize::from(*cut).max(1);
    let (request, response) = rest.split_at(usize::from(*split) * rest.len() / 256);
    http(*place, *fields, size, request, response);
    let (whole, lost) = pipe(usize::MAX, request, response);
    assert!(whole.len() <= rest.len() && lost <= rest.len() as u64);
    assert_eq!(pipe(size, request, response), (whole, lost));
});

fn http(place: u8, fields: u8, size: usize, request: &[u8], response: &[u8]) {
    let chosen = |(bit, _): &(u32, _)| fields >> bit & 1 == 1;
    let headers: Headers = (0..)
        .zip(FIELDS)
        .filter(chosen)
        .map(|(_, (name, value))| (name.to_owned(), value.to_owned()))
        .collect();
    let head = RequestHead {
        method: VERBS[usize::from(place) % 4].to_owned(),
        target: PATHS[usize::from(place >> 2) % 4].to_owned(),
        authority: None,
        version: "1.1",
        headers,
    };
    let exchange = Exchange {
        host: "h".to_owned(),
        head,
        request: Body { bytes: request.to_vec().into(), ..Body::default() },
        response: Some(Response {
            head: ResponseHead { status: 200, headers: Vec::new() },
            body: Body { bytes: response.to_vec().into(), ..Body::default() },
            chunks: vec![Chunk { length: response.len(), time: Time(1) }],
        }),
        ending: Ending::Whole,
        ..Exchange::default()
    };
    let (whole, cut) = (exchange.clone().replay(), exchange.replay_cut(|_| size));
    let [call] = whole.as_slice() else { panic!("{} calls", whole.len()) };
    match &call.kind {
        Kind::Mcp(mcp) => assert!(mcp.others.len() <= limits::RPC_BATCH),
        Kind::A2a(a2a) => assert!(a2a.states.len().max(a2a.result_texts.len()) <= limits::RPC_STATES),
        Kind::Llm(_) | Kind::Plain => {}
    }
    let meaning = |call: &trackway_core::call::Call| format!("{:?} {:?} {:?}", call.kind, call.completion, call.faults);
    assert_eq!(meaning(call), meaning(&cut[0]));
}

/// Lines of both sides in turn, each cut into pieces of this size.
fn pipe(size: usize, request: &[u8], response: &[u8]) -> (Vec<PipeCall>, u64) {
    let (mut pipe, mut out) = (Pipe::new(), Vec::new());
    let mut sides = [request, response].map(|bytes| bytes.split_inclusive(|byte| *byte == b'\n'));
    let mut time = 0;
    loop {
        let [ours, theirs] = &mut sides;
        let turn = [(Direction::ToOrigin, ours.next()), (Direction::ToClient, theirs.next())];
        if turn.iter().all(|(_, line)| line.is_none()) {
            break;
        }
        for (direction, line) in turn {
            time += 1;
            for piece in line.into_iter().flat_map(|line| line.chunks(size)) {
                pipe.push(direction, piece, Time(time), &mut out);
            }
        }
    }
    pipe.finish(&mut out);
    (out, pipe.lost())
}
