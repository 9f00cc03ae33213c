//! Directions in which the way was lost, and joining where it was never known.
//!
//! Answers have no numbers: one belongs to the request before it only while every request and every answer is
//! seen. What may be another's answer is nobody's.

use super::lane::{Lane, State};
use super::{Completion, Exchanges, Session, Time};

impl Session {
    /// A connection that is read from a request on which may not be its first.
    pub(in crate::http) fn joined() -> Self {
        let response = Lane { lost: true, ..Lane::default() };
        Self { response, doubt: true, joined: true, ..Self::default() }
    }

    /// A response came whose request was not seen. It is counted once.
    pub(in crate::http) fn stray(&mut self, exchanges: &mut Exchanges) {
        if !std::mem::replace(&mut self.stray, true) {
            exchanges.fault(None, "join.response", "an answer whose request was not seen");
        }
    }

    /// The request direction makes no sense from here on.
    pub(super) fn lose_requests(&mut self, time: Time, exchanges: &mut Exchanges) {
        if !matches!(self.request.state, State::Head)
            && let Some(id) = self.current
        {
            exchanges.damage(id);
            exchanges.request_end(id, time);
        }
        self.request = Lane { lost: true, ..Lane::default() };
        self.doubt = true;
        // What waits came before the requests that may be seen from here on, so it answers a lost one.
        if !self.response.held.is_empty() {
            self.disown(exchanges);
        }
    }

    /// What waits for a request answers one that was lost, even where the gap that tells of it is still to come.
    pub(super) fn disown(&mut self, exchanges: &mut Exchanges) {
        self.response = Lane { lost: true, ..Lane::default() };
        self.doubt = true;
        self.stray(exchanges);
    }

    /// The response direction makes no sense from here on, so no answer can be told from another.
    pub(super) fn lose_responses(&mut self, time: Time, exchanges: &mut Exchanges) {
        for pending in self.queue.drain(..) {
            exchanges.finish(pending.id, Completion::Partial, time);
        }
        if matches!(self.request.state, State::Await) {
            self.request.state = State::Head;
            self.request.lost = true;
        }
        self.response = Lane { lost: true, ..Lane::default() };
    }

    /// A request came before the answer to the one before it was whole. Clients write it in the same piece
    /// where they pipeline at all, so this is another connection, or the answer was lost.
    pub(super) fn replace(&mut self, time: Time, exchanges: &mut Exchanges) {
        self.lose_responses(time, exchanges);
        self.doubt = true;
        exchanges.fault(None, "join.order", "the request before it was not answered in full");
    }
}
