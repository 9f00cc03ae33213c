use flate2::{Compress, Compression, FlushCompress};

use super::*;

const REQUEST: &str =
    "GET /v1/responses HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn accept(extensions: &str) -> Turn {
    turn(
        S,
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Extensions: {extensions}\r\n\r\n"
        ),
    )
}

/// One frame; the client's are masked.
fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let masked = if direction == C { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => frame.push(masked | length as u8),
        length @ 126..65_536 => {
            frame.push(masked | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if direction == C {
        let mask = [7, 99, 0, 250];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend_from_slice(payload);
    }
    frame
}

struct Deflater(Compress, bool);

impl Deflater {
    fn message(&mut self, text: &[u8]) -> Vec<u8> {
        if !self.1 {
            self.0.reset();
        }
        let mut out = Vec::with_capacity(text.len() + 100);
        self.0.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

#[test]
fn messages_fragments_and_control_frames() {
    let long = "x".repeat(70_000);
    let turns = [
        turn(C, REQUEST),
        accept(""),
        turn(C, [frame(C, 0x81, b"hello"), frame(C, 0x82, &[1, 2, 3])].concat()),
        turn(
            S,
            [
                frame(S, 0x01, b"frag"),
                frame(S, 0x89, b"ping"),
                frame(S, 0x00, b""),
                frame(S, 0x80, b"ment"),
                frame(S, 0x81, long.as_bytes()),
                frame(S, 0x81, b""),
            ]
            .concat(),
        ),
        turn(C, [frame(C, 0x8a, b"ping"), frame(C, 0x88, &[3, 232])].concat()),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty());
    let exchange = &exchanges[0];
    assert_eq!(exchange.response.as_ref().unwrap().status, 101);
    assert_eq!(exchange.messages[0], [(true, b"hello".to_vec()), (false, vec![1, 2, 3])]);
    assert_eq!(
        exchange.messages[1],
        [(true, b"fragment".to_vec()), (true, long.into_bytes()), (true, vec![])]
    );
    assert_eq!(exchange.end, Some((Completion::Complete, 8, 70_008)));
    check_cuts(&turns, Close::Clean);
}

#[test]
fn compressed_messages() {
    for (extensions, client_takeover, server_takeover) in [
        ("permessage-deflate", true, true),
        ("permessage-deflate; server_no_context_takeover; client_max_window_bits=12", true, false),
        ("x, permessage-deflate; client_no_context_takeover; server_no_context_takeover", false, false),
    ] {
        let mut client = Deflater(Compress::new(Compression::default(), false), client_takeover);
        let mut server = Deflater(Compress::new(Compression::best(), false), server_takeover);
        let text = b"the same words in every message, the same words in every message";
        let mut turns = vec![turn(C, REQUEST), accept(extensions)];
        for _ in 0..3 {
            turns.push(turn(C, frame(C, 0xc1, &client.message(text))));
            let coded = server.message(text);
            let (first, second) = coded.split_at(3);
            turns.push(turn(S, [frame(S, 0x41, first), frame(S, 0x80, second)].concat()));
            turns.push(turn(S, frame(S, 0x81, b"plain")));
        }
        let (exchanges, faults) = whole(&turns, Close::OriginReset);
        assert!(faults.is_empty() && exchanges[0].faults.is_empty(), "{exchanges:?}");
        assert_eq!(exchanges[0].messages[0], vec![(true, text.to_vec()); 3]);
        let expect = vec![[(true, text.to_vec()), (true, b"plain".to_vec())]; 3].concat();
        assert_eq!(exchanges[0].messages[1], expect);
        assert_eq!(exchanges[0].end.unwrap().0, Completion::Partial);
        check_cuts(&turns, Close::OriginReset);
    }
}

#[test]
fn examples_of_the_rfc() {
    // RFC 7692, section 7.2.3: one block, the same by reference to the first, no compression, a final block.
    let turns = [
        turn(C, REQUEST),
        accept("permessage-deflate"),
        turn(S, [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        turn(S, [0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00]),
        turn(S, [0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        turn(S, [0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
    ];
    let (exchanges, _) = whole(&turns, Close::Clean);
    assert_eq!(exchanges[0].messages[1], vec![(true, b"Hello".to_vec()); 4]);
    check_cuts(&turns, Close::Clean);
}

#[test]
fn corrupt_messages() {
    let run = |extensions: &str| {
        let mut deflater = Deflater(Compress::new(Compression::default(), false), false);
        let turns = [
            turn(C, REQUEST),
            accept(extensions),
            turn(S, frame(S, 0xc1, &[0xff, 0xff, 0xff])),
            turn(S, frame(S, 0xc1, &deflater.message(b"after"))),
            turn(S, frame(S, 0x81, b"plain")),
        ];
        check_cuts(&turns, Close::Clean);
        let (exchanges, _) = whole(&turns, Close::Clean);
        assert_eq!(exchanges[0].faults, ["encoding"]);
        exchanges[0].messages[1].len()
    };
    assert_eq!(run("permessage-deflate"), 1, "what refers to a corrupt message is gone");
    assert_eq!(run("permessage-deflate; server_no_context_takeover"), 2);
}

#[test]
fn gaps() {
    let mut driver = Driver::default();
    driver.send(C, REQUEST).send(S, accept("").bytes);
    driver.send(S, &frame(S, 0x81, b"0123456789")[..6]).lose(S, 4).send(S, b"89");
    driver.send(S, frame(S, 0x81, b"whole")).lose(S, 1).send(S, frame(S, 0x81, b"lost"));
    driver.send(C, frame(C, 0x81, b"other way"));
    let (exchanges, _) = driver.close(Close::Clean);
    assert_eq!(exchanges[0].messages[1], [(true, b"whole".to_vec())]);
    assert_eq!(exchanges[0].messages[0], [(true, b"other way".to_vec())]);
    assert_eq!(exchanges[0].faults, ["gap", "gap"]);
    assert_eq!(exchanges[0].end.unwrap().0, Completion::Partial);
}

#[test]
fn frames_are_found_again() {
    let run = |extensions: &str, then: &[Vec<u8>]| {
        let mut driver = Driver::default();
        driver.send(C, REQUEST).send(S, accept(extensions).bytes).send(S, frame(S, 0x81, b"before"));
        driver.lose(S, 7);
        for slice in then {
            driver.send(S, slice);
        }
        // The other direction loses its way too.
        driver.lose(C, 3).send(C, frame(C, 0x81, b"no object")).send(C, frame(C, 0x81, b"{\"a\":1}"));
        let exchange = driver.close(Close::Clean).0.remove(0);
        assert_eq!(exchange.messages[0], [(true, b"{\"a\":1}".to_vec())]);
        assert_eq!(exchange.end.unwrap().0, Completion::Partial);
        let texts = exchange.messages[1].iter().map(|(_, text)| String::from_utf8_lossy(text).into_owned());
        (texts.collect::<Vec<_>>(), exchange.faults)
    };
    let object = frame(S, 0x81, b"{\"type\": \"x\"}");
    let text = frame(S, 0x81, b"text");
    let (texts, faults) = run("", &[b"tail".to_vec(), text.clone(), [object.clone(), text.clone()].concat()]);
    assert_eq!(texts, ["before", "{\"type\": \"x\"}", "text"]);
    assert_eq!(faults, ["gap", "websocket", "gap", "websocket"]);
    // Not to its last byte, of the wrong direction, and no JSON.
    for no in [[&object[..], b"x"].concat(), frame(C, 0x81, b"{}"), frame(S, 0x81, b"{text}")] {
        assert_eq!(run("", &[no, text.clone()]).0, ["before"]);
    }
    // What refers to a lost message is lost too; what stands alone is not.
    let mut deflater = Deflater(Compress::new(Compression::default(), false), false);
    let coded = frame(S, 0xc1, &deflater.message(b"compressed"));
    let extension = "permessage-deflate";
    assert_eq!(run(extension, &[object.clone(), coded.clone()]).0.len(), 2);
    let extension = "permessage-deflate; server_no_context_takeover";
    assert_eq!(run(extension, &[object, coded]).0.last().unwrap(), "compressed");
}

#[test]
fn messages_are_bounded() {
    let mut deflater = Deflater(Compress::new(Compression::best(), false), true);
    let bomb = {
        let zeros = vec![0; limits::FRAME_BYTES + 1];
        let mut out = Vec::with_capacity(1 << 20);
        deflater.0.compress_vec(&zeros, &mut out, FlushCompress::Sync).unwrap();
        out.truncate(out.len() - 4);
        out
    };
    let after = deflater.message(b"after");
    let turns = [
        turn(C, REQUEST),
        accept("permessage-deflate"),
        turn(S, frame(S, 0xc1, &bomb)),
        turn(S, frame(S, 0xc1, &after)),
    ];
    let (exchanges, _) = whole(&turns, Close::Clean);
    assert_eq!(exchanges[0].faults, ["limit.frame"]);
    assert_eq!(exchanges[0].messages[1], [(true, b"after".to_vec())]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is lost, each message that is given out was sent, and in that order.
    #[test]
    fn losing_slices(
        sizes in prop::collection::vec((any::<bool>(), 0usize..300, any::<bool>()), 1..20),
        cuts in prop::collection::vec(1usize..200, 1..20),
        kept in prop::collection::vec(prop::bool::weighted(0.8), 1..40),
    ) {
        let mut driver = Driver::default();
        driver.send(C, REQUEST).send(S, accept("").bytes);
        let (mut cuts, mut kept) = (cuts.iter().cycle(), kept.iter().cycle());
        let mut sent = [Vec::new(), Vec::new()];
        for (number, (client, size, whole)) in sizes.into_iter().enumerate() {
            let direction = if client { C } else { S };
            let text = format!("{{\"n\": {number}, \"x\": \"{}\"}}", "{}".repeat(size));
            let bytes = frame(direction, 0x81, text.as_bytes());
            sent[direction as usize].push((true, text.into_bytes()));
            for slice in bytes.chunks(if whole { usize::MAX } else { *cuts.next().unwrap() }) {
                if *kept.next().unwrap() {
                    driver.send(direction, slice);
                } else {
                    driver.lose(direction, slice.len() as u64);
                }
            }
        }
        let exchange = driver.close(Close::Clean).0.remove(0);
        for (read, sent) in exchange.messages.iter().zip(&sent) {
            let mut sent = sent.iter();
            prop_assert!(read.iter().all(|message| sent.any(|other| other == message)));
        }
    }

    #[test]
    fn random_frames_are_survived(slices in random_slices()) {
        let mut driver = Driver::default();
        driver.send(C, REQUEST).send(S, accept("permessage-deflate").bytes);
        for (client, bytes) in slices {
            let direction = if client { C } else { S };
            let first = bytes.first().copied().unwrap_or(0x81);
            driver.send(direction, frame(direction, first, &bytes));
        }
        driver.close(Close::Clean);
    }
}
