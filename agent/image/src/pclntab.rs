//! Go's table of functions, which its runtime needs and stripping leaves. Layouts of Go 1.16, 1.18 and 1.20 on.

use memchr::memmem;

use crate::elf::{Elf, Symbol};

/// A table with its header read.
pub(crate) struct Table<'a> {
    bytes: &'a [u8],
    /// Whether entries are 4 bytes from the start of the code, or whole addresses.
    relative: bool,
    text: u64,
    names: usize,
    /// Where the list of functions is, and how many it holds.
    functions: usize,
    count: usize,
}

impl<'a> Table<'a> {
    /// Finds the table by its section, else by its first bytes.
    pub(crate) fn find(elf: &Elf<'a>) -> Option<Self> {
        let section = [".gopclntab", ".data.rel.ro.gopclntab"].iter().find_map(|name| elf.section(name));
        if let Some((address, bytes)) = section {
            return Self::open(elf, address, bytes);
        }
        let headers = [0xf1, 0xf0, 0xfa].map(|version| [version, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
        elf.code.segments.iter().filter(|segment| !segment.executable).find_map(|segment| {
            headers.iter().find_map(|header| {
                let at = memmem::find(segment.bytes, header)?;
                Self::open(elf, segment.address.checked_add(at as u64)?, segment.bytes.get(at..)?)
            })
        })
    }

    fn open(elf: &Elf<'a>, address: u64, bytes: &'a [u8]) -> Option<Self> {
        let word = |index: usize| long(bytes, 8 + 8 * index);
        let place = |index: usize| usize::try_from(word(index)?).ok();
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        if rest.get(3) != Some(&8) {
            return None;
        }
        let count = place(0)?;
        match u32::from_le_bytes(*magic) {
            0xffff_fff0 | 0xffff_fff1 => {
                let text = word(2).filter(|text| *text != 0).or_else(|| text(elf, address))?;
                Some(Self { bytes, relative: true, text, names: place(3)?, functions: place(7)?, count })
            }
            0xffff_fffa => {
                Some(Self { bytes, relative: false, text: 0, names: place(2)?, functions: place(6)?, count })
            }
            _ => None,
        }
    }

    /// Hands every function with its name to `each`.
    pub(crate) fn functions(&self, mut each: impl FnMut(&'a [u8], Symbol)) {
        let Some(table) = self.bytes.get(self.functions..) else { return };
        let mut known = self.entry(table, 0);
        for index in (1..).take(self.count) {
            let (Some((from, at)), next) = (known, self.entry(table, index)) else { return };
            let Some((to, _)) = next else { return };
            if let Some(name) = self.name(table, at)
                && let Some(address) = from.checked_add(self.text)
            {
                each(name, Symbol { address, size: to.saturating_sub(from) });
            }
            known = next;
        }
    }

    /// Where a function begins, and where in the table more is said of it.
    fn entry(&self, table: &[u8], index: usize) -> Option<(u64, usize)> {
        if self.relative {
            let at = index.checked_mul(8)?;
            Some((u64::from(short(table, at)?), usize::try_from(short(table, at + 4)?).ok()?))
        } else {
            let at = index.checked_mul(16)?;
            Some((long(table, at)?, usize::try_from(long(table, at + 8)?).ok()?))
        }
    }

    fn name(&self, table: &[u8], at: usize) -> Option<&'a [u8]> {
        let at = at.checked_add(if self.relative { 4 } else { 8 })?;
        let name = self.names.checked_add(usize::try_from(short(table, at)?).ok()?)?;
        let rest = self.bytes.get(name..)?;
        rest.get(..memchr::memchr(0, rest.get(..4096).unwrap_or(rest))?)
    }
}

/// Where Go's code begins, when the table leaves it out (Go 1.26 on): the runtime's description of the module
/// begins with the table's address and says it further on; else it is the section's start.
fn text(elf: &Elf<'_>, table: u64) -> Option<u64> {
    const MINIMUM: usize = 20;
    const TEXT: usize = 22;
    let described = elf.code.segments.iter().filter(|segment| !segment.executable).find_map(|segment| {
        memmem::find_iter(segment.bytes, &table.to_le_bytes()).take(64).find_map(|at| {
            let text = long(segment.bytes, at.checked_add(8 * TEXT)?)?;
            let minimum = long(segment.bytes, at.checked_add(8 * MINIMUM)?)?;
            (text != 0 && text <= minimum && elf.code.at(text).is_some()).then_some(text)
        })
    });
    described.or_else(|| elf.section(".text").map(|(address, _)| address))
}

fn short(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// The version of Go that built the image.
pub(crate) fn version(elf: &Elf<'_>) -> Option<String> {
    let (_, info) = elf.section(".go.buildinfo")?;
    let length = usize::from(*info.get(32)?);
    let text = info.get(33..33_usize.checked_add(length)?)?;
    let version = std::str::from_utf8(text).ok()?.strip_prefix("go")?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::elf::Symbol;

    /// Two functions as Go 1.20 lays them out: names, then pairs of (place of code, place of more), then the more.
    fn table() -> Vec<u8> {
        let mut bytes = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        let (names, functions) = (72_u64, 88_u64);
        for word in [2, 0, 0x1000, names, 0, 0, 0, functions] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"main.a\0main.b\0\0\0");
        for short in [0_u32, 20, 0x40, 28, 0x90] {
            bytes.extend(short.to_le_bytes());
        }
        for (code, name) in [(0_u32, 0_u32), (0x40, 7)] {
            bytes.extend(code.to_le_bytes());
            bytes.extend(name.to_le_bytes());
        }
        bytes
    }

    fn functions(bytes: &[u8]) -> Vec<(String, u64, u64)> {
        let table = Table { bytes, relative: true, text: 0x1000, names: 72, functions: 88, count: 2 };
        let mut found = Vec::new();
        table.functions(|name, Symbol { address, size }| {
            found.push((String::from_utf8_lossy(name).into_owned(), address, size));
        });
        found
    }

    #[test]
    fn names_and_ends() {
        let expected = [("main.a".to_owned(), 0x1000, 0x40), ("main.b".to_owned(), 0x1040, 0x50)];
        assert_eq!(functions(&table()), expected);
    }

    #[test]
    fn any_cut_is_borne() {
        let whole = table();
        for length in 0..whole.len() {
            assert!(functions(&whole[..length]).len() <= 2);
        }
    }
}
