//! Content codings, applied as servers that stream apply them: with a flush wherever a piece ends.

use std::fmt;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::chop::Random;

/// A content coding of RFC 9110, section 8.4.1, or of its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// None.
    Identity,
    /// `gzip`, RFC 1952.
    Gzip,
    /// `br`, RFC 7932.
    Brotli,
    /// `zstd`, RFC 8878.
    Zstd,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Coding; 4] = [Coding::Identity, Coding::Gzip, Coding::Brotli, Coding::Zstd];

    /// The value of `content-encoding`; `None` where there is to be no such field.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Brotli => Some("br"),
            Coding::Zstd => Some("zstd"),
        }
    }

    /// Encodes `bytes`, flushed at random places, as an answer is that is compressed while it is made.
    pub fn encode(self, bytes: &[u8], random: &mut Random) -> io::Result<Vec<u8>> {
        // What is tested is reading, so every coding works at its quickest.
        match self {
            Coding::Identity => Ok(bytes.to_vec()),
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                pour(&mut encoder, bytes, random)?;
                encoder.finish()
            }
            Coding::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 18);
                pour(&mut encoder, bytes, random)?;
                Ok(encoder.into_inner())
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
                pour(&mut encoder, bytes, random)?;
                encoder.finish()
            }
        }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.field().unwrap_or("identity"))
    }
}

fn pour(encoder: &mut impl Write, bytes: &[u8], random: &mut Random) -> io::Result<()> {
    for piece in random.pieces(bytes) {
        encoder.write_all(piece)?;
        encoder.flush()?;
    }
    Ok(())
}
