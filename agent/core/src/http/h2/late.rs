//! Finding the way into HTTP/2 frames whose beginning was not seen.
//!
//! Senders write whole frames, so a slice usually begins with one. What is taken for one has to fit its kind
//! in length, flags and stream, and be followed by others that do, to where a slice ends. A single such header
//! comes by chance once in some ten million places of random bytes and never in text, but silence in recorded
//! sound is full of them. So the protocol itself is told by a request alone, whose fields have to make sense.

use bytes::BytesMut;

use super::block::Fields;
use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADER, HEADERS, Head, PADDED,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
};
use super::hpack::Decoder;
use crate::flow::{Direction, Time};
use crate::http::exchange::Piece;
use crate::limits;

// Kinds of frames that are skipped once the way is known (RFC 9113, 7838, 8336 and 9218).
const PRIORITY_FRAME: u8 = 2;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ALTSVC: u8 = 0xa;
const ORIGIN: u8 = 0xc;
const PRIORITY_UPDATE: u8 = 0x10;

/// So many frames in a row are no chance, even where no slice ends with one.
const ENOUGH: usize = 8;
/// Neither are a few that lead on over so many bytes.
const FAR: usize = 32 * 1024;
const FEW: usize = 3;
/// Most headers that are looked at for one slice.
const LOOKS: usize = 16 * 1024;

/// Looks for frames in one direction.
#[derive(Debug, Default)]
pub(in crate::http) struct Finder {
    /// Slices that may begin with a frame, of which more has to be seen.
    held: Vec<Piece>,
    size: usize,
    /// The connection has just begun, and a server begins with its settings (RFC 9113, section 3.4).
    opening: bool,
    /// When the last bytes passed that were given up, until somebody asks.
    pub(in crate::http) skipped: Option<Time>,
}

/// What bytes look like that may begin with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Frames,
    /// Nothing contradicts, and more has to be seen.
    Perhaps,
    Other,
}

impl Finder {
    /// One that knows how the first frame looks.
    pub(super) fn opening() -> Self {
        Self { opening: true, ..Self::default() }
    }

    /// Takes bytes; gives those that begin with a frame once that is certain. No stream has a number above
    /// `most`.
    pub(in crate::http) fn push(&mut self, piece: Piece, most: u32) -> Option<Vec<Piece>> {
        if piece.gap > 0 {
            self.drain();
            self.skipped = Some(piece.time);
        }
        let newest = Piece { gap: 0, ..piece.clone() };
        let place = Place { from_server: piece.direction == Direction::ToClient, most };
        self.size += piece.bytes.len();
        self.held.push(newest.clone());
        let joined = match self.held.as_slice() {
            [only] => only.bytes.clone(),
            several => {
                let mut bytes = BytesMut::with_capacity(self.size);
                several.iter().for_each(|piece| bytes.extend_from_slice(&piece.bytes));
                bytes.freeze()
            }
        };
        // The first that may begin with a frame, unless one is certain to.
        let (mut from, mut maybe, mut looks) = (0, None, LOOKS);
        for (index, piece) in self.held.iter().enumerate() {
            let rest = joined.get(from..).unwrap_or_default();
            let begins = self.opening && matches!(*rest, [0, _, _, SETTINGS, 0, ..]);
            let enough = if begins { 1 } else { ENOUGH };
            match look(rest, place, enough, &mut looks) {
                Look::Frames => {
                    let mut held = self.drain();
                    let found = held.split_off(index);
                    self.skip(&held);
                    return Some(found);
                }
                Look::Perhaps => maybe = maybe.or(Some(index)),
                Look::Other => {}
            }
            from += piece.bytes.len();
        }
        let mut dropped = maybe.unwrap_or(self.held.len());
        let mut size = self.held.iter().skip(dropped).map(|piece| piece.bytes.len()).sum();
        while size > limits::LATE_BYTES || self.held.len() - dropped > limits::LATE_PIECES {
            size -= self.held.get(dropped).map_or(size, |piece| piece.bytes.len());
            dropped += 1;
        }
        let rest = self.held.split_off(dropped);
        let dropped = std::mem::replace(&mut self.held, rest);
        self.skip(&dropped);
        self.size = size;
        // None is certain to; the newest may hold the end of a frame and others behind it.
        let bytes = &newest.bytes;
        let mut looks = LOOKS;
        let from = (1..bytes.len()).find(|&from| {
            let rest = bytes.get(from..).unwrap_or_default();
            // One frame is too little here.
            look(rest, place, usize::MAX, &mut looks) == Look::Frames && !is_one(rest)
        })?;
        self.drain();
        self.skipped = Some(newest.time);
        Some(vec![Piece { bytes: bytes.slice(from..), ..newest }])
    }

    fn skip(&mut self, dropped: &[Piece]) {
        self.skipped = self.skipped.max(dropped.last().map(|piece| piece.time));
    }

