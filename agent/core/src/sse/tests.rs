use proptest::prelude::*;

use super::*;

type Expect<'a> = (Option<&'a str>, &'a str, Option<&'a str>, Option<u64>);
type Seen = (Option<String>, String, Option<String>, Option<u64>);

fn run(stream: &[u8], cut: usize) -> Vec<Seen> {
    let mut parser = Parser::new();
    let mut seen = Vec::new();
    let mut keep = |event: Event<'_>| {
        seen.push((
            event.event.map(std::borrow::Cow::into_owned),
            event.data.into_owned(),
            event.id.map(std::borrow::Cow::into_owned),
            event.retry,
        ));
    };
    for piece in stream.chunks(cut) {
        parser.push(piece, &mut keep);
    }
    parser.finish(&mut keep);
    seen
}

/// The same for every cut and every kind of line end.
fn check(stream: &str, expect: &[Expect<'_>]) {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let expect: Vec<Seen> =
        expect.iter().map(|(e, d, i, r)| (owned(*e), (*d).to_owned(), owned(*i), *r)).collect();
    for end in ["\n", "\r\n", "\r"] {
        let stream = stream.replace('\n', end);
        for cut in [1, 2, 3, 5, 1000] {
            assert_eq!(run(stream.as_bytes(), cut), expect, "cut {cut}, end {end:?}");
        }
    }
}

#[test]
fn fields() {
    check("data: a\n\n", &[(None, "a", None, None)]);
    check("event: ping\ndata:a\ndata:  b\n\n", &[(Some("ping"), "a\n b", None, None)]);
    check(
        "id: 1\nretry: 30\ndata: a\n\nretry: x\ndata: b\n\n",
        &[(None, "a", Some("1"), Some(30)), (None, "b", Some("1"), None)],
    );
    check("id: 1\ndata: a\n\nid\ndata: b\n\n", &[(None, "a", Some("1"), None), (None, "b", Some(""), None)]);
    check(": comment\n\nunknown: x\ndata\n\n", &[(None, "", None, None)]);
    check("data\ndata\n\n", &[(None, "\n", None, None)]);
    check("event: x\n\ndata: y\n\n", &[(None, "y", None, None)]);
}

#[test]
fn byte_order_mark() {
    check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[(None, "a", None, None)]);
}

#[test]
fn cut_streams_are_delivered() {
    check("data: a\n", &[(None, "a", None, None)]);
    check("data: a\ndata: [DO", &[(None, "a\n[DO", None, None)]);
}

#[test]
fn an_event_is_delivered_with_its_last_line_end() {
    for stream in ["data: a\n\n", "data: a\r\n\r\n", "data: a\r\r"] {
        let mut count = 0;
        Parser::new().push(stream.as_bytes(), |_| count += 1);
        assert_eq!(count, 1, "{stream:?}");
    }
    // A carriage return ends the line at once, whether or not a line feed follows.
    let mut count = 0;
    Parser::new().push(b"data: a\r\n\r", |_| count += 1);
    assert_eq!(count, 1);
}

#[test]
fn characters_may_be_cut() {
    check("data: gr\u{fc}\u{df}e \u{1f600}\n\n", &[(None, "gr\u{fc}\u{df}e \u{1f600}", None, None)]);
}

#[test]
fn long_events_are_dropped_whole() {
    let mut parser = Parser::new();
    let mut seen = Vec::new();
    let long = vec![b'x'; limits::EVENT_BYTES / 2];
    for piece in [b"data: ".as_slice(), &long, b"\ndata: ", &long, &long, b"\n\ndata: after\n\n"] {
        parser.push(piece, |event| seen.push(event.data.into_owned()));
    }
    assert_eq!(seen, ["after"]);
    assert_eq!(parser.dropped(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_the_same(stream in "([a-c:\r\n ]|data: |id:|event:){0,60}", cut in 1usize..20) {
        prop_assert_eq!(run(stream.as_bytes(), cut), run(stream.as_bytes(), usize::MAX));
    }

    #[test]
    fn random_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..300), cut in 1usize..20) {
        prop_assert_eq!(run(&stream, cut), run(&stream, usize::MAX));
    }
}
