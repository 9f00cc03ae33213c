//! Server-sent events (WHATWG HTML, section 9.2.6), read as the bytes pass.
//!
//! One deliberate difference: an event that the stream's end cuts off before its blank line is delivered by
//! [`Parser::finish`], where a browser would drop it, because a cut answer is to be shown as far as it came.
//! And a second one: a field `error`, which the standard does not know, is an event of that name.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::limits;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// `event`; `None` where the stream gave none (`message` to a browser).
    pub event: Option<Cow<'a, str>>,
    /// `data` lines joined by a line feed.
    pub data: Cow<'a, str>,
    /// The last `id` that the stream gave, which holds until the next one.
    pub id: Option<Cow<'a, str>>,
    /// `retry` in milliseconds, where this event set it.
    pub retry: Option<u64>,
}

/// State between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    event: Vec<u8>,
    id: Option<Vec<u8>>,
    retry: Option<u64>,
    started: bool,
    after_cr: bool,
    overflow: bool,
    dropped: u64,
}

impl Parser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events that were dropped because they were longer than [`limits::EVENT_BYTES`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes bytes; calls `deliver` for each event that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut deliver: impl FnMut(Event<'_>)) {
        while let Some(&first) = bytes.first() {
            if self.after_cr {
                self.after_cr = false;
                if first == b'\n' {
                    bytes = &bytes[1..];
                    continue;
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                self.append(bytes);
                return;
            };
            let (line, ended_by) = (&bytes[..end], bytes[end]);
            self.after_cr = ended_by == b'\r';
            bytes = &bytes[end + 1..];
            // A line that is all there, which most are, need not be copied.
            if self.line.is_empty() && self.started && self.data.len() + line.len() <= limits::EVENT_BYTES {
                self.read(line, &mut deliver);
            } else {
                self.append(line);
                self.end_line(&mut deliver);
            }
        }
    }

    /// The stream ended; delivers what was begun.
    pub fn finish(&mut self, mut deliver: impl FnMut(Event<'_>)) {
        if !self.line.is_empty() {
            self.end_line(&mut deliver);
        }
        self.dispatch(&mut deliver);
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.line.len() + self.data.len() + bytes.len() > limits::EVENT_BYTES {
            self.overflow = true;
            // A mark that no field begins with keeps the line from looking empty.
            self.line.clear();
            self.line.push(b':');
            self.data = Vec::new();
        } else if !self.overflow || self.line.is_empty() {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, deliver: &mut impl FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if !self.started {
            self.started = true;
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        self.read(text, deliver);
        // The allocation serves the next line, unless one huge line made it huge.
        if line.capacity() <= 64 * 1024 {
            self.line = line;
            self.line.clear();
        }
    }

    fn read(&mut self, line: &[u8], deliver: &mut impl FnMut(Event<'_>)) {
        if line.is_empty() {
            self.dispatch(deliver);
        } else {
            self.field(line);
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" if !self.overflow => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.event.clear();
                self.event.extend_from_slice(value);
            }
            // No field of the standard, but a server ends its streams with it; nothing else says what went wrong.
            b"error" if !self.has_data && !self.overflow => {
                self.event.clear();
                self.event.extend_from_slice(b"error");
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => self.id = Some(value.to_vec()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, deliver: &mut impl FnMut(Event<'_>)) {
        if self.overflow {
            self.dropped += 1;
        } else if self.has_data {
            deliver(Event {
                event: Some(text(&self.event)).filter(|e| !e.is_empty()),
                data: text(&self.data),
                id: self.id.as_deref().map(text),
                retry: self.retry,
            });
        }
        self.overflow = false;
        self.has_data = false;
        self.retry = None;
        self.event.clear();
        self.data.clear();
        if self.data.capacity() > 64 * 1024 {
            self.data = Vec::new();
        }
    }
}

/// Text, with what is no UTF-8 replaced. Checking first is twice as fast as replacing at once.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_error| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests;
