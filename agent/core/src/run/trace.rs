//! Which trace a span belongs to.
//!
//! A program that a person starts is one execution and one trace. A server answers many people at once, and each
//! of its conversations is a trace of its own ([`Scope::Conversation`]): with a root span of its own, and an id
//! that every Trackway which sees a part of the conversation derives alike.

use std::collections::{HashMap, VecDeque};

use super::Totals;
use super::signals::Signals;
use crate::flow::Time;
use crate::limits;
use crate::lineage::{CallNumber, Step};
use crate::telemetry::{SpanId, TraceId};

/// What makes one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The execution of a process and of all that it starts.
    #[default]
    Process,
    /// A conversation, with all that was done for it.
    Conversation,
    /// A conversation where the process waits for connections of others when it first calls a model, else the
    /// process.
    Auto,
}

/// A place in somebody else's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Above {
    /// The trace.
    pub trace: TraceId,
    /// The span under which to stand.
    pub span: SpanId,
}

impl Above {
    /// Reads a `traceparent` (W3C Trace Context, section 3.2).
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-').skip(1);
        let mut trace = [0; 16];
        let mut span = [0; 8];
        hex(parts.next()?, &mut trace)?;
        hex(parts.next()?, &mut span)?;
        let valid = trace.iter().any(|byte| *byte != 0) && span.iter().any(|byte| *byte != 0);
        valid.then_some(Self { trace: TraceId(trace), span: SpanId(span) })
    }
}

fn hex(text: &str, out: &mut [u8]) -> Option<()> {
    if text.len() != out.len() * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(())
}

/// One trace of a run.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    pub(super) root: SpanId,
    pub(super) above: Option<SpanId>,
    pub(super) start: Time,
    pub(super) end: Time,
    pub(super) totals: Totals,
    pub(super) signals: Signals,
    /// The group of calls whose trace it is; `None` for the process's own.
    pub(super) group: Option<CallNumber>,
}

impl Trace {
    pub(super) fn new(id: TraceId, root: SpanId, above: Option<SpanId>, start: Time) -> Self {
        let (totals, signals) = (Totals::default(), Signals::default());
        Self { id, root, above, start, end: start, totals, signals, group: None }
    }
}

/// The traces of conversations that go on, and where spans stand that are not in the process's own trace.
#[derive(Debug, Default)]
pub(super) struct Traces {
    open: HashMap<TraceId, Trace>,
    groups: HashMap<CallNumber, TraceId>,
    order: VecDeque<TraceId>,
    roots: HashMap<SpanId, TraceId>,
    spans: HashMap<SpanId, TraceId>,
    kept: VecDeque<SpanId>,
    /// How often each id had a root already.
    ended: HashMap<TraceId, u64>,
    /// Spans whose trace was forgotten, so that what stands under them goes to the process's own.
    pub(super) forgotten: u64,
}

impl Traces {
    /// The trace of a call's group, opened where it is new. Gives a trace that must end to make room.
    pub(super) fn of_group(
        &mut self,
        base: TraceId,
        step: &Step,
        above: Option<Above>,
        start: Time,
    ) -> (TraceId, Option<Trace>) {
        if let Some(id) = self.groups.get(&step.group).filter(|id| self.open.contains_key(*id)) {
            return (*id, None);
        }
        let number = step.group.to_le_bytes();
        let derived = match (above, step.key) {
            (Some(above), _) => above.trace,
            (None, Some(key)) => TraceId::derive(&[b"conversation", &key]),
            (None, None) => TraceId::derive(&[&base.0, &number]),
        };
        // Two that are alike in all that names them are two all the same.
        let taken = self.open.contains_key(&derived);
        let id = if taken { TraceId::derive(&[&derived.0, &base.0, &number]) } else { derived };
        let before = self.ended.get(&id).copied().unwrap_or(0);
        let root = match before {
            0 if above.is_none() => SpanId::derive(id, &[b"root"]),
            _ => SpanId::derive(id, &[b"root", &number, &before.to_le_bytes()]),
        };
        let mut trace = Trace::new(id, root, above.map(|above| above.span), start);
        trace.group = Some(step.group);
        self.groups.insert(step.group, id);
        self.open.insert(id, trace);
        self.order.push_back(id);
        self.roots.insert(root, id);
        let full = self.open.len() > limits::CONVERSATIONS;
        let oldest = full.then(|| self.order.front().copied()).flatten();
        (id, oldest.and_then(|oldest| self.close(oldest)))
    }

    /// Remembers where a span stands.
    pub(super) fn keep(&mut self, span: SpanId, trace: TraceId) {
        if self.spans.insert(span, trace).is_none() {
            self.kept.push_back(span);
        }
        if self.kept.len() > limits::HELD_SPANS
            && let Some(oldest) = self.kept.pop_front()
        {
            self.spans.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// Where a span stands, if not in the process's own trace.
    pub(super) fn of_span(&self, span: SpanId) -> Option<TraceId> {
        self.roots.get(&span).or_else(|| self.spans.get(&span)).copied()
    }

    /// The trace of a conversation, by its root span.
    pub(super) fn of_root(&self, root: SpanId) -> Option<&Trace> {
        self.roots.get(&root).and_then(|id| self.open.get(id))
    }

    pub(super) fn get_mut(&mut self, id: TraceId) -> Option<&mut Trace> {
        self.open.get_mut(&id)
    }

    /// Takes a trace out, whose root span goes out now.
    pub(super) fn close(&mut self, id: TraceId) -> Option<Trace> {
        let trace = self.open.remove(&id)?;
        self.order.retain(|other| *other != id);
        self.roots.remove(&trace.root);
        if self.ended.len() < limits::LINEAGE_CALLS {
            *self.ended.entry(id).or_default() += 1;
        }
        Some(trace)
    }

    /// The traces in which nothing has happened for long.
    pub(super) fn idle(&self, now: Time) -> Vec<TraceId> {
        let idle =
            |id: &&TraceId| self.open.get(*id).is_some_and(|it| now.since(it.end) >= limits::IDLE_NANOS);
        self.order.iter().filter(idle).copied().collect()
    }

    /// All that are open, the oldest first.
    pub(super) fn all(&self) -> Vec<TraceId> {
        self.order.iter().copied().collect()
    }
}
