//! Brotli (RFC 7932).

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{Error, account};

const NAME: &str = "br";
const STEP: usize = 16 * 1024;

/// State of one brotli body.
pub(super) struct Brotli {
    inner: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    state: State,
    limit: usize,
}

#[derive(PartialEq)]
enum State {
    Start,
    Inside,
    Done,
}

impl Brotli {
    pub(super) fn new(limit: usize) -> Self {
        let (bytes, words, codes) =
            (StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
        Self { inner: Box::new(BrotliState::new(bytes, words, codes)), state: State::Start, limit }
    }

    pub(super) fn push(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        produced: &mut usize,
    ) -> Result<(), Error> {
        // Bytes behind the end mean nothing to any client; they are no reason to fault.
        if input.is_empty() || self.state == State::Done {
            return Ok(());
        }
        self.state = State::Inside;
        let (mut left, mut used) = (input.len(), 0);
        let mut total = 0;
        loop {
            let from = out.len();
            out.resize(from + STEP, 0);
            let (mut room, mut made) = (STEP, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut used,
                input,
                &mut room,
                &mut made,
                &mut out[from..],
                &mut total,
                &mut self.inner,
            );
            out.truncate(from + made);
            account(produced, made, self.limit)?;
            match result {
                BrotliResult::ResultFailure => return Err(Error::Corrupt(NAME)),
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::NeedsMoreOutput if made == 0 => return Err(Error::Corrupt(NAME)),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess => {
                    self.state = State::Done;
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.state == State::Inside { Err(Error::Truncated(NAME)) } else { Ok(()) }
    }
}
