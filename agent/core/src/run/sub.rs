//! Where the conversations of sub-agents stand: under the tool call that started them.
//!
//! Some sub-agents say who they are and not which tool call started them; its result tells. Their spans wait
//! for it under a span that stands in for the tool's, as long as a tool call is open that could tell.

use std::collections::{BTreeMap, HashMap};

use super::Run;
use super::attributes::Attributes;
use super::emit::Draft;
use super::link::link;
use crate::lineage::{CallNumber, Rule, Step, ToolNumber};
use crate::telemetry::{Span, SpanId};
use crate::{limits, names};

/// The conversations that others started.
#[derive(Debug, Default)]
pub(super) struct Places {
    under: BTreeMap<CallNumber, Under>,
    /// Those that wait, by the spans that stand in.
    waiting: HashMap<SpanId, Waiting>,
    /// What stood in for what, for spans that come later.
    known: HashMap<SpanId, (SpanId, &'static str)>,
    held: usize,
}

/// What a conversation stands under.
#[derive(Clone, Copy, Debug)]
enum Under {
    Span(SpanId),
    /// A span that stands in for it.
    StandIn(SpanId),
    /// Nothing: it is beside the others.
    Beside,
}

#[derive(Debug)]
struct Waiting {
    conversation: CallNumber,
    /// Where it stands when nobody tells.
    otherwise: SpanId,
    spans: Vec<Span>,
}

impl Places {
    /// Keeps a span whose place is not known yet; gives back any other.
    fn hold(&mut self, mut span: Span) -> Option<Span> {
        let Some(parent) = span.parent else { return Some(span) };
        if let Some((place, rule)) = self.known.get(&parent) {
            stand(&mut span, *place, rule);
        } else if let Some(waiting) = self.waiting.get_mut(&parent) {
            waiting.spans.push(span);
            self.held += 1;
            return None;
        }
        Some(span)
    }

    fn put(&mut self, conversation: CallNumber, under: Under) {
        if self.under.len() < limits::CONVERSATIONS || self.knows(conversation) {
            self.under.insert(conversation, under);
        }
    }

    /// Whether a conversation is known to be nobody's main one.
    fn knows(&self, conversation: CallNumber) -> bool {
        self.under.contains_key(&conversation)
    }
}

/// Puts a span to its place, which was not known when it was made.
fn stand(span: &mut Span, place: SpanId, rule: &'static str) {
    span.parent = Some(place);
    let unknown = span.attribute(names::LINK_RULE).and_then(|it| it.as_text()) == Some(Rule::SubAgent.word());
    if unknown {
        let mut set = Attributes(std::mem::take(&mut span.attributes));
        set.plain(names::LINK_RULE, rule);
        span.attributes = set.0;
    }
}

impl Run {
    /// What a call of a model stands under, and the rule; `place` where its conversation is nobody's.
    pub(super) fn below(&mut self, step: &Step, place: (SpanId, &'static str)) -> (SpanId, &'static str) {
        if let Some((tool, rule)) = step.parent
            && let Some(span) = self.tools.span(tool)
        {
            self.places.put(step.conversation, Under::Span(span));
            return (span, rule.word());
        }
        if !self.places.knows(step.conversation) {
            if !step.spawned || self.places.under.len() >= limits::CONVERSATIONS {
                return place;
            }
            let under = if self.lineage.may_be_named(step.conversation) {
                Under::StandIn(self.stand_in(step.conversation, place.0))
            } else {
                Under::Beside
            };
            self.places.under.insert(step.conversation, under);
        }
        match self.places.under.get(&step.conversation) {
            Some(Under::Span(span)) => (*span, "conversation"),
            Some(Under::StandIn(span)) => (*span, Rule::SubAgent.word()),
            Some(Under::Beside) => (place.0, Rule::SubAgent.word()),
            None => place,
        }
    }

    /// Whether a conversation is a sub-agent's.
    pub(super) fn is_sub(&self, conversation: CallNumber) -> bool {
        self.places.knows(conversation)
    }

    fn stand_in(&mut self, conversation: CallNumber, otherwise: SpanId) -> SpanId {
        let span = self.id(&[b"stand-in", &conversation.to_le_bytes()]);
        if let Some(trace) = self.traces.of_span(otherwise) {
            self.traces.keep(span, trace);
        }
        self.places.waiting.insert(span, Waiting { conversation, otherwise, spans: Vec::new() });
        span
    }

    /// Puts a finished span out, or keeps it until its place is known. Gives it back where it can go.
    pub(super) fn hold(&mut self, span: Span) -> Option<Span> {
        let out = self.places.hold(span);
        if self.places.held > limits::HELD_SPANS {
            self.hits.spans += 1;
            self.let_go(true);
        }
        out
    }

    /// A tool call's result names a sub-agent.
    pub(super) fn started(&mut self, conversation: CallNumber, tool: ToolNumber) {
        let Some(span) = self.tools.span(tool) else { return };
        if let Some(Under::StandIn(stand_in)) = self.places.under.get(&conversation).copied() {
            self.place(stand_in, span, Rule::AgentId.word());
            self.places.under.insert(conversation, Under::Span(span));
        } else if let Some(first) = self.spans.get(&conversation).copied() {
            // It stands somewhere already, and went out.
            let trace = self.traces.of_span(first).unwrap_or(self.base.id);
            self.tools.link(tool, link(trace, first, Rule::AgentId.word()));
        }
    }

    /// Lets the sub-agents go that nobody can name any more, or all of them.
    pub(super) fn let_go(&mut self, all: bool) {
        if self.places.waiting.is_empty() {
            return;
        }
        let gone = |it: &Waiting| all || !self.lineage.may_be_named(it.conversation);
        let gone = self.places.waiting.iter().filter(|(_, it)| gone(it));
        let mut gone: Vec<_> = gone.map(|(span, it)| (it.conversation, *span, it.otherwise)).collect();
        gone.sort_unstable_by_key(|(conversation, _, _)| *conversation);
        for (conversation, stand_in, otherwise) in gone {
            self.place(stand_in, otherwise, Rule::SubAgent.word());
            self.places.under.insert(conversation, Under::Beside);
        }
    }

    fn place(&mut self, stand_in: SpanId, place: SpanId, rule: &'static str) {
        let Some(waiting) = self.places.waiting.remove(&stand_in) else { return };
        self.places.held = self.places.held.saturating_sub(waiting.spans.len());
        self.places.known.insert(stand_in, (place, rule));
        for mut span in waiting.spans {
            stand(&mut span, place, rule);
            self.emit(Draft(span));
        }
    }
}
