//! One pass over JSON as its bytes arrive: keeps the text within a bound and remembers where the members of
//! the outermost object, and the elements of its arrays, stand. So nothing is parsed that nobody asks for,
//! and nothing is scanned twice.
//!
//! What does not fit is left out in a way that leaves the rest valid JSON (RFC 8259):
//! - a long string that can only be encoded media keeps its beginning and its length ([`length`]);
//! - an array that is too long keeps the elements that fitted, any other value that is too long is left out,
//!   and the members behind it are kept again, because usage stands at the end of a body.
//!
//! Brackets below the second level are counted, not matched: whoever parses a piece finds out.

mod index;

use memchr::memchr2;

pub(crate) use index::{Index, Shape, Span};

use crate::limits;

/// How much of a string that holds media is kept: enough for the head of a `data:` URL.
const MEDIA_HEAD: usize = 256;

/// The state between two pieces of a body.
#[derive(Debug)]
pub(crate) struct Sieve {
    text: Vec<u8>,
    index: Index,
    /// Most bytes of `text`.
    most: usize,
    depth: u64,
    string: Option<Quoted>,
    /// The last byte of the piece before escapes the first of this one.
    escaped: bool,
    /// Text that is left out until the second level is reached again.
    skipping: bool,
    /// The bound was met.
    over: bool,
    broken: bool,
}

/// A string being read.
#[derive(Clone, Copy, Debug)]
struct Quoted {
    /// Where its opening quote stands in the text.
    start: usize,
    /// Whether its beginning was looked at.
    judged: bool,
    /// Bytes that were left out, where it holds media.
    dropped: Option<u64>,
}

/// What one step over a piece found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The piece is used up.
    More,
    /// So many bytes of the piece belong to this document, which is whole.
    Whole(usize),
}

