use super::*;

const POST: &str = "POST /v1/messages HTTP/1.1\r\nHost: api.example\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn body(exchange: &Exchange) -> &str {
    std::str::from_utf8(&exchange.response_body).unwrap()
}

#[test]
fn keep_alive() {
    let turns = [turn(C, POST), turn(S, OK), turn(C, POST), turn(S, OK)];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(exchanges.len(), 2);
    for exchange in &exchanges {
        let head = exchange.request.as_ref().unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/v1/messages"));
        assert_eq!((head.authority.as_deref(), head.version), (Some("api.example"), "1.1"));
        assert_eq!(exchange.request_body, b"hello");
        assert_eq!(body(exchange), "ok");
        assert_eq!(exchange.end, Some((Completion::Complete, 5, 2)));
    }
    check_cuts(&turns, Close::Clean);
}

#[test]
fn pipelining() {
    let requests = format!("GET /a HTTP/1.1\r\n\r\n{POST}GET /c HTTP/1.1\r\n\r\n");
    let turns = [turn(C, requests), turn(S, format!("{OK}HTTP/1.1 204 No\r\n\r\n{OK}"))];
    let (exchanges, _) = whole(&turns, Close::Clean);
    let targets: Vec<_> = exchanges.iter().map(|e| e.request.as_ref().unwrap().target.as_str()).collect();
    assert_eq!(targets, ["/a", "/v1/messages", "/c"]);
    let statuses: Vec<_> = exchanges.iter().map(|e| e.response.as_ref().unwrap().status).collect();
    assert_eq!(statuses, [200, 204, 200]);
    check_cuts(&turns, Close::Clean);
}

#[test]
fn chunked_with_extensions_and_trailers() {
    let turns = [
        turn(C, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n"),
        turn(
            S,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5 ; x=\"y\"\r\ndata:\r\nA\r\n0123456789\r\n\
             000\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
        ),
        turn(C, POST),
        turn(S, OK),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(exchanges[0].request_body, b"abc");
    assert_eq!(body(&exchanges[0]), "data:0123456789");
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 5, 2)));
    check_cuts(&turns, Close::Clean);
}

#[test]
fn bodiless_and_informational() {
    let turns = [
        turn(C, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"),
        turn(S, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"),
        turn(C, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
        turn(S, "HTTP/1.1 100 Continue\r\n\r\n"),
        turn(C, "hello"),
        turn(S, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 304 Not\r\nContent-Length: 4\r\n\r\n"),
        turn(C, POST),
        turn(S, OK),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty(), "{faults:?}");
    let ends: Vec<_> = exchanges.iter().map(|e| e.end.unwrap()).collect();
    let complete = Completion::Complete;
    assert_eq!(ends, [(complete, 0, 0), (complete, 5, 0), (complete, 5, 2)]);
    check_cuts(&turns, Close::Clean);
}

#[test]
fn until_close() {
    let response = "HTTP/1.0 200 OK\nContent-Type: text/event-stream\n\ndata: 1\n\n";
    let end = |close, half: bool| {
        let mut driver = Driver::default();
        driver.send(C, "GET / HTTP/1.0\r\n\r\n").send(S, response);
        if half {
            driver.end(S);
        }
        let (exchanges, _) = driver.close(close);
        assert_eq!(body(&exchanges[0]), "data: 1\n\n");
        exchanges[0].end.unwrap().0
    };
    assert_eq!(end(Close::Clean, true), Completion::Complete);
    assert_eq!(end(Close::Clean, false), Completion::Complete);
    assert_eq!(end(Close::OriginReset, false), Completion::Partial);
    assert_eq!(end(Close::Proxy, false), Completion::Partial);
    assert_eq!(end(Close::ClientReset, false), Completion::Cancelled);
}

#[test]
fn cut_answers() {
    let run = |response: &str, first: Option<Direction>, close| {
        let mut driver = Driver::default();
        driver.send(C, POST).send(S, response);
        if let Some(direction) = first {
            driver.end(direction);
        }
        driver.close(close).0[0].end.unwrap().0
    };
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nabc";
    assert_eq!(run("", None, Close::Clean), Completion::Unanswered);
    assert_eq!(run("HTTP/1.1 2", Some(S), Close::Clean), Completion::Unanswered);
    assert_eq!(run(half, Some(S), Close::Clean), Completion::Partial);
    assert_eq!(run(half, Some(C), Close::Clean), Completion::Cancelled);
    assert_eq!(run(half, None, Close::ClientReset), Completion::Cancelled);
    assert_eq!(run(half, None, Close::OriginReset), Completion::Partial);
}

#[test]
fn answer_before_the_request_is_whole() {
    let mut driver = Driver::default();
    driver.send(C, "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    driver.send(S, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    driver.send(C, "defghi").send(C, POST).send(S, OK);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(exchanges[0].request_body, b"abcdefghi");
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 9, 2)));
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 5, 2)));
}

