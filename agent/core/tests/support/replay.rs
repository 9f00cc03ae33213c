//! One exchange as events of HTTP, its bodies cut anywhere.
#![allow(dead_code, reason = "every test binary uses its own part")]

use bytes::Bytes;
use trackway_core::call::{Call, Completion};
use trackway_core::capture::{Body, Chunk, Ending, Exchange, Response, Times};
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Slice, Start, Time};
use trackway_core::http::{Headers, RequestHead, ResponseHead};
use trackway_core::observe::Observer;

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

    /// What was recorded.
    pub(crate) fn from_recording(exchange: Exchange) -> Self {
        let response = exchange.response.unwrap_or_default();
        let authority = match exchange.port {
            Some(port) => format!("{}:{port}", exchange.host),
            None => exchange.host.clone(),
        };
        Self {
            // The port stays with the host: it can tell whose server it is.
            head: RequestHead { authority: Some(authority.clone()), ..exchange.head },
            host: authority,
            tls: exchange.tls,
            request: exchange.request.bytes.into(),
            status: response.head.status,
            headers: response.head.headers,
            response: response.body.bytes.into(),
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
        let whole = Chunk { length: self.response.len(), time: Time(40) };
        let ending = match self.completion {
            Completion::Complete => Ending::Whole,
            Completion::Cancelled => Ending::Cancelled,
            Completion::Partial | Completion::Unanswered => Ending::Cut,
        };
        let response = Response {
            head: ResponseHead { status: self.status, headers: self.headers },
            body: Body { bytes: self.response.into(), ..Body::default() },
            chunks: vec![whole],
        };
        let exchange = Exchange {
            host: self.host,
            tls: self.tls,
            head: self.head,
            request: Body { bytes: self.request.into(), ..Body::default() },
            response: (self.completion != Completion::Unanswered).then_some(response),
            times: Some(Times {
                start: Time(10),
                request_end: Time(20),
                first_byte: Time(30),
                end: Time(50),
            }),
            ending,
            ..Exchange::default()
        };
        let mut dice = seed;
        exchange.replay_cut(|rest| if dice == 0 { rest } else { roll(&mut dice) })
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

/// Replays an exchange twice as probes bring it, joined somewhere in the first time: the calls without what
/// marks the join.
pub(crate) fn join(replay: &Replay, seed: u64) -> Vec<Call> {
    let (request, response) = bytes(replay);
    let flow = Flow { plane: Plane::Tap(None), start: Start::Unknown, ..flow(&replay.host, replay.tls) };
    let (mut observer, mut out, mut dice) = (Observer::new(flow), Vec::new(), seed | 1);
    let (mut clock, mut offsets) = (0, [0, 0]);
    // A client writes a request in one piece, and reads the answer as it comes.
    let mut slices = vec![(0, Bytes::from(request.clone()))];
    slices.extend(cut(&response, &mut dice).into_iter().map(|bytes| (1, bytes)));
    let mut at = usize::try_from(seed).unwrap_or_default() % (request.len() + response.len()) + 1;
    let before = slices.clone().into_iter().map(|(way, bytes)| {
        let skip = at.min(bytes.len());
        at -= skip;
        (way, bytes.slice(skip..))
    });
    for (way, bytes) in before.collect::<Vec<_>>().into_iter().chain(slices) {
        clock += 10;
        let (direction, offset) = ([Direction::ToOrigin, Direction::ToClient][way], offsets[way]);
        offsets[way] += bytes.len() as u64;
        observer.push(Slice { direction, offset, bytes, time: Time(clock) }, &mut out);
    }
    observer.close(Close::Clean, Time(clock + 10), &mut out);
    for call in &mut out {
        call.faults.retain(|fault| !fault.kind.starts_with("join"));
    }
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
        start: Start::Seen,
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
        let length = roll(dice).min(rest.len());
        out.push(rest.split_to(length));
    }
    if !rest.is_empty() {
        out.push(rest);
    }
    out
}

/// How long the next piece is.
fn roll(dice: &mut u64) -> usize {
    // xorshift64; good enough to cut at other places each time.
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    let most = if (*dice).is_multiple_of(3) { 7 } else { 3000 };
    usize::try_from((*dice >> 8) % most + 1).unwrap_or(1)
}
