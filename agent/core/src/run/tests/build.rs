//! Small builders. Times are in milliseconds.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::{Call, Completion, Http, Kind, Llm, Message, Part, ToolCall, ToolResult, Usage};
use crate::flow::{FlowId, Plane, Time};
use crate::observe::PipeCall;
use crate::process::{ProcessFact, ProcessKey};
use crate::run::{Identity, Run, Scope, Totals};
use crate::telemetry::{AttributeValue, Content, Resource, Span, TraceId};

pub(super) const AGENT: u32 = 100;

pub(super) fn ms(ms: u64) -> Time {
    Time(1_700_000_000_000_000_000 + ms * 1_000_000)
}

/// A process is known by its pid alone in these scripts.
pub(super) fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, started: ms(u64::from(pid) - 100) }
}

pub(super) fn identity() -> Identity {
    Identity {
        trace: TraceId::derive(&[b"test"]),
        name: "agent.py".into(),
        command: vec!["python".into(), "agent.py".into()],
        content: Content::Full,
        root: Some(key(AGENT)),
        scope: Scope::Process,
        above: None,
        start: ms(0),
        resource: Arc::new(Resource::default()),
    }
}

pub(super) fn text(role: &str, text: &str) -> Message {
    Message { role: role.into(), parts: vec![Part::Text(text.into())], finish_reason: None }
}

pub(super) fn tool(id: &str, name: &str, arguments: Value) -> Part {
    let id = (!id.is_empty()).then(|| id.to_owned());
    Part::ToolCall(ToolCall { id, name: name.into(), arguments, kind: "function" })
}

pub(super) fn result(id: &str, response: &str) -> Message {
    let id = (!id.is_empty()).then(|| id.to_owned());
    let part = ToolResult { id, name: None, response: json!(response), is_error: false };
    Message { role: "tool".into(), parts: vec![Part::ToolResult(part)], finish_reason: None }
}

pub(super) fn assistant(parts: Vec<Part>) -> Message {
    Message { role: "assistant".into(), parts, finish_reason: Some("stop".into()) }
}

/// A call on a connection of its own.
pub(super) fn http(flow: u64, pid: u32, start: u64, end: u64, kind: Kind) -> Call {
    Call {
        flow: FlowId(flow),
        index: 0,
        process: Some(key(pid)),
        plane: Plane::Redirect,
        start: ms(start),
        request_end: ms(start),
        first_byte: Some(ms(end - 1)),
        first_chunk: None,
        end: ms(end),
        http: Http {
            method: "POST".into(),
            scheme: "https",
            host: "api.openai.com".into(),
            port: 443,
            path: "/v1/chat/completions".into(),
            status: Some(200),
            version: "1.1",
            ..Http::default()
        },
        kind,
        completion: Completion::Complete,
        faults: Vec::new(),
    }
}

pub(super) fn llm(input: Vec<Message>, output: Vec<Message>) -> Llm {
    Llm {
        operation: "chat",
        provider: "openai".into(),
        api: "openai.chat",
        request_model: Some("m".into()),
        usage: Usage { input: Some(10), output: Some(2), ..Usage::default() },
        input: input.into(),
        output,
        ..Llm::default()
    }
}

pub(super) fn chat(flow: u64, pid: u32, times: (u64, u64), input: Vec<Message>, output: Message) -> Call {
    http(flow, pid, times.0, times.1, Kind::Llm(Box::new(llm(input, vec![output]))))
}

pub(super) fn fork(parent: u32, child: u32) -> ProcessFact {
    let child = key(child);
    ProcessFact::Fork { parent: key(parent), child, time: child.started }
}

pub(super) fn exec(pid: u32, time: u64, argv: &[&str]) -> ProcessFact {
    ProcessFact::Exec {
        process: key(pid),
        filename: format!("/usr/bin/{}", argv[0]),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        truncated: false,
        cwd: None,
        time: ms(time),
    }
}

pub(super) fn exit(pid: u32, time: u64, code: i32) -> ProcessFact {
    ProcessFact::Exit { process: key(pid), status: Ok(code), time: ms(time) }
}

/// Anything that a script holds.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Call(Box<Call>),
    Fact(ProcessFact),
    /// A call over pipes, its client, and its server.
    Pipe(Box<PipeCall>, ProcessKey, Option<ProcessKey>),
}

impl From<Call> for Step {
    fn from(call: Call) -> Self {
        Step::Call(Box::new(call))
    }
}

impl From<ProcessFact> for Step {
    fn from(fact: ProcessFact) -> Self {
        Step::Fact(fact)
    }
}

pub(super) fn take(run: &mut Run, step: Step) {
    match step {
        Step::Call(call) => run.call(*call),
        Step::Fact(fact) => run.process(fact),
        Step::Pipe(call, client, server) => run.pipe(*call, client, server),
    }
}

/// What a run became.
pub(super) struct Outcome {
    pub(super) spans: Vec<Span>,
    pub(super) totals: Totals,
}

/// Plays a script and ends the run at ten seconds.
pub(super) fn play(steps: impl IntoIterator<Item = Step>) -> Outcome {
    let mut run = Run::new(identity());
    steps.into_iter().for_each(|step| take(&mut run, step));
    end(run, Vec::new())
}

pub(super) fn end(mut run: Run, mut spans: Vec<Span>) -> Outcome {
    let totals = run.finish(Ok(0), ms(10_000), &mut spans);
    Outcome { spans, totals }
}

impl Outcome {
    /// The span of that name, which must be the only one.
    pub(super) fn one(&self, name: &str) -> &Span {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.tree());
        all[0]
    }

    pub(super) fn all(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    pub(super) fn parent(&self, span: &Span) -> &str {
        let parent = span.parent.and_then(|id| self.spans.iter().find(|span| span.id == id));
        parent.map_or("", |span| &span.name)
    }

    /// Every span as a line with its parent and everything else, sorted.
    pub(super) fn tree(&self) -> String {
        let line = |span: &Span| {
            let events = span.events.len();
            format!(
                "{:?} {} {} {} {} {:?} {events} {:?}",
                span.parent, span.id, span.name, span.start.0, span.end.0, span.status, span.attributes
            )
        };
        let mut lines: Vec<String> = self.spans.iter().map(line).collect();
        lines.sort();
        lines.join("\n")
    }
}

pub(super) fn word<'a>(span: &'a Span, key: &str) -> &'a str {
    span.attribute(key).and_then(AttributeValue::as_text).unwrap_or("-")
}

pub(super) fn number(span: &Span, key: &str) -> i64 {
    span.attribute(key).and_then(AttributeValue::as_int).unwrap_or(-1)
}
