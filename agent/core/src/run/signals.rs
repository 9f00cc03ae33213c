//! What a run does that a person would want to know at once: loops, repetitions, failures that come again,
//! a context that grows, time that passes without anybody working.
//!
//! Everything here is counted from what was seen; nothing is an opinion of what is too much.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::attributes::Attributes;
use crate::call::{Llm, Usage};
use crate::flow::Time;
use crate::lineage::{CallNumber, Step};
use crate::telemetry::{Class, Event};
use crate::{limits, names};

/// Longest cycle that is looked for.
const CYCLE: usize = 4;
/// How often a cycle has to come round before it is called a loop.
const ROUNDS: usize = 3;

/// A tool call that counts as the same: its name and its canonical arguments.
type Same = u64;

/// The signals of one run.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The latest tool calls of each conversation.
    trails: BTreeMap<CallNumber, Trail>,
    calls: HashMap<Same, Count>,
    contexts: BTreeMap<CallNumber, Context>,
    failures: BTreeMap<CallNumber, String>,
    model: Busy,
    tools: Busy,
    /// Calls inside of loops.
    looped: u64,
    repeated_errors: u64,
    /// Why the latest call of a model failed, where it did.
    last_failure: Option<String>,
}

/// The tool calls of one conversation, the latest last.
#[derive(Debug, Default)]
struct Trail {
    latest: VecDeque<(Same, String)>,
    /// The loop that goes on: its length.
    looping: Option<usize>,
}

/// How often the same was called.
#[derive(Clone, Debug, Default)]
struct Count {
    name: String,
    calls: u64,
    failures: u64,
}

/// The size of one conversation's requests, in tokens.
#[derive(Debug)]
struct Context {
    first: u64,
    last: u64,
    most: u64,
    steps: u64,
}

impl Signals {
    /// An answer asks for a tool. Gives an event where this makes a loop, once for each loop.
    pub(super) fn asked(
        &mut self,
        conversation: CallNumber,
        name: &str,
        same: Same,
        time: Time,
    ) -> Option<Event> {
        if self.calls.len() < limits::SIGNAL_CALLS || self.calls.contains_key(&same) {
            let count = self.calls.entry(same).or_default();
            count.calls += 1;
            name.clone_into(&mut count.name);
        }
        if self.trails.len() >= limits::CONVERSATIONS && !self.trails.contains_key(&conversation) {
            self.trails.pop_first();
        }
        let trail = self.trails.entry(conversation).or_default();
        trail.latest.push_back((same, name.to_owned()));
        if trail.latest.len() > CYCLE * ROUNDS {
            trail.latest.pop_front();
        }
        let cycle = trail.cycle();
        let begins = cycle.is_some() && trail.looping.is_none();
        trail.looping = cycle;
        self.looped += u64::from(cycle.is_some());
        let length = cycle.filter(|_| begins)?;
        let tools = trail.latest.iter().rev().take(length).rev().map(|(_, name)| name.clone()).collect();
        let mut set = Attributes::default();
        set.int(names::LOOP_LENGTH, length as u64);
        set.int(names::LOOP_ROUNDS, ROUNDS as u64);
        set.texts(names::LOOP_TOOLS, tools, Class::Plain);
        Some(Event { name: names::LOOP, time, attributes: set.0 })
    }

    /// A tool call was answered.
    pub(super) fn answered(&mut self, same: Same, times: (Time, Time), failed: bool) {
        self.tools.add(times);
        if let Some(count) = self.calls.get_mut(&same).filter(|_| failed) {
            count.failures += 1;
        }
    }

    /// A call of a model ended; `failure` is its `error.type`. Gives the growth of the context since the call
    /// before it in the same conversation, in tokens.
    pub(super) fn called(
        &mut self,
        step: &Step,
        llm: &Llm,
        times: (Time, Time),
        failure: Option<&str>,
    ) -> Option<i64> {
        self.model.add(times);
        self.last_failure = failure.map(str::to_owned);
        if let Some(failure) = failure {
            let before = step.retry.and_then(|(number, _)| self.failures.get(&number));
            self.repeated_errors += u64::from(before.is_some_and(|before| before == failure));
            self.failures.insert(step.number, failure.to_owned());
            if self.failures.len() > limits::CONVERSATIONS {
                self.failures.pop_first();
            }
        }
        let Usage { input: Some(input), .. } = llm.usage else { return None };
        if self.contexts.len() >= limits::CONVERSATIONS && !self.contexts.contains_key(&step.conversation) {
            self.contexts.pop_first();
        }
        let open = || Context { first: input, last: input, most: input, steps: 0 };
        let context = self.contexts.entry(step.conversation).or_insert_with(open);
        let grown = i64::try_from(input).ok()?.checked_sub(i64::try_from(context.last).ok()?);
        context.last = input;
        context.most = context.most.max(input);
        context.steps += 1;
        grown.filter(|_| context.steps > 1)
    }

