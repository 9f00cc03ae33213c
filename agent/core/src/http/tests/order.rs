//! Interleavings of the two directions that respect causality: what a peer sends may pass as soon as the
//! bytes of the other peer that caused it have.

use super::*;

/// What one peer sends once so many bytes of the other have passed.
struct Sent {
    after: usize,
    bytes: Vec<u8>,
}

fn sent(after: usize, bytes: impl AsRef<[u8]>) -> Sent {
    Sent { after, bytes: bytes.as_ref().to_vec() }
}

/// Passes both sides on, as `choices` says who is next and how much of it.
fn interleave(sides: [&[Sent]; 2], choices: &[(bool, usize)]) -> (Vec<Exchange>, Vec<&'static str>) {
    let mut driver = Driver::default();
    let streams = sides.map(|side| side.iter().flat_map(|sent| sent.bytes.clone()).collect::<Vec<u8>>());
    // How far a side may go when the other has passed so many bytes.
    let allowed = |side: usize, other: usize| -> usize {
        sides[side].iter().take_while(|sent| sent.after <= other).map(|sent| sent.bytes.len()).sum()
    };
    let mut passed = [0usize; 2];
    let mut choices = choices.iter().cycle();
    while passed != [streams[0].len(), streams[1].len()] {
        let &(server, size) = choices.next().unwrap();
        let mut side = usize::from(server);
        if allowed(side, passed[1 - side]) == passed[side] {
            side = 1 - side;
        }
        let end = allowed(side, passed[1 - side]).min(passed[side].saturating_add(size));
        assert!(end > passed[side], "the transcript waits for itself");
        driver.send([C, S][side], &streams[side][passed[side]..end]);
        passed[side] = end;
    }
    driver.close(Close::Clean)
}

fn check(client: &[Sent], server: &[Sent], count: usize) {
    let expect = interleave([client, server], &[(false, usize::MAX)]);
    assert_eq!(expect.0.len(), count);
    assert!(expect.1.is_empty());
    for exchange in &expect.0 {
        assert_eq!(exchange.end.unwrap().0, Completion::Complete);
        assert!(exchange.faults.is_empty());
    }
    let config = ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() };
    proptest!(config, |(choices in prop::collection::vec((any::<bool>(), 1usize..70), 1..40))| {
        prop_assert_eq!(&interleave([client, server], &choices), &expect);
    });
}

#[test]
fn pipelined_requests() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789";
    let get = "GET /b HTTP/1.1\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let head = post.len() - 10;
    check(
        &[sent(0, post), sent(0, get), sent(0, post)],
        &[
            sent(head, "HTTP/1.1 100 Continue\r\n\r\n"),
            // The first answer does not wait for the body.
            sent(head + 1, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"),
            sent(post.len() + get.len(), chunked),
            sent(post.len() * 2 + get.len(), chunked),
        ],
        3,
    );
}

#[test]
fn upgrades() {
    let request = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let accept = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n";
    check(
        &[sent(0, request), sent(accept.len(), b"\x81\x84\0\0\0\0ping\x88\x80\0\0\0\0")],
        &[sent(request.len(), accept), sent(request.len(), b"\x81\x05hello\x01\x01a\x80\x01b")],
        1,
    );
}

#[test]
fn streams() {
    let mut client = super::h2::Peer::new(C);
    let mut server = super::h2::Peer::new(S);
    let opening = client.frame(4, 0, 0, &[]).post(1, 0).take().bytes;
    let body = client.data(1, 1, "the body").take().bytes;
    let second = client.post(3, 1).take().bytes;
    let after_second = opening.len() + body.len() + second.len();
    let after_opening = opening.len();
    check(
        &[sent(0, opening), sent(0, body), sent(0, second)],
        &[
            sent(0, server.frame(4, 0, 0, &[0, 1, 0, 0, 0, 0]).take().bytes),
            sent(after_opening, server.ok(1, 0).data(1, 0, "early").take().bytes),
            sent(after_second, server.ok(3, 0).data(1, 1, "late").data(3, 1, "x").take().bytes),
        ],
        2,
    );
}
