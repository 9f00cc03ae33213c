//! HPACK decoding (RFC 7541) from beside.
//!
//! Written here rather than taken from a crate: passive parsing is what this project is for, and
//! fluke-hpack 0.3.1 builds its Huffman table anew for each string and keeps its bounds by assertions. The
//! dynamic table is kept right even for blocks whose fields nobody wants.

use std::collections::VecDeque;

use crate::http::h2::huffman;
use crate::http::h2::table::STATIC;
use crate::limits;

/// The table size before any setting (RFC 9113, section 6.5.2).
const DEFAULT_SIZE: usize = 4096;
/// What each entry counts beside its octets (RFC 7541, section 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// Why a block cannot be decoded. The table is not to be trusted afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("header block ends early")]
    Truncated,
    #[error("integer in a header block is too large")]
    Integer,
    #[error("header block refers to an entry that does not exist")]
    Index,
    #[error("header block has a bad Huffman string")]
    Huffman,
    #[error("dynamic table is set to a size that was not granted")]
    Size,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    max: usize,
    granted: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, max: DEFAULT_SIZE, granted: DEFAULT_SIZE }
    }
}

impl Decoder {
    /// The receiver of this direction announced `SETTINGS_HEADER_TABLE_SIZE`.
    ///
    /// The table itself changes only by the sender's update (RFC 7541, section 4.2). A lowered size reaches
    /// the sender later than us, so the largest size that was ever announced stays granted.
    pub(super) fn grant(&mut self, size: u32) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.granted = self.granted.max(size.min(limits::HPACK_TABLE_BYTES));
    }

    /// Decodes a whole block; calls `field` for each field with its name and value.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Error> {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                let (name, value) = self.entry(index)?;
                field(name, value);
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut block, 5)?;
                if size > self.granted {
                    return Err(Error::Size);
                }
                self.max = size;
                self.evict(0);
            } else {
                let indexed = first & 0xc0 == 0x40;
                let index = integer(&mut block, if indexed { 6 } else { 4 })?;
                name.clear();
                value.clear();
                if index == 0 {
                    string(&mut block, &mut name)?;
                } else {
                    name.extend_from_slice(self.entry(index)?.0);
                }
                string(&mut block, &mut value)?;
                field(&name, &value);
                if indexed {
                    self.insert(&name, &value);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Error> {
        let index = index.checked_sub(1).ok_or(Error::Index)?;
        match STATIC.get(index) {
            Some(&entry) => Ok(entry),
            None => {
                let (name, value) = self.entries.get(index - STATIC.len()).ok_or(Error::Index)?;
                Ok((name, value))
            }
        }
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(size);
        // An entry larger than the table empties it and is not kept (RFC 7541, section 4.4).
        if size <= self.max {
            self.size += size;
            self.entries.push_front((name.to_vec(), value.to_vec()));
        }
    }

    /// Makes room for `more`.
    fn evict(&mut self, more: usize) {
        while self.size + more > self.max {
            let Some((name, value)) = self.entries.pop_back() else { return };
            self.size -= name.len() + value.len() + ENTRY_OVERHEAD;
        }
    }
}

/// Takes an integer whose first `prefix` bits are at the end of the first byte (RFC 7541, section 5.1).
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, Error> {
    let (&first, mut rest) = block.split_first().ok_or(Error::Truncated)?;
    let mask = (1usize << prefix) - 1;
    let mut value = usize::from(first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (&byte, behind) = rest.split_first().ok_or(Error::Truncated)?;
            rest = behind;
            // Four groups reach 2^28, more than any length or index that is granted here.
            if shift > 21 {
                return Err(Error::Integer);
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value)
}

/// Takes a string literal (RFC 7541, section 5.2).
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let coded = block.first().ok_or(Error::Truncated)? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Error::Truncated)?;
    *block = rest;
    if !coded {
        out.extend_from_slice(text);
    } else if !huffman::decode(text, out) {
        return Err(Error::Huffman);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
