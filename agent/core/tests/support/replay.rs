//! One exchange as events of HTTP, its bodies cut anywhere.
#![allow(dead_code, reason = "every test binary uses its own part")]

use bytes::Bytes;
use serde_json::Value;
use trackway_core::call::{Call, Completion};
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Slice, Time};
use trackway_core::http::{Event, Headers, RequestHead, ResponseHead};
use trackway_core::observe::{Observer, Reader};

/// An exchange to be replayed.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    pub(crate) host: String,
    pub(crate) tls: bool,
    pub(crate) head: RequestHead,
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) response: Vec<u8>,
    pub(crate) completion: Completion,
}

impl Replay {
    /// A request to `path` and a successful answer to it.
    pub(crate) fn new(path: &str, request: impl Into<Vec<u8>>, response: impl Into<Vec<u8>>) -> Self {
        Self {
            host: "api.example".to_owned(),
            tls: true,
            head: RequestHead {
                method: "POST".to_owned(),
                target: path.to_owned(),
                authority: Some("api.example".to_owned()),
                version: "1.1",
                headers: Vec::new(),
            },
            request: request.into(),
            status: 200,
            headers: Vec::new(),
            response: response.into(),
            completion: Completion::Complete,
        }
    }

    /// From one line of the recordings.
    pub(crate) fn from_recording(exchange: &Value) -> Self {
        let text = |key: &str| exchange[key].as_str().unwrap_or_default().to_owned();
        let fields = |key: &str| -> Headers {
            let fields = exchange[key].as_object().into_iter().flatten();
            fields
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect()
        };
        let body = |side: &str| {
            let body = text(&format!("{side}_body"));
            if exchange[format!("{side}_body_encoding")] == "base64" {
                base64(&body)
            } else {
                body.into_bytes()
            }
        };
        // The coding was undone by whoever recorded, whatever the fields still say.
        let plain = |mut fields: Headers| -> Headers {
            fields.retain(|(name, _)| name != "content-encoding");
            fields
        };
        Self {
            host: text("provider_host"),
            tls: exchange["scheme"] == "https",
            head: RequestHead {
                method: text("method"),
                target: text("path"),
                authority: Some(text("provider_host")),
                version: "1.1",
                headers: plain(fields("request_headers")),
            },
            request: body("request"),
            status: exchange["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(200),
            headers: plain(fields("response_headers")),
            response: body("response"),
            completion: Completion::Complete,
        }
    }

    pub(crate) fn request_header(mut self, name: &str, value: &str) -> Self {
        self.head.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replays it, cut at places that the seed decides; zero cuts nowhere.
    pub(crate) fn run(self, seed: u64) -> Vec<Call> {
        let mut out = Vec::new();
        let mut reader = Reader::new(flow(&self.host, self.tls));
        let sizes = (self.request.len() as u64, self.response.len() as u64);
        let mut clock = 10;
        let mut time = || {
            clock += 10;
            Time(clock)
        };
        let first_byte = time();
        reader.event(Event::Request { id: 0, head: Box::new(self.head), first_byte, time: time() }, &mut out);
        let mut dice = seed;
        for bytes in cut(&self.request, &mut dice) {
            reader.event(Event::RequestData { id: 0, bytes, time: time() }, &mut out);
        }
        reader.event(Event::RequestEnd { id: 0, time: time() }, &mut out);
        let head = Box::new(ResponseHead { status: self.status, headers: self.headers });
        let first_byte = time();
        reader.event(Event::Response { id: 0, head, first_byte, time: time() }, &mut out);
        for bytes in cut(&self.response, &mut dice) {
            reader.event(Event::ResponseData { id: 0, bytes, time: time() }, &mut out);
        }
        let (wire_request, wire_response) = sizes;
        let end =
            Event::End { id: 0, completion: self.completion, wire_request, wire_response, time: time() };
        reader.event(end, &mut out);
        out
    }
}

/// Replays exchanges as bytes on one connection, one after another.
pub(crate) fn observe(replays: &[Replay], seed: u64) -> Vec<Call> {
    let mut out = Vec::new();
    let Some(first) = replays.first() else { return out };
    let mut observer = Observer::new(flow(&first.host, first.tls));
    let (mut dice, mut clock, mut offsets) = (seed, 0, [0, 0]);
    for replay in replays {
        let (request, response) = bytes(replay);
        for (way, direction, bytes) in [(0, Direction::ToOrigin, request), (1, Direction::ToClient, response)]
        {
            for bytes in cut(&bytes, &mut dice) {
                clock += 10;
                let offset = offsets[way];
                offsets[way] += bytes.len() as u64;
                observer.push(Slice { direction, offset, bytes, time: Time(clock) }, &mut out);
            }
        }
    }
    observer.close(Close::Clean, Time(clock + 10), &mut out);
    out
}

/// An exchange as HTTP/1.1 bytes of both directions, the answer chunked.
pub(crate) fn bytes(replay: &Replay) -> (Vec<u8>, Vec<u8>) {
    let head = &replay.head;
    let mut request =
        format!("{} {} HTTP/1.1\r\nhost: {}\r\n", head.method, head.target, replay.host).into_bytes();
    fields(&head.headers, &mut request);
    request.extend(format!("content-length: {}\r\n\r\n", replay.request.len()).into_bytes());
    request.extend(&replay.request);
    let mut response = format!("HTTP/1.1 {} Status\r\n", replay.status).into_bytes();
    fields(&replay.headers, &mut response);
    response.extend(b"transfer-encoding: chunked\r\n\r\n");
    for chunk in replay.response.chunks(777) {
        response.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        response.extend(chunk);
        response.extend(b"\r\n");
    }
    response.extend(b"0\r\n\r\n");
    (request, response)
}

fn fields(headers: &Headers, out: &mut Vec<u8>) {
    let framing = ["host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"];
    for (name, value) in headers.iter().filter(|(name, _)| !framing.contains(&name.as_str())) {
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
}

/// A connection to a host.
pub(crate) fn flow(host: &str, tls: bool) -> Flow {
    Flow {
        id: FlowId(7),
        process: None,
        plane: Plane::Redirect,
        host: Some(host.to_owned()),
        destination: None,
        port: if tls { 443 } else { 80 },
        tls,
        alpn: None,
        opened: Time(0),
    }
}

/// Cuts bytes into pieces, of a few bytes or of many.
pub(crate) fn cut(bytes: &[u8], dice: &mut u64) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut out = Vec::new();
    while !rest.is_empty() && *dice != 0 {
        // xorshift64; good enough to cut at other places each time.
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        let most = if (*dice).is_multiple_of(3) { 7 } else { 3000 };
        let length = usize::try_from((*dice >> 8) % most + 1).unwrap_or(1).min(rest.len());
        out.push(rest.split_to(length));
    }
    if !rest.is_empty() {
        out.push(rest);
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}
