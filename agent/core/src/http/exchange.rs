//! The open exchanges of a connection: the one place that emits events, so that each request gets one end.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Event, ExchangeId, RequestHead, ResponseHead};
use crate::call::{Completion, Fault};
use crate::flow::{Direction, Time};

/// Bytes of one direction, with the bytes that were lost right before them.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) direction: Direction,
    pub(super) gap: u64,
    pub(super) bytes: Bytes,
    pub(super) time: Time,
}

/// Every exchange that has begun and not ended, and the events that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    pub(super) events: Vec<Event>,
    next: ExchangeId,
    open: BTreeMap<ExchangeId, Open>,
}

#[derive(Debug, Default)]
struct Open {
    request_done: bool,
    responded: bool,
    response_done: bool,
    damaged: bool,
    /// The response may have passed unseen.
    doubtful: bool,
    wire_request: u64,
    wire_response: u64,
}

impl Exchanges {
    /// A request began.
    pub(super) fn request(&mut self, head: RequestHead, first_byte: Time, time: Time) -> ExchangeId {
        let id = self.next;
        self.next += 1;
        self.open.insert(id, Open::default());
        self.events.push(Event::Request { id, head: Box::new(head), first_byte, time });
        id
    }

    /// Part of a body.
    pub(super) fn data(&mut self, id: ExchangeId, direction: Direction, bytes: Bytes, time: Time) {
        if bytes.is_empty() || !self.open.contains_key(&id) {
            return;
        }
        self.wire(id, direction, bytes.len() as u64);
        self.events.push(match direction {
            Direction::ToOrigin => Event::RequestData { id, bytes, time },
            Direction::ToClient => Event::ResponseData { id, bytes, time },
        });
    }

    /// Body bytes travelled that give no data.
    pub(super) fn wire(&mut self, id: ExchangeId, direction: Direction, count: u64) {
        if let Some(open) = self.open.get_mut(&id) {
            let wire = match direction {
                Direction::ToOrigin => &mut open.wire_request,
                Direction::ToClient => &mut open.wire_response,
            };
            *wire = wire.saturating_add(count);
        }
    }

    /// A request is whole.
    pub(super) fn request_end(&mut self, id: ExchangeId, time: Time) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if !std::mem::replace(&mut open.request_done, true) {
            self.events.push(Event::RequestEnd { id, time });
            self.settle(id, time);
        }
    }

    /// A final response began.
    pub(super) fn response(&mut self, id: ExchangeId, head: ResponseHead, first_byte: Time, time: Time) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if !std::mem::replace(&mut open.responded, true) {
            self.events.push(Event::Response { id, head: Box::new(head), first_byte, time });
        }
    }

    /// A response is whole. The exchange ends unless its request is still on the way.
    pub(super) fn response_end(&mut self, id: ExchangeId, time: Time) {
        if let Some(open) = self.open.get_mut(&id) {
            open.response_done = true;
            self.settle(id, time);
        }
    }

    /// Part of the exchange was lost: it cannot end as complete any more.
    pub(super) fn damage(&mut self, id: ExchangeId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.damaged = true;
        }
    }

    /// Its response may have passed unseen: until one is seen, nobody can say that there was none.
    pub(super) fn doubt(&mut self, id: ExchangeId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.doubtful = true;
        }
    }

    /// Ends an exchange with what is known from elsewhere.
    pub(super) fn finish(&mut self, id: ExchangeId, completion: Completion, time: Time) {
        if let Some(open) = self.open.remove(&id) {
            let Open { wire_request, wire_response, .. } = open;
            self.events.push(Event::End { id, completion, wire_request, wire_response, time });
        }
    }

    /// Ends an exchange for which nothing more can come, by how far it has got and who left.
    pub(super) fn cut(&mut self, id: ExchangeId, client_left: bool, time: Time) {
        let Some(open) = self.open.get(&id) else { return };
        let completion = match open {
            Open { damaged: true, .. } => Completion::Partial,
            Open { response_done: true, .. } => Completion::Complete,
            Open { doubtful: true, responded: false, .. } => Completion::Partial,
            _ if client_left => Completion::Cancelled,
            Open { responded: false, .. } => Completion::Unanswered,
            _ => Completion::Partial,
        };
        self.finish(id, completion, time);
    }

    /// [`Self::cut`] for all that are open.
    pub(super) fn cut_all(&mut self, client_left: bool, time: Time) {
        while let Some((&id, _)) = self.open.first_key_value() {
            self.cut(id, client_left, time);
        }
    }

    /// Something did not fit.
    pub(super) fn fault(&mut self, id: Option<ExchangeId>, kind: &'static str, detail: impl Into<String>) {
        let id = id.filter(|id| self.open.contains_key(id));
        self.events.push(Event::Fault { id, fault: Fault { kind, detail: detail.into() } });
    }

    fn settle(&mut self, id: ExchangeId, time: Time) {
        if let Some(Open { request_done: true, response_done: true, .. }) = self.open.get(&id) {
            self.cut(id, false, time);
        }
    }
}
