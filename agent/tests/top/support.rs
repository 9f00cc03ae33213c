//! A store with runs in every state, and a writer that goes on with one of them.

use std::path::Path;
use std::sync::Arc;

use trackway::store::{Batch, Birth, Writer};
use trackway::top::board::{Board, Row};
use trackway::top::feed::Feed;
use trackway_core::flow::Time;
use trackway_core::run::Totals;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Content, Event, Resource, Span, SpanId, SpanKind, Status, TraceId,
};

/// When the frames are drawn, unless it is now.
pub(crate) const NOW: u64 = 1_790_000_000_000_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// One run that is written bit by bit.
pub(crate) struct Tape {
    writer: Writer,
    trace: TraceId,
    start: u64,
    next: u8,
    agent: String,
    model: &'static str,
}

fn attribute(key: &'static str, value: AttributeValue) -> Attribute {
    Attribute { key: key.into(), value, class: Class::Content }
}

pub(crate) fn text(key: &'static str, words: &str) -> Attribute {
    attribute(key, AttributeValue::Text(words.to_owned()))
}

pub(crate) fn int(key: &'static str, number: i64) -> Attribute {
    attribute(key, AttributeValue::Int(number))
}

fn texts(key: &'static str, words: &[&str]) -> Attribute {
    attribute(key, AttributeValue::Texts(words.iter().map(|it| (*it).to_owned()).collect()))
}

