use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Faults;
use super::super::body::{Body, values};
use super::*;

/// Takes a document in pieces of these sizes, over and over.
fn sieve(text: &[u8], most: usize, sizes: &[usize]) -> (Sieve, Step) {
    let mut sieve = Sieve::new(most);
    let mut rest = text;
    let mut step = Step::More;
    for size in sizes.iter().cycle() {
        if rest.is_empty() || step != Step::More {
            break;
        }
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len()));
        step = sieve.push(piece);
        rest = after;
    }
    (sieve, step)
}

fn body(text: &[u8], most: usize, sizes: &[usize]) -> (Body, Faults) {
    let mut faults = Faults::default();
    (Body::new(sieve(text, most, sizes).0, &mut faults), faults)
}

#[test]
fn members_and_elements_are_found_without_parsing() {
    let text =
        br#" {"a" : 1, "messages": [ {"x":[1,2]} , "s,]" ,3 ], "e": [], "z": {"q":[{}]}, "n":null} tail"#;
    let (sieve, step) = sieve(text, 1000, &[1000]);
    assert_eq!(step, Step::Whole(text.len() - 5));
    let body = Body::new(sieve, &mut Faults::default());
    assert_eq!(body.small()["a"], 1);
    assert_eq!(body.small()["z"], json!({"q": [{}]}));
    assert!(!body.small().contains_key("messages"));
    assert_eq!(
        values(&body.list("messages")).collect::<Vec<_>>(),
        [json!({"x": [1, 2]}), json!("s,]"), json!(3)]
    );
    assert!(body.list("e").is_empty() && body.is_array("e"));
    assert!(body.raw("n").is_none() && !body.has("missing"));
}

#[test]
fn media_keeps_its_beginning_and_its_length() {
    let data = format!("data:image/png;base64,{}", "A".repeat(300_000));
    let text =
        json!({"messages": [{"role": "user", "content": [{"url": data}]}], "usage": {"a": 1}}).to_string();
    for sizes in [&[1_000_000][..], &[7, 1000, 1], &[65_536], &[65_537, 3]] {
        let (sieve, _) = sieve(text.as_bytes(), 1_000_000, sizes);
        assert!(sieve.len() < 1000, "{}", sieve.len());
        let body = Body::new(sieve, &mut Faults::default());
        assert_eq!(body.small()["usage"], json!({"a": 1}));
        let message = values(&body.list("messages")).next().unwrap();
        let kept = message["content"][0]["url"].as_str().unwrap();
        assert!(kept.starts_with("data:image/png;base64,AAAA"));
        assert_eq!(length(kept), data.len() as u64);
    }
}

#[test]
fn prose_is_kept_whole_however_long_it_is() {
    let prose = "many words \u{fc}ber alles ".repeat(20_000);
    let text = json!({"input": prose}).to_string();
    let (body, _) = body(text.as_bytes(), 10_000_000, &[999]);
    assert_eq!(body.value("input", &mut Faults::default()), Value::String(prose));
}

#[test]
fn usage_is_found_behind_what_was_too_long() {
    let long = "word ".repeat(10_000);
    let messages: Vec<Value> = (0..100).map(|n| json!({"role": "user", "n": n, "content": long})).collect();
    let text =
        json!({"id": "x", "messages": messages, "zz": {"list": [1, 2]}, "usage": {"input": 7}}).to_string();
    for sizes in [&[10_000_000][..], &[1, 4096], &[333]] {
        let (sieve, step) = sieve(text.as_bytes(), 1_000_000, sizes);
        assert!(matches!(step, Step::Whole(_)) && sieve.is_over());
        assert!(sieve.len() < 1_000_000 + limits::TAIL_BYTES);
        let body = Body::new(sieve, &mut Faults::default());
        assert_eq!(body.small()["usage"], json!({"input": 7}));
        assert_eq!(body.small()["zz"], json!({"list": [1, 2]}));
        assert_eq!(body.small()["id"], "x");
        let kept: Vec<Value> = values(&body.list("messages")).collect();
        assert!((15..21).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().enumerate().all(|(at, it)| it["n"] == at));
    }
    // One value that alone is too long is left out.
    let text = json!({"a": 1, "prompt": long.repeat(100), "usage": 2}).to_string();
    let (body, _) = body(text.as_bytes(), 1_000_000, &[5000]);
    assert!(!body.has("prompt"));
    assert_eq!(body.small()["usage"], 2);
}

