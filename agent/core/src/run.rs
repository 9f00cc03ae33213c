//! One execution of an agent: calls and process facts in, spans out.
//!
//! Invariants:
//! - The result does not depend on how the inputs of different sources interleave: `order` hands them on by
//!   their times.
//! - Every span says by which rule it got its place (`trackway.link.rule`): `tool_call_id`, `name_and_order`,
//!   `server` (the provider ran the tool), `name_and_arguments` (a tool server's call is what the tool asks for),
//!   `call_in_arguments` (the tool is a program that calls the server's: inferred), `command_in_arguments`,
//!   `url_in_arguments`, `agent_id` (the tool's result names the sub-agent), `prompt_in_arguments` (the tool's
//!   arguments hold the sub-agent's first message: inferred), `sub_agent` (it is one; no more is known),
//!   `conversation` (where the rest of it stands), `parentage` (by the process's parents), `window` (it began
//!   while one tool alone was open: inferred), `process` (a call, by the process that made it), `run` (no more
//!   is known).
//! - A span goes out once its place is certain; what stays uncertain goes out when the run ends.

mod ask;
mod attributes;
mod bound;
mod chat;
mod conversation;
mod coverage;
mod emit;
mod evidence;
mod http;
mod link;
mod messages;
mod order;
mod outcome;
mod pipe;
mod place;
mod process;
mod resource;
mod root;
mod rpc;
mod signals;
mod sub;
#[cfg(test)]
mod tests;
mod tie;
mod tool;
mod trace;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::call::{Call, Llm};
use crate::flow::{Direction, Time, Unread};
use crate::lineage::{CallNumber, Lineage};
use crate::observe::PipeCall;
use crate::process::{ProcessFact, ProcessKey};
use crate::telemetry::{Content, Resource, Span, SpanId, TraceId};

use conversation::Conversations;
pub use coverage::Planes;
use order::{Input, Order};
use pipe::Piped;
use process::Processes;
use sub::Places;
use tool::Tools;
pub use trace::{Above, Scope};
use trace::{Trace, Traces};

/// What a run is called and where it belongs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The trace that the run makes.
    pub trace: TraceId,
    /// The agent's name: the command's own, e.g. `codex`, `agent.py`.
    pub name: String,
    /// The command as it was given.
    pub command: Vec<String>,
    /// The agent's first process, where it is known.
    pub root: Option<ProcessKey>,
    /// The most that any sink shows. Messages, which are long, are put together for [`Content::Full`] only.
    pub content: Content,
    /// What makes one trace.
    pub scope: Scope,
    /// The span of somebody else under which the run stands.
    pub above: Option<Above>,
    /// When it began.
    pub start: Time,
    /// Attributes that every resource of the run shares (host, SDK).
    pub resource: Arc<Resource>,
}

/// Totals of a run, for the last line and the root span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Inference calls.
    pub llm_calls: u64,
    /// Tool executions.
    pub tool_calls: u64,
    /// Of these, failed.
    pub tool_errors: u64,
    /// Tool calls whose result never came.
    pub tools_unanswered: u64,
    /// Calls that did another again.
    pub retries: u64,
    /// Loops of tool calls.
    pub loops: u64,
    /// Plain HTTP calls.
    pub http_calls: u64,
    /// Calls of tool servers over pipes.
    pub pipe_calls: u64,
    /// Connections seen and not read.
    pub unread: u64,
    /// Bytes on these, as their sockets carried them.
    pub unread_bytes: u64,
    /// By which ways calls came.
    pub planes: Planes,
    /// Processes.
    pub processes: u64,
    /// Sum of the known input tokens.
    pub input_tokens: u64,
    /// Sum of the known output tokens.
    pub output_tokens: u64,
    /// Sum of the known cache reads.
    pub cache_read_tokens: u64,
    /// Sum of the known cache writes.
    pub cache_write_tokens: u64,
    /// Sum of the known reasoning tokens.
    pub reasoning_tokens: u64,
    /// Sum of the known costs, in 10^-12 US dollars.
    pub cost_pico_usd: u64,
    /// Inference calls whose cost is unknown.
    pub calls_without_cost: u64,
    /// Inference calls whose usage is unknown.
    pub calls_without_usage: u64,
    /// Process facts that the kernel's buffer lost.
    pub lost_facts: u64,
    /// Messages between agents and their tool servers that were lost.
    pub lost_messages: u64,
}

/// How often a limit was hit.
#[derive(Clone, Copy, Debug, Default)]
struct Hits {
    spans: u64,
    tools: u64,
    processes: u64,
    traces: u64,
}

impl Totals {
    /// Adds a call of a model. `refused`: it used nothing.
    fn add(&mut self, llm: &Llm, refused: bool) {
        let usage = &llm.usage;
        self.llm_calls += 1;
        self.input_tokens += usage.input.unwrap_or(0);
        self.output_tokens += usage.output.unwrap_or(0);
        self.cache_read_tokens += usage.cache_read.unwrap_or(0);
        self.cache_write_tokens += usage.cache_write.unwrap_or(0);
        self.reasoning_tokens += usage.reasoning.unwrap_or(0);
        self.calls_without_usage += u64::from(usage.input.is_none() && usage.output.is_none() && !refused);
        match &llm.cost {
            Some(Ok(cost)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "saturates; never negative"
                )]
                let pico = (cost.usd * 1e12).round() as u64;
                self.cost_pico_usd = self.cost_pico_usd.saturating_add(pico);
            }
            Some(Err(_)) => self.calls_without_cost += u64::from(!refused),
            None => {}
        }
    }
}

