//! Zstandard (RFC 8878), any number of frames in a row.

use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{Error, account};

const NAME: &str = "zstd";
const STEP: usize = 32 * 1024;

/// RFC 9659: for the content coding, windows are at most 8 MiB.
const WINDOW_LOG: u32 = 23;

/// State of one zstd body.
pub(super) struct Zstd {
    inner: Decoder<'static>,
    inside: bool,
    limit: usize,
}

impl Zstd {
    pub(super) fn new(limit: usize) -> Result<Self, Error> {
        let mut inner = Decoder::new().map_err(|_| Error::Corrupt(NAME))?;
        inner.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(|_| Error::Corrupt(NAME))?;
        Ok(Self { inner, inside: false, limit })
    }

    pub(super) fn push(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        produced: &mut usize,
    ) -> Result<(), Error> {
        if input.is_empty() {
            return Ok(());
        }
        loop {
            let from = out.len();
            out.resize(from + STEP, 0);
            let result = self.inner.run_on_buffers(input, &mut out[from..]);
            let Ok(status) = result else {
                out.truncate(from);
                return Err(Error::Corrupt(NAME));
            };
            out.truncate(from + status.bytes_written);
            account(produced, status.bytes_written, self.limit)?;
            input = &input[status.bytes_read..];
            self.inside = status.remaining != 0;
            if input.is_empty() && status.bytes_written < STEP {
                return Ok(());
            }
            if status.bytes_read == 0 && status.bytes_written == 0 {
                return Err(Error::Corrupt(NAME));
            }
        }
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.inside { Err(Error::Truncated(NAME)) } else { Ok(()) }
    }
}
