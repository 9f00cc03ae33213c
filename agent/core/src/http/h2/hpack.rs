//! HPACK decoding (RFC 7541) from beside.
//!
//! Written here rather than taken from a crate: passive parsing is what this project is for, and
//! fluke-hpack 0.3.1 builds its Huffman table anew for each string and keeps its bounds by assertions. The
//! dynamic table is kept right even for blocks whose fields nobody wants.
//!
//! # Joined late
//!
//! Where blocks went by unseen, the entries that they made are unknown, and stand behind those that were made
//! since: an index counts from the newest (RFC 7541, section 2.3.3), so whatever was inserted after the join
//! is found by its index, and what lies behind it is an unknown field and never another's. How large the
//! table is allowed to be is unknown too; taking the largest size is right, because what was evicted too
//! late stands behind everything that a sender can still refer to.

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

/// A field as far as it is known: what an unseen block has put into the table is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// An entry of the table. Its name is unknown where it was taken from an unknown entry.
#[derive(Debug)]
struct Entry {
    name: Option<Vec<u8>>,
    value: Vec<u8>,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Newest first.
    entries: VecDeque<Entry>,
    /// At least so large are they; exactly, where all names are known.
    size: usize,
    max: usize,
    granted: usize,
    /// Unknown entries may stand behind the known ones.
    older: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, max: DEFAULT_SIZE, granted: DEFAULT_SIZE, older: false }
    }
}

impl Decoder {
    /// The decoder of a direction of which blocks were not seen.
    pub(super) fn late() -> Self {
        let most = limits::HPACK_TABLE_BYTES;
        Self { entries: VecDeque::new(), size: 0, max: most, granted: most, older: true }
    }

    /// The receiver of this direction announced `SETTINGS_HEADER_TABLE_SIZE`.
    ///
    /// The table itself changes only by the sender's update (RFC 7541, section 4.2). A lowered size reaches
    /// the sender later than us, so the largest size that was ever announced stays granted.
    pub(super) fn grant(&mut self, size: u32) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.granted = self.granted.max(size.min(limits::HPACK_TABLE_BYTES));
    }

    /// Decodes a whole block; calls `field` for each field.
    pub(super) fn decode(&mut self, mut block: &[u8], mut field: impl FnMut(Field<'_>)) -> Result<(), Error> {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                field(self.entry(index)?);
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
                let mut named = true;
                if index == 0 {
                    string(&mut block, &mut name)?;
                } else if let Some(known) = self.entry(index)?.name {
                    name.extend_from_slice(known);
                } else {
                    named = false;
                }
                string(&mut block, &mut value)?;
                let name = named.then_some(name.as_slice());
                field(Field { name, value: Some(&value) });
                if indexed {
                    self.insert(Entry { name: name.map(<[u8]>::to_vec), value: value.clone() });
                }
            }
        }
        Ok(())
    }

    fn entry(&self, index: usize) -> Result<Field<'_>, Error> {
        let index = index.checked_sub(1).ok_or(Error::Index)?;
        if let Some(&(name, value)) = STATIC.get(index) {
            return Ok(Field { name: Some(name), value: Some(value) });
        }
        match self.entries.get(index - STATIC.len()) {
            Some(entry) => Ok(Field { name: entry.name.as_deref(), value: Some(&entry.value) }),
            None if self.older => Ok(Field { name: None, value: None }),
            None => Err(Error::Index),
        }
    }

    fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(size);
        // An entry larger than the table empties it and is not kept (RFC 7541, section 4.4).
        if size <= self.max {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    /// Makes room for `more`.
    fn evict(&mut self, more: usize) {
        // The oldest go first: without room for the smallest entry beside those known, no older one is left.
        self.older &= self.size + more + ENTRY_OVERHEAD <= self.max;
        while self.size + more > self.max {
            let Some(entry) = self.entries.pop_back() else { return };
            self.size -= entry.size();
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        self.name.as_ref().map_or(0, Vec::len) + self.value.len() + ENTRY_OVERHEAD
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
