//! The same request again.

use super::{CallNumber, Lineage, Rule, Said, overlaps};
use crate::call::{Call, Completion};

impl Lineage {
    /// The earlier call that this one repeats, if it is no step of its own.
    pub(super) fn repeated(&self, call: &Call, said: &Said) -> Option<(CallNumber, Rule)> {
        let counted = call.http.resend_count.is_some_and(|count| count > 0);
        let given_up = matches!(call.completion, Completion::Cancelled);
        let rule = |number: &CallNumber| {
            let past = self.calls.get(number)?;
            if past.scope.process != call.process || past.scope.thread != said.scope.thread {
                return None;
            }
            if overlaps(past.times, (call.start, call.end)) {
                // Two that run at once are two agents, unless one of them was given up.
                return (past.given_up || given_up).then_some((*number, Rule::Hedge));
            }
            let after = past.times.1 <= call.start;
            let rule = if counted { Rule::RetryCount } else { Rule::SameRequest };
            (after && past.failed && !past.repeated && past.continued == 0).then_some((*number, rule))
        };
        self.index.requests(said).iter().rev().find_map(rule)
    }
}