    /// What is held.
    pub(in crate::http) fn drain(&mut self) -> Vec<Piece> {
        self.size = 0;
        std::mem::take(&mut self.held)
    }
}

/// Where a frame may stand.
#[derive(Clone, Copy)]
struct Place {
    from_server: bool,
    most: u32,
}

/// Whether the bytes are a single frame.
fn is_one(bytes: &[u8]) -> bool {
    matches!(*bytes, [a, b, c, ..] if u32::from_be_bytes([0, a, b, c]) as usize + HEADER >= bytes.len())
}

/// Judges bytes: frames to the last byte, or `enough` of them. `looks` bounds the effort.
fn look(bytes: &[u8], place: Place, enough: usize, looks: &mut usize) -> Look {
    let mut rest = bytes;
    let mut before = Before::default();
    let mut seen = 0;
    while seen < enough {
        if rest.is_empty() {
            return if seen > 0 && !before.open { Look::Frames } else { Look::Perhaps };
        }
        let Some((header, behind)) = rest.split_first_chunk::<HEADER>() else { return Look::Perhaps };
        let Some(length) = fits(header, behind, place, &mut before) else { return Look::Other };
        // Only what fits so far costs more than a look.
        let Some(left) = looks.checked_sub(1) else { return Look::Other };
        *looks = left;
        let Some(next) = behind.get(length..) else { return Look::Perhaps };
        rest = next;
        seen += 1;
        if enough <= ENOUGH && seen >= FEW && bytes.len() - rest.len() >= FAR {
            break;
        }
    }
    Look::Frames
}

/// What the frame before leaves for the next one.
#[derive(Default)]
struct Before {
    /// Its header block goes on.
    open: bool,
    /// It ended this stream.
    ended: u32,
}

/// Whether frames of a client hold a request whose fields make sense.
pub(in crate::http) fn has_request(pieces: &[Piece]) -> bool {
    let (mut frames, mut decoder) = (Frames::default(), Decoder::late());
    for piece in pieces {
        let mut bytes = piece.bytes.clone();
        while let Some(frame) = frames.next(&mut bytes, piece.time) {
            let Frame::Whole { head: Head { kind: HEADERS, .. }, payload } = frame else { continue };
            let mut fields = Fields::default();
            if decoder.decode(&payload, |field| fields.add(field)).is_ok() && fields.is_request() {
                return true;
            }
        }
    }
    false
}

/// The length of a frame's payload where its header may be one.
fn fits(header: &[u8; HEADER], payload: &[u8], place: Place, before: &mut Before) -> Option<usize> {
    let [a, b, c, kind, flags, w, x, y, z] = *header;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let stream = u32::from_be_bytes([w, x, y, z]);
    let only = |known: u8| flags & !known == 0;
    let Place { from_server, most } = place;
    // Nothing but a reset or a priority follows the end of a stream.
    let after = matches!(kind, DATA | HEADERS) && stream == before.ended;
    if stream > most.min(u32::MAX >> 1) || after || before.open != (kind == CONTINUATION) {
        return None;
    }
    // Streams that a server opens by pushing are not looked for.
    let odd = stream % 2 == 1;
    let block = limits::LATE_FRAME_BYTES;
    let fits = match kind {
        DATA => {
            odd && only(END_STREAM | PADDED)
                && length <= limits::LATE_DATA_BYTES
                && (length > 0 || flags == END_STREAM)
        }
        HEADERS => odd && only(END_STREAM | END_HEADERS | PADDED | PRIORITY) && (1..=block).contains(&length),
        PRIORITY_FRAME => odd && flags == 0 && length == 5,
        RST_STREAM => odd && flags == 0 && length == 4,
        SETTINGS if flags == ACK => stream == 0 && length == 0,
        SETTINGS => stream == 0 && flags == 0 && length.is_multiple_of(6) && length <= 600,
        PUSH_PROMISE => from_server && odd && only(END_HEADERS | PADDED) && (5..=block).contains(&length),
        PING => stream == 0 && only(ACK) && length == 8,
        GOAWAY => stream == 0 && flags == 0 && (8..=block).contains(&length),
        WINDOW_UPDATE => {
            let increment = payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
            (odd || stream == 0)
                && flags == 0
                && length == 4
                && increment.is_none_or(|by| by != 0 && by >> 31 == 0)
        }
        CONTINUATION => odd && only(END_HEADERS) && length <= block,
        ALTSVC | ORIGIN => from_server && stream == 0 && flags == 0 && (2..=block).contains(&length),
        PRIORITY_UPDATE => !from_server && stream == 0 && flags == 0 && (4..=block).contains(&length),
        _ => false,
    };
    before.open = matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) && flags & END_HEADERS == 0;
    if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
        before.ended = stream;
    }
    fits.then_some(length)
}

#[cfg(test)]
mod tests;
