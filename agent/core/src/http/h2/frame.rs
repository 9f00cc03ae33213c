//! HTTP/2 frames (RFC 9113, section 4), of any cut.

use bytes::{Buf, Bytes};

use crate::flow::Time;
use crate::limits;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

/// END_STREAM of DATA and HEADERS; ACK of SETTINGS.
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 32;

pub(super) const HEADER: usize = 9;

/// The header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// When the frame's first byte passed.
    pub(super) first_byte: Time,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Part of a DATA frame's payload, without padding.
    Data { stream: u32, bytes: Bytes },
    /// A DATA frame is over.
    DataEnd { head: Head },
    /// Another frame, whole, padding and priority removed.
    Whole { head: Head, payload: Vec<u8> },
    /// The frame does not fit its own length, or is longer than what is held.
    Bad(&'static str),
}

/// Cuts one direction into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    state: State,
    head: Head,
}

#[derive(Debug)]
enum State {
    Header {
        seen: [u8; HEADER],
        length: usize,
    },
    /// The length of the padding, before the data.
    PadLength,
    Data {
        left: usize,
        padding: usize,
    },
    /// A payload that is needed whole.
    Payload(Vec<u8>),
    /// A payload that nobody needs.
    Skip(usize),
}

impl Default for State {
    fn default() -> Self {
        State::Header { seen: [0; HEADER], length: 0 }
    }
}

impl Frames {
    /// Takes the next thing off the front of `bytes`; `None` where more are needed.
    pub(super) fn next(&mut self, bytes: &mut Bytes, time: Time) -> Option<Frame> {
        loop {
            match &mut self.state {
                State::Data { left: 0, padding: 0 } => {
                    self.state = State::default();
                    return Some(Frame::DataEnd { head: self.head });
                }
                State::Payload(seen) if seen.len() == self.head.length => {
                    let payload = std::mem::take(seen);
                    self.state = State::default();
                    return Some(match strip(self.head, payload) {
                        Some(payload) => Frame::Whole { head: self.head, payload },
                        None => Frame::Bad("h2.frame"),
                    });
                }
                State::Skip(0) => self.state = State::default(),
                _ if bytes.is_empty() => return None,
                State::Header { seen, length } => {
                    if *length == 0 {
                        self.head.first_byte = time;
                    }
                    let take = (HEADER - *length).min(bytes.len());
                    seen[*length..*length + take].copy_from_slice(&bytes[..take]);
                    bytes.advance(take);
                    *length += take;
                    if *length == HEADER {
                        let [a, b, c, kind, flags, w, x, y, z] = *seen;
                        self.head.length = u32::from_be_bytes([0, a, b, c]) as usize;
                        self.head.kind = kind;
                        self.head.flags = flags;
                        self.head.stream = u32::from_be_bytes([w & 0x7f, x, y, z]);
                        match self.begin() {
                            Ok(state) => self.state = state,
                            Err(fault) => return Some(Frame::Bad(fault)),
                        }
                    }
                }
                State::PadLength => {
                    let padding = usize::from(bytes.get_u8());
                    let Some(left) = (self.head.length - 1).checked_sub(padding) else {
                        return Some(Frame::Bad("h2.frame"));
                    };
                    self.state = State::Data { left, padding };
                }
                State::Data { left: 0, padding } => {
                    let take = (*padding).min(bytes.len());
                    *padding -= take;
                    bytes.advance(take);
                }
                State::Data { left, .. } => {
                    let take = (*left).min(bytes.len());
                    *left -= take;
                    return Some(Frame::Data { stream: self.head.stream, bytes: bytes.split_to(take) });
                }
                State::Payload(seen) => {
                    let take = (self.head.length - seen.len()).min(bytes.len());
                    seen.extend_from_slice(&bytes[..take]);
                    bytes.advance(take);
                }
                State::Skip(left) => {
                    let take = (*left).min(bytes.len());
                    *left -= take;
                    bytes.advance(take);
                }
            }
        }
    }

    /// Whether no frame has begun.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Header { length: 0, .. })
    }

    /// Bytes were lost: the stream whose data they were, where they lay in one DATA payload; `Some(None)`
    /// where they meant nothing to anyone.
    pub(super) fn skip(&mut self, count: u64) -> Option<Option<u32>> {
        let count = usize::try_from(count).ok()?;
        match &mut self.state {
            State::Data { left, .. } if *left >= count => {
                *left -= count;
                Some(Some(self.head.stream))
            }
            State::Skip(left) if *left >= count => {
                *left -= count;
                Some(None)
            }
            _ => None,
        }
    }

    /// How the payload of the frame that begins is read.
    fn begin(&self) -> Result<State, &'static str> {
        let Head { length, kind, flags, .. } = self.head;
        match kind {
            DATA if flags & PADDED != 0 && length == 0 => Err("h2.frame"),
            DATA if flags & PADDED != 0 => Ok(State::PadLength),
            DATA => Ok(State::Data { left: length, padding: 0 }),
            HEADERS | PUSH_PROMISE | CONTINUATION if length > limits::HEADER_BLOCK_BYTES => {
                Err("limit.header_block")
            }
            // More settings than any peer has are no settings.
            SETTINGS | RST_STREAM | GOAWAY if length > limits::HEADER_BLOCK_BYTES => Err("h2.frame"),
            HEADERS | PUSH_PROMISE | CONTINUATION | SETTINGS | RST_STREAM | GOAWAY => {
                Ok(State::Payload(Vec::new()))
            }
            // RFC 9113, section 5.5: frames of unknown kinds are ignored.
            _ => Ok(State::Skip(length)),
        }
    }
}

/// Removes padding, priority and the promised stream from the payloads that carry a header block.
fn strip(head: Head, mut payload: Vec<u8>) -> Option<Vec<u8>> {
    if !matches!(head.kind, HEADERS | PUSH_PROMISE) {
        return Some(payload);
    }
    let mut from = 0;
    if head.flags & PADDED != 0 {
        let padding = usize::from(*payload.first()?);
        from += 1;
        payload.truncate(payload.len().checked_sub(padding)?);
    }
    if head.kind == PUSH_PROMISE {
        from += 4;
    } else if head.flags & PRIORITY != 0 {
        from += 5;
    }
    (from <= payload.len()).then(|| payload.split_off(from))
}
