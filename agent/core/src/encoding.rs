//! Content codings (RFC 9110, section 8.4) removed as the bytes pass.
//!
//! Invariants: whatever can be decoded from the bytes so far is delivered by the same `push`, because a
//! streamed answer must be read while it streams; expansion stops at [`limits::DECODED_BYTES`].

use std::fmt;

use crate::limits;

mod brotli;
mod gzip;
pub(crate) mod inflate;
mod zstd;

/// Why a body could not be decoded (further). What was delivered before stays valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A coding that is not known here.
    #[error("content coding {0:?} is not known")]
    Unknown(String),
    /// The bytes are not what the coding demands.
    #[error("{0} data is corrupt")]
    Corrupt(&'static str),
    /// The body ended inside the coded data.
    #[error("{0} data ends early")]
    Truncated(&'static str),
    /// The body expands to more than [`limits::DECODED_BYTES`].
    #[error("body expands to more than {} bytes", limits::DECODED_BYTES)]
    Limit,
}

impl Error {
    /// Stable short name for [`Fault::kind`](crate::call::Fault::kind).
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Unknown(_) | Error::Corrupt(_) => "encoding",
            Error::Truncated(_) => "truncated",
            Error::Limit => "limit.decoded",
        }
    }
}

/// Takes the codings of one body off, in the reverse of the order in which they were applied.
#[derive(Debug)]
pub struct Decoder {
    stages: Vec<Stage>,
    failed: Option<Error>,
}

#[derive(Debug)]
struct Stage {
    coding: Coding,
    produced: usize,
    scratch: Vec<u8>,
}

enum Coding {
    Gzip(gzip::Gzip),
    Deflate(inflate::Deflate),
    Brotli(brotli::Brotli),
    Zstd(zstd::Zstd),
}

impl Decoder {
    /// A decoder for the value of `content-encoding`. An unknown coding is reported by the first `push`.
    pub fn new(content_encoding: Option<&str>) -> Self {
        Self::with_limit(content_encoding, limits::DECODED_BYTES)
    }

    fn with_limit(content_encoding: Option<&str>, limit: usize) -> Self {
        let mut decoder = Self { stages: Vec::new(), failed: None };
        for name in content_encoding.unwrap_or_default().split(',').rev() {
            match Coding::new(name.trim(), limit) {
                Ok(Some(coding)) => {
                    decoder.stages.push(Stage { coding, produced: 0, scratch: Vec::new() });
                }
                Ok(None) => {}
                Err(error) => decoder.failed = Some(error),
            }
            if decoder.stages.len() > limits::CODINGS {
                decoder.failed = Some(Error::Unknown("more codings than are read".to_owned()));
                break;
            }
        }
        decoder
    }

    /// Whether the body is passed through as it is.
    pub fn is_identity(&self) -> bool {
        self.stages.is_empty() && self.failed.is_none()
    }

    /// Takes body bytes, appends what they decode to. After an error every further push repeats it.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.run(bytes, out);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    fn run(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let Some((last, first)) = self.stages.split_last_mut() else {
            out.extend_from_slice(bytes);
            return Ok(());
        };
        // What a stage could decode before its error still goes through the later ones.
        let mut failed = None;
        let mut input = bytes;
        for stage in first {
            stage.scratch.clear();
            let result = stage.coding.push(input, &mut stage.scratch, &mut stage.produced);
            failed = failed.or(result.err());
            input = &stage.scratch;
        }
        let result = last.coding.push(input, out, &mut last.produced);
        failed.or(result.err()).map_or(Ok(()), Err)
    }

    /// The body ended: tells whether the coded data did as well. An empty body is no error.
    pub fn finish(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.stages.iter().try_for_each(|stage| stage.coding.finish())
    }
}

impl Coding {
    fn new(name: &str, limit: usize) -> Result<Option<Self>, Error> {
        Ok(Some(match name.to_ascii_lowercase().as_str() {
            "" | "identity" => return Ok(None),
            "gzip" | "x-gzip" => Coding::Gzip(gzip::Gzip::new(limit)),
            "deflate" => Coding::Deflate(inflate::Deflate::new(limit)),
            "br" => Coding::Brotli(brotli::Brotli::new(limit)),
            "zstd" => Coding::Zstd(zstd::Zstd::new(limit)?),
            other => return Err(Error::Unknown(other.chars().take(32).collect())),
        }))
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>, produced: &mut usize) -> Result<(), Error> {
        match self {
            Coding::Gzip(coding) => coding.push(input, out, produced),
            Coding::Deflate(coding) => coding.push(input, out, produced),
            Coding::Brotli(coding) => coding.push(input, out, produced),
            Coding::Zstd(coding) => coding.push(input, out, produced),
        }
    }

    fn finish(&self) -> Result<(), Error> {
        match self {
            Coding::Gzip(coding) => coding.finish(),
            Coding::Deflate(coding) => coding.finish(),
            Coding::Brotli(coding) => coding.finish(),
            Coding::Zstd(coding) => coding.finish(),
        }
    }
}

impl fmt::Debug for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Gzip(_) => "gzip",
            Coding::Deflate(_) => "deflate",
            Coding::Brotli(_) => "br",
            Coding::Zstd(_) => "zstd",
        })
    }
}

/// Counts output against the limit.
fn account(produced: &mut usize, more: usize, limit: usize) -> Result<(), Error> {
    *produced = produced.saturating_add(more);
    if *produced > limit { Err(Error::Limit) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
