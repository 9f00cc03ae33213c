//! HTTP found out passively: bytes of both directions in, events of exchanges out.
//!
//! Invariants: never blocks, never answers, never alters; a stream that stops making sense is marked with a
//! fault and resynchronised where the protocol allows it; memory is bounded by [`crate::limits`]. Every
//! [`Event::Request`] is followed by exactly one [`Event::End`] of the same id, and nothing of that id comes
//! after it.
//!
//! # Order
//!
//! The directions may be interleaved in any way that respects causality. Bytes that cannot be understood
//! before the other direction has said more (an answer ahead of its request, what follows a request to
//! upgrade) are held, at most [`limits::HELD_BYTES`].
//!
//! # Gaps
//!
//! A jump of the offset is bytes that were lost to the observer, not to the peers.
//! - Inside a body of which at least as much remains (content-length, one chunk, until-close, the payload of
//!   one DATA or WebSocket frame) the framing is still known: a fault `gap` is given, the bytes count as
//!   travelled, and their data misses.
//! - Elsewhere in HTTP/1 the exchanges concerned end as `Partial`, and the direction is skipped until a slice
//!   begins with a request line or status line. Answers that came while a request was lost are nobody's.
//! - Elsewhere in HTTP/2 the direction is skipped until frames are found again. Requests and responses that
//!   were under way in it end as `Partial`; what lost header blocks have put into the compression's table is
//!   unknown from then on, and fields that refer to it are left out, with a fault `h2.joined` that says which
//!   may be among them.
//! - One direction of a WebSocket is skipped until a slice is whole frames and begins with a text that is a JSON
//!   object (fault `websocket`).
//!
//! # Joining
//!
//! A connection whose start is [`Start::Unknown`] may be seen from its middle. Where the client begins with a
//! request line or with the preface of HTTP/2, it is read from there. Otherwise (fault `join`) both directions
//! are skipped as after a gap, until a request of the client tells the protocol. Answers to requests from before are
//! counted once for a connection (fault `join.response`) and give no exchange. HTTP/1 does not number its
//! answers: a client that had several requests under way when it was joined (pipelining, which no client that
//! we know of does) cannot be told from one that had none.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::call::{Completion, Fault};
use crate::flow::{Close, Direction, Slice, Start, Time};
use crate::limits;

mod chunk;
mod exchange;
mod h1;
mod h2;
mod join;
mod sniff;
mod ws;

use exchange::{Exchanges, Piece};
use join::Found;
use sniff::Spoken;

/// Whether the first bytes that were seen of a connection are those of a server's end, where what is received asks
/// and what is sent answers. The middle of a connection may show neither.
pub fn is_served(direction: Direction, start: &[u8]) -> bool {
    match direction {
        Direction::ToClient => {
            let preface = start.starts_with(sniff::PREFACE) || sniff::PREFACE.starts_with(start);
            !start.is_empty() && (preface || sniff::is_request_start(start))
        }
        Direction::ToOrigin => sniff::is_response_start(start) || sniff::is_settings(start),
    }
}

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
#[expect(missing_docs, reason = "the fields have the same meaning in every variant: id, time of the bytes")]
pub enum Event {
    /// A request began; `first_byte` is when its first byte passed.
    Request { id: ExchangeId, head: Box<RequestHead>, first_byte: Time, time: Time },
    /// Part of its body.
    RequestData { id: ExchangeId, bytes: Bytes, time: Time },
    /// Its end. Does not come for a request that was cut.
    RequestEnd { id: ExchangeId, time: Time },
    /// The final response began (informational ones are skipped, 101 is final).
    Response { id: ExchangeId, head: Box<ResponseHead>, first_byte: Time, time: Time },
    /// Part of its body.
    ResponseData { id: ExchangeId, bytes: Bytes, time: Time },
    /// Nothing more comes for this exchange. `wire_*` count body bytes as they travelled: content coding
    /// kept, framing not counted.
    End { id: ExchangeId, completion: Completion, wire_request: u64, wire_response: u64, time: Time },
    /// A whole WebSocket message after an upgrade, inflated where permessage-deflate was negotiated.
    Message { id: ExchangeId, direction: Direction, text: bool, bytes: Bytes, time: Time },
    /// Something did not fit. `id` is `None` where it concerns the whole connection.
    Fault { id: Option<ExchangeId>, fault: Fault },
}

/// One observed connection, both directions.
#[derive(Debug, Default)]
pub struct Connection {
    start: Start,
    /// The server has said nothing since it began anew.
    anew: bool,
    protocol: Protocol,
    exchanges: Exchanges,
    offsets: [u64; 2],
    ended: [Option<Time>; 2],
    first_end: Option<Direction>,
}

