//! The root span of each trace, and what it tells of all that stands below it.

use super::attributes::Attributes;
use super::emit::{Draft, exited};
use super::outcome::Failure;
use super::trace::Trace;
use super::{Run, Spoken, Totals, messages};
use crate::call::Completion;
use crate::flow::Time;
use crate::lineage::CallNumber;
use crate::process::ProcessKey;
use crate::telemetry::{Class, Span, SpanId, SpanKind, Status, TraceId};
use crate::{names, redact};

impl Run {
    /// Adds to the totals of the run, and of the trace in which a span stands.
    pub(super) fn tally(&mut self, span: SpanId, add: impl Fn(&mut Totals)) {
        add(&mut self.totals);
        add(&mut self.trace_of(span).totals);
    }

    /// The trace in which a span stands.
    pub(super) fn trace_of(&mut self, span: SpanId) -> &mut Trace {
        let trace = self.traces.of_span(span);
        match trace.and_then(|trace| self.traces.get_mut(trace)) {
            Some(trace) => trace,
            None => &mut self.base,
        }
    }

    /// The trace of a process that runs for a tool of a conversation with a trace of its own.
    pub(super) fn process_trace(&mut self, key: ProcessKey) -> Option<TraceId> {
        let tool = |key: &ProcessKey| self.processes.get(*key).and_then(|process| process.tool);
        let tool = tool(&key).or_else(|| self.processes.ancestors(key).iter().find_map(tool))?;
        let trace = self.traces.of_span(tool)?;
        self.traces.keep(self.process_id(key), trace);
        Some(trace)
    }

    /// The span of the whole run.
    pub(super) fn root_span(&mut self, status: Option<Result<i32, i32>>, time: Time) -> Span {
        let mut set = Attributes::default();
        set.count(names::LIMIT_SPANS, self.hits.spans + self.traces.forgotten);
        set.count(names::LIMIT_TOOLS, self.hits.tools);
        set.count(names::LIMIT_PROCESSES, self.hits.processes);
        set.count(names::LIMIT_TRACES, self.hits.traces);
        set.count(names::LIMIT_CONVERSATIONS, self.conversations.dropped + self.lineage.forgotten());
        set.texts(names::PROCESS_COMMAND_ARGS, redact::arguments(&self.identity.command), Class::Metadata);
        set.count(names::LOST_FACTS, self.totals.lost_facts);
        set.count(names::LOST_MESSAGES, self.totals.lost_messages);
        let failure = status.and_then(|status| exited(status, &mut set));
        let word = match status {
            Some(Ok(0)) => "ok",
            Some(Ok(_)) => "failed",
            Some(Err(_)) => "killed",
            None => "left",
        };
        let base =
            std::mem::replace(&mut self.base, Trace::new(TraceId([0; 16]), SpanId([0; 8]), None, time));
        let span = self.root_of(&base, (self.identity.start, time), (word, failure), set);
        self.base = base;
        span
    }

    /// Ends the trace of a conversation.
    pub(super) fn end_trace(&mut self, id: TraceId) {
        if let Some(trace) = self.traces.close(id) {
            self.ended(&trace);
        }
    }

    /// The root span of a conversation's trace.
    pub(super) fn ended(&mut self, trace: &Trace) {
        let failure =
            trace.signals.last_failure().map(|kind| Failure::new(kind, "the last model call failed"));
        let word = if failure.is_some() { "failed" } else { "ok" };
        let span = self.root_of(trace, (trace.start, trace.end), (word, failure), Attributes::default());
        self.emit(Draft(span));
    }

