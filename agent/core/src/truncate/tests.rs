use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::flow::Time;
use crate::telemetry::{SpanId, SpanKind, Status, TraceId};

fn span(key: &'static str, value: AttributeValue) -> Span {
    Span {
        trace: TraceId([7; 16]),
        id: SpanId([2; 8]),
        parent: None,
        name: "span".to_owned(),
        kind: SpanKind::Internal,
        start: Time(0),
        end: Time(1),
        status: Status::Unset,
        attributes: vec![Attribute { key: key.into(), value, class: Class::Content }],
        events: Vec::new(),
        links: Vec::new(),
        resource: Arc::default(),
    }
}

/// The text after shortening, and whether the span says that it was cut.
fn cut(key: &'static str, text: &str, limit: usize) -> (String, bool) {
    let mut span = span(key, AttributeValue::Text(text.to_owned()));
    apply(&mut span, limit);
    let told = span.attribute(names::TRUNCATED) == Some(&AttributeValue::Texts(vec![key.to_owned()]));
    (span.attributes[0].value.as_text().unwrap().to_owned(), told)
}

fn short(key: &'static str, value: &Value, limit: usize) -> Value {
    let (text, told) = cut(key, &value.to_string(), limit);
    assert!(told && text.len() <= limit, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"type": "text", "content": text}]})
}

#[test]
fn what_fits_stays_to_the_byte() {
    let text = r#"[ {"role": "user", "parts": []} ]"#;
    assert_eq!(cut(names::INPUT_MESSAGES, text, 64), (text.to_owned(), false));
}

#[test]
fn the_newest_message_is_kept_longest() {
    let all = json!([
        message("user", &"a".repeat(900)),
        message("assistant", "short"),
        message("user", &"b".repeat(700)),
    ]);
    assert_eq!(short(names::INPUT_MESSAGES, &all, 1024)[2], all[2]);
    let tight = short(names::INPUT_MESSAGES, &all, 300);
    assert_eq!(tight[0], message("system", "…[+2 messages]…"));
    let content = tight[1]["parts"][0]["content"].as_str().unwrap();
    assert!(content.starts_with("bbb") && content.ends_with("bbb") && content.contains("…[+5"), "{content}");
    assert_eq!(tight.as_array().unwrap().len(), 2);
    let tiny = short(names::INPUT_MESSAGES, &all, 64);
    assert_eq!(tiny, json!([message("user", "…")]));
}

#[test]
fn names_and_reasons_stay_whole() {
    let call = |arguments: String| json!({"type": "tool_call", "id": "t1", "name": "write", "arguments": {"text": arguments}});
    let all = json!([{"role": "assistant", "parts": [call("x".repeat(5000))], "finish_reason": "tool_call"}]);
    let cut = short(names::OUTPUT_MESSAGES, &all, 256);
    assert_eq!(cut[0]["finish_reason"], "tool_call");
    assert_eq!(cut[0]["parts"][0]["name"], "write");
    let text = cut[0]["parts"][0]["arguments"]["text"].as_str().unwrap();
    assert!(text.starts_with("xxx") && text.contains(" bytes]…"), "{text}");
    // Where the arguments find no room, they go before the name does.
    let tiny = short(names::OUTPUT_MESSAGES, &all, 100);
    assert_eq!(tiny[0]["parts"][0], json!({"type": "tool_call", "name": "write"}));
}

#[test]
fn tools_keep_their_names() {
    let tool =
        |n: usize| json!({"type": "function", "name": format!("tool-{n}"), "description": "d".repeat(400)});
    let all: Value = (0..10).map(tool).collect();
    let cut = short(names::TOOL_DEFINITIONS, &all, 2048);
    assert_eq!(cut.as_array().unwrap().len(), 10);
    assert!(cut[9]["description"].as_str().unwrap().contains("bytes]…"));
    let tight = short(names::TOOL_DEFINITIONS, &all, 300);
    assert_eq!(tight.as_array().unwrap().last().unwrap()["name"], "…[+5 tools]…");
    assert_eq!(tight[0], json!({"type": "function", "name": "tool-0"}));
}

#[test]
fn arguments_stay_objects() {
    let all = json!({"a": 1, "b": "y".repeat(500), "c": vec![1; 500]});
    let cut = short(names::TOOL_ARGUMENTS, &all, 256);
    assert_eq!(cut["a"], 1);
    assert!(cut["c"].as_array().unwrap().last().unwrap().as_str().unwrap().contains("items"));
}

#[test]
fn text_is_cut_at_a_character() {
    let text = "é".repeat(100);
    for limit in 64..90 {
        let (short, told) = cut(names::DECISION_RATIONALE, &text, limit);
        assert!(
            told && short.len() <= limit && short.starts_with("éé") && short.ends_with(" bytes]"),
            "{short}"
        );
    }
    let mut list = span(names::PROCESS_COMMAND_ARGS, AttributeValue::Texts(vec!["a".into(), text]));
    apply(&mut list, 64);
    let Some(AttributeValue::Texts(texts)) = list.attribute(names::PROCESS_COMMAND_ARGS) else { panic!() };
    assert!(texts[0] == "a" && texts[1].len() <= 64);
}

