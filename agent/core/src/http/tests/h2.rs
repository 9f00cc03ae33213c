use super::*;

/// Writes one side of a connection.
pub(super) struct Peer {
    direction: Direction,
    encoder: Encoder,
    bytes: Vec<u8>,
}

enum Encoder {
    Fluke(fluke_hpack::Encoder<'static>),
    /// Puts every field into the table, the newest first. It has to hold less than the default size.
    Indexing(Vec<(String, String)>),
}

impl Encoder {
    fn encode(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let table = match self {
            Encoder::Fluke(encoder) => {
                return encoder
                    .encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            }
            Encoder::Indexing(table) => table,
        };
        const KNOWN: [(u8, &str, &str); 4] =
            [(2, ":method", "GET"), (3, ":method", "POST"), (7, ":scheme", "https"), (8, ":status", "200")];
        const NAMES: [(u8, &str); 6] = [
            (1, ":authority"),
            (2, ":method"),
            (4, ":path"),
            (8, ":status"),
            (31, "content-type"),
            (58, "user-agent"),
        ];
        let mut block = Vec::new();
        for &(name, value) in fields {
            let known = KNOWN.iter().find(|known| (known.1, known.2) == (name, value)).map(|known| known.0);
            let held = || table.iter().position(|held| held.0 == name && held.1 == value);
            if let Some(index) = known.or_else(|| held().map(|index| index as u8 + 62)) {
                block.push(0x80 | index);
                continue;
            }
            let named = NAMES.iter().find(|named| named.1 == name).map(|named| named.0);
            let held = || table.iter().position(|held| held.0 == name).filter(|index| *index < 1);
            let index = named.or_else(|| held().map(|index| index as u8 + 62)).unwrap_or(0);
            block.push(0x40 | index);
            if index == 0 {
                block.push(name.len() as u8);
                block.extend_from_slice(name.as_bytes());
            }
            block.push(value.len() as u8);
            block.extend_from_slice(value.as_bytes());
            table.insert(0, (name.to_owned(), value.to_owned()));
            assert!(table.len() < 60);
        }
        block
    }
}

pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

impl Peer {
    pub(super) fn new(direction: Direction) -> Self {
        let bytes = if direction == C { sniff::PREFACE.to_vec() } else { Vec::new() };
        Self { direction, encoder: Encoder::Fluke(fluke_hpack::Encoder::new()), bytes }
    }

    /// One whose fields all go into the table.
    pub(super) fn indexing(direction: Direction) -> Self {
        Self { encoder: Encoder::Indexing(Vec::new()), ..Self::new(direction) }
    }

    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        self.bytes.extend_from_slice(&[kind, flags]);
        self.bytes.extend_from_slice(&stream.to_be_bytes());
        self.bytes.extend_from_slice(payload);
        self
    }

    pub(super) fn headers(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> &mut Self {
        let block = self.encode(fields);
        self.frame(1, flags | END_HEADERS, stream, &block)
    }

    fn encode(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        self.encoder.encode(fields)
    }

    pub(super) fn post(&mut self, stream: u32, flags: u8) -> &mut Self {
        self.headers(
            stream,
            flags,
            &[
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "api.example"),
                (":path", "/v1"),
                ("a", "b"),
            ],
        )
    }

    pub(super) fn ok(&mut self, stream: u32, flags: u8) -> &mut Self {
        self.headers(stream, flags, &[(":status", "200"), ("content-type", "text/event-stream")])
    }

    pub(super) fn data(&mut self, stream: u32, flags: u8, data: &str) -> &mut Self {
        self.frame(0, flags, stream, data.as_bytes())
    }

    pub(super) fn take(&mut self) -> Turn {
        Turn { direction: self.direction, bytes: std::mem::take(&mut self.bytes) }
    }
}

fn peers() -> (Peer, Peer) {
    (Peer::new(C), Peer::new(S))
}

fn completions(exchanges: &[Exchange]) -> Vec<Completion> {
    exchanges.iter().map(|e| e.end.unwrap().0).collect()
}