    /// What the root says. `main` is the conversation whose context is shown.
    pub(super) fn attributes(&self, main: Option<CallNumber>, times: (Time, Time), set: &mut Attributes) {
        set.count(names::RUN_LOOPED_CALLS, self.looped);
        let again = |count: &Count| count.calls.saturating_sub(1);
        set.count(names::RUN_REPEATED_CALLS, self.calls.values().map(again).sum());
        let worst = self.calls.values().filter(|count| count.calls > 1);
        let worst = worst.max_by(|a, b| (a.calls, &b.name).cmp(&(b.calls, &a.name)));
        if let Some(worst) = worst {
            set.plain(names::RUN_REPEATED_TOOL, worst.name.as_str());
            set.int(names::RUN_REPEATED_MOST, worst.calls);
        }
        let failed = |count: &Count| count.failures.saturating_sub(1);
        set.count(names::RUN_REPEATED_FAILURES, self.calls.values().map(failed).sum());
        set.count(names::RUN_REPEATED_ERRORS, self.repeated_errors);
        if let Some(context) = main.and_then(|main| self.contexts.get(&main)) {
            set.int(names::RUN_CONTEXT_FIRST, context.first);
            set.int(names::RUN_CONTEXT_LAST, context.last);
            set.int(names::RUN_CONTEXT_MOST, context.most);
        }
        self.shares(times, set);
    }

    /// Why the latest call of a model failed, where it did: its `error.type`.
    pub(super) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// The shares of the run's time in which a model worked, a tool ran, and neither.
    fn shares(&self, (start, end): (Time, Time), set: &mut Attributes) {
        let whole = end.since(start);
        if whole == 0 {
            return;
        }
        let (model, tools) = (self.model.length((start, end)), self.tools.length((start, end)));
        let both = self.model.with(&self.tools).length((start, end));
        #[expect(clippy::cast_precision_loss, reason = "shares, to a few places")]
        let share = |nanos: u64| (nanos as f64 / whole as f64 * 1e4).round() / 1e4;
        set.double(names::RUN_MODEL_SHARE, model.map(share));
        set.double(names::RUN_TOOL_SHARE, tools.map(share));
        set.double(names::RUN_IDLE_SHARE, both.map(|both| share(whole.saturating_sub(both))));
    }
}

impl Trail {
    /// The shortest cycle that has come round often enough, where it did so just now.
    fn cycle(&self) -> Option<usize> {
        let latest: Vec<Same> = self.latest.iter().rev().map(|(same, _)| *same).collect();
        (1..=CYCLE).find(|length| {
            let part = latest.get(..length * ROUNDS);
            part.is_some_and(|part| part.iter().zip(part.iter().skip(*length)).all(|(a, b)| a == b))
        })
    }
}

/// Times in which something went on, however many at once.
#[derive(Clone, Debug, Default)]
struct Busy {
    times: Vec<(Time, Time)>,
    /// Times for which there was no room: the length is then no longer known.
    lost: u64,
}

impl Busy {
    fn add(&mut self, times: (Time, Time)) {
        if self.times.len() >= limits::SIGNAL_TIMES {
            self.merge();
        }
        if self.times.len() < limits::SIGNAL_TIMES {
            self.times.push(times);
        } else {
            self.lost += 1;
        }
    }

    fn merge(&mut self) {
        self.times.sort_unstable();
        let mut merged: Vec<(Time, Time)> = Vec::new();
        for (start, end) in self.times.drain(..) {
            match merged.last_mut().filter(|last| start <= last.1) {
                Some(last) => last.1 = last.1.max(end),
                None => merged.push((start, end)),
            }
        }
        self.times = merged;
    }

    fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.times.extend_from_slice(&other.times);
        both.lost += other.lost;
        both
    }

    /// Nanoseconds in which at least one went on, within a time.
    fn length(&self, (from, to): (Time, Time)) -> Option<u64> {
        let mut merged = self.clone();
        merged.merge();
        let inside = |(start, end): &(Time, Time)| (*end).min(to).since((*start).max(from));
        (self.lost == 0).then(|| merged.times.iter().map(inside).sum())
    }
}
