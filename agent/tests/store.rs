//! The local store: what goes in comes out again, is found, goes in time, and survives SIGKILL.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says so")]

#[path = "store/binary.rs"]
mod binary;
#[path = "store/keep.rs"]
mod keep;
#[path = "store/kill.rs"]
mod kill;
#[path = "store/support.rs"]
mod support;

use trackway::sink::translate;
use trackway::store::{Error, Filter, Pick, Place, Search, Sort, State, Store, Words, Writer};
use trackway_core::run::Totals;
use trackway_core::telemetry::Content;

use support::{Sample, content, folder, plain, span, write};

fn found(store: &Store, filter: Filter) -> Vec<String> {
    let runs = store.runs(&Filter { limit: 100, ..filter }).unwrap();
    runs.into_iter().map(|run| run.agent).collect()
}

fn text(words: &str) -> Filter {
    Filter { text: Words::new(words), ..Filter::default() }
}

fn places(store: &Store, words: &str) -> Vec<Place> {
    let words = Words::new(words).unwrap();
    let hits = store.find(&Search { words, run: None, since: None, limit: 100 }).unwrap();
    hits.into_iter().map(|hit| hit.place).collect()
}

#[test]
fn a_span_comes_back_as_it_went_in() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let sample = Sample::new(1, "agent");
    // Long enough to be stored in pieces, and the second request repeats the first.
    let long = "word ".repeat(400);
    let first = format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{long}"}}]}}]"#);
    let second = first.replace("]}]", r#"]},{"role":"user","parts":[{"type":"text","content":"more"}]}]"#);
    let mut spans = sample.spans();
    spans.insert(0, span(&sample, 50, Some(1), vec![content("gen_ai.input.messages", &first)]));
    spans.insert(1, span(&sample, 51, Some(1), vec![content("gen_ai.input.messages", &second)]));
    spans.insert(
        2,
        span(&sample, 52, Some(1), vec![content("gen_ai.input.messages", &format!("[ {second} ]"))]),
    );
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    write(&mut writer, &sample, &spans);

    let store = Store::open(&path).unwrap();
    let Pick::One(run) = store.pick("last").unwrap() else { panic!("one run") };
    for policy in [Content::Full, Content::Metadata, Content::None] {
        let mut back = Vec::new();
        store
            .spans(run.id, policy, true, |stored| {
                back.push(stored);
                true
            })
            .unwrap();
        assert_eq!(back.len(), spans.len());
        for (stored, span) in back.iter().zip(&spans) {
            assert_eq!(stored.span, translate::span(span, policy).span, "{policy:?}");
            let service = stored.resource.attributes.iter().any(|it| it.key == "service.name");
            assert!(service, "a span keeps its resource");
        }
    }
}

#[test]
fn a_run_is_there_from_its_beginning_and_says_how_it_ended() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    let sample = Sample::new(1, "codex");
    let birth = sample.birth();
    writer.write(trackway::store::Batch { birth: Some(&birth), ..Default::default() }).unwrap();
    let store = Store::open(&path).unwrap();
    let run = store.runs(&Filter { limit: 1, ..Filter::default() }).unwrap().remove(0);
    assert_eq!((run.state, run.spans, run.end), (State::Running, 0, None));

    let (first, rest) = sample.spans().split_at(2).pipe();
    writer.write(trackway::store::Batch { spans: &first, ..Default::default() }).unwrap();
    let run = store.runs(&Filter { limit: 1, ..Filter::default() }).unwrap().remove(0);
    assert_eq!((run.state, run.spans, run.totals.llm_calls), (State::Running, 2, 1), "counted as it goes on");

    let totals = Totals { llm_calls: 7, input_tokens: 100, cost_pico_usd: 5, ..Totals::default() };
    writer.write(trackway::store::Batch { spans: &rest, end: Some(&totals), ..Default::default() }).unwrap();
    let run = store.runs(&Filter { limit: 1, ..Filter::default() }).unwrap().remove(0);
    assert_eq!((run.state, run.exit, run.totals), (State::Ok, Some(0), totals));
    assert_eq!(run.models, ["gpt-5-2026"]);
    assert_eq!(run.tools, ["bash"]);
    assert_eq!(run.task.as_deref(), Some("Fix the tests of agent 1"));
}

trait Pipe {
    fn pipe(self) -> (Vec<trackway_core::telemetry::Span>, Vec<trackway_core::telemetry::Span>);
}

impl Pipe for (&[trackway_core::telemetry::Span], &[trackway_core::telemetry::Span]) {
    fn pipe(self) -> (Vec<trackway_core::telemetry::Span>, Vec<trackway_core::telemetry::Span>) {
        (self.0.to_vec(), self.1.to_vec())
    }
}

