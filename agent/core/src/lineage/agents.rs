//! Sub-agents by the identifiers that the wire gives them.
//!
//! Their requests carry an id. The tool call that started one names the same id in its result, which comes at
//! once where the two work side by side, and else when the sub-agent is done.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::Value;

use super::past::Past;
use super::{CallNumber, Said, ToolNumber, blank, digest};
use crate::call::Thread;
use crate::flow::Time;
use crate::limits;

/// Where Claude Code puts the id of a sub-agent into the result of its tool call.
const MARK: &str = "agentId:";

/// Which tool call started whom, as far as results say.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// Ids that were named before their owners said anything.
    named: HashMap<String, ToolNumber>,
    order: VecDeque<String>,
    /// Sub-agents that no result has named yet, by their ids.
    waiting: HashMap<String, Waiting>,
    arrivals: VecDeque<String>,
}

/// What a sub-agent says, and when it began.
#[derive(Debug)]
struct Waiting {
    conversations: Vec<CallNumber>,
    start: Time,
    /// Who started it, where it says so.
    parent: Option<String>,
}

/// A sub-agent's place in relation to those who may have started it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    pub(super) thread: &'a Thread,
    pub(super) said: &'a Said,
}

impl Child<'_> {
    /// Whether an earlier call may be its parent's.
    pub(super) fn may_be_of(self, past: &Past) -> bool {
        match (&self.thread.parent, &past.scope.thread) {
            (Some(parent), Some(thread)) => parent == thread,
            // Agents that know sessions only name the parent's.
            (Some(parent), None) => past.session.is_none_or(|session| {
                session == digest(&[parent.as_bytes()]) || self.said.session == Some(session)
            }),
            (None, thread) => {
                let other = thread.as_ref() != Some(&self.thread.id);
                let sessions = past.session.zip(self.said.session);
                other && sessions.is_none_or(|(theirs, own)| theirs == own)
            }
        }
    }
}

impl Agents {
    /// The tool call whose result named this one.
    pub(super) fn of(&self, thread: &Thread) -> Option<ToolNumber> {
        self.named.get(&thread.id).copied()
    }

    /// Remembers a sub-agent that nobody has named yet.
    pub(super) fn wait(&mut self, thread: &Thread, conversation: CallNumber, start: Time) {
        if !telling(&thread.id) {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(&thread.id) {
            if waiting.conversations.len() < limits::LINEAGE_ALIKE {
                waiting.conversations.push(conversation);
            }
            return;
        }
        let waiting = Waiting { conversations: vec![conversation], start, parent: thread.parent.clone() };
        self.waiting.insert(thread.id.clone(), waiting);
        self.arrivals.push_back(thread.id.clone());
        if self.arrivals.len() > limits::CONVERSATIONS
            && let Some(oldest) = self.arrivals.pop_front()
        {
            self.waiting.remove(&oldest);
        }
    }

    /// Reads the result of a tool call that began at `early`. Gives the sub-agents that it names. `own`: who made
    /// the tool call, and may find its own id in what the tool says.
    pub(super) fn read(
        &mut self,
        result: &Value,
        (tool, early): (ToolNumber, Time),
        own: Option<&str>,
    ) -> Vec<CallNumber> {
        let mut words = BTreeSet::new();
        gather(result, &self.waiting, &mut words);
        let mut started = Vec::new();
        for (word, marked) in words.into_iter().filter(|(word, _)| Some(*word) != own) {
            // What was there before the tool call was not started by it.
            let begun = |it: &Waiting| {
                let parent = it.parent.as_deref().zip(own);
                it.start.0 + limits::SKEW_NANOS >= early.0 && parent.is_none_or(|(parent, own)| parent == own)
            };
            let waits = self.waiting.get(word).map(begun);
            if waits == Some(true)
                && let Some(waiting) = self.waiting.remove(word)
            {
                started.extend(waiting.conversations);
                self.arrivals.retain(|other| other != word);
            }
            // What else it says will be looked for under its name.
            let first = waits == Some(true) || marked && waits.is_none();
            if first && !self.named.contains_key(word) {
                self.named.insert(word.to_owned(), tool);
                self.order.push_back(word.to_owned());
            }
        }
        while self.order.len() > limits::CONVERSATIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.named.remove(&oldest);
        }
        started.sort_unstable();
        started
    }
}

/// Whether an id is nobody else's.
fn telling(id: &str) -> bool {
    id.len() >= limits::AGENT_LETTERS && !blank(id)
}

/// The words of a result that are ids: marked as such, shaped as such, or those of whom somebody waits for.
/// With each, whether it is one by itself.
fn gather<'a>(value: &'a Value, wanted: &HashMap<String, Waiting>, out: &mut BTreeSet<(&'a str, bool)>) {
    match value {
        Value::String(text) => {
            let marks = text.match_indices(MARK).filter_map(|(at, _)| text.get(at + MARK.len()..));
            let marked = marks.filter_map(|rest| words(rest.trim_start()).next());
            out.extend(marked.filter(|word| telling(word)).map(|word| (word, true)));
            // A short result that is little but an id, as of a tool that starts somebody and does not wait.
            let short = text.len() <= limits::AGENT_RESULT_BYTES;
            let own = |word: &str| short && is_uuid(word) && telling(word);
            if short || !wanted.is_empty() {
                let ids = words(text).filter(|word| own(word) || wanted.contains_key(*word));
                out.extend(ids.map(|word| (word, own(word))));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, wanted, out)),
        Value::Object(members) => members.values().for_each(|item| gather(item, wanted, out)),
        _ => {}
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').filter(|word| !word.is_empty())
}

fn is_uuid(word: &str) -> bool {
    let groups = word.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
