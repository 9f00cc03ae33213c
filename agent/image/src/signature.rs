//! Byte signatures of functions: data, each with the versions that it was verified on.

use memchr::memmem;

use crate::elf::Code;

/// The first bytes of a function. `??` is any byte.
struct Signature {
    function: &'static str,
    /// Where it was seen to give exactly the function that the cross-references give.
    #[expect(dead_code, reason = "kept with the bytes for whoever adds the next one")]
    verified: &'static str,
    bytes: &'static str,
}

/// Made by `cargo run -p trackway-image --example signature -- FILE OFFSET LENGTH`: displacements and immediates of
/// four bytes are masked, since they move with structures and code.
const SIGNATURES: [Signature; 0] = [];

/// Places that the signatures of a function match, in executable segments.
pub(crate) fn find(code: &Code<'_>, function: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for signature in SIGNATURES.iter().filter(|signature| signature.function == function) {
        let pattern = parse(signature.bytes);
        let (from, anchor) = anchor(&pattern);
        if anchor.len() < 4 {
            continue;
        }
        for segment in code.segments.iter().filter(|segment| segment.executable) {
            let starts = memmem::find_iter(segment.bytes, &anchor).filter_map(|at| at.checked_sub(from));
            for start in starts.filter(|start| matches(segment.bytes, *start, &pattern)).take(16) {
                found.push(segment.address.saturating_add(start as u64));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn parse(text: &str) -> Vec<Option<u8>> {
    text.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// The longest run of fixed bytes, and where in the pattern it begins.
fn anchor(pattern: &[Option<u8>]) -> (usize, Vec<u8>) {
    let mut best = (0, Vec::new());
    let mut from = 0;
    for run in pattern.split(Option::is_none) {
        if run.len() > best.1.len() {
            best = (from, run.iter().flatten().copied().collect());
        }
        from += run.len() + 1;
    }
    best
}

fn matches(bytes: &[u8], start: usize, pattern: &[Option<u8>]) -> bool {
    let Some(bytes) = bytes.get(start..start + pattern.len()) else { return false };
    bytes.iter().zip(pattern).all(|(byte, wanted)| wanted.is_none_or(|wanted| wanted == *byte))
}