/// A tool that an answer asks for, as JSON.
pub(crate) fn asks(id: &str, name: &str, arguments: &str) -> String {
    format!(r#"{{"type":"tool_call","id":"{id}","name":"{name}","arguments":{arguments}}}"#)
}

impl Tape {
    /// Begins a run.
    pub(crate) fn begin(path: &Path, number: u8, agent: &str, model: &'static str, start: u64) -> Self {
        let mut writer = Writer::create(path, Content::Full).unwrap();
        let trace = TraceId([number; 16]);
        let birth = Birth {
            trace,
            agent: agent.to_owned(),
            command: vec!["python".to_owned(), "agent.py".to_owned()],
            service: None,
            start: Time(start),
        };
        writer.write(Batch { birth: Some(&birth), ..Batch::default() }).unwrap();
        Self { writer, trace, start, next: 2, agent: agent.to_owned(), model }
    }

    pub(crate) fn root(&self) -> SpanId {
        SpanId::derive(self.trace, &[b"root"])
    }

    /// A span below the root that ends so many seconds after the run began.
    pub(crate) fn span(&mut self, name: &str, ends: u64, attributes: Vec<Attribute>) -> Span {
        self.next = self.next.wrapping_add(1);
        let end = self.start + ends * SECOND;
        Span {
            trace: self.trace,
            id: SpanId([self.next; 8]),
            parent: Some(self.root()),
            name: name.to_owned(),
            kind: SpanKind::Internal,
            start: Time(end.saturating_sub(SECOND)),
            end: Time(end),
            status: Status::Unset,
            attributes,
            events: Vec::new(),
            links: Vec::new(),
            resource: Arc::new(Resource::default()),
        }
    }

    /// A call of the model. `parts`: what its answer says, as JSON.
    pub(crate) fn call(&mut self, ends: u64, input: i64, growth: Option<i64>, parts: &[String]) -> Span {
        let said = format!(r#"[{{"role":"assistant","parts":[{}]}}]"#, parts.join(","));
        let mut attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", self.model),
            text("gen_ai.response.model", self.model),
            int("gen_ai.usage.input_tokens", input),
            int("gen_ai.usage.cache_read.input_tokens", input / 2),
            int("gen_ai.usage.output_tokens", 250),
            attribute("gen_ai.usage.cost", AttributeValue::Double(0.0123)),
            text("gen_ai.output.messages", &said),
        ];
        attributes.extend(growth.map(|growth| int("trackway.context.growth_tokens", growth)));
        self.span("chat", ends, attributes)
    }

    /// A tool's answer.
    pub(crate) fn tool(&mut self, ends: u64, name: &str, id: &str, error: Option<&str>) -> Span {
        let mut attributes = vec![
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", name),
            text("gen_ai.tool.call.result", "12 files"),
        ];
        if !id.is_empty() {
            attributes.push(text("gen_ai.tool.call.id", id));
        }
        let mut span = self.span(&format!("execute_tool {name}"), ends, attributes);
        if let Some(error) = error {
            span.status = Status::Error(error.to_owned());
        }
        span
    }

    pub(crate) fn write(&mut self, spans: &[Span]) {
        self.writer.write(Batch { spans, ..Batch::default() }).unwrap();
    }

    /// Ends the run, with the totals that its calls had.
    pub(crate) fn end(&mut self, ends: u64, task: &str, error: Option<&str>, totals: Totals) {
        let asked = format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{task}"}}]}}]"#);
        let agent = self.agent.clone();
        let mut root = self.span(
            &format!("invoke_agent {agent}"),
            ends,
            vec![
                text("gen_ai.operation.name", "invoke_agent"),
                text("gen_ai.agent.name", &agent),
                text("gen_ai.input.messages", &asked),
            ],
        );
        (root.id, root.parent, root.start) = (self.root(), None, Time(self.start));
        if let Some(error) = error {
            root.status = Status::Error(error.to_owned());
        }
        self.writer.write(Batch { spans: &[root], end: Some(&totals), ..Batch::default() }).unwrap();
    }
}

/// A loop, as the engine tells of it.
pub(crate) fn looping(span: &mut Span, tools: &[&str]) {
    span.events.push(Event {
        name: "trackway.loop",
        time: span.end,
        attributes: vec![
            int("trackway.loop.length", i64::try_from(tools.len()).unwrap()),
            int("trackway.loop.rounds", 3),
            texts("trackway.loop.tools", tools),
        ],
    });
}

/// Runs in every state. Gives those that go on, so that their writers live on.
pub(crate) fn busy(path: &Path, now: u64) -> Vec<Tape> {
    let totals = Totals { llm_calls: 1, input_tokens: 9_000, output_tokens: 250, ..Totals::default() };
    let mut ok = Tape::begin(path, 0x11, "codex", "gpt-5.2-codex", now - 900 * SECOND);
    let call = ok.call(20, 9_000, None, &[]);
    ok.write(&[call]);
    ok.end(
        61,
        "Fix the failing tests of the parser",
        None,
        Totals { cost_pico_usd: 12_300_000_000, ..totals },
    );

    let mut bad = Tape::begin(path, 0x22, "aider", "deepseek-chat", now - 700 * SECOND);
    let call = bad.call(30, 9_000, None, &[]);
    bad.write(&[call]);
    bad.end(75, "x", Some("exited with code 1"), Totals { calls_without_cost: 1, ..totals });

    let mut lost = Tape::begin(path, 0x33, "goose", "qwen3-coder", now - 500 * SECOND);
    let call = lost.call(30, 12_000, None, &[]);
    lost.write(&[call]);
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute("UPDATE runs SET born = 1 WHERE agent = 'goose'", []).unwrap();

    let mut claude = Tape::begin(path, 0x44, "claude", "claude-sonnet-4-5", now - 95 * SECOND);
    let first =
        [asks("a1", "Bash", r#"{"command":"ls -la"}"#), asks("a2", "Read", r#"{"path":"src/lib.rs"}"#)];
    let second = [asks("a3", "Bash", r#"{"command":"cargo test -p parser -- --nocapture","timeout":120}"#)];
    let spans = [
        claude.call(10, 21_000, None, &first),
        claude.tool(12, "Bash", "a1", None),
        claude.tool(13, "Read", "a2", Some("no such file")),
        claude.call(88, 24_500, Some(3_500), &second),
    ];
    claude.write(&spans);

    let mut looper = Tape::begin(path, 0x55, "demo-agent", "gpt-5-mini", now - 40 * SECOND);
    let mut third = looper.call(34, 31_000, Some(-400), &[asks("b1", "search", r#"{"query":"weather"}"#)]);
    looping(&mut third, &["search", "open"]);
    let spans = [third, looper.tool(36, "search", "b1", None)];
    looper.write(&spans);

    // Wide signs, and a control sequence that must not reach the terminal.
    let mut wide = Tape::begin(path, 0x66, "研究員\u{1b}[31m", "gemini-3-pro", now - 15 * SECOND);
    let call = wide.call(3, 1_200, None, &[r#"{"type":"text","content":"done"}"#.to_owned()]);
    wide.write(&[call]);
    vec![claude, looper, wide]
}

/// Reads everything that there is.
pub(crate) fn look(feed: &mut Feed, board: &mut Board) {
    feed.look(board, None).unwrap();
    while feed.behind() {
        feed.look(board, None).unwrap();
    }
}

pub(crate) fn row<'a>(board: &'a Board, agent: &str) -> &'a Row {
    board.rows.values().find(|row| row.run.agent == agent).unwrap()
}
