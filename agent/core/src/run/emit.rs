//! Spans of tools, processes and the run itself.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::Run;
use super::attributes::Attributes;
use super::evidence::Haystack;
use super::outcome::Failure;
use super::process::{Image, Process};
use super::tool::Open;
use crate::call::Call;
use crate::flow::Time;
use crate::process::ProcessKey;
use crate::telemetry::{Class, Event, Link, Resource, Span, SpanId, SpanKind, Status};
use crate::{limits, names, redact};

/// A span in the making.
pub(super) struct Draft(pub(super) Span);

impl Draft {
    pub(super) fn kind(mut self, kind: SpanKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(super) fn events(mut self, events: Vec<Event>) -> Self {
        self.0.events.extend(events);
        self
    }

    pub(super) fn links(mut self, links: Vec<Link>) -> Self {
        self.0.links.extend(links);
        self
    }

    /// Sets `error.type` and the status, where something failed.
    pub(super) fn failed(mut self, failure: Option<Failure>) -> Self {
        if let Some(failure) = failure {
            let mut set = Attributes(std::mem::take(&mut self.0.attributes));
            set.plain(names::ERROR_TYPE, failure.kind.as_str());
            self.0.attributes = set.0;
            self.0.status = failure.status();
        }
        self
    }
}

/// The item of a server-run tool and the item that answers it.
type Items<'a> = (&'a Value, Option<&'a Value>);

impl Run {
    pub(super) fn id(&self, parts: &[&[u8]]) -> SpanId {
        SpanId::derive(self.identity.trace, parts)
    }

    pub(super) fn call_id(&self, call: &Call) -> SpanId {
        let (flow, index, start) =
            (call.flow.0.to_le_bytes(), call.index.to_le_bytes(), call.start.0.to_le_bytes());
        self.id(&[b"call", &flow, &index, &start])
    }

    pub(super) fn tool_id(&self, call: SpanId, ordinal: u64) -> SpanId {
        self.id(&[b"tool", &call.0, &ordinal.to_le_bytes()])
    }

    pub(super) fn process_id(&self, key: ProcessKey) -> SpanId {
        self.id(&[b"process", &key.pid.to_le_bytes(), &key.started.0.to_le_bytes()])
    }

    pub(super) fn draft(
        &self,
        id: SpanId,
        parent: SpanId,
        name: String,
        times: Range<Time>,
        set: Attributes,
        resource: &Arc<Resource>,
    ) -> Draft {
        Draft(Span {
            trace: self.traces.of_span(parent).unwrap_or(self.base.id),
            id,
            parent: Some(parent),
            name,
            kind: SpanKind::Internal,
            start: times.start,
            end: times.end.max(times.start),
            status: Status::Unset,
            attributes: set.0,
            events: Vec::new(),
            links: Vec::new(),
            resource: Arc::clone(resource),
        })
    }

    pub(super) fn emit(&mut self, draft: Draft) {
        // Between two drains only what overflows can pile up here.
        if self.ready.len() >= limits::HELD_SPANS && !self.finished {
            self.ready.pop_front();
            self.hits.spans += 1;
        }
        if let Some(span) = self.hold(draft.0) {
            self.ready.push_back(span);
        }
    }

    /// Everything that is still open when the run ends.
    pub(super) fn close(&mut self) {
        while let Some(open) = self.tools.take_oldest() {
            self.unanswered(open);
        }
        self.let_go(true);
        for key in self.processes.left() {
            self.process_span(key);
        }
    }

    /// A tool call whose result never came.
    pub(super) fn unanswered(&mut self, open: Open) {
        let mut set = open.attributes;
        set.plain(names::LINK_RULE, "run");
        set.plain(names::COMPLETION, "unanswered");
        self.tally(open.parent, |totals| totals.tools_unanswered += 1);
        let times = open.asked..self.latest;
        let draft = self.draft(
            open.span,
            open.parent,
            format!("execute_tool {}", open.name),
            times,
            set,
            &open.resource,
        );
        self.emit(draft);
    }

