//! An upgraded connection that carries many calls, one after another.

use std::collections::VecDeque;

use super::exchange::completed;
use super::target;
use crate::call::{Call, Completion, Fault, Kind, Llm};
use crate::decode::{self, Faults, identity, socket};
use crate::flow::{Direction, Time};
use crate::http::Headers;
use crate::limits;

/// One upgraded connection.
#[derive(Debug)]
pub(super) struct Session {
    /// What every call on it shares.
    base: Box<Call>,
    llm: Box<Llm>,
    open: VecDeque<Open>,
    /// Calls that were begun.
    turns: usize,
    /// When the last message came.
    last: Time,
    /// Messages were lost, and more may be.
    lossy: bool,
}

#[derive(Debug)]
struct Open {
    call: Call,
    turn: socket::Turn,
    faults: Faults,
}

impl Session {
    /// `base` is the upgrade as a call.
    pub(super) fn new(base: Call, headers: &Headers) -> Self {
        let mut llm = Box::new(decode::begin(socket::format(), &base.http.host, base.http.port));
        identity::from_headers(headers, &mut llm);
        let last = base.start;
        Self { base: Box::new(base), llm, open: VecDeque::new(), turns: 0, last, lossy: false }
    }

    /// Takes one message; appends the call that it completed. `next` numbers the calls of the connection.
    pub(super) fn message(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        time: Time,
        next: &mut u64,
        out: &mut Vec<Call>,
    ) {
        self.last = time;
        match direction {
            Direction::ToOrigin => self.request(bytes, time, next),
            Direction::ToClient => self.answer(bytes, time, out),
        }
    }

    fn request(&mut self, bytes: &[u8], time: Time, next: &mut u64) {
        let Some(mut turn) = socket::create(bytes, &self.llm) else { return };
        let mut faults = std::mem::take(&mut turn.faults);
        if self.open.len() >= limits::PIPELINE {
            // The oldest never got its end; it goes without one.
            self.open.pop_front();
            faults.add("limit.pipeline", format!("more than {} responses at once", limits::PIPELINE));
        }
        let mut call = Call::clone(&self.base);
        // The upgrade itself stands for its first call, so that the numbers have no hole.
        if self.turns > 0 {
            call.index = *next;
            *next += 1;
        }
        self.turns += 1;
        (call.start, call.request_end, call.end, call.first_byte) = (time, time, time, None);
        call.http.request_bytes = bytes.len() as u64;
        if let Some(text) = turn.traceparent.as_ref().filter(|text| target::is_traceparent(text)) {
            call.http.traceparent = Some(text.clone());
        }
        self.open.push_back(Open { call, turn, faults });
    }

    fn answer(&mut self, bytes: &[u8], time: Time, out: &mut Vec<Call>) {
        let Some(open) = self.open.front_mut() else { return };
        open.call.first_byte.get_or_insert(time);
        open.call.first_chunk.get_or_insert(time);
        open.call.http.response_bytes = open.call.http.response_bytes.saturating_add(bytes.len() as u64);
        let ended = open.turn.event(&String::from_utf8_lossy(bytes), &mut open.faults);
        if ended && let Some(open) = self.open.pop_front() {
            out.push(open.finish(Completion::Complete, time));
        }
    }

    /// Messages were lost, maybe the end of a call and the beginning of another: what is open ends here, so
    /// that nothing is taken for its.
    pub(super) fn lose(&mut self, fault: &Fault, out: &mut Vec<Call>) {
        self.lossy = true;
        for mut open in self.open.drain(..) {
            open.faults.push(fault.clone());
            out.push(open.finish(Completion::Partial, self.last));
        }
    }

    /// The connection ended: appends what was open, and tells how many calls there were.
    pub(super) fn close(&mut self, completion: Completion, time: Time, out: &mut Vec<Call>) -> usize {
        for open in self.open.drain(..) {
            let completion = match completion {
                _ if open.call.first_byte.is_none() && !self.lossy => Completion::Unanswered,
                Completion::Complete => Completion::Partial,
                other => other,
            };
            out.push(open.finish(completion, time));
        }
        self.turns
    }
}

impl Open {
    fn finish(self, completion: Completion, time: Time) -> Call {
        let Open { mut call, turn, faults } = self;
        let (llm, ending) = turn.finish();
        call.end = time;
        call.completion = completed(completion, ending);
        call.kind = Kind::Llm(llm);
        call.faults = faults.into_vec();
        call
    }
}