#[test]
fn a_run_is_named_by_the_beginning_of_its_id() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    for number in [0xa1, 0xa2, 0xb1] {
        let sample = Sample::new(number, &format!("agent-{number:x}"));
        write(&mut writer, &sample, &sample.spans());
    }
    let store = Store::open(&path).unwrap();
    let one = |name: &str| match store.pick(name).unwrap() {
        Pick::One(run) => run.agent.clone(),
        Pick::Many(runs, count) => format!("{} of {count}", runs.len()),
        Pick::Nothing => "nothing".to_owned(),
    };
    assert_eq!(one("b1"), "agent-b1");
    assert_eq!(one("B1B1"), "agent-b1");
    assert_eq!(one("a1a1a1a1-a1a1"), "agent-a1");
    assert_eq!(one("a"), "2 of 2");
    assert_eq!(one("c"), "nothing");
    assert_eq!(one(""), "nothing");
    assert_eq!(one("zz"), "nothing");
    assert_eq!(one("last"), "agent-b1");
}

#[test]
fn every_condition_must_hold() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    for number in 1..=6_u8 {
        let mut sample = Sample::new(number, &format!("agent-{number}"));
        sample.exit = i64::from(number == 2 || number == 4);
        sample.cost = f64::from(number);
        sample.tool = if number.is_multiple_of(2) { "Bash" } else { "read_file" };
        sample.user = format!("user-{}", number % 3);
        write(&mut writer, &sample, &sample.spans());
    }
    let store = Store::open(&path).unwrap();
    let name = |name: &str| Some(name.to_owned());
    let all = || Filter::default();
    assert_eq!(found(&store, all()).len(), 6);
    assert_eq!(found(&store, Filter { agent: name("AGENT-3"), ..all() }), ["agent-3"]);
    assert_eq!(found(&store, Filter { agent: name("agent*"), ..all() }).len(), 6);
    assert_eq!(
        found(&store, Filter { agent: name("agent_3"), ..all() }).len(),
        0,
        "no sign but * is special"
    );
    assert_eq!(found(&store, Filter { tool: name("bash"), ..all() }), ["agent-6", "agent-4", "agent-2"]);
    assert_eq!(found(&store, Filter { model: name("gpt-5"), ..all() }).len(), 6, "as it was asked for");
    assert_eq!(found(&store, Filter { model: name("gpt-5-2026"), ..all() }).len(), 6, "as it answered");
    assert_eq!(found(&store, Filter { model: name("gpt"), ..all() }).len(), 0);
    assert_eq!(found(&store, Filter { user: name("user-0"), ..all() }), ["agent-6", "agent-3"]);
    assert_eq!(found(&store, Filter { session: name("talk-5"), ..all() }), ["agent-5"]);
    let failed = Filter { states: vec![State::Error, State::Lost], tool: name("bash"), ..all() };
    assert_eq!(found(&store, failed), ["agent-4", "agent-2"]);
    assert_eq!(
        found(&store, Filter { min_cost: Some(2.0), max_cost: Some(3.0), ..all() }),
        ["agent-3", "agent-2"]
    );
    assert_eq!(found(&store, Filter { sort: Sort::Cost, ..all() })[0], "agent-6");
    let since = Sample::new(4, "").start();
    assert_eq!(found(&store, Filter { since: Some(since), ..all() }), ["agent-6", "agent-5", "agent-4"]);
    assert_eq!(found(&store, Filter { until: Some(since), ..all() }), ["agent-3", "agent-2", "agent-1"]);
    let said = Filter { since: Some(since), ..text("tests of agent") };
    assert_eq!(found(&store, said), ["agent-6", "agent-5", "agent-4"]);
    let said = Filter { sort: Sort::Cost, max_cost: Some(4.0), ..text("tests of agent") };
    assert_eq!(found(&store, said), ["agent-4", "agent-3", "agent-2", "agent-1"]);
}