/// The agent's name as the calls say it.
#[derive(Debug, Default)]
enum Spoken {
    #[default]
    Nothing,
    Name(String),
    Disagree,
}

/// The state of one run.
#[derive(Debug)]
pub struct Run {
    identity: Identity,
    /// The process's own trace.
    base: Trace,
    traces: Traces,
    order: Order,
    processes: Processes,
    tools: Tools,
    conversations: Conversations,
    places: Places,
    lineage: Lineage,
    /// The spans of the calls that others may continue.
    spans: BTreeMap<CallNumber, SpanId>,
    resources: HashMap<ProcessKey, Arc<Resource>>,
    own: Option<Arc<Resource>>,
    spoken: Spoken,
    totals: Totals,
    hits: Hits,
    /// The latest time of which anything was heard.
    latest: Time,
    /// Whether a process got a place since the waiting ones were last looked at.
    moved: bool,
    ready: VecDeque<Span>,
    finished: bool,
}

impl Run {
    /// Begins a run.
    pub fn new(identity: Identity) -> Self {
        let root = match identity.above {
            None => SpanId::derive(identity.trace, &[b"root"]),
            // Several runs may stand under one span of somebody else.
            Some(_) => SpanId::derive(identity.trace, &[b"root", &identity.start.0.to_le_bytes()]),
        };
        Self {
            base: Trace::new(identity.trace, root, identity.above.map(|above| above.span), identity.start),
            traces: Traces::default(),
            order: Order::default(),
            processes: Processes::new(identity.root),
            tools: Tools::default(),
            conversations: Conversations::default(),
            places: Places::default(),
            lineage: Lineage::default(),
            spans: BTreeMap::new(),
            resources: HashMap::new(),
            own: None,
            spoken: Spoken::default(),
            totals: Totals::default(),
            hits: Hits::default(),
            latest: identity.start,
            moved: false,
            ready: VecDeque::new(),
            finished: false,
            identity,
        }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The id of the root span, known before the span itself goes out.
    pub fn root(&self) -> SpanId {
        self.base.root
    }

    /// The process waits for connections of others: in [`Scope::Auto`], its conversations are traces of their
    /// own from now on.
    pub fn listens(&mut self) {
        if self.identity.scope == Scope::Auto {
            self.identity.scope = Scope::Conversation;
        }
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes a fact about a process. Facts of one process come in order.
    pub fn process(&mut self, fact: ProcessFact) {
        self.take(Input::Fact(fact));
    }

    /// Takes a finished call. Calls of one connection come in order.
    pub fn call(&mut self, call: Call) {
        self.take(Input::Call(Box::new(call)));
    }

    /// Takes a connection that was not read.
    pub fn unread(&mut self, unread: Unread) {
        self.take(Input::Unread(Box::new(unread)));
    }

    /// Takes a call that `client` made of a tool server over pipes (MCP's stdio transport). What the server
    /// asks, and what expects no answer, is no call of the client's, and makes no span.
    pub fn pipe(&mut self, pipe: PipeCall, client: ProcessKey, server: Option<ProcessKey>) {
        if pipe.direction == Direction::ToOrigin && pipe.mcp.id.is_some() && pipe.mcp.method.is_some() {
            self.take(Input::Pipe(Box::new(Piped { call: pipe, client, server })));
        }
    }

    /// The agent's first process became another program before it asked anything: what was a launcher gives its
    /// place to the agent. Afterwards nothing changes any more.
    pub fn rename(&mut self, name: &str, command: &[String], resource: &Arc<Resource>) {
        if self.totals.llm_calls + self.totals.http_calls + self.totals.pipe_calls == 0 {
            name.clone_into(&mut self.identity.name);
            self.identity.command = command.to_vec();
            self.identity.resource = Arc::clone(resource);
        }
    }

    /// Counts messages on pipes that were lost on their way, or too many to be followed
    /// ([`crate::observe::Pipe::lost`]).
    pub fn pipe_lost(&mut self, count: u64) {
        self.totals.lost_messages += count;
    }

    /// Appends the spans whose place in the tree is certain by now.
    pub fn drain(&mut self, now: Time, out: &mut Vec<Span>) {
        while let Some(input) = self.order.settled(now) {
            self.tie(input);
        }
        self.sweep();
        for trace in self.traces.idle(now) {
            self.end_trace(trace);
        }
        out.extend(self.ready.drain(..));
    }

    /// Ends the run: everything still held comes out, the root span last.
    /// `status` is the agent's exit code or the signal that ended it.
    pub fn finish(&mut self, status: Result<i32, i32>, time: Time, out: &mut Vec<Span>) -> Totals {
        self.end(Some(status), time, out)
    }

    /// As [`Run::finish`], where the agent goes on and is watched no longer.
    pub fn leave(&mut self, time: Time, out: &mut Vec<Span>) -> Totals {
        self.end(None, time, out)
    }

    fn end(&mut self, status: Option<Result<i32, i32>>, time: Time, out: &mut Vec<Span>) -> Totals {
        if self.finished {
            return self.totals;
        }
        while let Some(input) = self.order.next() {
            self.tie(input);
            out.extend(self.ready.drain(..));
        }
        self.finished = true;
        self.latest = self.latest.max(time);
        self.close();
        for trace in self.traces.all() {
            self.end_trace(trace);
        }
        out.extend(self.ready.drain(..));
        out.push(self.root_span(status, time));
        self.totals
    }

    fn take(&mut self, input: Input) {
        if self.finished {
            return;
        }
        self.order.push(input);
        while let Some(input) = self.order.overflow() {
            self.tie(input);
        }
    }
}