    /// A tool that the provider ran inside a call, whose times are therefore the call's.
    pub(super) fn server_tool(
        &mut self,
        call: &Call,
        (chat, span): (SpanId, SpanId),
        (id, name, agent): (Option<&str>, &str, Option<&str>),
        (item, result): Items<'_>,
        rationale: &[&str],
    ) {
        let mut set = Attributes::default();
        set.plain(names::OPERATION_NAME, "execute_tool");
        set.plain(names::TOOL_NAME, name);
        set.plain(names::TOOL_TYPE, "extension");
        set.maybe(names::TOOL_CALL_ID, id);
        set.maybe(names::AGENT_NAME, agent);
        let member = |keys: &[&str]| keys.iter().find_map(|key| item.get(*key)).filter(|it| !it.is_null());
        if let Some(arguments) = member(&["arguments", "input", "action", "code", "queries"]) {
            set.json(names::TOOL_ARGUMENTS, arguments.clone(), Class::Content);
        }
        let result =
            result.map(|it| it.get("content").unwrap_or(it)).or(member(&["output", "outputs", "results"]));
        if let Some(result) = result {
            set.json(names::TOOL_RESULT, result.clone(), Class::Content);
        }
        if !rationale.is_empty() {
            set.text(names::DECISION_RATIONALE, &rationale.join("\n"), Class::Content);
        }
        set.plain(names::TOOL_TIMES, "bounds");
        set.plain(names::LINK_RULE, "server");
        let failed =
            item.get("status").and_then(Value::as_str) == Some("failed") || member(&["error"]).is_some();
        let failure = failed.then(|| Failure::new("tool_error", "the provider says that the tool failed"));
        self.tally(chat, |totals| {
            totals.tool_calls += 1;
            totals.tool_errors += u64::from(failed);
        });
        let resource = self.resource(call.process);
        let times = call.first_byte.unwrap_or(call.start)..call.end;
        let draft = self.draft(span, chat, format!("execute_tool {name}"), times, set, &resource);
        self.emit(draft.failed(failure));
    }

    /// The span of one process, once.
    pub(super) fn process_span(&mut self, key: ProcessKey) {
        let resource = self.resource(None);
        let ancestors = self.processes.ancestors(key);
        let (home, reaches) = self.processes.home(&ancestors);
        let Some(process) = self.processes.get(key).filter(|process| process.spans() && !process.done) else {
            return;
        };
        let began = process.images.front().map_or(key.started, |image| image.time);
        // A child of the agent itself, started while it waited for one tool alone.
        let window = || self.tools.only(began, self.identity.root, Haystack::has_command).filter(|_| reaches);
        let (parent, rule) = match (process.tool, home) {
            (Some(tool), _) => (tool, process.rule),
            (None, Some(home)) => (self.process_id(home), "parentage"),
            (None, None) => match window() {
                Some(tool) => (tool, "window"),
                None if reaches => (self.base.root, "parentage"),
                None => (self.base.root, "run"),
            },
        };
        let ran = !process.images.is_empty();
        let image = self.processes.image_name(key).unwrap_or("process");
        let name = if ran { format!("exec {image}") } else { format!("fork {image}") };
        let (mut set, failure) = describe(key, process);
        set.plain(names::LINK_RULE, rule);
        let first = process.images.front().map(|image| image.time);
        let start = if key.started.0 == 0 { first.unwrap_or(self.latest) } else { key.started };
        let end = process.exit.map_or(self.latest, |(_, time)| time);
        let earlier = process.images.iter().rev().skip(1).rev().map(replaced).collect();
        let mut draft = self.draft(self.process_id(key), parent, name, start..end, set, &resource);
        draft.0.events = earlier;
        if let Some(trace) = self.process_trace(key) {
            draft.0.trace = trace;
        }
        let id = draft.0.id;
        self.emit(draft.failed(failure));
        self.tally(id, |totals| totals.processes += u64::from(ran));
        self.processes.found(key);
        if let Some(process) = self.processes.get_mut(key) {
            process.done = true;
        }
    }
}

fn describe(key: ProcessKey, process: &Process) -> (Attributes, Option<Failure>) {
    let mut set = Attributes::default();
    set.int(names::PROCESS_PID, key.pid);
    if let Some(parent) = process.parent {
        set.int(names::PROCESS_PARENT_PID, parent.pid);
    }
    if let Some(image) = process.images.back() {
        ran(image, &mut set);
    }
    let failure = match process.exit {
        Some((status, _)) => exited(status, &mut set),
        None => {
            set.plain(names::COMPLETION, "running");
            None
        }
    };
    (set, failure)
}

fn ran(image: &Image, set: &mut Attributes) {
    set.maybe(names::PROCESS_EXECUTABLE, Some(image.name()));
    set.maybe(names::PROCESS_EXECUTABLE_PATH, Some(&image.filename));
    let argv: Vec<String> = redact::arguments(&image.argv);
    set.texts(names::PROCESS_COMMAND_ARGS, argv, Class::Metadata);
    if image.truncated {
        set.truth(names::ARGS_TRUNCATED);
    }
    if let Some(cwd) = &image.cwd {
        set.text(names::PROCESS_WORKING_DIRECTORY, cwd, Class::Metadata);
    }
}

/// An image that the process replaced by another.
fn replaced(image: &Image) -> Event {
    let mut set = Attributes::default();
    ran(image, &mut set);
    Event { name: "exec", time: image.time, attributes: set.0 }
}

pub(super) fn exited(status: Result<i32, i32>, set: &mut Attributes) -> Option<Failure> {
    match status {
        Ok(code) => {
            set.int(names::PROCESS_EXIT_CODE, code);
            (code != 0).then(|| Failure::new("exit_code", &format!("exited with code {code}")))
        }
        Err(signal) => {
            set.int(names::EXIT_SIGNAL, signal);
            Some(Failure::new("signal", &format!("ended by signal {signal}")))
        }
    }
}