#[test]
fn nesting_costs_nothing() {
    let deep =
        [r#"{"a":"#.as_bytes(), &vec![b'['; 1_000_000], &vec![b']'; 1_000_000], br#","usage":1}"#].concat();
    let (body, faults) = body(&deep, 10_000_000, &[4096]);
    assert_eq!(body.small()["usage"], 1);
    assert!(!body.small().contains_key("a"));
    assert_eq!(faults.into_vec().len(), 1);
}

#[test]
fn elements_of_a_list_are_handed_out_as_they_come() {
    let text = br#"[{"a":1},
{"b":"]"} ,{"c":[1,{}]}]"#;
    for size in 1..text.len() {
        let (mut sieve, mut seen, mut most) = (Sieve::new(64), Vec::new(), 0);
        for piece in text.chunks(size) {
            sieve.push(piece);
            sieve.drain(|element| seen.push(serde_json::from_slice::<Value>(element).unwrap()));
            most = most.max(sieve.len());
        }
        assert_eq!(seen, [json!({"a": 1}), json!({"b": "]"}), json!({"c": [1, {}]})], "{size}");
        assert!(most < 40);
    }
}

#[test]
fn what_breaks_off_gives_what_was_whole() {
    let (body, _) = body(br#"{"id":"x","choices":[{"a":1},{"b":"#, 100, &[3]);
    assert!(!body.is_whole());
    assert_eq!(body.small()["id"], "x");
    assert_eq!(values(&body.list("choices")).collect::<Vec<_>>(), [json!({"a": 1})]);
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[ -~\\u{0}-\\u{1f}äß😀\\\\\"]{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[a-z\\\\\"]{0,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let key = prop_oneof![Just("messages".to_owned()), "[a-z\\\\\"]{1,6}"];
    prop::collection::hash_map(key, value, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn the_index_agrees_with_a_parser(value in document(), pretty: bool, sizes in prop::collection::vec(1usize..20, 1..5)) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let (body, faults) = body(text.as_bytes(), 1_000_000, &sizes);
        prop_assert!(body.is_whole());
        prop_assert!(faults.into_vec().is_empty());
        if let Some(list) = value["messages"].as_array() {
            prop_assert_eq!(&values(&body.list("messages")).collect::<Vec<_>>(), list);
        }
        prop_assert_eq!(Value::Object(body.into_object(&mut Faults::default())), value);
    }

    #[test]
    fn any_bytes_and_any_split_give_the_same(bytes in prop::collection::vec(
        prop::sample::select(b"{}[]\",:\\ a1\n".to_vec()), 0..200), most in 0usize..60, sizes in prop::collection::vec(1usize..9, 1..4))
    {
        let (one, step) = sieve(&bytes, 1_000_000, &[bytes.len().max(1)]);
        let (other, again) = sieve(&bytes, 1_000_000, &sizes);
        prop_assert_eq!(matches!(step, Step::Whole(_)), matches!(again, Step::Whole(_)));
        prop_assert_eq!(one.finish().0, other.finish().0);
        // A bound may cut elsewhere, but nothing panics and the bound holds.
        let (bounded, _) = sieve(&bytes, most, &sizes);
        prop_assert!(bounded.len() <= most + limits::TAIL_BYTES + 1);
        let body = Body::new(bounded, &mut Faults::default());
        let _ = body.into_object(&mut Faults::default());
    }
}