#[test]
fn numbered_keys_are_named_by_their_list() {
    let check = |key: &str, expect: &str| assert_eq!(unnumbered(key), expect);
    check("llm.input_messages.12.message.content", "llm.input_messages");
    check("gen_ai.prompt.0.content", "gen_ai.prompt");
    check("gen_ai.input.messages", "gen_ai.input.messages");
    check("9.x", "9.x");
}

#[test]
fn a_value_that_is_broken_json_is_text() {
    let (short, told) = cut(names::INPUT_MESSAGES, &format!("[{{\"role\":\"{}", "x".repeat(200)), 64);
    assert!(told && short.len() <= 64 && short.ends_with(" bytes]"), "{short}");
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,40}",
        2 => "[a-z\"\\\\\n\u{1}é漢]{0,400}",
        1 => Just("long ".repeat(400)),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
            prop::collection::btree_map("[a-zé\"]{0,12}", inner, 0..12)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        words().prop_map(|text| json!({"type": "text", "content": text})),
        words().prop_map(|text| json!({"type": "reasoning", "content": text})),
        (words(), any_json()).prop_map(|(name, it)| {
            json!({"type": "tool_call", "id": "t", "name": name, "arguments": it})
        }),
        any_json().prop_map(|it| json!({"type": "tool_call_response", "id": "t", "response": it})),
    ]
}

fn chat(finished: bool) -> impl Strategy<Value = Value> {
    let role = prop_oneof![Just("user".to_owned()), Just("assistant".to_owned()), "[a-z]{0,90}"];
    let message = (role, prop::collection::vec(part(), 0..8)).prop_map(move |(role, parts)| {
        let mut message = json!({"role": role, "parts": parts});
        if finished {
            message["finish_reason"] = "stop".into();
        }
        message
    });
    prop::collection::vec(message, 0..20).prop_map(Value::from)
}

fn check_part(part: &Value) {
    let needed: &[&str] = match part["type"].as_str().unwrap() {
        "text" | "reasoning" => &["content"],
        "tool_call" => &["name"],
        "tool_call_response" => &["response"],
        other => panic!("{other}"),
    };
    assert!(needed.iter().all(|key| part.get(*key).is_some()), "{part}");
}

fn check_messages(all: &Value, finished: bool) {
    for message in all.as_array().unwrap() {
        assert!(message["role"].is_string(), "{message}");
        message["parts"].as_array().unwrap().iter().for_each(check_part);
        assert_eq!(message.get("finish_reason").is_some(), finished, "{message}");
    }
}

/// Shortens twice; the second time changes nothing.
fn twice(key: &'static str, value: &Value, limit: usize) -> Value {
    let text = value.to_string();
    let (short, told) = cut(key, &text, limit);
    assert!(short.len() <= limit, "{} in {limit}: {short}", short.len());
    assert_eq!(told, text.len() > limit);
    assert_eq!(cut(key, &short, limit), (short.clone(), false));
    serde_json::from_str(&short).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn messages_stay_messages(all in chat(false), limit in 64..6000usize) {
        check_messages(&twice(names::INPUT_MESSAGES, &all, limit), false);
    }

    #[test]
    fn answers_stay_answers(all in chat(true), limit in 64..6000usize) {
        check_messages(&twice(names::OUTPUT_MESSAGES, &all, limit), true);
    }

    #[test]
    fn instructions_stay_parts(all in prop::collection::vec(part(), 0..12), limit in 64..3000usize) {
        let short = twice(names::SYSTEM_INSTRUCTIONS, &Value::from(all), limit);
        short.as_array().unwrap().iter().for_each(check_part);
    }

    #[test]
    fn tools_stay_tools(
        all in prop::collection::vec((words(), any_json()), 0..12), limit in 64..3000usize,
    ) {
        let all: Value = all
            .into_iter()
            .map(|(name, it)| json!({"type": "function", "name": name, "description": name, "parameters": it}))
            .collect();
        for tool in twice(names::TOOL_DEFINITIONS, &all, limit).as_array().unwrap() {
            prop_assert!(tool["type"].is_string() && tool["name"].is_string(), "{}", tool);
        }
    }

    #[test]
    fn json_keeps_its_kind(value in any_json(), limit in 64..3000usize) {
        let short = twice(names::TOOL_RESULT, &value, limit);
        prop_assert_eq!(short.is_object(), value.is_object());
        prop_assert_eq!(short.is_array(), value.is_array());
        prop_assert_eq!(short.is_string(), value.is_string());
    }
}
