use std::sync::{Arc, Mutex};

use trackway_core::flow::Time;
use trackway_core::names;
use trackway_core::telemetry::{Attribute, Class, Event, Resource, SpanId, SpanKind, Status, TraceId};

use super::*;

const PLAIN: Look = Look { width: 80, color: false };

fn span(id: u8, parent: u8, ms: std::ops::Range<u64>, attributes: Vec<Attribute>) -> Span {
    Span {
        trace: TraceId([1; 16]),
        id: SpanId([id; 8]),
        parent: (parent > 0).then_some(SpanId([parent; 8])),
        name: "name".to_owned(),
        kind: SpanKind::Internal,
        start: Time(ms.start * 1_000_000),
        end: Time(ms.end * 1_000_000),
        status: Status::Unset,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        resource: Arc::new(Resource::default()),
    }
}

fn text(key: &'static str, value: &str) -> Attribute {
    Attribute { key: key.into(), value: AttributeValue::Text(value.to_owned()), class: Class::Plain }
}

fn content(key: &'static str, value: &str) -> Attribute {
    Attribute { class: Class::Content, ..text(key, value) }
}

fn int(key: &'static str, value: i64) -> Attribute {
    Attribute { key: key.into(), value: AttributeValue::Int(value), class: Class::Plain }
}

fn args(args: &[&str]) -> Attribute {
    let value = AttributeValue::Texts(args.iter().map(|arg| (*arg).to_owned()).collect());
    Attribute { key: names::PROCESS_COMMAND_ARGS.into(), value, class: Class::Metadata }
}

fn operation(name: &str) -> Attribute {
    text(names::OPERATION_NAME, name)
}

fn run() -> Vec<Span> {
    let process = |id, parent, ms, code| {
        let attributes =
            vec![int(names::PROCESS_PID, 7), args(&["ls", "-l"]), int(names::PROCESS_EXIT_CODE, code)];
        span(id, parent, ms, attributes)
    };
    let mut failed = span(
        3,
        9,
        1_700..2_000,
        vec![
            operation("execute_tool"),
            text(names::TOOL_NAME, "bash"),
            content(names::TOOL_ARGUMENTS, "{\"command\":\n \"ls -l\"}"),
            content(names::TOOL_RESULT, "ls: not found\u{1b}[31m"),
            content(names::DECISION_RATIONALE, "I look."),
        ],
    );
    failed.status = Status::Error("tool said error".to_owned());
    vec![
        failed,
        span(
            2,
            9,
            100..1_600,
            vec![
                operation("chat"),
                text(names::RESPONSE_MODEL, "gpt-5"),
                int(names::INPUT_TOKENS, 1_234),
                int(names::CACHE_READ_TOKENS, 1_000),
                int(names::OUTPUT_TOKENS, 56),
                int(names::REASONING_TOKENS, 12),
                Attribute {
                    key: names::TIME_TO_FIRST_CHUNK.into(),
                    value: AttributeValue::Double(0.0125),
                    class: Class::Plain,
                },
            ],
        ),
        process(4, 3, 1_750..1_760, 1),
        process(5, 3, 1_770..1_780, 1),
        process(6, 3, 1_790..1_800, 0),
        span(10, 9, 2_100..2_200, vec![operation("execute_tool"), text(names::TOOL_NAME, "ask")]),
        span(7, 9, 2_500..2_600, vec![operation("chat"), text(names::REQUEST_MODEL, "gpt-5")]),
        span(
            8,
            9,
            2_700..2_710,
            vec![
                text(names::HTTP_METHOD, "GET"),
                text(names::URL_FULL, "https://example.com/a"),
                int(names::HTTP_STATUS, 200),
                int(names::HTTP_RESPONSE_BODY_SIZE, 1_234),
            ],
        ),
        span(
            11,
            9,
            2_800..2_900,
            vec![
                text(names::SERVER_ADDRESS, "pinned.example"),
                text(names::UNREAD_REASON, "client refused the certificate"),
                int(names::UNREAD_BYTES_IN, 12_000),
            ],
        ),
        span(
            9,
            0,
            0..3_000,
            vec![
                operation("invoke_agent"),
                text(names::AGENT_NAME, "codex"),
                int(names::PROCESS_EXIT_CODE, 0),
            ],
        ),
    ]
}

fn check(spans: &[Span], policy: Content, look: Look, expect: &str) {
    let lines = tree(spans, policy, look).join("\n");
    assert_eq!(lines, expect.trim_matches('\n'), "\n{lines}");
    for line in lines.lines() {
        assert!(text::width(line) <= look.width, "{line}");
    }
}

