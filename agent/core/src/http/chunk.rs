//! The chunked transfer coding (RFC 9112, section 7.1), of any cut.

use crate::limits;

/// State inside a chunked body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    overhead: usize,
}

#[derive(Debug)]
enum State {
    Size {
        value: u64,
        digits: u8,
    },
    /// Behind the size: white space or an extension, up to the line's end.
    Extension {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataEnd,
    /// Trailer fields; whether the current line has anything in it.
    Trailer {
        empty: bool,
    },
}

impl Default for State {
    fn default() -> Self {
        State::Size { value: 0, digits: 0 }
    }
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes of framing.
    Framing(usize),
    /// So many bytes of data.
    Data(usize),
    /// So many bytes of framing, and then the body is over.
    End(usize),
    /// No chunked coding.
    Bad,
}

impl Chunked {
    /// Judges the beginning of `bytes`, which is not empty.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        if let State::Data { left } = &mut self.state {
            let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= take as u64;
            if *left == 0 {
                self.state = State::DataEnd;
            }
            return Step::Data(take);
        }
        for (index, &byte) in bytes.iter().enumerate() {
            self.overhead += 1;
            if self.overhead > limits::HEAD_BYTES {
                return Step::Bad;
            }
            match self.byte(byte) {
                None => return Step::Bad,
                Some(true) => return Step::End(index + 1),
                Some(false) if matches!(self.state, State::Data { .. }) => return Step::Framing(index + 1),
                Some(false) => {}
            }
        }
        Step::Framing(bytes.len())
    }

    /// Bytes were lost: true where they all belonged to the current chunk's data.
    pub(super) fn skip(&mut self, count: u64) -> bool {
        match &mut self.state {
            State::Data { left } if *left >= count => {
                *left -= count;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
                true
            }
            _ => false,
        }
    }

    /// One byte of framing: `None` where it does not fit, true where the body ended with it.
    fn byte(&mut self, byte: u8) -> Option<bool> {
        match &mut self.state {
            State::Size { value, digits } => match (char::from(byte).to_digit(16), byte) {
                // Fifteen digits are far beyond any real chunk and cannot overflow.
                (Some(digit), _) if *digits < 15 => {
                    *value = *value << 4 | u64::from(digit);
                    *digits += 1;
                }
                (None, b'\n' | b'\r' | b';' | b' ' | b'\t') if *digits > 0 => {
                    self.state = State::Extension { value: *value };
                    return self.byte(byte);
                }
                _ => return None,
            },
            State::Extension { value } => {
                if byte == b'\n' {
                    self.state = match *value {
                        0 => State::Trailer { empty: true },
                        left => {
                            self.overhead = 0;
                            State::Data { left }
                        }
                    };
                }
            }
            State::DataEnd => match byte {
                b'\r' => {}
                b'\n' => self.state = State::default(),
                _ => return None,
            },
            State::Trailer { empty } => match byte {
                b'\n' if *empty => return Some(true),
                b'\n' => *empty = true,
                b'\r' => {}
                _ => *empty = false,
            },
            State::Data { .. } => return None,
        }
        Some(false)
    }
}
