//! Tool executions, made from pairs: a tool call in an answer, and its result in a later request.
//!
//! Requests resend their history, so a result counts where it is first seen, and a tool call inside a
//! request is no new one. Some wires have no ids and some clients use one id again and again; then the
//! position in the history decides: the n-th result belongs to the n-th execution.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::attributes::Attributes;
use super::evidence::{Fit, Haystack, Needle};
use crate::call::{Call, Llm, Message, Part, ToolCall, ToolResult};
use crate::flow::Time;
use crate::limits;
use crate::process::ProcessKey;
use crate::telemetry::{Resource, SpanId};

/// A tool call that waits for its result.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) span: SpanId,
    pub(super) parent: SpanId,
    pub(super) name: String,
    pub(super) asked: Time,
    pub(super) conversation: Option<usize>,
    pub(super) attributes: Attributes,
    pub(super) resource: Arc<Resource>,
    pub(super) arguments: Value,
    pub(super) scope: Scope,
    /// Results with the same key that stood in the history before this call was made.
    prior: usize,
    /// Messages in the request whose answer made this call.
    history: usize,
    early: Time,
    key: Key,
}

/// Where a conversation lives, as far as the wire and the kernel say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) process: Option<ProcessKey>,
    thread: Option<String>,
}

impl Scope {
    pub(super) fn of(call: &Call, llm: &Llm) -> Self {
        Self { process: call.process, thread: llm.thread.as_ref().map(|thread| thread.id.clone()) }
    }
}

/// What a result finds its call by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Id(String),
    Name(String),
}

impl Key {
    pub(super) fn new(id: Option<&str>, name: &str) -> Self {
        match id.filter(|id| !id.is_empty()) {
            Some(id) => Key::Id(id.to_owned()),
            None => Key::Name(name.to_owned()),
        }
    }

    pub(super) fn rule(&self) -> &'static str {
        match self {
            Key::Id(_) => "tool_call_id",
            Key::Name(_) => "name_and_order",
        }
    }
}

/// The time in which a tool ran, and what its arguments name.
#[derive(Debug)]
struct Window {
    number: u64,
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
    pub(super) conversation: Option<usize>,
    pub(super) attributes: Attributes,
    pub(super) resource: Arc<Resource>,
    pub(super) ordinal: usize,
}

/// Every tool call of a run that is, or lately was, open.
#[derive(Debug, Default)]
pub(super) struct Tools {
    open: BTreeMap<u64, Open>,
    keys: HashMap<Key, Vec<u64>>,
    windows: VecDeque<Window>,
    next: u64,
}

impl Tools {
    /// Opens a tool call; gives back the oldest one if there are too many.
    pub(super) fn ask(&mut self, call: &Call, llm: &Llm, tool: &ToolCall, asked: Asked) -> Option<Open> {
        let number = self.next;
        self.next += 1;
        let key = Key::new(tool.id.as_deref(), &tool.name);
        let early = call.first_byte.unwrap_or(call.end);
        let scope = Scope::of(call, llm);
        self.windows.push_back(Window {
            number,
            span: asked.span,
            producer: call.process,
            early,
            asked: call.end,
            answered: None,
            haystack: Haystack::new(&tool.arguments),
            assigned: 0,
        });
        if self.windows.len() > limits::OPEN_TOOLS {
            self.windows.pop_front();
        }
        let prior = llm.tool_results().filter(|result| matches(&key, result)).count() + asked.ordinal;
        let open = Open {
            span: asked.span,
            parent: asked.parent,
            name: tool.name.clone(),
            asked: call.end,
            conversation: asked.conversation,
            attributes: asked.attributes,
            resource: asked.resource,
            arguments: tool.arguments.clone(),
            scope,
            prior,
            history: llm.input.pieces(),
            early,
            key: key.clone(),
        };
        self.open.insert(number, open);
        self.keys.entry(key).or_default().push(number);
        if self.open.len() > limits::OPEN_TOOLS { self.take_oldest() } else { None }
    }

