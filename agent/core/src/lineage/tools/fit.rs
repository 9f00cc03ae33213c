//! Open tool calls by what their arguments say: whom they start, and who carries them out.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::Value;

use super::{Open, Tools};
use crate::call::Call;
use crate::flow::Time;
use crate::limits;
use crate::lineage::agents::Child;
use crate::lineage::past::Past;
use crate::lineage::turn::{canonical, digest};
use crate::lineage::{CallNumber, Rule, Said, ToolNumber};
use crate::process::ProcessKey;

impl Tools {
    /// The open tool call whose arguments hold a conversation's first message. Of a sub-agent only those of its
    /// parent count, and where several fit alike, none: it has a name, by which it will be told.
    pub(in crate::lineage) fn asked_for(
        &mut self,
        call: &Call,
        child: Option<Child<'_>>,
        said: &Said,
        calls: &HashMap<CallNumber, Past>,
    ) -> Option<(ToolNumber, Rule)> {
        let opening = said.opening.as_str();
        if opening.len() < limits::PROMPT_LETTERS {
            return None;
        }
        let fit = |open: &Open| {
            let holds = |prompt: &&String| opening.contains(prompt.as_str()) || prompt.contains(opening);
            open.prompts.iter().filter(holds).map(|prompt| prompt.len().abs_diff(opening.len())).min()
        };
        let of_parent = |open: &Open| {
            child.is_none_or(|child| calls.get(&open.producer).is_none_or(|past| child.may_be_of(past)))
        };
        let begun = |open: &Open| open.early.0 <= call.start.0 + limits::SKEW_NANOS;
        let rank = |(number, open): (&ToolNumber, &Open)| {
            let taken = self.prompted.contains(number);
            Some((fit(open)?, taken, Reverse(open.producer), *number))
        };
        let fits = self.open.iter().filter(|(_, open)| begun(open) && of_parent(open));
        let mut ranked: Vec<_> = fits.filter_map(rank).collect();
        ranked.sort_unstable();
        let (best, _, _, number) = *ranked.first()?;
        if child.is_some() && ranked.iter().any(|other| other.0 == best && other.3 != number) {
            return None;
        }
        self.prompted.insert(number);
        Some((number, Rule::PromptInArguments))
    }

    /// Whether one that is open may have started the conversation that began with this call.
    pub(in crate::lineage) fn may_have_started(
        &self,
        first: &Past,
        calls: &HashMap<CallNumber, Past>,
    ) -> bool {
        self.open.values().any(|open| {
            let asker = calls.get(&open.producer);
            open.early.0 <= first.times.0.0 + limits::SKEW_NANOS
                && asker.is_some_and(|asker| {
                    asker.group == first.group && asker.conversation != first.conversation
                })
        })
    }

    /// The open tool call that a call of a tool server carries out: the same name (clients put the server's
    /// before it) and the same arguments. `None` where two conversations wait for the same.
    pub(in crate::lineage) fn carried_out(
        &self,
        name: &str,
        arguments: &Value,
        start: Time,
        process: Option<ProcessKey>,
    ) -> Option<(ToolNumber, Rule)> {
        let wanted = digest(&[&canonical(arguments)]);
        let same = |open: &Open| {
            let prefix = open.name.strip_suffix(name);
            prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(['_', '-', '.', '/', ':']))
                && open.arguments == wanted
                && open.early.0 <= start.0 + limits::SKEW_NANOS
                && (open.scope.process.is_none() || process.is_none() || open.scope.process == process)
        };
        let mut fits = self.open.iter().filter(|(number, open)| same(open) && !self.carried.contains(number));
        let (number, first) = fits.next()?;
        let alone = fits.all(|(_, open)| open.producer == first.producer);
        alone.then_some((*number, Rule::NameAndArguments))
    }

    /// Remembers that a tool call is carried out, so that the next one alike finds the next.
    pub(in crate::lineage) fn carry(&mut self, tool: ToolNumber) {
        self.carried.insert(tool);
    }
}
