use serde_json::{Value, json};

use super::build::*;
use crate::call::{Completion, Fault, Kind, ProviderError};
use crate::flow::{Close, Flow, FlowId, Plane, Start, Unread, UnreadReason};
use crate::process::ProcessFact;
use crate::run::Run;
use crate::telemetry::{AttributeValue, Class, Content, SpanKind, Status};
use crate::{limits, names};

#[test]
fn a_chat_says_what_the_conventions_ask_for() {
    let mut it = llm(vec![text("user", "hi")], vec![text("assistant", "hello")]);
    it.stream = true;
    it.finish_reasons = vec!["end_turn".into()];
    it.response_id = Some("r1".into());
    it.params.top_k = Some(40.0);
    it.agent = Some("codex".into());
    let mut call = http(1, AGENT, 0, 1500, Kind::Llm(Box::new(it)));
    call.first_chunk = Some(ms(500));
    call.faults = vec![Fault { kind: "gap", detail: "3 bytes".into() }];
    let run = play([call.into()]);
    let chat = run.one("chat m");
    assert_eq!((run.parent(chat), chat.kind), ("invoke_agent codex", SpanKind::Client));
    assert_eq!(chat.attribute(names::TIME_TO_FIRST_CHUNK), Some(&AttributeValue::Double(0.5)));
    assert_eq!(chat.attribute(names::FINISH_REASONS), Some(&AttributeValue::Texts(vec!["stop".into()])));
    assert_eq!(chat.attribute(names::FAULTS), Some(&AttributeValue::Texts(vec!["gap: 3 bytes".into()])));
    assert_eq!(
        (word(chat, names::SERVER_ADDRESS), number(chat, names::SERVER_PORT)),
        ("api.openai.com", 443)
    );
    assert_eq!(number(chat, names::INPUT_TOKENS), 10);
    assert_eq!(chat.attribute(names::REQUEST_TOP_K), Some(&AttributeValue::Double(40.0)));
    assert_eq!(chat.attribute(names::CACHE_READ_TOKENS), None);
    let output: Value = serde_json::from_str(word(chat, names::OUTPUT_MESSAGES)).unwrap();
    assert_eq!(
        output,
        json!([{"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}])
    );
    let class = |key| chat.attributes.iter().find(|it| it.key == key).unwrap().class;
    assert_eq!((class(names::OUTPUT_MESSAGES), class(names::RESPONSE_ID)), (Class::Content, Class::Plain));
}

#[test]
fn failures_have_a_type_and_a_status() {
    let check = |status, completion, error: Option<(&str, &str)>, expect: (&str, &str)| {
        let mut it = llm(vec![], vec![]);
        it.error = error.map(|(kind, message)| ProviderError { kind: kind.into(), message: message.into() });
        let mut call = http(1, AGENT, 0, 10, Kind::Llm(Box::new(it)));
        call.http.status = status;
        call.completion = completion;
        let run = play([call.into()]);
        let chat = run.one("chat m");
        assert_eq!(word(chat, names::ERROR_TYPE), expect.0);
        assert_eq!(chat.status, Status::Error(expect.1.into()));
    };
    check(Some(429), Completion::Complete, Some(("rate_limit", "slow")), ("rate_limit", "slow"));
    check(Some(500), Completion::Complete, None, ("500", "HTTP status 500"));
    check(Some(200), Completion::Partial, None, ("incomplete_response", "the answer was cut off"));
    check(None, Completion::Unanswered, None, ("no_response", "no response came"));
    let words = "the client went away before the answer was whole";
    check(Some(200), Completion::Cancelled, None, ("cancelled", words));
}

#[test]
fn auxiliary_calls_are_shown_and_not_counted() {
    let mut it = llm(vec![], vec![]);
    it.auxiliary = true;
    let run = play([http(1, AGENT, 0, 10, Kind::Llm(Box::new(it))).into()]);
    assert_eq!(run.one("chat m").attribute(names::HTTP_AUXILIARY), Some(&AttributeValue::Bool(true)));
    assert_eq!((run.totals.llm_calls, run.totals.input_tokens), (0, 0));
}

#[test]
fn a_request_stands_under_the_tool_that_names_its_url() {
    let asked = assistant(vec![tool("a", "fetch", json!({"url": "https://example.org/page"}))]);
    let get = |flow, path: &str| {
        let mut call = http(flow, AGENT, 150, 160, Kind::Plain);
        (call.http.method, call.http.host) = ("GET".into(), "example.org".into());
        (call.http.path, call.http.query) = (path.into(), Some("a=1".into()));
        call
    };
    let run = play([
        chat(1, AGENT, (0, 100), vec![], asked).into(),
        get(2, "/page").into(),
        get(3, "/other").into(),
    ]);
    let parents: Vec<&str> = run.all("GET").iter().map(|span| run.parent(span)).collect();
    assert_eq!(parents, ["execute_tool fetch", "invoke_agent agent.py"]);
    let get = run.all("GET")[0];
    assert_eq!(word(get, names::URL_FULL), "https://example.org/page?a=1");
    assert_eq!(word(get, names::LINK_RULE), "url_in_arguments");
}

#[test]
fn a_method_that_nobody_knows_is_told_apart() {
    let mut call = http(1, AGENT, 0, 10, Kind::Plain);
    call.http.method = "PROPFIND".into();
    let run = play([call.into()]);
    let span = run.one("HTTP");
    assert_eq!(
        (word(span, names::HTTP_METHOD), word(span, names::HTTP_METHOD_ORIGINAL)),
        ("_OTHER", "PROPFIND")
    );
}

fn unread(reason: UnreadReason) -> Unread {
    let flow = Flow {
        id: FlowId(9),
        process: Some(key(AGENT)),
        plane: Plane::Redirect,
        start: Start::Seen,
        host: Some("pinned.example".into()),
        destination: None,
        port: 443,
        tls: true,
        alpn: None,
        opened: ms(10),
    };
    Unread { flow, reason, bytes_to_origin: 5, bytes_to_client: 7, closed: ms(20), close: Close::Clean }
}

#[test]
fn where_nothing_says_the_port_none_is_told() {
    let told = |host: Option<&str>| {
        let mut run = Run::new(identity());
        let mut unread = unread(UnreadReason::Joined);
        unread.flow.host = host.map(str::to_owned);
        run.unread(unread);
        let run = end(run, Vec::new());
        let span = run.one(&format!("unread {}", host.unwrap_or("unknown")));
        span.attribute(names::SERVER_PORT).cloned()
    };
    assert_eq!(told(None), None);
    assert_eq!(told(Some("known.example")), Some(AttributeValue::Int(443)));
}

#[test]
fn what_was_not_read_is_said() {
    let mut run = Run::new(identity());
    run.unread(unread(UnreadReason::ClientRefused("alert unknown_ca".into())));
    run.process(ProcessFact::Lost { count: 4, time: ms(5) });
    let run = end(run, Vec::new());
    let span = run.one("unread pinned.example");
    assert_eq!(word(span, names::UNREAD_REASON), "client_refused: alert unknown_ca");
    assert_eq!(number(span, names::UNREAD_BYTES_IN), 7);
    assert_eq!(span.status, Status::Unset);
    let root = run.spans.last().unwrap();
    assert_eq!(number(root, names::LOST_FACTS), 4);
    assert_eq!((number(root, names::RUN_UNREAD), number(root, names::COVERAGE_UNREAD_BYTES)), (1, 12));
    // What was not read was brought by nothing.
    assert_eq!(root.attribute(names::COVERAGE_PLANES), None);
    let mut run = Run::new(identity());
    run.unread(unread(UnreadReason::OriginFailed("refused".into())));
    let run = end(run, Vec::new());
    assert_eq!(word(run.one("unread pinned.example"), names::ERROR_TYPE), "origin_failed");
}

#[test]
fn the_root_says_by_which_ways_calls_came() {
    let mut tapped = http(2, AGENT, 20, 30, Kind::Plain);
    tapped.plane = Plane::Tap(None);
    tapped.index = 4;
    tapped.http.request_bytes = 3;
    let run = play([tapped.into(), http(1, AGENT, 0, 10, Kind::Plain).into()]);
    let planes = AttributeValue::Texts(vec!["redirect".into(), "tap".into()]);
    assert_eq!(run.spans.last().unwrap().attribute(names::COVERAGE_PLANES), Some(&planes));
    let numbers: Vec<(i64, i64)> = run
        .spans
        .iter()
        .filter(|span| span.kind == SpanKind::Client)
        .map(|span| (number(span, names::CONNECTION_REQUEST), number(span, names::HTTP_REQUEST_BODY_SIZE)))
        .collect();
    assert_eq!(numbers, [(0, 0), (4, 3)]);
}

#[test]
fn the_command_s_failure_is_the_run_s() {
    for (status, kind) in [(Ok(3), "exit_code"), (Err(9), "signal")] {
        let mut spans = Vec::new();
        Run::new(identity()).finish(status, ms(1), &mut spans);
        assert_eq!(word(&spans[0], names::ERROR_TYPE), kind);
        assert!(matches!(spans[0].status, Status::Error(_)));
    }
}

#[test]
fn more_open_tools_than_may_be_are_given_up_and_counted() {
    let tools = |range: std::ops::Range<usize>| {
        assistant(range.map(|n| tool(&format!("c{n}"), "t", json!({}))).collect())
    };
    let over = 3;
    let run = play([chat(1, AGENT, (0, 10), vec![], tools(0..limits::OPEN_TOOLS + over)).into()]);
    assert_eq!(run.all("execute_tool t").len(), limits::OPEN_TOOLS + over);
    assert_eq!(number(run.spans.last().unwrap(), names::LIMIT_TOOLS), 3);
}

#[test]
fn more_processes_than_may_be_are_forgotten_and_counted() {
    let mut run = Run::new(identity());
    let count = u32::try_from(limits::PROCESSES).unwrap() + 10;
    for pid in 0..count {
        run.process(fork(AGENT, 200 + pid));
        run.process(exec(200 + pid, u64::from(pid) + 101, &["true"]));
        run.process(exit(200 + pid, u64::from(pid) + 102, 0));
    }
    let run = end(run, Vec::new());
    assert_eq!(run.all("exec true").len(), limits::PROCESSES + 10);
    assert!(number(run.spans.last().unwrap(), names::LIMIT_PROCESSES) >= 10);
}

#[test]
fn without_knowledge_of_processes_everything_stands_under_the_run() {
    let mut run = Run::new(crate::run::Identity { root: None, ..identity() });
    let asked = assistant(vec![tool("a", "sh", json!({"command": "ls"}))]);
    let mut call = chat(1, AGENT, (0, 10), vec![text("user", "q")], asked);
    call.process = None;
    run.call(call);
    run.process(exec(110, 20, &["ls"]));
    let run = end(run, Vec::new());
    assert_eq!(run.parent(run.one("chat m")), "invoke_agent agent.py");
    assert_eq!(word(run.one("chat m"), names::LINK_RULE), "run");
    assert_eq!(run.parent(run.one("exec ls")), "execute_tool sh");
}

#[test]
fn messages_are_put_together_only_for_a_sink_that_shows_them() {
    let mut run = Run::new(crate::run::Identity { content: Content::Metadata, ..identity() });
    run.call(chat(1, AGENT, (0, 10), vec![text("user", "q")], assistant(vec![])));
    let run = end(run, Vec::new());
    let chat = run.one("chat m");
    assert_eq!(number(chat, names::INPUT_TOKENS), 10);
    assert_eq!(chat.attribute(names::INPUT_MESSAGES), None);
    assert_eq!(chat.attribute(names::OUTPUT_MESSAGES), None);
}

#[test]
fn conversations_past_the_bound_are_counted() {
    let over = 3;
    let mut run = Run::new(identity());
    for n in 0..(limits::CONVERSATIONS + over) as u64 {
        run.call(chat(
            n,
            AGENT,
            (n * 10, n * 10 + 5),
            vec![text("user", &format!("question {n}"))],
            assistant(vec![]),
        ));
    }
    let run = end(run, Vec::new());
    assert_eq!(number(run.spans.last().unwrap(), names::LIMIT_CONVERSATIONS), over as i64);
}