    /// Closes the tool calls that a request answers.
    pub(super) fn answer<'a>(&mut self, call: &Call, llm: &'a Llm) -> Vec<(Open, &'a ToolResult)> {
        let mut answered = Vec::new();
        if self.open.is_empty() {
            return answered;
        }
        let echoes = echoes(llm.tooling());
        let mut totals: HashMap<Key, usize> = HashMap::new();
        let results: Vec<(Key, &ToolResult)> = llm.tool_results().map(|it| (self.key(it), it)).collect();
        for (key, _) in &results {
            *totals.entry(key.clone()).or_default() += 1;
        }
        let mut seen: HashMap<Key, usize> = HashMap::new();
        for (key, result) in results {
            let place = seen.entry(key.clone()).or_default();
            let position = Position {
                index: *place,
                last: *place + 1 == totals.get(&key).copied().unwrap_or(0),
                echo: echoes.get(&key).and_then(|calls| calls.get(*place)).copied(),
            };
            *place += 1;
            if let Some(number) = self.find(&key, &position, call, llm)
                && let Some(open) = self.take(number)
            {
                self.close(number, call.start);
                answered.push((open, result));
            }
        }
        answered
    }

    /// A result without id and name can only be told by order: it belongs to the oldest call without id.
    fn key(&self, result: &ToolResult) -> Key {
        let key = Key::new(result.id.as_deref(), result.name.as_deref().unwrap_or_default());
        match &key {
            Key::Name(name) if name.is_empty() => {
                let oldest = self.open.values().find(|open| matches!(open.key, Key::Name(_)));
                oldest.map_or(key, |open| open.key.clone())
            }
            _ => key,
        }
    }

    fn find(&self, key: &Key, position: &Position<'_>, call: &Call, llm: &Llm) -> Option<u64> {
        let scope = Scope::of(call, llm);
        let rank = |number: &u64| {
            let open = self.open.get(number)?;
            let echoed =
                position.echo.is_some_and(|echo| echo.name == open.name && echo.arguments == open.arguments);
            let renamed = position.echo.is_some_and(|echo| echo.name != open.name);
            let here = open.scope == scope;
            // With a server-side history only what is new is sent.
            let incremental = llm.previous_response_id.is_some();
            let shortened = position.last && llm.input.pieces() < open.history;
            let in_place = incremental || shortened || position.index >= open.prior;
            let foreign = matches!(key, Key::Name(_)) && !here && !echoed;
            if renamed || foreign || !in_place || call.start < open.early {
                return None;
            }
            Some((!echoed, !here, Reverse(open.asked), open.prior, *number))
        };
        self.keys.get(key)?.iter().filter_map(rank).min().map(|rank| rank.4)
    }

    fn take(&mut self, number: u64) -> Option<Open> {
        let open = self.open.remove(&number)?;
        if let Some(numbers) = self.keys.get_mut(&open.key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.keys.remove(&open.key);
            }
        }
        Some(open)
    }

    /// The oldest open call, which is given up.
    pub(super) fn take_oldest(&mut self) -> Option<Open> {
        let number = *self.open.keys().next()?;
        self.take(number)
    }

    fn close(&mut self, number: u64, time: Time) {
        let at = self.windows.binary_search_by_key(&number, |window| window.number);
        if let Some(window) = at.ok().and_then(|at| self.windows.get_mut(at)) {
            window.answered = Some(time);
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

struct Position<'a> {
    index: usize,
    last: bool,
    echo: Option<&'a ToolCall>,
}

fn matches(key: &Key, result: &ToolResult) -> bool {
    *key == Key::new(result.id.as_deref(), result.name.as_deref().unwrap_or_default())
}

/// The tool calls that a history repeats, by key and in order.
fn echoes(input: &[Message]) -> HashMap<Key, Vec<&ToolCall>> {
    let mut echoes: HashMap<Key, Vec<&ToolCall>> = HashMap::new();
    for part in input.iter().flat_map(|message| &message.parts) {
        if let Part::ToolCall(call) = part {
            echoes.entry(Key::new(call.id.as_deref(), &call.name)).or_default().push(call);
        }
    }
    echoes
}
