//! One direction of an HTTP/1 connection: where in a message it is, and what waits.

use std::collections::VecDeque;

use bytes::Bytes;

use super::head::{Body, Collector};
use crate::flow::{Direction, Time};
use crate::http::ExchangeId;
use crate::http::chunk::Chunked;
use crate::http::exchange::{Exchanges, Piece};
use crate::http::sniff::{is_response_start, may_be_response};
use crate::limits;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) state: State,
    pub(super) head: Collector,
    /// The way was lost: only a slice that begins as a message does is read.
    pub(super) lost: bool,
    pub(super) held: Vec<Piece>,
    pub(super) held_bytes: usize,
    /// The first bytes of what may be a response, where the way was lost and they came one by one.
    pub(super) opening: Vec<(u8, Time)>,
}

#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    /// The request asked for another protocol; what follows is known once it is answered.
    Await,
}

impl Lane {
    /// Whether nothing of a message has come since the last one.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Head) && self.head.is_empty()
    }

    /// Whether a slice and short ones right before it begin a response. What came before the slice is in the
    /// head then.
    pub(super) fn opens(&mut self, slice: &[u8], time: Time) -> bool {
        let mut bytes: Vec<u8> = self.opening.iter().map(|(byte, _)| *byte).collect();
        bytes.extend(slice.iter().take(limits::OPENING_BYTES));
        if is_response_start(&bytes) {
            for (byte, time) in self.opening.drain(..) {
                // No head ends in so few bytes.
                let _more = self.head.take(&mut Bytes::from(vec![byte]), time);
            }
            return true;
        }
        let goes_on = may_be_response(&bytes);
        if !goes_on {
            self.opening.clear();
        }
        // Where it does not go on, the slice itself may be the beginning.
        if goes_on || may_be_response(slice) {
            self.opening.extend(slice.iter().map(|byte| (*byte, time)));
        }
        false
    }

    pub(super) fn release(&mut self, work: &mut VecDeque<Piece>) {
        self.held_bytes = 0;
        for piece in self.held.drain(..).rev() {
            work.push_front(piece);
        }
    }

    /// Bytes were lost: true where the framing of what follows is known all the same.
    pub(super) fn absorb(
        &mut self,
        gap: u64,
        id: Option<ExchangeId>,
        direction: Direction,
        exchanges: &mut Exchanges,
    ) -> bool {
        let known = match &mut self.state {
            State::Length(left) if *left >= gap => {
                *left -= gap;
                true
            }
            State::Chunked(chunked) => chunked.skip(gap),
            State::UntilClose => true,
            _ => false,
        };
        let id = id.filter(|_| !matches!(self.state, State::Head));
        if known && let Some(id) = id {
            exchanges.wire(id, direction, gap);
        }
        exchanges.fault(id, "gap", format!("{gap} bytes were not seen"));
        known
    }
}

impl From<Body> for State {
    fn from(body: Body) -> Self {
        match body {
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Chunked(Chunked::default()),
            Body::UntilClose | Body::Tunnel => State::UntilClose,
        }
    }
}

/// Takes as much of `bytes` as belongs to a body of which `left` remain.
pub(super) fn split(bytes: &mut Bytes, left: &mut u64) -> Bytes {
    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= take as u64;
    bytes.split_to(take)
}
