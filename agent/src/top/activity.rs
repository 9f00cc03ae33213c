//! What a run is doing, from the spans that it has ended. Pure.

use std::collections::VecDeque;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use serde_json::Value;
use trackway_core::names;

use super::limits;
use crate::sink::console::text;
use crate::store::{Fresh, State, Stored};

/// A tool that an answer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The call's id, where the protocol has one.
    id: String,
    /// Tool.
    pub name: String,
    /// The beginning of its arguments, on one line.
    pub arguments: String,
    /// When.
    pub since: u64,
}

/// What a run is doing. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// No span has come yet.
    Starting,
    /// A tool was asked for and has not answered; so many others likewise.
    Tool(Ask, usize),
    /// Tools were asked for, and what was said is not kept.
    Tools(u64),
    /// Every tool has answered, and the next answer of the model is awaited.
    Model(u64),
    /// The last answer asked for nothing.
    Idle(u64),
    /// The run is over.
    Ended,
}

/// The size of what the latest call of a model read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Tokens.
    pub tokens: u64,
    /// Since the call before it in the same conversation.
    pub growth: Option<i64>,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub time: u64,
    /// In words.
    pub words: String,
}

/// What came within one column of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Which, counted from 1970.
    pub number: u64,
    /// Calls of models.
    pub calls: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their known cost.
    pub pico: u64,
}

/// Everything that is remembered of a run's spans.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    open: VecDeque<Ask>,
    answers: VecDeque<String>,
    unseen: Option<u64>,
    said: u64,
    answered: u64,
    /// Of the latest call.
    pub context: Option<Context>,
    said_counted: u64,
    /// Loops so far.
    pub loops: u64,
    /// The newest.
    pub newest_loop: Option<Mark>,
    /// The newest failure.
    pub trouble: Option<Mark>,
    /// The last minutes, oldest first.
    pub beats: VecDeque<Beat>,
}

impl Activity {
    /// A span came.
    pub fn take(&mut self, fresh: &Fresh) {
        let (stored, end) = (&fresh.stored, fresh.stored.span.end_time_unix_nano);
        for event in stored.span.events.iter().filter(|event| event.name == names::LOOP) {
            self.loops += 1;
            newer(&mut self.newest_loop, Mark { time: event.time_unix_nano, words: round(event) });
        }
        let told = stored.number(names::RUN_LOOPS).and_then(|loops| u64::try_from(loops).ok());
        self.loops = self.loops.max(told.unwrap_or(0));
        // The root's failure is the run's own, which its row says.
        if let Some(error) = stored.error().filter(|_| !stored.span.parent_span_id.is_empty()) {
            let words = text::clean(&format!("{}: {error}", stored.span.name));
            newer(&mut self.trouble, Mark { time: end, words });
        }
        match stored.text(names::OPERATION_NAME) {
            Some("execute_tool") => self.answer(stored, end),
            Some("invoke_agent") | None => {}
            Some(_) => self.call(stored, end),
        }
        if fresh.counts {
            self.count(stored, end);
        }
    }

    /// What the run is doing.
    pub fn doing(&self, state: State) -> Doing {
        if state != State::Running {
            return Doing::Ended;
        }
        match self.open.back() {
            Some(ask) => Doing::Tool(ask.clone(), self.open.len() - 1),
            None if self.said == 0 && self.answered == 0 => Doing::Starting,
            None if self.answered >= self.said => Doing::Model(self.answered),
            None => self.unseen.map_or(Doing::Idle(self.said), Doing::Tools),
        }
    }

    fn call(&mut self, stored: &Stored, end: u64) {
        if end >= self.said {
            self.said = end;
            self.unseen = None;
        }
        match stored.text(names::OUTPUT_MESSAGES) {
            Some(messages) => self.ask(messages, end),
            None if wants_tools(stored) => self.unseen = Some(end),
            None => {}
        }
    }

    fn ask(&mut self, messages: &str, since: u64) {
        let messages: Vec<Value> = serde_json::from_str(messages).unwrap_or_default();
        let parts = messages.iter().filter_map(|message| message["parts"].as_array()).flatten();
        for part in parts.filter(|part| part["type"] == "tool_call") {
            let id = part["id"].as_str().unwrap_or_default().to_owned();
            if !id.is_empty() && self.answers.contains(&id) {
                continue;
            }
            let name = text::clean(part["name"].as_str().unwrap_or("?"));
            let mut arguments = text::clean(&brief(&part["arguments"]));
            text::shorten_bytes(&mut arguments, limits::ARGUMENT_BYTES);
            self.open.push_back(Ask { id, name, arguments, since });
            if self.open.len() > limits::ASKS {
                self.open.pop_front();
            }
        }
    }

