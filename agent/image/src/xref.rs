//! Functions found by the texts that they refer to, where symbols are gone.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Instruction, Mnemonic, Register};
use memchr::{memchr_iter, memmem};

use crate::code::Function;
use crate::elf::{Code, Segment};

/// References that are looked at; BoringSSL has about thirty to the file that matters.
const REFERENCES: usize = 128;
/// Functions that are tried for one reference.
const TRIES: usize = 16;
/// How far before a reference its function may begin.
const REACH: u64 = 8 * 1024;

/// An instruction that loads the address of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    pub(crate) at: u64,
    pub(crate) text: u64,
}

/// Addresses of texts that end in `suffix`, which has its closing zero; whole ones only if `whole`.
pub(crate) fn texts(code: &Code<'_>, suffix: &[u8], whole: bool) -> Vec<u64> {
    let mut found = Vec::new();
    for segment in code.segments.iter().filter(|segment| !segment.executable) {
        for at in memmem::find_iter(segment.bytes, suffix).take(8) {
            let before = segment.bytes.get(at.saturating_sub(256)..at).unwrap_or_default();
            let back = before.iter().rev().take_while(|byte| **byte != 0).count();
            if back == 0 || !whole {
                found.push(segment.address.saturating_add(at.saturating_sub(back) as u64));
            }
        }
    }
    found
}

/// Instructions that load one of the texts: by a 32-bit address, or relative to themselves.
pub(crate) fn references(code: &Code<'_>, texts: &[u64]) -> Vec<Reference> {
    let mut found = Vec::new();
    for segment in executable(code) {
        let address = |at: usize| segment.address.saturating_add(at as u64);
        for text in texts {
            let Ok(low) = u32::try_from(*text) else { continue };
            for at in memmem::find_iter(segment.bytes, &low.to_le_bytes()).take(REFERENCES) {
                let Some(start) = at.checked_sub(1) else { continue };
                if matches!(segment.bytes.get(start), Some(0xb8..=0xbf)) {
                    found.push(Reference { at: address(start), text: *text });
                }
            }
        }
        for at in memchr_iter(0x8d, segment.bytes) {
            let Some([_, mode, a, b, c, d]) = segment.bytes.get(at..at + 6) else { continue };
            let text = address(at + 6).wrapping_add_signed(i64::from(i32::from_le_bytes([*a, *b, *c, *d])));
            let prefix = at.checked_sub(1).and_then(|before| segment.bytes.get(before));
            if mode & 0xc7 == 5 && matches!(prefix, Some(0x48 | 0x4c)) && texts.contains(&text) {
                found.push(Reference { at: address(at - 1), text });
            }
        }
    }
    found.truncate(REFERENCES);
    found
}

/// The functions that hold references, each decoded once.
pub(crate) struct Owners<'a> {
    code: &'a Code<'a>,
    called: BTreeSet<u64>,
    pub(crate) functions: BTreeMap<u64, Function>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(code: &'a Code<'a>, references: &[Reference]) -> Self {
        Self { code, called: called(code, references), functions: BTreeMap::new() }
    }

    /// Where the function that holds a reference begins: at the nearest place before it from which it is reached,
    /// and that is called from somewhere or is laid out like the beginning of a function.
    pub(crate) fn of(&mut self, reference: Reference) -> Option<u64> {
        let starts: Vec<u64> = (reference.at.saturating_sub(REACH)..=reference.at)
            .rev()
            .filter(|at| self.called.contains(at) || (at % 16 == 0 && self.begins(*at)))
            .take(TRIES)
            .collect();
        starts.into_iter().find(|start| {
            let function =
                self.functions.entry(*start).or_insert_with(|| Function::decode(self.code, *start, None));
            function.at(reference.at).is_some()
        })
    }

    fn begins(&self, at: u64) -> bool {
        self.code.step(at).is_some_and(|step| begins(&step.instruction))
    }
}

/// Where functions near the references begin: what is called from anywhere and begins like a function.
fn called(code: &Code<'_>, references: &[Reference]) -> BTreeSet<u64> {
    let mut near = BTreeSet::new();
    let pages: BTreeSet<u64> = references
        .iter()
        .flat_map(|reference| (reference.at.saturating_sub(REACH) >> 12)..=(reference.at >> 12))
        .collect();
    let (Some(first), Some(last)) = (pages.first(), pages.last()) else { return near };
    for segment in executable(code) {
        for at in memchr_iter(0xe8, segment.bytes) {
            let Some([_, a, b, c, d]) = segment.bytes.get(at..at + 5) else { continue };
            let next = segment.address.saturating_add(at as u64 + 5);
            let to = next.wrapping_add_signed(i64::from(i32::from_le_bytes([*a, *b, *c, *d])));
            let page = to >> 12;
            if (first..=last).contains(&&page)
                && pages.contains(&page)
                && !near.contains(&to)
                && code.step(to).is_some_and(|step| begins(&step.instruction))
            {
                near.insert(to);
            }
        }
    }
    near
}

fn executable<'c, 'a>(code: &'c Code<'a>) -> impl Iterator<Item = &'c Segment<'a>> {
    code.segments.iter().filter(|segment| segment.executable)
}

fn begins(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Push | Mnemonic::Endbr64 => true,
        Mnemonic::Sub => instruction.op0_register() == Register::RSP,
        _ => false,
    }
}