#[test]
fn response_seen_before_its_request() {
    let mut driver = Driver::default();
    driver.send(S, &OK[..20]).send(C, &POST[..10]).send(S, &OK[20..]).send(C, &POST[10..]);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 5, 2)));
}

#[test]
fn first_byte_is_when_the_message_began() {
    let mut driver = Driver::default();
    driver.send(C, "G").send(C, "ET / HTTP/1.1\r\n\r\n").send(S, "HTT").send(S, "P/1.1 204 No\r\n\r\n");
    driver.close(Close::Clean);
    let times: Vec<_> = driver
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Request { first_byte, time, .. } | Event::Response { first_byte, time, .. } => {
                Some((first_byte.0, time.0))
            }
            _ => None,
        })
        .collect();
    assert_eq!(times, [(1, 2), (3, 4)]);
}

#[test]
fn both_framings_and_folding() {
    let turns = [
        turn(C, "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
        turn(
            S,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
        ),
    ];
    let (exchanges, _) = whole(&turns, Close::Clean);
    assert_eq!(exchanges[0].request.as_ref().unwrap().headers[0].1, "a   b");
    assert_eq!(body(&exchanges[0]), "z");
    assert_eq!(exchanges[0].faults, ["http.framing"]);
}

#[test]
fn tunnels_are_left_alone() {
    let turns = [
        turn(C, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
        turn(S, "HTTP/1.1 200 Connection Established\r\n\r\n"),
        turn(C, b"\x16\x03\x01\x00\x00"),
        turn(S, b"\x16\x03\x01\x00\x00"),
    ];
    let (exchanges, faults) = whole(&turns, Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 0, 0)));
    check_cuts(&turns, Close::Clean);
}

#[test]
fn refused_connect_goes_on_in_http() {
    let turns = [
        turn(C, "CONNECT h:443 HTTP/1.1\r\n\r\n"),
        turn(S, "HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno"),
        turn(C, POST),
        turn(S, OK),
    ];
    assert_eq!(whole(&turns, Close::Clean).0[1].end, Some((Completion::Complete, 5, 2)));
    check_cuts(&turns, Close::Clean);
}

#[test]
fn gap_inside_a_body() {
    let mut driver = Driver::default();
    driver.send(C, POST).send(S, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab").lose(S, 5).send(S, "xyz");
    driver.send(C, POST).send(S, OK);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert!(faults.is_empty());
    assert_eq!(body(&exchanges[0]), "abxyz");
    assert_eq!(exchanges[0].faults, ["gap"]);
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 5, 10)));
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 5, 2)));
}

#[test]
fn gap_over_a_boundary() {
    let mut driver = Driver::default();
    driver
        .send(C, POST)
        .send(S, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        .lose(S, 50)
        .send(S, "rest");
    driver.send(C, POST).send(S, "more rest").send(S, OK);
    let (exchanges, _) = driver.close(Close::Clean);
    assert_eq!(exchanges[0].end.unwrap().0, Completion::Partial);
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 5, 2)));
}

