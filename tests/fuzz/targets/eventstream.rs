//! Event streams of AWS: no panic, and the same frames however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::eventstream::Parser;

fn read(data: &[u8], size: usize) -> (Vec<Vec<u8>>, u64) {
    let (mut parser, mut frames) = (Parser::new(), Vec::new());
    for piece in data.chunks(size) {
        parser.push(piece, |frame| frames.push(frame.payload.to_vec()));
    }
    (frames, parser.broken())
}

fuzz_target!(|data: &[u8]| {
    let [size, rest @ ..] = data else { return };
    assert_eq!(read(rest, usize::from(*size) + 1), read(rest, rest.len().max(1)));
});
