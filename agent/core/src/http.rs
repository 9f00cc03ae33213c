//! HTTP found out passively: bytes of both directions in, events of exchanges out.
//!
//! Invariants: never blocks, never answers, never alters; a stream that stops making sense is marked with a
//! fault and resynchronised where the protocol allows it; memory is bounded by [`crate::limits`].

use bytes::Bytes;

use crate::call::{Completion, Fault};
use crate::flow::{Close, Direction, Slice, Time};

/// Identifies an exchange on its connection: a number from zero, in the order of the requests.
pub type ExchangeId = u64;

/// Header fields, names in lower case, values as sent (lossy UTF-8), in order of arrival.
pub type Headers = Vec<(String, String)>;

/// Head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Method.
    pub method: String,
    /// Request target as sent: origin form, absolute form, or authority for CONNECT.
    pub target: String,
    /// `:authority` or `Host`.
    pub authority: Option<String>,
    /// `1.0`, `1.1`, `2`.
    pub version: &'static str,
    /// Fields.
    pub headers: Headers,
}

/// Head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status.
    pub status: u16,
    /// Fields.
    pub headers: Headers,
}

/// What was seen. `Data` bytes have their transfer coding removed and their content coding kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request began; `first_byte` is when its first byte passed.
    Request { id: ExchangeId, head: Box<RequestHead>, first_byte: Time, time: Time },
    /// Part of its body.
    RequestData { id: ExchangeId, bytes: Bytes, time: Time },
    /// Its end.
    RequestEnd { id: ExchangeId, time: Time },
    /// The final response began (informational ones are skipped, 101 is final).
    Response { id: ExchangeId, head: Box<ResponseHead>, first_byte: Time, time: Time },
    /// Part of its body.
    ResponseData { id: ExchangeId, bytes: Bytes, time: Time },
    /// Nothing more comes for this exchange. `wire_*` count body bytes as they travelled.
    End { id: ExchangeId, completion: Completion, wire_request: u64, wire_response: u64, time: Time },
    /// A whole WebSocket message after an upgrade, inflated where permessage-deflate was negotiated.
    Message { id: ExchangeId, direction: Direction, text: bool, bytes: Bytes, time: Time },
    /// Something did not fit. `id` is `None` where it concerns the whole connection.
    Fault { id: Option<ExchangeId>, fault: Fault },
}

/// One observed connection, both directions.
#[derive(Debug, Default)]
pub struct Connection {}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes in the order in which they passed (each direction in order of offset; a jump is a gap).
    pub fn push(&mut self, slice: Slice, out: &mut Vec<Event>) {
        let _unused = (slice, out);
    }

    /// One direction ended (half-close).
    pub fn end(&mut self, direction: Direction, time: Time, out: &mut Vec<Event>) {
        let _unused = (direction, time, out);
    }

    /// The connection ended: every open exchange gets its `End`.
    pub fn close(&mut self, close: Close, time: Time, out: &mut Vec<Event>) {
        let _unused = (close, time, out);
    }
}