#[test]
fn a_whole_run() {
    check(
        &run(),
        Content::Full,
        PLAIN,
        r#"
invoke_agent codex  exit 0  3.0 s
├─ chat gpt-5  in 1,234 (cached 1,000) out 56 (reasoning 12)  first 12 ms  1.5 s
├─ ✗ bash {"command": "ls -l"}  300 ms
│  │  tool said error
│  │  “I look.”
│  │  → ls: not found [31m
│  ├─ $ ls -l  exit 1  20 ms  × 2
│  └─ $ ls -l  exit 0  10 ms
├─ ask  100 ms
│     → no result seen
├─ chat gpt-5  tokens ?  100 ms
├─ GET example.com/a  200  1.2 kB  10 ms
└─ unread pinned.example (client refused the certificate)  12.0 kB  100 ms
"#,
    );
}

#[test]
fn without_content_and_narrow() {
    check(
        &run(),
        Content::None,
        Look { width: 40, color: false },
        "
invoke_agent codex  exit 0  3.0 s
├─ chat gpt-5  in 1,234 (cached 1,000) …
├─ ✗ bash  300 ms
│  │  tool said error
│  ├─ $ name  exit 1  20 ms  × 2
│  └─ $ name  exit 0  10 ms
├─ ask  100 ms
├─ chat gpt-5  tokens ?  100 ms
├─ GET example.com/a  200  1.2 kB  10 ms
└─ unread pinned.examp…  12.0 kB  100 ms
",
    );
}

#[test]
fn loops_and_retries_are_told() {
    let mut chat = span(
        1,
        0,
        0..5,
        vec![operation("chat"), text(names::REQUEST_MODEL, "m"), text(names::RETRY_OF, "0102030405060708")],
    );
    let list = |key: &'static str, words: &[&str]| Attribute {
        key: key.into(),
        value: AttributeValue::Texts(words.iter().map(|word| (*word).to_owned()).collect()),
        class: Class::Plain,
    };
    let attributes = vec![int(names::LOOP_ROUNDS, 3), list(names::LOOP_TOOLS, &["read", "test"])];
    chat.events = vec![Event { name: "trackway.loop", time: Time(0), attributes }];
    check(
        &[chat],
        Content::None,
        PLAIN,
        "
chat m  retry  tokens ?  5 ms
   ⟳ a loop: read → test, the same arguments, 3 times
",
    );
}

#[test]
fn wide_characters_fit() {
    let attributes = vec![
        operation("execute_tool"),
        text(names::TOOL_NAME, "読む"),
        content(names::TOOL_ARGUMENTS, &"漢字".repeat(40)),
        content(names::TOOL_RESULT, &"é\u{301}\u{202e}".repeat(100)),
    ];
    let lines = tree(&[span(1, 0, 0..5, attributes)], Content::Full, Look { width: 30, color: false });
    assert_eq!(lines[0], "読む 漢字漢字漢字漢字漢…  5 ms");
    assert!(lines.iter().all(|line| text::width(line) <= 30 && !line.contains('\u{202e}')), "{lines:?}");
}

#[test]
fn colours_only_where_wanted() {
    let escape = |look| tree(&run(), Content::Full, look).join("").contains('\u{1b}');
    assert!(!escape(PLAIN));
    assert!(escape(Look { color: true, ..PLAIN }));
    let look = |terminal, env: &'static [(&str, &str)]| {
        Look::choose(terminal, Some(90), move |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(look(true, &[]), Look { width: 90, color: true });
    assert!(!look(true, &[("NO_COLOR", "1")]).color);
    assert!(look(true, &[("NO_COLOR", "")]).color);
    assert!(!look(false, &[]).color);
    assert_eq!(look(false, &[("COLUMNS", "60")]).width, 60);
}

#[test]
fn orphans_and_circles_end() {
    let mut spans = vec![span(1, 2, 0..1, vec![]), span(2, 1, 0..1, vec![]), span(3, 8, 0..1, vec![])];
    spans.push(span(4, 4, 0..1, vec![]));
    assert_eq!(tree(&spans, Content::Full, PLAIN).len(), 4);
}

#[test]
fn a_run_deeper_than_the_terminal() {
    let mut spans: Vec<Span> = (1..=200).map(|id| span(id, id - 1, 0..1, vec![])).collect();
    spans.reverse();
    let lines = tree(&spans, Content::Full, Look { width: 20, color: false });
    assert_eq!(lines.len(), 200);
}

#[test]
fn totals_say_what_is_unknown() {
    let totals = Totals {
        llm_calls: 3,
        tool_calls: 2,
        tool_errors: 1,
        processes: 3,
        input_tokens: 2_345,
        cache_read_tokens: 1_900,
        output_tokens: 210,
        calls_without_usage: 1,
        ..Totals::default()
    };
    assert_eq!(
        total(&totals, 4_200_000_000, PLAIN),
        "3 model calls · in 2,345 (cached 1,900) out 210 · tokens of 1 call unknown · 2 tools (1 failed) · \
         3 processes · 4.2 s"
    );
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_sink_counts_what_it_leaves_out() {
    let paper = Paper::default();
    let mut console = Console::new(Box::new(paper.clone()), Content::Metadata, PLAIN);
    for _ in 0..limits::TREE_SPANS + 5 {
        console.write(&[span(2, 9, 0..1, vec![content(names::TOOL_RESULT, "secret")])]);
    }
    console.write(&run()[9..]);
    assert!(console.finish(&Totals::default()).is_empty());
    let page = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert!(page.starts_with("invoke_agent codex"), "{}", &page[..80]);
    assert!(page.contains("(5 more spans are left out here)\n") && page.ends_with("3.0 s\n"));
    assert!(!page.contains("secret"));
}
