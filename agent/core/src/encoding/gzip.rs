//! gzip (RFC 1952), any number of members in a row.

use flate2::Crc;

use super::Error;
use super::inflate::Inflate;

const NAME: &str = "gzip";

// Flags of RFC 1952, section 2.3.1.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const FILE_NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

/// State of one gzip body.
pub(super) struct Gzip {
    state: State,
    inflate: Inflate,
    crc: Crc,
    members: u64,
}

enum State {
    /// The fixed ten bytes.
    Fixed {
        seen: [u8; 10],
        length: usize,
    },
    /// Optional fields that are still to be skipped.
    Optional {
        flags: u8,
        field: Field,
    },
    Body,
    Trailer {
        seen: [u8; 8],
        length: usize,
    },
    /// Something that is no member follows the last one.
    Rest,
}

enum Field {
    Next,
    ExtraLength { first: Option<u8> },
    Skip(usize),
    Text,
}

impl Gzip {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: State::Fixed { seen: [0; 10], length: 0 },
            inflate: Inflate::new(false, limit, NAME),
            crc: Crc::new(),
            members: 0,
        }
    }

    pub(super) fn push(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        produced: &mut usize,
    ) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::Optional { flags, field: field @ Field::Next } => match next_field(flags) {
                    Some(next) => *field = next,
                    None => {
                        self.inflate.reset();
                        self.crc = Crc::new();
                        self.state = State::Body;
                    }
                },
                State::Body if !input.is_empty() => {
                    let from = out.len();
                    let step = self.inflate.push(input, out, produced)?;
                    self.crc.update(&out[from..]);
                    input = &input[step.used..];
                    if step.done {
                        self.state = State::Trailer { seen: [0; 8], length: 0 };
                    }
                }
                State::Rest => return Ok(()),
                _ => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(()) };
                    input = rest;
                    self.byte(byte)?;
                }
            }
        }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Error> {
        match &mut self.state {
            State::Fixed { seen, length } => {
                // Padding or garbage after a whole member is ignored, as clients do.
                let fits = match *length {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    2 => byte == 8,
                    _ => true,
                };
                if !fits {
                    if self.members == 0 {
                        return Err(Error::Corrupt(NAME));
                    }
                    self.state = State::Rest;
                    return Ok(());
                }
                seen[*length] = byte;
                *length += 1;
                if *length == seen.len() {
                    self.state = State::Optional { flags: seen[3], field: Field::Next };
                }
            }
            State::Optional { field, .. } => match field {
                Field::ExtraLength { first } => match first {
                    None => *first = Some(byte),
                    Some(low) => {
                        *field = Field::Skip(usize::from(u16::from_le_bytes([*low, byte])));
                        if matches!(field, Field::Skip(0)) {
                            *field = Field::Next;
                        }
                    }
                },
                Field::Skip(left) => {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        *field = Field::Next;
                    }
                }
                Field::Text if byte == 0 => *field = Field::Next,
                Field::Text | Field::Next => {}
            },
            State::Trailer { seen, length } => {
                seen[*length] = byte;
                *length += 1;
                if *length == seen.len() {
                    let sum = u32::from_le_bytes([seen[0], seen[1], seen[2], seen[3]]);
                    self.members += 1;
                    self.state = State::Fixed { seen: [0; 10], length: 0 };
                    if sum != self.crc.sum() {
                        return Err(Error::Corrupt(NAME));
                    }
                }
            }
            State::Body | State::Rest => {}
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Fixed { length: 0, .. } | State::Rest => Ok(()),
            State::Fixed { .. } if self.members > 0 => Ok(()),
            _ => Err(Error::Truncated(NAME)),
        }
    }
}

/// Takes the next optional field out of the flags, in the order in which they stand in the header.
fn next_field(flags: &mut u8) -> Option<Field> {
    for (flag, field) in [
        (EXTRA, Field::ExtraLength { first: None }),
        (FILE_NAME, Field::Text),
        (COMMENT, Field::Text),
        (HEADER_CRC, Field::Skip(2)),
    ] {
        if *flags & flag != 0 {
            *flags &= !flag;
            return Some(field);
        }
    }
    None
}
