//! Connections that are joined anywhere, and slices that are lost: what is read is what was said.

use super::h2::{END_STREAM, Peer};
use super::*;

/// What the whole conversation says, by something that each of its requests has alone.
type Truth = BTreeMap<Vec<u8>, Exchange>;

const MARKS: [&str; 3] = ["join", "join.response", "gap"];

fn truth(turns: &[Turn]) -> Truth {
    let (exchanges, faults) = whole(turns, Close::Clean);
    assert!(faults.is_empty(), "{faults:?}");
    exchanges.into_iter().map(|exchange| (exchange.request_body.clone(), exchange)).collect()
}

/// Passes on what comes after so many bytes of both directions together.
fn join(turns: &[Turn], at: usize) -> (Vec<Exchange>, Vec<&'static str>) {
    let mut driver = Driver::joining();
    let mut passed = 0;
    for turn in turns {
        let skip = at.saturating_sub(passed).min(turn.bytes.len());
        passed += turn.bytes.len();
        if skip < turn.bytes.len() {
            driver.send(turn.direction, &turn.bytes[skip..]);
        }
    }
    driver.close(Close::Clean)
}

/// Passes on the slices that are not lost.
fn lossy(mut driver: Driver, turns: &[Turn], cuts: &[usize], kept: &[bool]) -> Vec<Exchange> {
    let (mut cuts, mut kept) = (cuts.iter().cycle(), kept.iter().cycle());
    for turn in turns {
        for slice in turn.bytes.chunks(*cuts.next().unwrap()) {
            if *kept.next().unwrap() {
                driver.send(turn.direction, slice);
            } else {
                driver.lose(turn.direction, slice.len() as u64);
            }
        }
    }
    driver.close(Close::Clean).0
}

/// A complete exchange without a mark is one that took place; one whose head is not known in full is one of
/// them as far as it is known.
fn check(read: &[Exchange], truth: &Truth) {
    for exchange in read {
        let complete = exchange.end.unwrap().0 == Completion::Complete;
        // A request without its end says so itself.
        if !complete || !exchange.request_ended || exchange.faults.contains(&"gap") {
            continue;
        }
        let Some(real) = truth.get(&exchange.request_body) else { panic!("never took place: {exchange:?}") };
        if exchange.faults.is_empty() {
            assert_eq!(exchange, real);
            continue;
        }
        assert!(exchange.faults.iter().all(|fault| *fault == "h2.joined"), "{exchange:?}");
        let parts = |it: &Exchange| (it.response_body.clone(), it.end, it.request_ended);
        assert_eq!(parts(exchange), parts(real));
        let (head, whole) = (exchange.request.as_ref().unwrap(), real.request.as_ref().unwrap());
        assert!(head.method.is_empty() || head.method == whole.method);
        assert!(head.target.is_empty() || head.target == whole.target);
        assert!(head.authority.is_none() || head.authority == whole.authority);
        assert!(is_part(&head.headers, &whole.headers), "{head:?} of {whole:?}");
        let (head, whole) = (exchange.response.as_ref().unwrap(), real.response.as_ref().unwrap());
        assert!(head.status == 0 || head.status == whole.status);
        assert!(is_part(&head.headers, &whole.headers), "{head:?} of {whole:?}");
    }
}

/// Whether the fields are some of all, in their order.
fn is_part(some: &Headers, all: &Headers) -> bool {
    let mut all = all.iter();
    some.iter().all(|field| all.any(|other| other == field))
}

/// The marks of the requests that begin at or after a byte.
fn begun(turns: &[Turn], marks: &[Option<Vec<u8>>], at: usize) -> Vec<Vec<u8>> {
    let mut passed = 0;
    let mut begun = Vec::new();
    for (turn, mark) in turns.iter().zip(marks) {
        if passed >= at {
            begun.extend(mark.clone());
        }
        passed += turn.bytes.len();
    }
    begun
}

fn all(turns: &[Turn]) -> usize {
    turns.iter().map(|turn| turn.bytes.len()).sum()
}

/// One exchange: how long its bodies are, how they are framed, and whether the parts pass together.
type Plan = (usize, usize, bool, bool, bool);

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (0usize..40, 0usize..300, any::<bool>(), any::<bool>(), any::<bool>());
    prop::collection::vec(plan, 1..7)
}