#[test]
fn gap_in_the_requests() {
    let mut driver = Driver::default();
    driver.send(C, POST).send(S, OK).lose(C, 70).send(S, OK).send(C, POST).send(S, OK);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(exchanges.len(), 2);
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 5, 2)));
    assert!(faults.contains(&"gap"), "{faults:?}");
}

#[test]
fn answers_of_lost_requests_are_nobodys() {
    let mut driver = Driver::default();
    let other = "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nother";
    // The gap shows only with the request after it.
    driver.send(C, POST).send(S, OK).lose(C, 70).send(S, other).send(C, POST).send(S, OK);
    let (exchanges, faults) = driver.close(Close::Clean);
    let bodies: Vec<_> = exchanges.iter().map(body).collect();
    assert_eq!(bodies, ["ok", "ok"]);
    assert_eq!(faults, ["gap", "join.response"]);
}

#[test]
fn long_answers_of_lost_requests_are_survived() {
    let mut driver = Driver::default();
    driver.send(C, POST).send(S, OK).lose(C, 70).send(S, "HTTP/1.1 200 OK\r\n");
    driver.send(S, vec![b'x'; limits::HELD_BYTES]).send(C, POST).send(S, OK);
    let (exchanges, _) = driver.close(Close::Clean);
    assert_eq!(exchanges[1].end, Some((Completion::Complete, 5, 2)));
}

#[test]
fn other_protocols_are_one_fault() {
    let mut driver = Driver::default();
    driver.send(C, b"\x00\x01\x02").send(S, "SSH-2.0").send(C, POST);
    assert_eq!(driver.close(Close::Clean), (vec![], vec!["protocol"]));
}

#[test]
fn long_heads_are_a_fault() {
    let mut driver = Driver::default();
    driver.send(C, format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(limits::HEAD_BYTES)));
    driver.send(C, "\r\n\r\n").send(C, POST).send(S, OK);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(faults, ["limit.head"]);
    assert_eq!(exchanges[0].end, Some((Completion::Complete, 5, 2)));
}

#[test]
fn pipeline_is_bounded() {
    let mut driver = Driver::default();
    driver.send(C, "GET / HTTP/1.1\r\n\r\n".repeat(limits::PIPELINE * 2));
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(faults, ["limit.pipeline"]);
    assert_eq!(exchanges.len(), limits::PIPELINE + 1);
}

#[test]
fn what_waits_is_bounded() {
    let mut driver = Driver::default();
    driver.send(S, vec![b'x'; limits::HELD_BYTES]).send(S, "x");
    assert_eq!(driver.close(Close::Clean), (vec![], vec!["limit.held"]));

    let mut driver = Driver::default();
    driver.send(C, POST).send(S, OK).send(S, vec![b'x'; limits::HELD_BYTES]).send(S, "x").send(C, POST);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!((exchanges.len(), faults), (1, vec!["limit.held"]));
}

#[test]
fn unsolicited_responses_are_a_fault() {
    let mut driver = Driver::default();
    driver.send(C, POST).send(S, OK).send(S, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n").end(S);
    let (exchanges, faults) = driver.close(Close::Clean);
    assert_eq!(exchanges[0].end.unwrap().0, Completion::Complete);
    assert_eq!(faults, ["http.unsolicited"]);
}

#[test]
fn requests_after_the_servers_end_are_unanswered() {
    let mut driver = Driver::default();
    driver.send(C, POST).send(S, OK).end(S).send(C, POST).end(C);
    let (exchanges, _) = driver.close(Close::Clean);
    assert_eq!(exchanges[1].request_body, b"hello");
    assert_eq!(exchanges[1].end.unwrap().0, Completion::Unanswered);
}

#[test]
fn overlapping_slices_are_read_once() {
    let mut driver = Driver::default();
    driver.send(C, POST);
    driver.offsets[0] -= 5;
    driver.send(C, "hello").send(S, OK);
    assert_eq!(driver.close(Close::Clean).0[0].end, Some((Completion::Complete, 5, 2)));
}
