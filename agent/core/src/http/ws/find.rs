//! Finding frames again in a direction where some were lost.
//!
//! Two bytes are too little to know a frame by, and a mask hides the rest. So a slice is believed only where
//! frames fill it to its last byte, the first of them a whole text that is a JSON object, as all messages are
//! that anybody here reads.

use super::{BINARY, CLOSE, CONTINUATION, HEADER, TEXT, size};
use crate::flow::Direction;
use crate::limits;

/// Whether a slice certainly begins with a frame that begins a message.
pub(super) fn begins(slice: &[u8], direction: Direction) -> bool {
    let mut rest = slice;
    let mut first = true;
    let mut open = false;
    while !rest.is_empty() {
        let Some((header, length, payload)) = frame(rest, direction) else { return false };
        let (last, opcode) = (header & 0x80 != 0, header & 0x0f);
        let fits = match opcode {
            // A compressed text says nothing before it is inflated.
            TEXT if first => header == 0x80 | TEXT && is_object(payload, &rest[..length]),
            _ if first => false,
            TEXT | BINARY => !open && header & 0x30 == 0,
            CONTINUATION => open && header & 0x70 == 0,
            CLOSE..=10 => last && header & 0x70 == 0 && payload.len() <= 125,
            _ => false,
        };
        if !fits {
            return false;
        }
        if opcode < CLOSE {
            open = !last;
        }
        first = false;
        rest = rest.get(length + payload.len()..).unwrap_or_default();
    }
    !first
}

/// A frame's first byte, how long its header is, and its payload as sent.
fn frame(bytes: &[u8], direction: Direction) -> Option<(u8, usize, &[u8])> {
    let mut header = [0; HEADER];
    let seen = bytes.len().min(HEADER);
    header[..seen].copy_from_slice(&bytes[..seen]);
    let length = size(&header, seen);
    let masked = header[1] & 0x80 != 0;
    if length > seen || masked != (direction == Direction::ToOrigin) {
        return None;
    }
    let left = match header[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
        127 => u64::from_be_bytes([
            header[2], header[3], header[4], header[5], header[6], header[7], header[8], header[9],
        ]),
        short => u64::from(short),
    };
    let left = usize::try_from(left).ok().filter(|left| *left <= limits::FRAME_BYTES)?;
    Some((header[0], length, bytes.get(length..)?.get(..left)?))
}

/// Whether the payload behind this header is a JSON object.
fn is_object(payload: &[u8], header: &[u8]) -> bool {
    let mask = header.last_chunk::<4>().filter(|_| header.get(1).is_some_and(|byte| byte & 0x80 != 0));
    let mask = mask.copied().unwrap_or_default();
    let plain: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    plain.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(&plain).is_ok()
}
