//! `application/vnd.amazon.eventstream`, read as the bytes pass. Source: the specification of event stream
//! encoding in Smithy and the AWS SDKs.
//!
//! A frame is `total length u32, headers length u32, CRC-32 of these 8 bytes, headers, payload, CRC-32 of all
//! before it`, big endian. Where a prelude does not fit its checksum the next place is searched where one does;
//! a frame whose own checksum does not fit is dropped and counted, never delivered. Its length is not believed
//! either: bytes may be missing in it, and then the next frame begins before its end.

use crate::limits;

/// Length of the prelude with its checksum.
const PRELUDE: usize = 12;
/// Least length of a frame: prelude, no headers, no payload, checksum.
const LEAST: usize = PRELUDE + 4;

/// Greatest length of a frame that AWS's SDKs take: headers of 128 KiB, a payload of 16 MiB. A prelude that
/// says more is none, or its end would be waited for until the stream's.
const MOST: usize = LEAST + (128 << 10) + (16 << 20);

/// How often each byte may be looked at in vain.
const LOOKS: u64 = 4;

/// One frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `:message-type`: `event`, `exception` or `error`.
    pub kind: &'a str,
    /// `:event-type`, `:exception-type` or `:error-code`.
    pub name: &'a str,
    /// `:error-message`.
    pub message: &'a str,
    /// The payload, mostly JSON.
    pub payload: &'a [u8],
}

/// State between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Parser {
    held: Vec<u8>,
    /// Bytes of a frame that is too long, still to come.
    skip: usize,
    broken: u64,
    dropped: u64,
    /// Whether the next place with a prelude is being searched.
    lost: bool,
    /// Bytes before those that are held.
    passed: u64,
    /// Bytes of frames that were looked at in vain.
    wasted: u64,
    /// Whether the stream ended inside a frame.
    inside: bool,
}

/// Whether bytes begin with a prelude whose checksum fits; `None` where they are too few.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    Some(prelude(bytes.get(..PRELUDE)?).is_some())
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

/// Total length and length of the headers.
fn prelude(bytes: &[u8]) -> Option<(usize, usize)> {
    let (total, headers) = (number(bytes, 0)?, number(bytes, 4)?);
    let fits = (LEAST..=MOST).contains(&total) && headers <= total - LEAST;
    (fits && number(bytes, 8)? == crc32fast::hash(bytes.get(..8)?) as usize).then_some((total, headers))
}

impl Parser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places where the framing was lost, and frames whose checksum did not fit.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Frames that were dropped because they were longer than [`limits::EVENT_BYTES`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the stream ended inside a frame. Asked after [`Parser::finish`].
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// Takes bytes; calls `deliver` for each frame that they complete.
    pub fn push(&mut self, bytes: &[u8], deliver: impl FnMut(Frame<'_>)) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.passed += skipped as u64;
        self.held.extend_from_slice(&bytes[skipped..]);
        self.read(false, deliver);
    }

    /// Nothing more comes: calls `deliver` for the frames behind the beginning of one that never ended.
    pub fn finish(&mut self, deliver: impl FnMut(Frame<'_>)) {
        self.inside = !self.held.is_empty() || self.skip > 0;
        self.read(true, deliver);
    }

    fn read(&mut self, last: bool, mut deliver: impl FnMut(Frame<'_>)) {
        let mut at = 0;
        while let Some(rest) = self.held.get(at..).filter(|rest| rest.len() >= PRELUDE) {
            let Some((total, headers)) = prelude(rest) else {
                self.broken += u64::from(!self.lost);
                self.lost = true;
                at += 1;
                continue;
            };
            if total > limits::EVENT_BYTES {
                self.lost = false;
                self.dropped += 1;
                self.skip = total.saturating_sub(rest.len());
                at += total.min(rest.len());
                continue;
            }
            let Some(frame) = rest.get(..total) else {
                if !last {
                    break;
                }
                self.lost = true;
                at += PRELUDE;
                continue;
            };
            if let Some(frame) = open(frame, headers) {
                deliver(frame);
                self.lost = false;
                at += total;
                continue;
            }
            self.broken += u64::from(!self.lost);
            self.lost = true;
            self.wasted += total as u64;
            // Preludes inside of preludes, each with a long frame, must not cost more than a few looks at each
            // byte. Counted from the start of the stream, so that it does not depend on how it was cut.
            let end = self.passed + (at + total) as u64;
            at += if self.wasted <= end.saturating_mul(LOOKS) { PRELUDE } else { total };
        }
        self.held.drain(..at);
        self.passed += at as u64;
        // The allocation serves the next frames, unless one huge frame made it huge.
        if self.held.is_empty() && self.held.capacity() > 64 * 1024 {
            self.held = Vec::new();
        }
    }
}

/// Checks a whole frame and finds what it says.
fn open(frame: &[u8], headers: usize) -> Option<Frame<'_>> {
    let (body, _) = frame.split_at_checked(frame.len().checked_sub(4)?)?;
    if number(frame, body.len())? != crc32fast::hash(body) as usize {
        return None;
    }
    let mut out = Frame { payload: body.get(PRELUDE + headers..)?, ..Frame::default() };
    let mut rest = body.get(PRELUDE..PRELUDE + headers)?;
    while let [length, after @ ..] = rest {
        let (name, after) = after.split_at_checked(usize::from(*length))?;
        let [kind, after @ ..] = after else { return None };
        let size = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            // Bytes and strings say their length.
            6 | 7 => {
                let [high, low, ..] = after else { return None };
                2 + usize::from(u16::from_be_bytes([*high, *low]))
            }
            _ => return None,
        };
        let (value, after) = after.split_at_checked(size)?;
        if *kind == 7 {
            let text = std::str::from_utf8(value.get(2..)?).unwrap_or_default();
            match name {
                b":message-type" => out.kind = text,
                b":event-type" | b":exception-type" | b":error-code" => out.name = text,
                b":error-message" => out.message = text,
                _ => {}
            }
        }
        rest = after;
    }
    Some(out)
}

#[cfg(test)]
mod tests;
