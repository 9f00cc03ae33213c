//! Tool executions, made from pairs: a tool call in an answer, and its result in a later request. Which belongs
//! to which is [`crate::lineage`]'s to say; here is what they did in between.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::attributes::Attributes;
use super::evidence::{Fit, Haystack, Needle};
use crate::call::{Call, ToolCall};
use crate::flow::Time;
use crate::limits;
use crate::lineage::ToolNumber;
use crate::process::ProcessKey;
use crate::telemetry::{Link, Resource, SpanId};

/// A tool call that waits for its result.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) span: SpanId,
    pub(super) parent: SpanId,
    pub(super) name: String,
    pub(super) asked: Time,
    pub(super) attributes: Attributes,
    pub(super) resource: Arc<Resource>,
    /// Equal for tool calls that ask for the same.
    pub(super) same: u64,
    /// Sub-agents that it started, and that stand elsewhere.
    pub(super) links: Vec<Link>,
}

/// The time in which a tool ran, and what its arguments name.
#[derive(Debug)]
struct Window {
    number: ToolNumber,
    span: SpanId,
    producer: Option<ProcessKey>,
    /// First byte of the answer that asked: clients may start a tool while the rest still streams.
    early: Time,
    asked: Time,
    answered: Option<Time>,
    haystack: Haystack,
    assigned: u32,
}

/// What the caller knows of a tool call when it opens.
pub(super) struct Asked {
    pub(super) span: SpanId,
    pub(super) parent: SpanId,
    pub(super) attributes: Attributes,
    pub(super) resource: Arc<Resource>,
    pub(super) same: u64,
}

/// Every tool call of a run that is, or lately was, open.
#[derive(Debug, Default)]
pub(super) struct Tools {
    open: BTreeMap<ToolNumber, Open>,
    windows: VecDeque<Window>,
}

impl Tools {
    /// Opens a tool call.
    pub(super) fn ask(&mut self, number: ToolNumber, call: &Call, tool: &ToolCall, asked: Asked) {
        self.windows.push_back(Window {
            number,
            span: asked.span,
            producer: call.process,
            early: call.first_byte.unwrap_or(call.end),
            asked: call.end,
            answered: None,
            haystack: Haystack::new(&tool.arguments),
            assigned: 0,
        });
        if self.windows.len() > limits::OPEN_TOOLS {
            self.windows.pop_front();
        }
        let open = Open {
            span: asked.span,
            parent: asked.parent,
            name: tool.name.clone(),
            asked: call.end,
            attributes: asked.attributes,
            resource: asked.resource,
            same: asked.same,
            links: Vec::new(),
        };
        self.open.insert(number, open);
    }

    /// Takes a tool call out, whose result came at that time, or never.
    pub(super) fn take(&mut self, number: ToolNumber, answered: Option<Time>) -> Option<Open> {
        let open = self.open.remove(&number)?;
        let at = self.windows.binary_search_by_key(&number, |window| window.number);
        if let Some(window) = at.ok().and_then(|at| self.windows.get_mut(at)) {
            window.answered = answered;
        }
        Some(open)
    }

    /// The oldest open call, which is given up.
    pub(super) fn take_oldest(&mut self) -> Option<Open> {
        let number = *self.open.keys().next()?;
        self.take(number, None)
    }

    /// The span of a call that is, or lately was, open.
    pub(super) fn span(&self, number: ToolNumber) -> Option<SpanId> {
        let lately = || self.windows.binary_search_by_key(&number, |window| window.number).ok();
        let open = self.open.get(&number).map(|open| open.span);
        open.or_else(|| self.windows.get(lately()?).map(|window| window.span))
    }

    /// Adds to an open call what it turned out to have started.
    pub(super) fn link(&mut self, number: ToolNumber, link: Link) {
        if let Some(open) = self.open.get_mut(&number) {
            open.links.push(link);
        }
    }

    /// The tool whose arguments name a command, open at that time. `strict`: its answer was complete by then.
    pub(super) fn named(
        &mut self,
        needle: &Needle,
        time: Time,
        strict: bool,
        producer: impl Fn(Option<ProcessKey>) -> bool,
    ) -> Option<SpanId> {
        self.best(time, strict, producer, |haystack| haystack.names(needle))
    }

    /// The tool whose arguments hold a URL, open at that time.
    pub(super) fn holding(
        &mut self,
        urls: &[String],
        time: Time,
        process: Option<ProcessKey>,
    ) -> Option<SpanId> {
        let fit = |haystack: &Haystack| urls.iter().filter_map(|url| haystack.holds(url)).min();
        self.best(time, false, |producer| producer == process, fit)
    }

    /// The only tool of a process that was open when something began. `None` where there were two, or none, or
    /// where the tool says itself what it does (`says`), and that is something else.
    pub(super) fn only(
        &self,
        time: Time,
        process: Option<ProcessKey>,
        says: impl Fn(&Haystack) -> bool,
    ) -> Option<SpanId> {
        let open = |window: &&Window| {
            let ended = window.answered.is_some_and(|end| end < time);
            window.producer == process && window.early <= time && !ended
        };
        let mut open = self.windows.iter().filter(open);
        let first = open.next()?;
        (open.next().is_none() && !says(&first.haystack)).then_some(first.span)
    }

    /// The only open tool of a process whose arguments are a program that calls a tool of this name.
    pub(super) fn calling(&self, name: &str, time: Time, process: Option<ProcessKey>) -> Option<SpanId> {
        let fits = |window: &&Window| {
            let ended = window.answered.is_some_and(|end| end < time);
            window.producer == process && window.early <= time && !ended && window.haystack.calls(name)
        };
        let mut open = self.windows.iter().filter(fits);
        let first = open.next()?;
        open.next().is_none().then_some(first.span)
    }

    fn best(
        &mut self,
        time: Time,
        strict: bool,
        producer: impl Fn(Option<ProcessKey>) -> bool,
        fit: impl Fn(&Haystack) -> Option<Fit>,
    ) -> Option<SpanId> {
        let open = |window: &&mut Window| {
            let begun =
                if strict { window.asked <= time } else { window.early.0 <= time.0 + limits::SKEW_NANOS };
            let ended = window.answered.is_some_and(|end| end.0 + limits::SKEW_NANOS < time.0);
            begun && !ended && producer(window.producer)
        };
        let ranked = self.windows.iter_mut().filter(open).filter_map(|window| {
            let fit = fit(&window.haystack)?;
            Some(((fit, window.assigned, Reverse(window.asked), window.number), window))
        });
        let (_, window) = ranked.min_by_key(|(rank, _)| *rank)?;
        window.assigned += 1;
        Some(window.span)
    }
}
