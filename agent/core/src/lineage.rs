//! Which calls belong together: what continues what, whose tool call a result answers, who asked for whom.
//!
//! Invariants:
//! - Calls come in the order of their ends: who asked for something is seen before who answers it.
//! - Every tie names the [`Rule`] that made it, and rules are tried from the strongest to the weakest. Where
//!   two calls fit equally well and the bytes do not tell them apart, they are alike in everything that was
//!   said so far, and the one that nobody has continued yet is taken.
//! - Digests are the same on every machine, so that two that see parts of one conversation agree.
//! - Bounded by [`limits`]; what is forgotten for that is counted.

mod agents;
mod compact;
mod groups;
mod history;
mod past;
mod retry;
mod rule;
mod said;
mod sub;
#[cfg(test)]
mod tests;
mod tools;
mod turn;

use std::collections::{HashMap, VecDeque};

use crate::call::{Call, Llm, Mcp, ToolResult};
use crate::flow::Time;
use crate::limits;
use crate::process::ProcessKey;
use agents::{Agents, Child};
use compact::Summaries;
pub use groups::{Group, Groups, Link, Tool};
use history::Index;
use past::{Past, Scope};
pub use rule::Rule;
use said::{Said, Waypoint, blank};
use tools::Tools;
use turn::{Digest, digest};

/// The number of a call, in the order in which calls were given.
pub type CallNumber = u64;
/// The number of a tool call, in the order in which they were asked for.
pub type ToolNumber = u64;

/// What one call is among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub number: CallNumber,
    /// Its conversation: the number of that conversation's first call.
    pub conversation: CallNumber,
    /// Everything that hangs together with it: the number of the first call of all.
    pub group: CallNumber,
    /// The call that it continues.
    pub previous: Option<(CallNumber, Rule)>,
    /// The call that it does again.
    pub retry: Option<(CallNumber, Rule)>,
    /// The tool call that started its conversation.
    pub parent: Option<(ToolNumber, Rule)>,
    /// Whether the wire says that an agent started its conversation.
    pub spawned: bool,
    /// Conversations that a tool call started, as its result says, which this request carries.
    pub started: Vec<(CallNumber, ToolNumber)>,
    /// The tool calls that it answers: which, and the place of the result among the request's.
    pub answered: Vec<Answered>,
    /// The numbers of the tool calls of its answer, in their order.
    pub asked: Vec<ToolNumber>,
    /// Tool calls that are no longer waited for, because too many wait.
    pub given_up: Vec<ToolNumber>,
    /// What names the conversation on every machine that sees a part of it; `None` where only its first
    /// request is known.
    pub key: Option<[u8; 16]>,
}

/// A tool call that found its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The tool call.
    pub tool: ToolNumber,
    /// The place of its result among the results that the request carries.
    pub result: usize,
    /// How it was found.
    pub rule: Rule,
}

/// Everything that is remembered of earlier calls.
#[derive(Debug, Default)]
pub struct Lineage {
    calls: HashMap<CallNumber, Past>,
    order: VecDeque<CallNumber>,
    index: Index,
    tools: Tools,
    agents: Agents,
    summaries: Summaries,
    next: CallNumber,
    /// Calls that were forgotten.
    forgotten: u64,
}

impl Lineage {
    /// How many calls were forgotten because too many came.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Takes a call of a model, and says what it is among those before it.
    pub fn take(&mut self, call: &Call, llm: &Llm) -> Step {
        let number = self.next;
        self.next += 1;
        let scope = Scope::of(call, llm);
        let base = self.base(llm, &scope);
        let said = Said::new(call, llm, scope, &base);
        let mut step = Step {
            number,
            conversation: number,
            group: number,
            previous: None,
            retry: self.repeated(call, &said),
            parent: None,
            spawned: llm.thread.as_ref().is_some_and(|thread| thread.spawned),
            started: Vec::new(),
            answered: Vec::new(),
            asked: Vec::new(),
            given_up: Vec::new(),
            key: None,
        };
        let found = self.predecessor(call, llm, &said);
        step.answered = self.tools.answer(call, llm, &said, &found, &self.calls);
        self.name(&mut step, llm);
        let nearer = || self.by_tail(&said, call, llm).filter(|(number, _)| self.after(*number, &found));
        step.previous = found
            .previous
            .map(|previous| nearer().unwrap_or(previous))
            .or_else(|| self.by_tool(&step))
            .or(found.named)
            .or_else(|| self.by_tail(&said, call, llm))
            .or_else(|| self.begun(llm, &said))
            .or_else(|| self.compacted(call, llm, &said));
        self.place(&mut step, &said, call, llm);
        step.asked = self.tools.ask(call, llm, &step, &said);
        step.given_up = self.tools.surplus();
        self.remember(&step, &said, call, llm);
        step
    }

    /// The open tool call that a call of a tool server carries out.
    pub fn carried_out(
        &mut self,
        mcp: &Mcp,
        start: Time,
        process: Option<ProcessKey>,
    ) -> Option<(ToolNumber, Rule)> {
        let (name, arguments) = (mcp.tool_name.as_ref()?, mcp.tool_arguments.as_ref()?);
        let found = self.tools.carried_out(name, arguments, start, process)?;
        self.tools.carry(found.0);
        Some(found)
    }