#[test]
fn interleaved_streams() {
    let (mut client, mut server) = peers();
    let turns = [
        // The server may speak first.
        server.frame(4, 0, 0, &[0, 1, 0, 0, 0x20, 0]).take(),
        client.frame(4, 0, 0, &[]).post(1, 0).data(1, 0, "he").post(3, END_STREAM).take(),
        server.frame(4, 1, 0, &[]).ok(3, 0).data(3, 0, "data: ").take(),
        client.frame(4, 1, 0, &[]).data(1, END_STREAM, "llo").frame(8, 0, 0, &[0, 0, 1, 0]).take(),
        server
            .headers(1, 0, &[(":status", "103"), ("link", "x")])
            .ok(1, 0)
            .data(1, 0, "one")
            .data(3, 0, "x\n\n")
            .frame(0xbe, 0xff, 3, b"unknown")
            .data(1, END_STREAM, "")
            .headers(3, END_STREAM, &[("grpc-status", "0")])
            .take(),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty(), "{faults:?}");
    let head = exchanges[0].request.as_ref().unwrap();
    assert_eq!((head.method.as_str(), head.target.as_str(), head.version), ("POST", "/v1", "2"));
    assert_eq!(head.authority.as_deref(), Some("api.example"));
    assert_eq!(head.headers, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(exchanges[0].request_body, b"hello");
    assert_eq!(exchanges[0].response_body, b"one");
    assert_eq!(exchanges[0].response.as_ref().unwrap().status, 200);
    assert_eq!(exchanges[1].response_body, b"data: x\n\n");
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 5, 3)));
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 0, 9)));
    check_cuts(&turns, Close::Clean);
}

#[test]
fn padding_priority_continuation_and_push() {
    let (mut client, mut server) = peers();
    let block = client.encode(&[(":method", "GET"), (":path", "/p"), (":authority", "h"), ("x", "y")]);
    let mut payload = vec![3, 0, 0, 0, 0, 16];
    payload.extend_from_slice(&block[..5]);
    payload.extend_from_slice(&[0; 3]);
    client.frame(1, END_STREAM | PADDED | PRIORITY, 1, &payload);
    client.frame(9, 0, 1, &block[5..6]).frame(9, END_HEADERS, 1, &block[6..]);
    // The promise fills the table that the response then refers to.
    let mut promise = vec![0, 0, 0, 2];
    promise.extend(server.encode(&[(":method", "GET"), (":path", "/pushed"), ("x-table", "entry")]));
    server.frame(5, END_HEADERS, 1, &promise);
    server.headers(1, 0, &[(":status", "200"), ("x-table", "entry")]);
    server.frame(0, PADDED | END_STREAM, 1, b"\x04body\0\0\0\0");
    server.headers(2, 0, &[(":status", "200")]).data(2, END_STREAM, "pushed");
    let turns = [client.take(), server.take()];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].request.as_ref().unwrap().target, "/p");
    assert_eq!(exchanges[0].response.as_ref().unwrap().headers, [("x-table".to_owned(), "entry".to_owned())]);
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 0, 4)));
    check_cuts(&turns, Close::Clean);
}

#[test]
fn resets_and_go_away() {
    let (mut client, mut server) = peers();
    for stream in [1, 3, 5, 7, 9, 11] {
        client.post(stream, if stream == 5 { 0 } else { END_STREAM });
    }
    let turns = [
        client.take(),
        server.ok(1, 0).data(1, 0, "part").ok(3, 0).data(3, 0, "part").ok(5, END_STREAM).take(),
        client.frame(3, 0, 1, &[0, 0, 0, 8]).take(),
        server
            .frame(3, 0, 3, &[0, 0, 0, 2])
            .frame(3, 0, 5, &[0, 0, 0, 0])
            .frame(3, 0, 7, &[0, 0, 0, 7])
            .frame(7, 0, 0, &[0, 0, 0, 9, 0, 0, 0, 0])
            .data(1, END_STREAM, "late")
            .ok(9, END_STREAM)
            .take(),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty(), "{faults:?}");
    use Completion::{Cancelled, Complete, Partial, Unanswered};
    assert_eq!(completions(&exchanges), [Cancelled, Partial, Complete, Unanswered, Complete, Unanswered]);
    check_cuts(&turns, Close::Clean);
}

#[test]
fn close_ends_every_stream() {
    let run = |close| {
        let (mut client, mut server) = peers();
        client.post(1, END_STREAM).post(3, END_STREAM);
        let turns = [client.take(), server.ok(1, 0).data(1, 0, "part").take()];
        completions(&whole(&turns, close).0)
    };
    assert_eq!(run(Close::OriginReset), [Completion::Partial, Completion::Unanswered]);
    assert_eq!(run(Close::ClientReset), [Completion::Cancelled, Completion::Cancelled]);
}