    fn answer(&mut self, stored: &Stored, end: u64) {
        self.answered = self.answered.max(end);
        match stored.text(names::TOOL_CALL_ID) {
            Some(id) => {
                match self.open.iter().position(|ask| ask.id == id) {
                    Some(place) => drop(self.open.remove(place)),
                    None => self.answers.push_back(id.to_owned()),
                }
                if self.answers.len() > limits::ANSWERS {
                    self.answers.pop_front();
                }
            }
            // Protocols without ids answer in the order in which they were asked.
            None => {
                let name = stored.text(names::TOOL_NAME).unwrap_or_default();
                let place = self.open.iter().position(|ask| ask.id.is_empty() && ask.name == name);
                place.map(|place| self.open.remove(place));
            }
        }
    }

    fn count(&mut self, stored: &Stored, end: u64) {
        let number = |key| stored.number(key).and_then(|number| u64::try_from(number).ok());
        let (input, output) = (number(names::INPUT_TOKENS), number(names::OUTPUT_TOKENS));
        if let Some(tokens) = input.filter(|_| end >= self.said_counted) {
            self.said_counted = end;
            self.context = Some(Context { tokens, growth: stored.number(names::CONTEXT_GROWTH) });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; nothing costs that much"
        )]
        let pico = match stored.value(names::COST) {
            Some(Any::DoubleValue(usd)) => (usd * 1e12).max(0.0).round() as u64,
            _ => 0,
        };
        let tokens = input.unwrap_or(0).saturating_add(output.unwrap_or(0));
        self.beat(Beat { number: beat(end), calls: 1, tokens, pico });
    }

    fn beat(&mut self, new: Beat) {
        let place = self.beats.partition_point(|beat| beat.number < new.number);
        match self.beats.get_mut(place).filter(|beat| beat.number == new.number) {
            Some(beat) => {
                beat.calls += new.calls;
                beat.tokens = beat.tokens.saturating_add(new.tokens);
                beat.pico = beat.pico.saturating_add(new.pico);
            }
            None => self.beats.insert(place, new),
        }
        if self.beats.len() > limits::BEATS {
            self.beats.pop_front();
        }
    }
}

/// The column of the graph in which a time falls.
pub fn beat(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000_000 / limits::BEAT.as_secs()
}

fn newer(known: &mut Option<Mark>, mark: Mark) {
    if known.as_ref().is_none_or(|known| known.time <= mark.time) {
        *known = Some(mark);
    }
}

fn wants_tools(stored: &Stored) -> bool {
    let Some(Any::ArrayValue(list)) = stored.value(names::FINISH_REASONS) else { return false };
    list.values.iter().any(|reason| match &reason.value {
        Some(Any::StringValue(reason)) => {
            matches!(reason.as_str(), "tool_call" | "tool_calls" | "tool_use" | "function_call")
        }
        _ => false,
    })
}

fn round(event: &Event) -> String {
    let value = |key| event.attributes.iter().find(|it| it.key == key)?.value.as_ref()?.value.as_ref();
    let tools: Vec<String> = match value(names::LOOP_TOOLS) {
        Some(Any::ArrayValue(list)) => {
            let names = list.values.iter().filter_map(|it| match &it.value {
                Some(Any::StringValue(name)) => Some(text::clean(name)),
                _ => None,
            });
            names.collect()
        }
        _ => Vec::new(),
    };
    let times = match value(names::LOOP_ROUNDS) {
        Some(Any::IntValue(rounds)) => format!(", {rounds} times"),
        _ => String::new(),
    };
    format!("{}, the same arguments{times}", tools.join(" → "))
}

/// Arguments in few words: the value alone where there is one, else names and values.
fn brief(arguments: &Value) -> String {
    let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match parsed.as_ref().unwrap_or(arguments) {
        Value::Null => String::new(),
        Value::Object(members) if members.len() == 1 => members.values().map(word).collect(),
        Value::Object(members) => {
            let pairs: Vec<String> = members.iter().map(|(key, it)| format!("{key}={}", word(it))).collect();
            pairs.join(" ")
        }
        other => word(other),
    }
}
