use serde_json::json;

use super::build::*;
use crate::call::{Kind, Message, ProviderError};
use crate::names;
use crate::telemetry::{AttributeValue, Span};

/// An agent that calls these tools one after the other, each of which answers with `result`.
fn walk(tools: &[(&str, &str)], answer: &str) -> Vec<Step> {
    let mut history: Vec<Message> = vec![text("user", "Go")];
    let mut steps = Vec::new();
    for (number, (name, path)) in (0_u64..).zip(tools) {
        let id = format!("call_number_{number:04}");
        let asked = assistant(vec![tool(&id, name, json!({"path": path}))]);
        let time = (number * 100, number * 100 + 50);
        let mut call = llm(history.clone(), vec![asked.clone()]);
        call.usage.input = Some(1_000 + 300 * number);
        call.usage.cache_read = Some(500);
        steps.push(http(number, AGENT, time.0, time.1, Kind::Llm(Box::new(call))).into());
        history.extend([asked, result(&id, answer)]);
    }
    let end = tools.len() as u64 * 100;
    steps.push(chat(99, AGENT, (end, end + 50), history, text("assistant", "Done")).into());
    steps
}

fn loops(spans: &[Span]) -> Vec<(u64, i64)> {
    let event = |span: &Span| {
        let found = span.events.iter().find(|event| event.name == "trackway.loop")?;
        let length = found.attributes.iter().find(|it| it.key == names::LOOP_LENGTH)?;
        Some(((span.end.0 - ms(0).0) / 1_000_000, length.value.as_int()?))
    };
    spans.iter().filter_map(event).collect()
}

#[test]
fn a_loop_is_told_when_it_comes_round_the_third_time() {
    let run = play(walk(&[("read", "a"); 5], "x"));
    assert_eq!(loops(&run.spans), [(250, 1)], "once, on the call that closes the third round");
    let root = run.spans.last().unwrap();
    assert_eq!((number(root, names::RUN_LOOPS), number(root, names::RUN_LOOPED_CALLS)), (1, 3));
    assert_eq!((number(root, names::RUN_REPEATED_CALLS), number(root, names::RUN_REPEATED_MOST)), (4, 5));
    assert_eq!(word(root, names::RUN_REPEATED_TOOL), "read");

    let cycle = [("read", "a"), ("test", "b"), ("edit", "c")];
    let run = play(walk(&cycle.repeat(3), "x"));
    assert_eq!(loops(&run.spans), [(850, 3)]);
    let run = play(walk(&[("read", "a"), ("read", "b"), ("read", "c"), ("read", "a")], "x"));
    assert_eq!(loops(&run.spans), []);
    assert_eq!(number(run.spans.last().unwrap(), names::RUN_REPEATED_CALLS), 1);
}

#[test]
fn failures_that_come_again_are_counted() {
    let run = play(walk(&[("read", "a"), ("read", "b"), ("read", "a")], "Exit code: 2"));
    let root = run.spans.last().unwrap();
    assert_eq!(number(root, names::RUN_REPEATED_FAILURES), 1);
    let refused = |flow, at| {
        let mut it = llm(vec![text("user", "Go")], vec![]);
        it.error = Some(ProviderError { kind: "overloaded_error".into(), message: "later".into() });
        let mut call = http(flow, AGENT, at, at + 10, Kind::Llm(Box::new(it)));
        call.http.status = Some(529);
        call
    };
    let run = play([refused(1, 0).into(), refused(2, 100).into(), refused(3, 200).into()]);
    let root = run.spans.last().unwrap();
    assert_eq!((number(root, names::RUN_REPEATED_ERRORS), number(root, names::RUN_RETRIES)), (2, 2));
    assert_eq!(word(root, names::RUN_STATUS_REASON), "the last model call failed: overloaded_error");
    assert_eq!(word(&run.spans[1], names::RETRY_RULE), "same_request");
    assert_eq!(word(&run.spans[1], names::RETRY_OF), run.spans[0].id.to_string());
}

#[test]
fn growth_and_time_are_told() {
    let run = play(walk(&[("read", "a"), ("read", "b")], "x"));
    let chats = run.all("chat m");
    assert_eq!(chats[0].attribute(names::CONTEXT_GROWTH), None);
    assert_eq!(number(chats[1], names::CONTEXT_GROWTH), 300);
    assert_eq!(word(chats[1], names::PREVIOUS_RULE), "history");
    let root = run.spans.last().unwrap();
    assert_eq!(
        (number(root, names::RUN_CONTEXT_FIRST), number(root, names::RUN_CONTEXT_MOST)),
        (1_000, 1_300)
    );
    // Of ten seconds: three calls of 50 ms, two tools of 50 ms between them.
    let share = |key| root.attribute(key).cloned();
    assert_eq!(share(names::RUN_MODEL_SHARE), Some(AttributeValue::Double(0.015)));
    assert_eq!(share(names::RUN_TOOL_SHARE), Some(AttributeValue::Double(0.01)));
    assert_eq!(share(names::RUN_IDLE_SHARE), Some(AttributeValue::Double(0.975)));
    assert_eq!(word(root, names::RUN_STATUS), "ok");
}
