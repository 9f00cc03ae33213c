//! Which calls belong together, as far as the root span's question and answer need it.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::messages;
use crate::call::{Call, Llm, Message, Part};
use crate::flow::Time;
use crate::limits;
use crate::process::ProcessKey;

/// One conversation.
#[derive(Debug)]
pub(super) struct Conversation {
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
    list: Vec<Conversation>,
    responses: HashMap<String, usize>,
    order: VecDeque<String>,
    threads: HashMap<(Option<ProcessKey>, String), usize>,
    beginnings: HashMap<(Option<ProcessKey>, u64), usize>,
    /// How often a bound kept a call from being followed, or made an older one be forgotten.
    pub(super) dropped: u64,
}

/// Ties a key to a conversation, unless it is tied already. False where there is no room for it.
fn remember<K: Eq + Hash>(map: &mut HashMap<K, usize>, key: Option<K>, number: usize) -> bool {
    let Some(key) = key else { return true };
    let room = map.len() < limits::CONVERSATIONS || map.contains_key(&key);
    if room {
        map.entry(key).or_insert(number);
    }
    room
}

impl Conversations {
    /// The conversation of a call. `answered` is the one whose tool results it carries.
    pub(super) fn assign(&mut self, call: &Call, llm: &Llm, answered: Option<usize>) -> Option<usize> {
        let thread = llm.thread.as_ref().map(|thread| (call.process, thread.id.clone()));
        let beginning = beginning(llm).map(|hash| (call.process, hash));
        let previous = llm.previous_response_id.as_ref().and_then(|id| self.responses.get(id));
        let found = previous
            .copied()
            .or(answered)
            .or_else(|| thread.as_ref().and_then(|key| self.threads.get(key)).copied())
            .or_else(|| {
                beginning
                    .as_ref()
                    .filter(|_| thread.is_none())
                    .and_then(|key| self.beginnings.get(key))
                    .copied()
            });
        let number = found.or_else(|| self.open(call, llm))?;
        if let Some(id) = &llm.response_id
            && self.responses.insert(id.clone(), number).is_none()
        {
            self.order.push_back(id.clone());
            if self.order.len() > limits::CONVERSATIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.responses.remove(&oldest);
                self.dropped += 1;
            }
        }
        self.dropped += u64::from(!remember(&mut self.threads, thread, number));
        self.dropped += u64::from(!remember(&mut self.beginnings, beginning, number));
        if let Some(conversation) = self.list.get_mut(number) {
            conversation.take(call, llm);
        }
        Some(number)
    }

    fn open(&mut self, call: &Call, llm: &Llm) -> Option<usize> {
        if self.list.len() >= limits::CONVERSATIONS {
            self.dropped += 1;
            return None;
        }
        let sub = llm.thread.as_ref().is_some_and(|thread| thread.parent.is_some());
        let question = question(llm);
        let (first, id) = (call.start, llm.conversation.as_ref().map(|it| it.id.clone()));
        self.list.push(Conversation { first, sub, tools: false, question, answer: None, id });
        Some(self.list.len() - 1)
    }

    /// The conversation that is the run's own: no sub-agent's, with tools on offer (titles and summaries
    /// are asked for without), the earliest. Where no call offered tools, the run's calls are one series,
    /// and its last word is the answer.
    pub(super) fn main(&self) -> (Option<&Conversation>, Option<&Message>) {
        let main = self.list.iter().min_by_key(|it| (it.sub, !it.tools, it.first));
        let answer = match main {
            Some(main) if main.tools => main.answer.as_ref(),
            _ => self
                .list
                .iter()
                .filter(|it| !it.sub)
                .filter_map(|it| it.answer.as_ref())
                .max_by_key(|it| it.0),
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

/// Equal for requests that begin with the same user message.
fn beginning(llm: &Llm) -> Option<u64> {
    let text = llm.input.find_first(|it| messages::text(it).filter(|_| it.role == "user"))?;
    let mut hash = DefaultHasher::new();
    text.trim().hash(&mut hash);
    Some(hash.finish())
}
