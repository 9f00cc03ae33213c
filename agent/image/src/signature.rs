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
/// four bytes are masked, since they move with structures and code, but for those that mean something.
const SIGNATURES: [Signature; 5] = [
    Signature {
        function: "SSL_write",
        verified: "Bun 1.1.45, 1.2.23, 1.3.14 (opencode 1.18.33)",
        bytes: "55 48 89 e5 41 57 41 56 41 55 41 54 53 48 83 ec 18 41 89 d7 49 89 f6 48 89 fb 48 8b \
            47 30 c7 80 ?? ?? ?? ?? 00 00 00 00 e8 ?? ?? ?? ?? e8 ?? ?? ?? ?? c7 00 00 00 00 00 \
            48 83 bb ?? ?? ?? ?? 00 74 2d ba ?? ?? ?? ?? bf 10 00 00 00 be 42 00 00 00",
    },
    Signature {
        function: "SSL_write",
        verified: "Bun 1.4.5",
        bytes: "55 48 89 e5 41 57 41 56 41 55 41 54 53 48 83 ec 18 41 89 d7 49 89 f6 48 89 fb 48 8b \
            47 30 c7 80 ?? ?? ?? ?? 00 00 00 00 e8 ?? ?? ?? ?? e8 ?? ?? ?? ?? c7 00 00 00 00 00 \
            48 83 bb ?? ?? ?? ?? 00 74 30 b9 ?? ?? ?? ?? bf 10 00 00 00 31 f6 ba 42 00 00 00",
    },
    Signature {
        function: "SSL_write",
        verified: "Claude Code 2.1.331",
        bytes: "55 48 89 e5 41 57 41 56 41 55 41 54 53 48 83 ec 18 41 89 d7 49 89 f6 48 89 fb 64 48 \
            8b 04 25 28 00 00 00 48 89 45 d0 48 8b 47 30 c7 80 ?? ?? ?? ?? 00 00 00 00 e8 ?? ?? \
            ?? ?? e8 ?? ?? ?? ?? c7 00 00 00 00 00 48 83 bb ?? ?? ?? ?? 00 74 43 b9 ?? ?? ?? ?? \
            bf 10 00 00 00 31 f6 ba 42 00 00 00",
    },
    Signature {
        function: "SSL_read",
        verified: "Bun 1.1.45, 1.2.23, 1.3.14 (opencode 1.18.33)",
        bytes: "55 48 89 e5 41 57 41 56 53 50 48 83 bf ?? ?? ?? ?? 00 74 2b ba ?? ?? ?? ?? bf 10 00 \
            00 00 be 42 00 00 00 b9 ?? ?? ?? ?? e8 ?? ?? ?? ?? bb ff ff ff ff 89 d8 48 83 c4 08 \
            5b 41 5e 41 5f 5d c3 89 d3 49 89 f6 49 89 ff e8 ?? ?? ?? ?? 85 c0",
    },
    Signature {
        function: "SSL_read",
        verified: "Bun 1.4.5, Claude Code 2.1.331",
        bytes: "55 48 89 e5 41 57 41 56 53 50 48 83 bf ?? ?? ?? ?? 00 74 2e b9 ?? ?? ?? ?? bf 10 00 \
            00 00 31 f6 ba 42 00 00 00 41 b8 ?? ?? ?? ?? e8 ?? ?? ?? ?? bb ff ff ff ff 89 d8 48 \
            83 c4 08 5b 41 5e 41 5f 5d c3 89 d3 49 89 f6 49 89 ff e8 ?? ?? ?? ?? 85 c0",
    },
];

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
