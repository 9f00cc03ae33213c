//! Inputs in the order of their times.
//!
//! Kernel facts and decoded calls come through different queues and overtake each other. Holding each input
//! for [`limits::SETTLE_NANOS`] and handing it on by time gives the rest of the run one order, whatever the
//! interleaving was. A call's time is its end: whoever asked for a tool has then always been seen before
//! whoever answers it.

use std::collections::BTreeMap;

use super::pipe::Piped;
use crate::call::Call;
use crate::flow::{Time, Unread};
use crate::limits;
use crate::process::{ProcessFact, ProcessKey};

/// Anything that a run takes.
#[derive(Debug)]
pub(super) enum Input {
    Fact(ProcessFact),
    Call(Box<Call>),
    Unread(Box<Unread>),
    Pipe(Box<Piped>),
}

/// Time, then causes before effects, then the source, then the source's own order.
type Key = (Time, u8, (u64, u64), u64);

/// Inputs that wait for slower ones.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: BTreeMap<Key, Input>,
    arrivals: u64,
}

impl Order {
    pub(super) fn push(&mut self, input: Input) {
        let (time, class, source) = place(&input);
        self.waiting.insert((time, class, source, self.arrivals), input);
        self.arrivals += 1;
    }

    /// The earliest input, if it has waited long enough or there are too many.
    pub(super) fn settled(&mut self, now: Time) -> Option<Input> {
        let first = self.waiting.first_entry()?;
        let waited = now.since(first.key().0) >= limits::SETTLE_NANOS;
        waited.then(|| first.remove())
    }

    /// The earliest input, if more wait than may.
    pub(super) fn overflow(&mut self) -> Option<Input> {
        (self.waiting.len() > limits::HELD_SPANS).then(|| self.next())?
    }

    /// The earliest input.
    pub(super) fn next(&mut self) -> Option<Input> {
        self.waiting.pop_first().map(|(_, input)| input)
    }
}

fn place(input: &Input) -> (Time, u8, (u64, u64)) {
    let process = |key: &ProcessKey| (u64::from(key.pid), key.started.0);
    match input {
        Input::Fact(ProcessFact::Fork { child, time, .. }) => (*time, 0, process(child)),
        Input::Fact(ProcessFact::Exec { process: key, time, .. }) => (*time, 1, process(key)),
        Input::Call(call) => (call.end, 2, (call.flow.0, call.index)),
        Input::Pipe(piped) => (piped.call.until, 2, process(&piped.server.unwrap_or(piped.client))),
        Input::Unread(unread) => (unread.closed, 3, (unread.flow.id.0, 0)),
        Input::Fact(ProcessFact::Exit { process: key, time, .. }) => (*time, 4, process(key)),
        Input::Fact(ProcessFact::Lost { time, .. }) => (*time, 5, (0, 0)),
    }
}
