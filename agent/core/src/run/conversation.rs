//! Which calls belong together, as far as the root span's question and answer need it.

use std::collections::BTreeMap;

use super::messages;
use crate::call::{Call, Llm, Message, Part};
use crate::flow::Time;
use crate::limits;
use crate::lineage::{CallNumber, Step};

/// One conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) number: CallNumber,
    group: CallNumber,
    first: Time,
    sub: bool,
    tools: bool,
    /// What it began with: the last thing that the user said in its first request. What stands before are
    /// instructions that agents write as the user, or the history of an earlier run.
    pub(super) question: Option<Message>,
    /// The latest text of the model, and when it was whole.
    pub(super) answer: Option<(Time, Message)>,
    /// The id that the wire gives it.
    pub(super) id: Option<String>,
}

/// The conversations of one run.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    list: BTreeMap<CallNumber, Conversation>,
    /// How often a bound kept a call from being followed.
    pub(super) dropped: u64,
}

impl Conversations {
    /// Adds a call to its conversation. `sub`: an agent started it, and not a person.
    pub(super) fn add(&mut self, call: &Call, llm: &Llm, step: &Step, sub: bool) {
        if self.list.len() >= limits::CONVERSATIONS && !self.list.contains_key(&step.conversation) {
            self.dropped += 1;
            return;
        }
        let open = || Conversation {
            number: step.conversation,
            group: step.group,
            first: call.start,
            sub: sub || llm.thread.as_ref().is_some_and(|thread| thread.spawned),
            tools: false,
            question: question(llm),
            answer: None,
            id: llm.conversation.as_ref().map(|it| it.id.clone()),
        };
        self.list.entry(step.conversation).or_insert_with(open).take(call, llm);
    }

    /// The conversation that is the run's own: no sub-agent's, with tools on offer (titles and summaries
    /// are asked for without), the earliest. Where no call offered tools, the run's calls are one series,
    /// and its last word is the answer.
    pub(super) fn main(&self, group: Option<CallNumber>) -> (Option<&Conversation>, Option<&Message>) {
        let all = || self.list.values().filter(move |it| group.is_none_or(|group| it.group == group));
        let main = all().min_by_key(|it| (it.sub, !it.tools, it.first));
        let answer = match main {
            Some(main) if main.tools => main.answer.as_ref(),
            _ => all().filter(|it| !it.sub).filter_map(|it| it.answer.as_ref()).max_by_key(|it| it.0),
        };
        (main, answer.map(|(_, message)| message))
    }
}

impl Conversation {
    fn take(&mut self, call: &Call, llm: &Llm) {
        self.tools |= llm.tools.pieces() > 0 || llm.tool_calls().next().is_some();
        if call.start < self.first {
            self.first = call.start;
            self.question = question(llm).or(self.question.take());
        }
        if self.id.is_none() {
            self.id = llm.conversation.as_ref().map(|it| it.id.clone());
        }
        if let Some((message, text)) = llm.output.iter().find_map(|it| Some((it, messages::text(it)?))) {
            let message = Message { parts: vec![Part::Text(text)], ..message.clone() };
            self.answer = Some((call.end, message));
        }
    }
}

fn question(llm: &Llm) -> Option<Message> {
    let said = |it: &Message| it.role == "user" && messages::text(it).is_some();
    llm.input.find_last(|it| said(it).then(|| it.clone()))
}