    fn root_of(
        &mut self,
        trace: &Trace,
        times: (Time, Time),
        (word, failure): (&str, Option<Failure>),
        more: Attributes,
    ) -> Span {
        let resource = self.resource(self.identity.root);
        let name = match &self.spoken {
            Spoken::Name(name) => name.clone(),
            _ => self.identity.name.clone(),
        };
        let mut set = Attributes::default();
        set.plain(names::OPERATION_NAME, "invoke_agent");
        set.plain(names::AGENT_NAME, name.as_str());
        let number = self.content(trace.group, &mut set);
        totals(&trace.totals, &mut set);
        trace.signals.attributes(number, times, &mut set);
        set.plain(names::RUN_STATUS, word);
        let last = trace.signals.last_failure().map(|kind| format!("the last model call failed: {kind}"));
        let own = failure.as_ref().map(|failure| failure.message.clone()).filter(|_| trace.group.is_none());
        let reasons: Vec<String> = own.into_iter().chain(last).collect();
        set.maybe(names::RUN_STATUS_REASON, Some(&reasons.join("; ")));
        set.0.extend(more.0);
        let span = Span {
            trace: trace.id,
            id: trace.root,
            parent: trace.above,
            name: format!("invoke_agent {name}"),
            kind: SpanKind::Internal,
            start: times.0,
            end: times.1.max(times.0),
            status: Status::Unset,
            attributes: set.0,
            events: Vec::new(),
            links: Vec::new(),
            resource,
        };
        Draft(span).failed(failure).0
    }

    /// Question, answer and name of the conversation that a trace is about.
    fn content(&self, group: Option<CallNumber>, set: &mut Attributes) -> Option<CallNumber> {
        let (main, answer) = self.conversations.main(group);
        set.maybe(names::CONVERSATION_ID, main.and_then(|it| it.id.as_deref()));
        if let Some(question) = main.and_then(|it| it.question.as_ref()) {
            set.json(names::INPUT_MESSAGES, messages::input(std::slice::from_ref(question)), Class::Content);
        }
        if let Some(answer) = answer {
            let answer = messages::output(std::slice::from_ref(answer), &[], Completion::Complete);
            set.json(names::OUTPUT_MESSAGES, answer, Class::Content);
        }
        main.map(|it| it.number)
    }
}

fn totals(totals: &Totals, set: &mut Attributes) {
    set.int(names::RUN_LLM_CALLS, totals.llm_calls);
    set.int(names::RUN_TOOL_CALLS, totals.tool_calls);
    set.int(names::RUN_TOOL_ERRORS, totals.tool_errors);
    set.int(names::RUN_INPUT_TOKENS, totals.input_tokens);
    set.int(names::RUN_OUTPUT_TOKENS, totals.output_tokens);
    set.int(names::RUN_CACHE_READ_TOKENS, totals.cache_read_tokens);
    set.count(names::RUN_CACHE_WRITE_TOKENS, totals.cache_write_tokens);
    if totals.input_tokens > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a share, to a few places")]
        let share = totals.cache_read_tokens as f64 / totals.input_tokens as f64;
        set.double(names::RUN_CACHED_SHARE, Some((share * 1e4).round() / 1e4));
    }
    set.int(names::RUN_REASONING_TOKENS, totals.reasoning_tokens);
    if totals.cost_pico_usd > 0 {
        #[expect(clippy::cast_precision_loss, reason = "dollars to twelve places")]
        let usd = totals.cost_pico_usd as f64 / 1e12;
        set.double(names::RUN_COST, Some(usd));
    }
    set.count(names::RUN_UNPRICED, totals.calls_without_cost);
    set.count(names::RUN_UNKNOWN_USAGE, totals.calls_without_usage);
    set.count(names::RUN_RETRIES, totals.retries);
    set.count(names::RUN_LOOPS, totals.loops);
    set.count(names::RUN_UNANSWERED, totals.tools_unanswered);
    set.count(names::RUN_HTTP_CALLS, totals.http_calls);
    set.count(names::RUN_PIPE_CALLS, totals.pipe_calls);
    set.count(names::RUN_PROCESSES, totals.processes);
    set.count(names::RUN_UNREAD, totals.unread);
    set.count(names::COVERAGE_UNREAD_BYTES, totals.unread_bytes);
    set.texts(names::COVERAGE_PLANES, totals.planes.names(), Class::Plain);
}