#[derive(Debug)]
enum Protocol {
    /// Nothing is known yet: what passed, and the first bytes of the client.
    Unknown {
        held: Vec<Piece>,
        size: usize,
        start: Vec<u8>,
    },
    /// Something was said, and it was not the beginning.
    Joining(Box<join::Session>),
    Http1(Box<h1::Session>),
    Http2(Box<h2::Session>),
    WebSocket(Box<ws::Session>),
    /// Not read (further).
    Silent,
}

impl Default for Protocol {
    fn default() -> Self {
        Protocol::Unknown { held: Vec::new(), size: 0, start: Vec::new() }
    }
}

/// What comes after a session has found that its protocol ends here.
#[derive(Debug)]
enum Next {
    /// HTTP/2 by upgrade; the exchange is answered there.
    Http2(ExchangeId),
    /// WebSocket, with the extensions that the server agreed to.
    WebSocket(ExchangeId, String),
    /// Bytes that nobody reads.
    Silence,
}

/// The session that follows, and the bytes that are already its.
#[derive(Debug)]
struct Switch {
    next: Next,
    rest: Vec<Piece>,
}

impl Connection {
    /// A connection that is seen from its start.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection of which as much is known.
    pub fn starting(start: Start) -> Self {
        Self { start, ..Self::default() }
    }

    /// Whether a slice begins another connection than the one that was observed so far.
    pub fn is_replaced(&self, slice: &Slice) -> bool {
        self.start != Start::Seen
            && slice.direction == Direction::ToOrigin
            && match &self.protocol {
                Protocol::Unknown { .. } | Protocol::Joining(_) => false,
                Protocol::Http2(session) if session.is_between() && sniff::is_request_start(&slice.bytes) => {
                    true
                }
                _ => slice.bytes.starts_with(sniff::PREFACE),
            }
    }

    /// Begins anew with that slice, after a close. The offsets may go on or begin anew too.
    pub fn renew(&mut self, slice: &Slice) {
        let [_, other] = self.offsets;
        *self = Self { offsets: [slice.offset, other], anew: true, ..Self::starting(self.start) };
    }

    /// Whether something is spoken on it that is read here.
    pub fn is_read(&self) -> bool {
        matches!(self.protocol, Protocol::Http1(_) | Protocol::Http2(_) | Protocol::WebSocket(_))
    }