    /// The call whose answer asked for a tool.
    pub fn producer(&self, tool: ToolNumber) -> Option<CallNumber> {
        self.tools.producer(tool)
    }

    /// The conversation, and what it hangs under.
    fn place(&mut self, step: &mut Step, said: &Said, call: &Call, llm: &Llm) {
        let before = step.previous.or(step.retry).map(|(number, _)| number);
        if let Some(before) = before.and_then(|number| self.calls.get(&number)) {
            (step.conversation, step.group) = (before.conversation, before.group);
            step.key = before.key;
            // What only warms up begins a conversation and may leave its first message to the next call.
            if before.states.is_empty() && !before.placed && before.conversation == before.number {
                step.parent = self.started_by(said, call, llm);
            }
        } else {
            step.parent = self.started_by(said, call, llm);
            let above = step.parent.and_then(|(tool, _)| self.tools.producer(tool));
            let session = || self.index.session(said).or_else(|| self.index.above(llm));
            let group = above.or_else(session).and_then(|number| self.calls.get(&number));
            step.group = group.map_or(step.number, |past| past.group);
        }
        step.key = step.key.or_else(|| said.key(llm));
    }

    /// The tool call that started a conversation.
    fn started_by(&mut self, said: &Said, call: &Call, llm: &Llm) -> Option<(ToolNumber, Rule)> {
        let thread = llm.thread.as_ref().filter(|thread| thread.spawned);
        let child = thread.map(|thread| Child { thread, said });
        let named = thread.and_then(|thread| self.agents.of(thread)).map(|tool| (tool, Rule::AgentId));
        named.or_else(|| said.fresh().then(|| self.tools.asked_for(call, child, said, &self.calls))?)
    }

    /// Tells which sub-agents the results of a request name.
    fn name(&mut self, step: &mut Step, llm: &Llm) {
        let results: Vec<&ToolResult> =
            if step.answered.is_empty() { Vec::new() } else { llm.tool_results().collect() };
        for answered in &step.answered {
            let result = results.get(answered.result).map(|result| &result.response);
            if let Some((result, early)) = result.zip(self.tools.early(answered.tool)) {
                let own = llm.thread.as_ref().map(|thread| thread.id.as_str());
                let started = self.agents.read(result, (answered.tool, early), own);
                step.started.extend(started.into_iter().map(|conversation| (conversation, answered.tool)));
            }
        }
    }

    /// Whether the result of an open tool call may still name the sub-agent whose conversation this is.
    pub fn may_be_named(&self, conversation: CallNumber) -> bool {
        self.calls.get(&conversation).is_some_and(|past| self.tools.may_have_started(past, &self.calls))
    }

    /// The call whose tools a request answers: the latest of them.
    fn by_tool(&self, step: &Step) -> Option<(CallNumber, Rule)> {
        let producer = |answered: &Answered| Some((self.tools.producer(answered.tool)?, answered.rule));
        step.answered.iter().filter_map(producer).max_by_key(|(number, _)| *number)
    }

    /// The call that began the response which this one fetches.
    fn begun(&self, llm: &Llm, said: &Said) -> Option<(CallNumber, Rule)> {
        let id = llm.response_id.as_deref().filter(|_| llm.input.pieces() == 0)?;
        let number = self.index.same_response(id, &said.scope)?;
        Some((number, Rule::SameResponse))
    }

    fn remember(&mut self, step: &Step, said: &Said, call: &Call, llm: &Llm) {
        if let Some(thread) = llm.thread.as_ref().filter(|_| step.spawned && step.conversation == step.number)
            && step.parent.is_none_or(|(_, rule)| rule != Rule::AgentId)
        {
            self.agents.wait(thread, step.conversation, call.start);
        }
        self.summarised(step, said, call, llm);
        let past = Past::new(step, said, call, llm);
        self.index.add(step.number, &past);
        self.calls.insert(step.number, past);
        self.order.push_back(step.number);
        if let Some(before) = step.previous.and_then(|(number, _)| self.calls.get_mut(&number)) {
            before.continued += 1;
        }
        if let Some(before) = step.retry.and_then(|(number, _)| self.calls.get_mut(&number)) {
            before.repeated = true;
        }
        if self.order.len() > limits::LINEAGE_CALLS
            && let Some(oldest) = self.order.pop_front()
            && let Some(past) = self.calls.remove(&oldest)
        {
            self.index.remove(oldest, &past);
            self.forgotten += 1;
        }
    }

    /// What the server keeps of the conversation, and the request therefore leaves out.
    fn base(&self, llm: &Llm, scope: &Scope) -> Base {
        let before = self.index.response(llm, scope).last().and_then(|number| self.calls.get(number));
        before.map_or_else(Base::default, |past| Base {
            chain: past.states.first().map(|state| state.full),
            beginning: Some(past.beginning),
        })
    }
}

/// What stands before a request's own messages.
#[derive(Clone, Copy, Debug, Default)]
struct Base {
    chain: Option<Digest>,
    beginning: Option<Digest>,
}

/// When a call was, and who made it.
fn overlaps(a: (Time, Time), b: (Time, Time)) -> bool {
    a.0 < b.1 && b.0 < a.1
}
