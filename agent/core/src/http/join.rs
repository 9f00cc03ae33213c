//! A connection that was joined in its middle, until its bytes tell what is spoken.
//!
//! Only what stands at the beginning of a slice counts for HTTP/1: whatever can be sent can stand inside a
//! body too, an end of chunks and a request line behind it among them, so within a slice nothing is certain.
//! Clients write a request in one piece, once they have the answer to the one before it.

use super::exchange::Piece;
use super::h2::late::{Finder, has_request};
use super::sniff::{PREFACE, is_request_start, is_response_start};
use crate::flow::Direction;

/// What the client says until it makes sense. What the server says means nothing without a request.
#[derive(Debug, Default)]
pub(super) struct Session {
    finder: Finder,
    /// Whether something like an answer of HTTP/1 was seen.
    answered: bool,
}

/// What is spoken.
#[derive(Debug)]
pub(super) enum Found {
    /// HTTP/1, from a request on; maybe an answer to another one was seen before it.
    Http1 { answered: bool },
    /// HTTP/2, from some frame on.
    Http2,
    /// HTTP/2, from its beginning: a new connection.
    Preface,
}

impl Session {
    /// Takes bytes; tells the protocol once it is certain, with the bytes that are to be read.
    pub(super) fn push(&mut self, piece: Piece) -> Option<(Found, Vec<Piece>)> {
        if piece.direction == Direction::ToClient {
            self.answered |= is_response_start(&piece.bytes);
            return None;
        }
        if piece.bytes.starts_with(PREFACE) {
            return Some((Found::Preface, vec![Piece { gap: 0, ..piece }]));
        }
        if is_request_start(&piece.bytes) {
            return Some((Found::Http1 { answered: self.answered }, vec![Piece { gap: 0, ..piece }]));
        }
        let found = self.finder.push(piece, u32::MAX)?;
        has_request(&found).then_some((Found::Http2, found))
    }
}
