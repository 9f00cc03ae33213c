//! Ties that are no place in the tree: to what a call continues, and to spans of others.

use super::attributes::Attributes;
use super::{Above, Run};
use crate::lineage::{CallNumber, Rule, Step};
use crate::telemetry::{Link, SpanId, TraceId};
use crate::{limits, names};

impl Run {
    /// The span of the agent's own instrumentation that a request names. None where it stands above in the
    /// tree, and none where the name is our own (`--rewrite`).
    pub(super) fn named(&self, traceparent: Option<&str>, parent: SpanId) -> Option<Link> {
        let named = traceparent.and_then(Above::read)?;
        let adopted = self.identity.above.is_some() && named.span != self.base.root;
        if named.trace == self.base.id && !adopted {
            return None;
        }
        let above = self.traces.of_root(parent).is_some_and(|trace| trace.above == Some(named.span));
        (!above).then(|| link(named.trace, named.span, "traceparent"))
    }

    /// Says what a call continues, or does again.
    pub(super) fn continues(&mut self, step: &Step, id: SpanId, set: &mut Attributes, links: &mut Vec<Link>) {
        let span = |number: CallNumber| self.spans.get(&number).copied();
        let trace = |span: SpanId| self.traces.of_span(span).unwrap_or(self.base.id);
        if let Some((number, rule)) = step.previous
            && let Some(span) = span(number)
        {
            set.plain(names::PREVIOUS_SPAN, span.to_string());
            set.plain(names::PREVIOUS_RULE, rule.word());
            if rule == Rule::Compaction {
                set.truth(names::CONVERSATION_COMPACTED);
            }
            links.push(link(trace(span), span, rule.word()));
        }
        if let Some((number, rule)) = step.retry
            && let Some(span) = span(number)
        {
            set.plain(names::RETRY_OF, span.to_string());
            set.plain(names::RETRY_RULE, rule.word());
            links.push(link(trace(span), span, rule.word()));
            self.tally(id, |totals| totals.retries += 1);
        }
        self.spans.insert(step.number, id);
        if self.spans.len() > limits::LINEAGE_CALLS {
            self.spans.pop_first();
        }
    }
}

/// A tie to another span, with the rule that found it.
pub(super) fn link(trace: TraceId, span: SpanId, rule: &'static str) -> Link {
    let mut set = Attributes::default();
    set.plain(names::LINK_RULE, rule);
    Link { trace, span, attributes: set.0 }
}