/// Turns of HTTP/1, and the mark of the request that each of them begins.
fn h1(plans: &[Plan]) -> (Vec<Turn>, Vec<Option<Vec<u8>>>) {
    let (mut turns, mut marks) = (Vec::new(), Vec::new());
    for (index, &(asked, told, chunked, parted, early)) in plans.iter().enumerate() {
        let mark = format!("{{\"n\": {index}, \"GET / HTTP/1.1\": \"{}\"}}", "q".repeat(asked));
        let frame = |body: &str| match chunked {
            true => format!(
                "Transfer-Encoding: chunked\r\n\r\n3\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                &body[..3],
                body.len() - 3,
                &body[3..]
            ),
            false => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        };
        let request = format!("POST /{index} HTTP/1.1\r\nHost: h\r\n{}", frame(&mark));
        let answer = format!("answer {index} HTTP/1.1 200 {}", "a".repeat(told));
        let mut answer = format!("HTTP/1.1 200 OK\r\nX-N: {index}\r\n{}", frame(&answer));
        if early {
            answer.insert_str(0, "HTTP/1.1 103 Early\r\n\r\n");
        }
        for (direction, bytes) in [(C, request), (S, answer)] {
            let at = if parted { bytes.len() / 2 } else { bytes.len() };
            for (part, bytes) in [&bytes[..at], &bytes[at..]].into_iter().enumerate() {
                if !bytes.is_empty() {
                    turns.push(turn(direction, bytes));
                    marks.push((direction == C && part == 0).then(|| mark.clone().into_bytes()));
                }
            }
        }
    }
    (turns, marks)
}

/// Turns of HTTP/2, several streams under way at once, fields said again.
fn h2(plans: &[Plan]) -> (Vec<Turn>, Vec<Option<Vec<u8>>>) {
    let (mut client, mut server) = (Peer::indexing(C), Peer::indexing(S));
    let mut turns = vec![
        server.frame(4, 0, 0, &[0, 1, 0, 0, 0x20, 0]).take(),
        client.frame(4, 0, 0, &[]).take(),
        client.frame(4, 1, 0, &[]).frame(8, 0, 0, &[0, 0, 1, 0]).take(),
    ];
    let mut marks = vec![None; 3];
    let mut waiting: Vec<(u32, String, bool)> = Vec::new();
    for (index, &(asked, told, other, parted, late)) in plans.iter().enumerate() {
        let stream = index as u32 * 2 + 1;
        let mark = format!("{index} {}", "q".repeat(asked));
        let path = if other { "/v1/chat".to_owned() } else { format!("/v1/{asked}") };
        client.headers(
            stream,
            0,
            &[
                (":method", if other { "PATCH" } else { "POST" }),
                (":scheme", "https"),
                (":authority", "api.example"),
                (":path", &path),
                ("x-asked", &asked.to_string()),
                ("user-agent", "agent"),
            ],
        );
        if parted {
            turns.push(client.take());
            marks.push(Some(mark.clone().into_bytes()));
            turns.push(client.data(stream, END_STREAM, &mark).take());
            marks.push(None);
        } else {
            turns.push(client.data(stream, END_STREAM, &mark).take());
            marks.push(Some(mark.into_bytes()));
        }
        waiting.push((stream, format!("{index} {}", "a".repeat(told)), other));
        if late {
            continue;
        }
        for (stream, answer, other) in waiting.drain(..).rev() {
            let status = if other { "200" } else { "429" };
            let fields = [(":status", status), ("content-type", "text/plain"), ("x-answer", &answer[..1])];
            server.headers(stream, 0, &fields).frame(6, 0, 0, &[7; 8]);
            if parted {
                turns.push(server.take());
                marks.push(None);
            }
            turns.push(server.data(stream, 0, &answer).data(stream, END_STREAM, ".").take());
            marks.push(None);
        }
    }
    (turns, marks)
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128);
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn joining_http1_anywhere(plans in plans()) {
        let (turns, marks) = h1(&plans);
        let truth = truth(&turns);
        for at in 0..all(&turns) {
            let (read, faults) = join(&turns, at);
            check(&read, &truth);
            prop_assert!(read.iter().all(|exchange| exchange.faults.is_empty()));
            prop_assert!(faults.iter().all(|fault| MARKS.contains(fault)), "{:?}", faults);
            let found: Vec<_> = read.iter().map(|exchange| exchange.request_body.clone()).collect();
            prop_assert_eq!(found, begun(&turns, &marks, at));
            prop_assert!(read.iter().all(|exchange| exchange == &truth[&exchange.request_body]));
        }
    }

    #[test]
    fn joining_http2_anywhere(plans in plans()) {
        let (turns, marks) = h2(&plans);
        let truth = truth(&turns);
        for at in 0..all(&turns) {
            let (read, faults) = join(&turns, at);
            check(&read, &truth);
            prop_assert!(faults.iter().all(|fault| MARKS.contains(fault)), "{:?}", faults);
            for mark in begun(&turns, &marks, at) {
                let found = read.iter().find(|exchange| exchange.request_body == mark);
                let Some(found) = found else { panic!("at {at}: {mark:?} is not in {read:?}") };
                let [end, real] = [found, &truth[&mark]].map(|exchange| exchange.end.unwrap().0);
                prop_assert!(end == real || real == Completion::Unanswered, "{:?}", found);
            }
        }
    }

    /// From the preface on it is as if it had been known to be the start.
    #[test]
    fn any_split_of_http2_from_its_start(plans in plans(), cuts in prop::collection::vec(1usize..60, 1..30)) {
        let (turns, _) = h2(&plans);
        let mut driver = Driver::joining();
        let mut cuts = cuts.iter().cycle();
        for turn in &turns {
            let mut bytes = turn.bytes.as_slice();
            while !bytes.is_empty() {
                let (slice, rest) = bytes.split_at((*cuts.next().unwrap()).min(bytes.len()));
                driver.send(turn.direction, slice);
                bytes = rest;
            }
        }
        prop_assert_eq!(driver.close(Close::Clean), whole(&turns, Close::Clean));
    }

    #[test]
    fn losing_slices_of_http1(
        plans in plans(),
        cuts in prop::collection::vec(1usize..200, 1..20),
        kept in prop::collection::vec(prop::bool::weighted(0.8), 1..60),
    ) {
        let (turns, _) = h1(&plans);
        let truth = truth(&turns);
        check(&lossy(Driver::default(), &turns, &cuts, &kept), &truth);
        check(&lossy(Driver::joining(), &turns, &cuts, &kept), &truth);
        check(&lossy(Driver::joining(), &turns, &[usize::MAX], &kept), &truth);
    }

    #[test]
    fn losing_slices_of_http2(
        plans in plans(),
        cuts in prop::collection::vec(1usize..200, 1..20),
        kept in prop::collection::vec(prop::bool::weighted(0.8), 1..60),
    ) {
        let (turns, _) = h2(&plans);
        let truth = truth(&turns);
        check(&lossy(Driver::default(), &turns, &cuts, &kept), &truth);
        check(&lossy(Driver::joining(), &turns, &cuts, &kept), &truth);
        check(&lossy(Driver::joining(), &turns, &[usize::MAX], &kept), &truth);
    }
}

