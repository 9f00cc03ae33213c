//! DEFLATE (RFC 1951), bare and in the zlib wrapper (RFC 1950).

use flate2::{Decompress, FlushDecompress, Status};

use super::{Error, account};

/// Room made for the output of one step.
const STEP: usize = 16 * 1024;

/// A raw or zlib inflater driven over input of any cut.
pub(crate) struct Inflate {
    inner: Decompress,
    limit: usize,
    name: &'static str,
}

/// Where one call of [`Inflate::push`] stopped.
pub(crate) struct Step {
    /// Input bytes taken.
    pub(crate) used: usize,
    /// Whether the final block ended.
    pub(crate) done: bool,
}

impl Inflate {
    pub(crate) fn new(zlib: bool, limit: usize, name: &'static str) -> Self {
        Self { inner: Decompress::new(zlib), limit, name }
    }

    pub(crate) fn reset(&mut self) {
        self.inner.reset(false);
    }

    /// Inflates all of `input`, or up to the end of the final block.
    pub(crate) fn push(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        produced: &mut usize,
    ) -> Result<Step, Error> {
        let mut used = 0;
        loop {
            out.reserve(STEP);
            let (before_in, before_out, length) = (self.inner.total_in(), self.inner.total_out(), out.len());
            let status = self.inner.decompress_vec(&input[used..], out, FlushDecompress::None);
            let taken = usize::try_from(self.inner.total_in() - before_in).unwrap_or(usize::MAX);
            let made = usize::try_from(self.inner.total_out() - before_out).unwrap_or(usize::MAX);
            used += taken.min(input.len() - used);
            account(produced, out.len() - length, self.limit)?;
            match status {
                Err(_) => return Err(Error::Corrupt(self.name)),
                Ok(Status::StreamEnd) => return Ok(Step { used, done: true }),
                // With room left and all input taken, the inflater has nothing more to give.
                Ok(_) if used == input.len() && out.len() < out.capacity() => {
                    return Ok(Step { used, done: false });
                }
                Ok(_) if taken == 0 && made == 0 => return Err(Error::Corrupt(self.name)),
                Ok(_) => {}
            }
        }
    }
}

/// The coding `deflate`: zlib by the specification, bare DEFLATE from some servers.
pub(super) struct Deflate {
    state: State,
    limit: usize,
}

enum State {
    Start,
    One(u8),
    Running(Box<Inflate>),
    Done,
}

impl Deflate {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: State::Start, limit }
    }

    pub(super) fn push(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        produced: &mut usize,
    ) -> Result<(), Error> {
        while let Some((&first, rest)) = input.split_first() {
            match &mut self.state {
                State::Start => {
                    self.state = State::One(first);
                    input = rest;
                }
                State::One(start) => {
                    let start = *start;
                    // RFC 1950, section 2.2: method 8, and the two bytes as a number divide by 31.
                    let zlib =
                        start & 0x0f == 8 && (u16::from(start) << 8 | u16::from(first)).is_multiple_of(31);
                    let mut inflate = Box::new(Inflate::new(zlib, self.limit, "deflate"));
                    let step = inflate.push(&[start], out, produced)?;
                    self.state = if step.done { State::Done } else { State::Running(inflate) };
                }
                State::Running(inflate) => {
                    let step = inflate.push(input, out, produced)?;
                    input = &input[step.used..];
                    if step.done {
                        self.state = State::Done;
                    }
                }
                // Bytes behind the end mean nothing to any client; they are no reason to fault.
                State::Done => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Start | State::Done => Ok(()),
            State::One(_) | State::Running(_) => Err(Error::Truncated("deflate")),
        }
    }
}