#[test]
fn any_text_can_be_looked_for() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    let said = [
        ("quotes", r#"he said "it's done" -- twice"#),
        ("unicode", "Größe der Straße: 東京 naïve Ωmega"),
        ("code", "let rate_limit = foo->bar(x) AND NOT y; // C:\\tmp"),
    ];
    for (number, (agent, words)) in (1..).zip(said) {
        let sample = Sample::new(number, agent);
        let result = serde_json::Value::from(words).to_string();
        let tool = span(&sample, 9, Some(1), vec![content("gen_ai.tool.call.result", &result)]);
        write(&mut writer, &sample, &[vec![tool], sample.spans()].concat());
    }
    let store = Store::open(&path).unwrap();
    let check = |words: &str, agents: &[&str]| assert_eq!(found(&store, text(words)), agents, "{words}");
    check("it's done", &["quotes"]);
    check("\"said done\"", &[] as &[&str]);
    check("\"he said\"", &["quotes"]);
    check("\"he said", &["quotes"]);
    check("done twi", &["quotes"]);
    check("grosse", &[] as &[&str]);
    check("große", &["unicode"]);
    check("GRÖSSE", &[] as &[&str]);
    check("größe", &["unicode"]);
    check("NAIVE", &["unicode"]);
    check("東京", &["unicode"]);
    check("ωMEGA", &["unicode"]);
    check("rate_limit", &["code"]);
    check("rate-limit", &["code"]);
    check("foo->bar(x)", &["code"]);
    check("AND NOT", &["code"]);
    check("c:\\tmp", &["code"]);
    // Whatever is typed is words, and never a mistake in a language that nobody typed.
    for odd in [
        "a\"b",
        "-x",
        "x*",
        "body:x",
        "NEAR(a b)",
        "(",
        "^a",
        "a OR",
        "'; DROP TABLE runs",
        "a\0b",
        "{a b}:c",
        "+",
    ] {
        if let Some(words) = Words::new(odd) {
            store.runs(&Filter { text: Some(words.clone()), limit: 5, ..Filter::default() }).unwrap();
            store.find(&Search { words, run: None, since: None, limit: 5 }).unwrap();
        }
    }
}

#[test]
fn what_a_history_repeats_is_found_once() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    let sample = Sample::new(1, "agent");
    let user = r#"{"role":"user","parts":[{"type":"text","content":"find the needle"}]}"#;
    let call = r#"{"role":"assistant","parts":[{"type":"text","content":"I look for it"},{"type":"tool_call","id":"1","name":"grep","arguments":{"q":"haystack"}}]}"#;
    let result =
        r#"{"role":"tool","parts":[{"type":"tool_call_response","id":"1","response":"it is in the barn"}]}"#;
    let answer = call.replace("\"parts\"", "\"finish_reason\":\"tool_call\",\"parts\"");
    let spans = [
        span(
            &sample,
            2,
            Some(1),
            vec![
                content("gen_ai.input.messages", &format!("[{user}]")),
                content("gen_ai.output.messages", &format!("[{answer}]")),
            ],
        ),
        span(
            &sample,
            3,
            Some(1),
            vec![
                plain("gen_ai.operation.name", "execute_tool"),
                content("gen_ai.tool.call.arguments", r#"{"q":"haystack"}"#),
                content("gen_ai.tool.call.result", "\"it is in the barn\""),
                content("agent.decision_rationale", "I look for it"),
            ],
        ),
        span(
            &sample,
            4,
            Some(1),
            vec![content("gen_ai.input.messages", &format!("[{user},{call},{result}]"))],
        ),
    ];
    write(&mut writer, &sample, &spans);
    let store = Store::open(&path).unwrap();
    assert_eq!(places(&store, "needle"), [Place::Input]);
    assert_eq!(places(&store, "haystack"), [Place::Arguments]);
    assert_eq!(places(&store, "barn"), [Place::Result]);
    assert_eq!(places(&store, "look for"), [Place::Output]);
}

#[test]
fn what_may_not_be_seen_is_not_stored() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Metadata).unwrap();
    let sample = Sample::new(1, "agent");
    write(&mut writer, &sample, &sample.spans());
    drop(writer);
    let store = Store::open(&path).unwrap();
    assert!(found(&store, text("tests")).is_empty());
    assert_eq!(store.runs(&Filter { limit: 1, ..Filter::default() }).unwrap()[0].task, None);
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(13).any(|window| window == b"Fix the tests"));
}

#[test]
fn a_file_of_others_is_left_alone() {
    let folder = folder();
    let error = |name: &str| Store::open(&folder.path().join(name)).err();
    assert!(matches!(error("none.db"), Some(Error::Missing { .. })));
    std::fs::write(folder.path().join("text.db"), "this is no database, but long enough to be looked at")
        .unwrap();
    assert!(matches!(error("text.db"), Some(Error::Foreign { .. })), "{:?}", error("text.db"));
    let other = rusqlite::Connection::open(folder.path().join("other.db")).unwrap();
    other.execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)").unwrap();
    assert!(matches!(error("other.db"), Some(Error::Foreign { .. })));

    let path = folder.path().join("new.db");
    drop(Store::create(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let newer = Store::create(&path).unwrap_err();
    assert!(matches!(newer, Error::Newer { found: 99, .. }), "{newer}");
    assert!(newer.to_string().contains("newer Trackway"), "{newer}");
}