    /// Takes bytes in the order in which they passed (each direction in order of offset; a jump is a gap).
    pub fn push(&mut self, slice: Slice, out: &mut Vec<Event>) {
        let Slice { direction, offset, mut bytes, time } = slice;
        let expected = &mut self.offsets[direction as usize];
        if direction == Direction::ToClient && std::mem::take(&mut self.anew) {
            *expected = offset.min(*expected);
        }
        let gap = offset.saturating_sub(*expected);
        // Bytes that were already seen are not read twice.
        let seen = usize::try_from(expected.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = bytes.split_off(seen.min(bytes.len()));
        *expected = expected.saturating_add(gap).saturating_add(bytes.len() as u64);
        if gap > 0 || !bytes.is_empty() {
            self.deliver(Piece { direction, gap, bytes, time });
        }
        out.append(&mut self.exchanges.events);
    }

    /// One direction ended (half-close).
    pub fn end(&mut self, direction: Direction, time: Time, out: &mut Vec<Event>) {
        let ended = &mut self.ended[direction as usize];
        if ended.is_none() {
            *ended = Some(time);
            self.first_end.get_or_insert(direction);
            self.end_session(direction, time);
        }
        out.append(&mut self.exchanges.events);
    }

    /// The connection ended: every open exchange gets its `End`.
    pub fn close(&mut self, close: Close, time: Time, out: &mut Vec<Event>) {
        let client_left = close == Close::ClientReset
            || close == Close::Clean && self.first_end == Some(Direction::ToOrigin);
        match std::mem::replace(&mut self.protocol, Protocol::Silent) {
            Protocol::Http1(mut session) => {
                session.close(close == Close::Clean && !client_left, time, &mut self.exchanges);
            }
            Protocol::WebSocket(session) => session.close(time, &mut self.exchanges),
            Protocol::Http2(_) | Protocol::Unknown { .. } | Protocol::Joining(_) | Protocol::Silent => {}
        }
        self.exchanges.cut_all(client_left, time);
        out.append(&mut self.exchanges.events);
    }

    /// Hands bytes to the protocol that is spoken, through every change of protocol that they cause.
    fn deliver(&mut self, piece: Piece) {
        let mut queue = VecDeque::from([piece]);
        let mut switched = false;
        while let Some(piece) = queue.pop_front() {
            let (next, rest) = match &mut self.protocol {
                Protocol::Silent => return,
                Protocol::Unknown { .. } => match self.sniff(piece) {
                    Some(found) => found,
                    None => continue,
                },
                Protocol::Joining(session) => match session.push(piece) {
                    Some((found, rest)) => (self.join(found), rest),
                    None => continue,
                },
                Protocol::Http1(session) => match session.push(piece, &mut self.exchanges) {
                    Some(switch) => (Self::follow(switch.next), switch.rest),
                    None => continue,
                },
                Protocol::Http2(session) => {
                    session.push(piece, &mut self.exchanges);
                    continue;
                }
                Protocol::WebSocket(session) => {
                    session.push(piece, &mut self.exchanges);
                    continue;
                }
            };
            self.protocol = next;
            switched = true;
            for piece in rest.into_iter().rev() {
                queue.push_front(piece);
            }
        }
        if switched {
            self.repeat_ends();
        }
    }

    fn follow(next: Next) -> Protocol {
        match next {
            Next::Silence => Protocol::Silent,
            Next::Http2(id) => Protocol::Http2(Box::new(h2::Session::upgraded(id))),
            Next::WebSocket(id, extensions) => {
                Protocol::WebSocket(Box::new(ws::Session::new(id, &extensions)))
            }
        }
    }

    /// The session of a protocol that was recognised after its beginning.
    fn join(&mut self, found: Found) -> Protocol {
        self.exchanges.fault(None, "join", "joined in the middle of the connection");
        match found {
            Found::Http1 { answered } => {
                let mut session = h1::Session::joined();
                if answered {
                    session.stray(&mut self.exchanges);
                }
                Protocol::Http1(Box::new(session))
            }
            Found::Http2 => Protocol::Http2(Box::new(h2::Session::joined())),
            Found::Preface => Protocol::Http2(Box::new(h2::Session::replacing())),
        }
    }

    /// Looks at the first bytes until they tell the protocol.
    fn sniff(&mut self, piece: Piece) -> Option<(Protocol, Vec<Piece>)> {
        let unknown = self.start != Start::Seen;
        let Protocol::Unknown { held, size, start } = &mut self.protocol else { return None };
        let spoken = if piece.direction == Direction::ToClient {
            None
        } else if piece.gap > 0 {
            Some(Spoken::Middle)
        } else {
            let room = sniff::PREFACE.len().saturating_sub(start.len()).min(piece.bytes.len());
            start.extend_from_slice(&piece.bytes[..room]);
            if unknown { sniff::classify_middle(start) } else { sniff::classify(start) }
        };
        *size += piece.bytes.len();
        held.push(piece);
        let rest = std::mem::take(held);
        match spoken {
            Some(Spoken::Http1) if unknown => Some((Protocol::Http1(Box::new(h1::Session::joined())), rest)),
            Some(Spoken::Http1) => Some((Protocol::Http1(Box::default()), rest)),
            Some(Spoken::Middle) => Some((Protocol::Joining(Box::default()), rest)),
            Some(Spoken::Http2) if unknown => {
                Some((Protocol::Http2(Box::new(h2::Session::replacing())), rest))
            }
            Some(Spoken::Http2) => Some((Protocol::Http2(Box::new(h2::Session::new())), rest)),
            Some(Spoken::Other) => {
                self.exchanges.fault(None, "protocol", "the client does not speak HTTP");
                Some((Protocol::Silent, Vec::new()))
            }
            None if *size > limits::HELD_BYTES || rest.len() > limits::HELD_PIECES => {
                if unknown {
                    return Some((Protocol::Joining(Box::default()), rest));
                }
                self.exchanges.fault(None, "limit.held", "the server sends and the client is silent");
                Some((Protocol::Silent, Vec::new()))
            }
            None => {
                *held = rest;
                None
            }
        }
    }

    /// A session that began after a half-close has to hear of it too.
    fn repeat_ends(&mut self) {
        for direction in [Direction::ToOrigin, Direction::ToClient] {
            if let Some(time) = self.ended[direction as usize] {
                self.end_session(direction, time);
            }
        }
    }

    fn end_session(&mut self, direction: Direction, time: Time) {
        let client_left = self.first_end == Some(Direction::ToOrigin);
        match &mut self.protocol {
            Protocol::Http1(session) => session.end(direction, client_left, time, &mut self.exchanges),
            Protocol::Http2(session) => session.end(direction, client_left, time, &mut self.exchanges),
            // What a WebSocket was is known when the whole connection has ended.
            Protocol::WebSocket(_) | Protocol::Unknown { .. } | Protocol::Joining(_) | Protocol::Silent => {}
        }
    }
}

#[cfg(test)]
mod tests;
