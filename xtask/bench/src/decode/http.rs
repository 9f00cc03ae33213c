//! Bytes of connections that no decoder reads: what finding out what HTTP says costs alone.

use bytes::Bytes;
use trackway_core::call::Completion;
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Slice, Start, Time};
use trackway_core::observe::Observer;

use super::parsers::Work;

/// A slice as a TLS library hands it over.
const SLICE: usize = 16 * 1024;
const BODY: usize = 4 * 1024 * 1024;

/// Title, the bytes of an answer, and what is done with them.
pub(crate) type Corpus = (&'static str, Vec<u8>, &'static [(&'static str, Work)]);

pub(crate) fn corpora() -> Vec<Corpus> {
    let body: Vec<u8> = (0..BODY).map(|index| b' ' + (index % 89) as u8).collect();
    let chunked = |size: usize| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(size) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    };
    let mut length = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    length.extend_from_slice(&body);
    let frames = |size: usize| {
        // SETTINGS, HEADERS with `:status: 200`, then DATA, and the end of the stream on an empty frame.
        let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
        for part in body.chunks(size) {
            let [_, a, b, c] = (part.len() as u32).to_be_bytes();
            bytes.extend_from_slice(&[a, b, c, 0, 0, 0, 0, 0, 1]);
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0, 1]);
        bytes
    };
    vec![
        ("HTTP/1.1, content-length", length, HTTP1),
        ("HTTP/1.1, chunks of 16 KB", chunked(16 * 1024), HTTP1),
        ("HTTP/1.1, chunks of 200 bytes", chunked(200), HTTP1),
        ("HTTP/2, DATA of 16 KB", frames(16 * 1024), HTTP2),
        ("HTTP/2, DATA of 200 bytes", frames(200), HTTP2),
    ]
}

const HTTP1: &[(&str, Work)] = &[
    ("trackway", |bytes| observe(Start::Seen, HEAD, bytes)),
    ("trackway, as probes bring it", |bytes| observe(Start::Unknown, HEAD, bytes)),
    ("the copies alone", copies),
];
const HTTP2: &[(&str, Work)] = &[
    ("trackway", |bytes| observe(Start::Seen, PREFACE, bytes)),
    ("trackway, as probes bring it", |bytes| observe(Start::Unknown, PREFACE, bytes)),
    ("the copies alone", copies),
];

const HEAD: &[u8] = b"GET /file HTTP/1.1\r\nHost: example.com\r\n\r\n";
/// The preface, no settings, and `GET / https`.
const PREFACE: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x87";

fn observe(start: Start, request: &'static [u8], answer: &[u8]) -> u64 {
    let flow = Flow {
        id: FlowId(1),
        process: None,
        plane: Plane::Tap(None),
        start,
        host: Some("example.com".to_owned()),
        destination: None,
        port: 443,
        tls: true,
        alpn: None,
        opened: Time(0),
    };
    let (mut observer, mut out, time) = (Observer::new(flow), Vec::new(), Time(1));
    let bytes = Bytes::from_static(request);
    observer.push(Slice { direction: Direction::ToOrigin, offset: 0, bytes, time }, &mut out);
    let mut offset = 0;
    for piece in answer.chunks(SLICE) {
        let bytes = Bytes::copy_from_slice(piece);
        observer.push(Slice { direction: Direction::ToClient, offset, bytes, time }, &mut out);
        offset += piece.len() as u64;
    }
    observer.close(Close::Clean, time, &mut out);
    let whole = |call: &&trackway_core::call::Call| {
        call.completion == Completion::Complete && call.http.response_bytes == BODY as u64
    };
    assert_eq!(out.iter().filter(whole).count(), 1, "the answer was not read");
    out.len() as u64
}

fn copies(bytes: &[u8]) -> u64 {
    bytes.chunks(SLICE).map(|piece| std::hint::black_box(Bytes::copy_from_slice(piece)).len() as u64).sum()
}