impl Sieve {
    /// Keeps at most `most` bytes, and [`limits::TAIL_BYTES`] of what comes after that.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            text: Vec::new(),
            index: Index::default(),
            most,
            depth: 0,
            string: None,
            escaped: false,
            skipping: false,
            over: false,
            broken: false,
        }
    }

    /// Bytes kept so far.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether something was left out because of the bound.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the brackets do not fit.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the document came to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.index.is_whole()
    }

    /// The shape of the document, once its first byte came.
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.index.shape()
    }

    /// Takes bytes up to the end of the document.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Step {
        // What stands behind the end is no part of it, in this piece or in a later one.
        if self.is_whole() {
            return Step::Whole(0);
        }
        let mut done = 0;
        // Pieces, so that media is recognised before much of it was copied.
        for piece in bytes.chunks(limits::MEDIA_BYTES) {
            match self.piece(piece) {
                Step::More => done += piece.len(),
                Step::Whole(used) => return Step::Whole(done + used),
            }
        }
        Step::More
    }

    /// The text and where things stand in it.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Index) {
        let whole = self.index.is_whole() && !self.broken;
        self.index.end(self.text.len(), whole);
        (self.text, self.index)
    }

    /// Hands out the elements of an outermost array that are whole, and forgets them.
    pub(crate) fn drain(&mut self, mut element: impl FnMut(&[u8])) {
        if self.index.shape() != Some(Shape::Array) {
            return;
        }
        for span in self.index.take_elements() {
            element(self.text.get(span.range()).unwrap_or_default());
        }
        let kept = self.index.rebase(self.text.len());
        self.text.drain(..kept);
        if let Some(string) = &mut self.string {
            string.start = string.start.saturating_sub(kept);
        }
    }

    fn piece(&mut self, bytes: &[u8]) -> Step {
        // `from` is the first byte that is not yet in the text.
        let (mut at, mut from) = (0, 0);
        while at < bytes.len() {
            if self.string.is_some() {
                at = self.quoted(bytes, at, &mut from);
                continue;
            }
            let byte = bytes[at];
            match byte {
                b'"' => {
                    let place = self.place(at, from);
                    self.index.begin(self.depth, place);
                    self.string = Some(Quoted { start: place, judged: false, dropped: None });
                }
                b'{' | b'[' => {
                    let place = self.place(at, from);
                    self.index.open(self.depth, place, byte);
                    self.depth += 1;
                }
                b'}' | b']' => {
                    let Some(depth) = self.depth.checked_sub(1) else {
                        self.broken = true;
                        at += 1;
                        continue;
                    };
                    if depth <= 1 {
                        self.resume(at, &mut from, depth);
                        let place = self.place(at, from);
                        self.broken |= !self.index.close(depth, place, byte);
                    }
                    self.depth = depth;
                    if depth == 0 {
                        self.keep(bytes, &mut from, at + 1, None);
                        return Step::Whole(at + 1);
                    }
                }
                b',' if self.depth <= 2 => {
                    self.resume(at, &mut from, self.depth);
                    let place = self.place(at, from);
                    self.index.comma(self.depth, place);
                }
                b':' if self.depth == 1 => self.index.colon(),
                b' ' | b'\t' | b'\n' | b'\r' => {}
                _ => {
                    if self.depth <= 2 {
                        let place = self.place(at, from);
                        self.index.begin(self.depth, place);
                        if self.depth == 0 {
                            // A document that is a bare word or number says nothing.
                            self.broken = true;
                        }
                    }
                }
            }
            at += 1;
        }
        let dropped = self.string.and_then(|string| string.dropped);
        self.keep(bytes, &mut from, bytes.len(), dropped);
        self.judge();
        Step::More
    }

    /// Reads on in a string; gives the place behind its end, or the end of the piece.
    fn quoted(&mut self, bytes: &[u8], mut at: usize, from: &mut usize) -> usize {
        let mut escaped = std::mem::take(&mut self.escaped);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if escaped {
                escaped = false;
                at += 1;
                continue;
            }
            let Some(found) = memchr2(b'"', b'\\', rest) else { return bytes.len() };
            at += found + 1;
            if rest[found] == b'"' {
                let dropped = self.string.and_then(|string| string.dropped);
                self.keep(bytes, from, at - 1, dropped);
                self.close();
                return at;
            }
            escaped = true;
        }
        self.escaped = escaped;
        at
    }

    /// Where a byte of the piece stands, or would stand, in the text.
    fn place(&self, at: usize, from: usize) -> usize {
        if self.skipping { self.text.len() } else { self.text.len() + (at - from.min(at)) }
    }

    /// Copies what is to be kept up to `to`.
    fn keep(&mut self, bytes: &[u8], from: &mut usize, to: usize, dropped: Option<u64>) {
        let more = &bytes[(*from).min(to)..to];
        *from = to;
        if self.skipping {
            return;
        }
        if let Some(count) = dropped {
            if let Some(string) = &mut self.string {
                string.dropped = Some(count.saturating_add(more.len() as u64));
            }
            return;
        }
        self.text.extend_from_slice(more);
        if self.text.len() > self.most {
            self.cut();
        }
    }

    /// The text is too long: takes back what is not whole, and leaves out what follows of it.
    fn cut(&mut self) {
        if !self.over {
            self.over = true;
            self.most = self.most.saturating_add(limits::TAIL_BYTES);
        }
        let kept = self.index.cut(self.text.len(), self.depth);
        self.text.truncate(kept.end);
        if kept.close {
            self.text.push(b']');
        }
        self.skipping = true;
    }

    /// The level is reached at which text is kept again.
    fn resume(&mut self, at: usize, from: &mut usize, depth: u64) {
        let level = if self.index.shape() == Some(Shape::Array) { 1 } else { 1.min(depth) };
        if self.skipping && depth <= level && self.string.is_none() {
            self.skipping = false;
            *from = at;
        }
    }

    /// A string ended.
    fn close(&mut self) {
        // However the bytes were cut, the same strings are judged.
        self.judge();
        let Some(string) = self.string.take() else { return };
        if let Some(count) = string.dropped
            && !self.skipping
        {
            self.text.extend_from_slice(format!("\\u0000{count}").as_bytes());
        }
        if !self.skipping {
            let end = self.text.len() + 1;
            self.index.string(self.depth, Span::new(string.start, end));
        }
    }

    /// Looks at a long string once: without white space and escapes it is encoded media.
    fn judge(&mut self) {
        let Some(string) = &mut self.string else { return };
        if string.judged || self.skipping {
            return;
        }
        let body = self.text.get(string.start + 1..).unwrap_or_default();
        let Some(start) = body.get(..limits::MEDIA_BYTES) else { return };
        string.judged = true;
        if !start.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b'\\') {
            let dropped = body.len() - MEDIA_HEAD;
            // UTF-8 must not be cut in two, but what is cut here is ASCII or was never media.
            if start[..MEDIA_HEAD].is_ascii() {
                self.text.truncate(string.start + 1 + MEDIA_HEAD);
                string.dropped = Some(dropped as u64);
            }
        }
    }
}

/// The length of a string's text as it was sent, whether media was left out of it or not.
pub(crate) fn length(text: &str) -> u64 {
    match text.rsplit_once('\0') {
        Some((kept, count)) => match count.parse::<u64>() {
            Ok(count) => kept.len() as u64 + count,
            Err(_) => text.len() as u64,
        },
        None => text.len() as u64,
    }
}

#[cfg(test)]
mod tests;
