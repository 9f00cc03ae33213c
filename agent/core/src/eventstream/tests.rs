use proptest::prelude::*;

use super::*;

/// A frame with string headers.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    // One header of each other type.
    for (kind, size) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
        head.extend([1, b'x', kind]);
        head.extend(vec![0; size]);
    }
    head.extend([1, b'b', 6, 0, 2, 9, 9]);
    let total = u32::try_from(LEAST + head.len() + payload.len()).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(head);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":event-type", name), (":message-type", "event")], payload.as_bytes())
}

fn read(bytes: &[u8], size: usize) -> (Vec<(String, String, Vec<u8>)>, Parser) {
    let (mut parser, mut out) = (Parser::new(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        parser.push(piece, |it| out.push((it.kind.to_owned(), it.name.to_owned(), it.payload.to_vec())));
    }
    parser.finish(|it| out.push((it.kind.to_owned(), it.name.to_owned(), it.payload.to_vec())));
    (out, parser)
}

#[test]
fn frames_are_read_however_they_are_cut() {
    let all = [
        event("messageStart", "{}"),
        event("contentBlockDelta", "{\"a\":1}"),
        frame(
            &[(":message-type", "exception"), (":exception-type", "throttlingException")],
            b"{\"message\":\"slow\"}",
        ),
    ]
    .concat();
    assert_eq!(begins(&all), Some(true));
    assert_eq!(begins(&all[..11]), None);
    assert_eq!(begins(b"{\"message\":1}"), Some(false));
    for size in 1..all.len() {
        let (frames, parser) = read(&all, size);
        let names: Vec<(&str, &str)> = frames.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        let expect =
            [("event", "messageStart"), ("event", "contentBlockDelta"), ("exception", "throttlingException")];
        assert_eq!(names, expect, "{size}");
        assert_eq!(frames[1].2, b"{\"a\":1}");
        assert!(parser.broken() == 0 && !parser.is_inside());
    }
}

#[test]
fn a_broken_frame_costs_itself() {
    let (first, mut second, third) = (event("a", "1"), event("b", "2"), event("c", "3"));
    let last = second.len() - 1;
    second[last] ^= 1;
    let (frames, parser) = read(&[first.clone(), second, third.clone()].concat(), 7);
    assert_eq!(frames.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(parser.broken(), 1);
    // Bytes that are missing inside of a frame take nothing of the next one with them.
    let long = event("long", &"x".repeat(500));
    let cut = [&first[..], &long[..200], &third].concat();
    let (frames, parser) = read(&[cut, first.repeat(5)].concat(), 7);
    assert_eq!(
        frames.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(),
        ["a", "c", "a", "a", "a", "a", "a"]
    );
    assert_eq!(parser.broken(), 1);
    // Nor where nothing follows that would fill the frame.
    let (frames, parser) = read(&[&long[..300], &third].concat(), 7);
    assert_eq!(frames.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(parser.is_inside());
    // Bytes that are no frame, and the next frame behind them.
    let (frames, parser) = read(&[first, b"lost in the middle of it".to_vec(), third].concat(), 5);
    assert_eq!(frames.len(), 2);
    assert_eq!(parser.broken(), 1);
}

#[test]
fn a_length_that_no_frame_can_have_is_no_prelude() {
    let mut endless = 0x7fff_ffff_u32.to_be_bytes().to_vec();
    endless.extend([0; 4]);
    endless.extend(crc32fast::hash(&endless).to_be_bytes());
    assert_eq!(begins(&endless), Some(false));
    for size in [3, 1000] {
        let (frames, parser) = read(&[event("a", "1"), endless.clone(), event("b", "2")].concat(), size);
        assert_eq!(frames.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((parser.broken(), parser.dropped(), parser.is_inside()), (1, 0, false));
    }
}

#[test]
fn what_is_too_long_is_dropped_and_counted() {
    let long = frame(&[(":event-type", "long")], &vec![b'x'; limits::EVENT_BYTES]);
    let (frames, parser) = read(&[long, event("next", "{}")].concat(), 100_000);
    assert_eq!(frames.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["next"]);
    assert_eq!((parser.dropped(), parser.broken()), (1, 0));
    assert!(parser.held.capacity() <= 200_000);
}

#[test]
fn preludes_inside_of_frames_are_no_work_without_bound() {
    let mut one = 1_000_000_u32.to_be_bytes().to_vec();
    one.extend([0; 4]);
    one.extend(crc32fast::hash(&one).to_be_bytes());
    let (frames, parser) = read(&one.repeat(500_000), 1 << 16);
    assert!(frames.is_empty() && parser.broken() > 0);
    assert!(parser.wasted <= (LOOKS + 1) * 6_000_000, "{}", parser.wasted);
}

proptest! {
    #[test]
    fn any_bytes_and_any_split_give_the_same(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..50, keep in 0usize..400, good: bool) {
        let mut all = bytes;
        if good {
            all.extend(event("e", "{}"));
            all.extend(event("cut", &"x".repeat(300)).iter().take(keep));
            all.extend(event("f", "{}"));
        }
        let (one, whole) = read(&all, all.len());
        let (other, cut) = read(&all, size);
        prop_assert!(!good || one.last().is_some_and(|it| it.1 == "f"));
        prop_assert_eq!(one, other);
        prop_assert_eq!(whole.broken(), cut.broken());
    }
}
