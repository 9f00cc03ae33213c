//! One execution of an agent: calls and process facts in, spans out.

use std::sync::Arc;

use crate::call::Call;
use crate::flow::{Time, Unread};
use crate::process::{ProcessFact, ProcessKey};
use crate::telemetry::{Resource, Span, TraceId};

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
    /// Plain HTTP calls.
    pub http_calls: u64,
    /// Connections seen and not read.
    pub unread: u64,
    /// Processes.
    pub processes: u64,
    /// Sum of the known input tokens.
    pub input_tokens: u64,
    /// Sum of the known output tokens.
    pub output_tokens: u64,
    /// Sum of the known cache reads.
    pub cache_read_tokens: u64,
    /// Sum of the known reasoning tokens.
    pub reasoning_tokens: u64,
    /// Inference calls whose usage is unknown.
    pub calls_without_usage: u64,
    /// Process facts that the kernel's buffer lost.
    pub lost_facts: u64,
}

/// The state of one run.
#[derive(Debug)]
pub struct Run {
    identity: Identity,
}

impl Run {
    /// Begins a run.
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Takes a fact about a process. Facts of one process come in order.
    pub fn process(&mut self, fact: ProcessFact) {
        let _unused = fact;
    }

    /// Takes a finished call. Calls of one connection come in order.
    pub fn call(&mut self, call: Call) {
        let _unused = call;
    }

    /// Takes a connection that was not read.
    pub fn unread(&mut self, unread: Unread) {
        let _unused = unread;
    }

    /// Appends the spans whose place in the tree is certain by now.
    pub fn drain(&mut self, now: Time, out: &mut Vec<Span>) {
        let _unused = (now, out);
    }

    /// Ends the run: everything still held comes out, the root span last.
    /// `status` is the agent's exit code or the signal that ended it.
    pub fn finish(&mut self, status: Result<i32, i32>, time: Time, out: &mut Vec<Span>) -> Totals {
        let _unused = (status, time, out);
        Totals::default()
    }
}