#[test]
fn answers_may_come_byte_by_byte() {
    let mut driver = Driver::joining();
    driver.send(S, "0\r\n\r\n").send(C, "GET / HTTP/1.1\r\n\r\n");
    for byte in b"0\r\n\r\nHTHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" {
        driver.send(S, [*byte]);
    }
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 0, 2)));
    assert_eq!(faults, ["join.response"]);
}

#[test]
fn a_request_that_is_not_answered_gets_no_later_answer() {
    let mut driver = Driver::joining();
    driver.send(C, "GET /a HTTP/1.1\r\n\r\n").send(S, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    driver.send(C, "GET /b HTTP/1.1\r\n\r\n").send(S, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (exchanges, faults) = driver.close(Close::Clean);
    let ends: Vec<_> = exchanges.iter().map(|exchange| exchange.end.unwrap()).collect();
    assert_eq!(ends, [(Completion::Partial, 0, 4), (Completion::Complete, 0, 2)]);
    assert_eq!(faults, ["join.order"]);
}

#[test]
fn what_is_not_http_stays_unread() {
    let mut driver = Driver::joining();
    for number in (0..200_000_u32).step_by(7) {
        driver.send(C, format!("SELECT {number}").repeat(20)).send(S, number.to_be_bytes().repeat(300));
    }
    assert!(!driver.connection.is_read());
    assert_eq!(driver.close(Close::Clean), (vec![], vec![]));
}

/// Low sound is full of small numbers, as frames are.
#[test]
fn an_upload_of_silence_is_no_http2() {
    let mut dice = 1_u32;
    let sound: Vec<u8> = (0..100_000)
        .flat_map(|_| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((dice >> 24) as i16 % 4 - 1).to_le_bytes()
        })
        .collect();
    for size in [1, 2, 3].map(|size| size * 5461) {
        let mut driver = Driver::joining();
        for slice in sound.chunks(size) {
            driver.send(C, slice);
        }
        assert!(!driver.connection.is_read());
        driver.send(S, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").send(C, "GET / HTTP/1.1\r\n\r\n");
        let (exchanges, faults) = driver.send(S, "HTTP/1.1 204 No\r\n\r\n").close(Close::Clean);
        assert_eq!(exchanges[0].end, Some((Completion::Complete, 0, 0)));
        assert_eq!(faults, ["join", "join.response"]);
    }
}