#[test]
fn gap_inside_data() {
    let (mut client, mut server) = peers();
    let mut driver = Driver::default();
    let sent = client.post(1, END_STREAM).take();
    let answer = server.ok(1, 0).data(1, END_STREAM, &"x".repeat(100)).take().bytes;
    driver.send(C, sent.bytes).send(S, &answer[..answer.len() - 90]).lose(S, 80);
    driver.send(S, &answer[answer.len() - 10..]);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(exchanges[0].faults, ["gap"]);
    assert_eq!(exchanges[0].response_body.len(), 20);
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 0, 100)));
}

#[test]
fn gap_over_frames() {
    let (mut client, mut server) = (Peer::indexing(C), Peer::indexing(S));
    let mut driver = Driver::default();
    driver.send(C, client.post(1, END_STREAM).post(3, END_STREAM).post(5, 0).take().bytes);
    driver.send(S, server.ok(1, 0).data(1, 0, "part").take().bytes);
    // The end of the first answer, and the whole second one.
    let lost = server.data(1, END_STREAM, "rest").ok(3, END_STREAM).take();
    driver.lose(S, lost.bytes.len() as u64);
    driver.send(S, server.headers(5, 0, &[(":status", "200"), ("x", "y"), ("x", "y")]).take().bytes);
    driver.send(S, server.data(5, END_STREAM, "whole").take().bytes);
    driver.send(C, client.data(5, END_STREAM, "body").post(7, END_STREAM).take().bytes);
    driver.send(S, server.ok(7, END_STREAM).take().bytes);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(faults, ["gap"]);
    use Completion::{Complete, Partial};
    assert_eq!(completions(&exchanges), [Partial, Partial, Complete, Complete]);
    assert_eq!(exchanges[2].request_body, b"body");
    assert_eq!(exchanges[2].response_body, b"whole");
    let pair = ("x".to_owned(), "y".to_owned());
    assert_eq!(exchanges[2].response.as_ref().unwrap().headers, [pair.clone(), pair]);
    // The content type is an entry from before the gap, and may have been another's since.
    assert_eq!(exchanges[3].faults, ["h2.joined"]);
    assert!(exchanges[3].response.as_ref().unwrap().headers.is_empty());
}

#[test]
fn gap_in_the_requests() {
    let (mut client, mut server) = (Peer::indexing(C), Peer::indexing(S));
    let mut driver = Driver::default();
    driver.send(C, client.post(1, 0).data(1, 0, "half").post(3, END_STREAM).take().bytes);
    let lost = client.data(1, END_STREAM, "half").post(5, END_STREAM).take();
    driver.lose(C, lost.bytes.len() as u64);
    driver.send(S, server.ok(1, END_STREAM).ok(3, END_STREAM).ok(5, END_STREAM).take().bytes);
    driver.send(C, client.post(7, END_STREAM).take().bytes).send(S, server.ok(7, END_STREAM).take().bytes);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(faults, ["gap"]);
    use Completion::{Complete, Partial};
    assert_eq!(completions(&exchanges), [Partial, Complete, Complete]);
    // Method and scheme stand in the static table; host, path and the field were said before the gap.
    let head = exchanges[2].request.as_ref().unwrap();
    assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", ""));
    assert_eq!((&head.authority, head.headers.len()), (&None, 0));
    assert_eq!(exchanges[2].faults, ["h2.joined"]);
}

#[test]
fn bad_blocks_silence() {
    let (mut client, mut server) = peers();
    let turns = [client.post(1, END_STREAM).take(), server.frame(1, END_HEADERS, 1, &[0xff]).take()];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert_eq!(faults, ["h2.hpack"]);
    assert_eq!(completions(&exchanges), [Completion::Partial]);
}

#[test]
fn streams_are_bounded() {
    let (mut client, _) = peers();
    for stream in 0..limits::STREAMS as u32 + 5 {
        client.post(stream * 2 + 1, 0);
    }
    let (exchanges, faults) = whole(&[client.take()], Close::Clean);
    assert_eq!(exchanges.len(), limits::STREAMS);
    assert_eq!(faults, ["limit.streams"; 5]);
}

#[test]
fn upgrade_from_http1() {
    let (mut client, mut server) = peers();
    let turns = [
        turn(
            C,
            "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        ),
        turn(S, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        server.frame(4, 0, 0, &[]).ok(1, 0).data(1, END_STREAM, "upgraded").take(),
        client.frame(4, 0, 0, &[]).post(3, END_STREAM).take(),
        server.ok(3, END_STREAM).take(),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(exchanges[0].response_body, b"upgraded");
    assert_eq!(completions(&exchanges), [Completion::Complete; 2]);
    check_cuts(&turns, Close::Clean);
}
