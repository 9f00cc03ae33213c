//! The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: within a length, codes rise with the symbol, and each length goes on where the
//! shorter one stopped. So the lengths alone define it, and decoding is one comparison for each length.

/// Length in bits of the code of each octet, and of EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

const EOS: u16 = 256;
const LONGEST: usize = 30;

/// The canonical code: for each length the first code behind its codes, aligned to the left, and what to add
/// to a code for its place among `symbols`.
struct Code {
    limit: [u64; LONGEST + 1],
    first: [u32; LONGEST + 1],
    start: [u16; LONGEST + 1],
    symbols: [u16; 257],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code =
        Code { limit: [0; LONGEST + 1], first: [0; LONGEST + 1], start: [0; LONGEST + 1], symbols: [0; 257] };
    let (mut next, mut place, mut length) = (0u32, 0u16, 1);
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = next;
        code.start[length] = place;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.symbols[place as usize] = symbol as u16;
                place += 1;
                next += 1;
            }
            symbol += 1;
        }
        code.limit[length] = (next as u64) << (32 - length);
        length += 1;
    }
    code
}

/// Appends what `coded` stands for; false where it is not of this code.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> bool {
    let mut bytes = coded.iter();
    // The window holds `held` bits, at its upper end.
    let (mut window, mut held) = (0u64, 0usize);
    loop {
        while held <= 56 {
            let Some(&byte) = bytes.next() else { break };
            window |= u64::from(byte) << (56 - held);
            held += 8;
        }
        let top = window >> 32;
        let Some(length) = (5..=LONGEST).find(|&length| top < CODE.limit[length]) else {
            return padded(window, held);
        };
        if length > held {
            return padded(window, held);
        }
        let value = (top >> (32 - length)) as u32;
        let place = usize::from(CODE.start[length]) + (value - CODE.first[length]) as usize;
        match CODE.symbols.get(place) {
            Some(&symbol) if symbol != EOS => out.push(symbol as u8),
            _ => return false,
        }
        window <<= length;
        held -= length;
    }
}

/// Whether what is left is at most seven bits of ones.
fn padded(window: u64, held: usize) -> bool {
    held < 8 && (held == 0 || window >> (64 - held) == (1 << held) - 1)
}
