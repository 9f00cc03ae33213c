//! Bedrock's and watsonx's answers: frames whose checksums fit around any payload. No panic, one call, and the
//! same call whatever the cuts.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trackway_core::capture::{Body, Chunk, Exchange, Response};
use trackway_core::flow::Time;
use trackway_core::http::{RequestHead, ResponseHead};

const PATHS: [&str; 5] = [
    "/model/m/converse-stream",
    "/model/m/invoke-with-response-stream",
    "/model/m/converse",
    "/model/m/invoke",
    "/ml/v1/text/generation_stream",
];

const NAMES: [&str; 8] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "chunk",
    "throttlingException",
];

/// One line of input is one frame: its first byte names it, the rest is its payload.
fn frame(line: &[u8]) -> Vec<u8> {
    let (first, payload) = line.split_first().unwrap_or((&0, &[]));
    let name = NAMES[usize::from(*first) % NAMES.len()];
    let payload = match name {
        "chunk" => format!("{{\"bytes\":\"{}\"}}", base64(payload)).into_bytes(),
        _ => payload.to_vec(),
    };
    let kind = if name.ends_with("Exception") { "exception" } else { "event" };
    let mut head = Vec::new();
    for (key, value) in [(format!(":{kind}-type"), name), (":message-type".to_owned(), kind)] {
        head.push(key.len() as u8);
        head.extend(key.as_bytes());
        head.push(7);
        head.extend((value.len() as u16).to_be_bytes());
        head.extend(value.as_bytes());
    }
    let mut out = ((16 + head.len() + payload.len()) as u32).to_be_bytes().to_vec();
    out.extend((head.len() as u32).to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(head);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let sign = char::from(SIGNS[(bits >> (18 - 6 * place)) as usize & 63]);
            out.push(if place > three.len() { '=' } else { sign });
        }
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let [path, cut, rest @ ..] = data else { return };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (request, answer) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let framed = path.ends_with("-stream");
    let answer = if framed { answer.split(|byte| *byte == b'\n').flat_map(frame).collect() } else { answer.to_vec() };
    let exchange = Exchange {
        host: "api.example".to_owned(),
        head: RequestHead {
            method: "POST".to_owned(),
            target: path.to_owned(),
            authority: None,
            version: "1.1",
            headers: Vec::new(),
        },
        request: Body { bytes: Bytes::copy_from_slice(request), ..Body::default() },
        response: Some(Response {
            head: ResponseHead { status: 200, headers: Vec::new() },
            chunks: vec![Chunk { length: answer.len(), time: Time(1) }],
            body: Body { bytes: answer.into(), ..Body::default() },
        }),
        ..Exchange::default()
    };
    let meaning = |size: usize| {
        let calls = exchange.clone().replay_cut(|_| size);
        assert_eq!(calls.len(), 1);
        calls.iter().map(|call| format!("{:?} {:?} {:?}", call.kind, call.completion, call.faults)).collect::<String>()
    };
    assert_eq!(meaning(usize::MAX), meaning(usize::from(*cut).max(1)));
});
