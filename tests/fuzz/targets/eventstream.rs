//! Event streams of AWS: the same frames whatever the cuts, and whole frames behind anything are found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::eventstream::Parser;

fuzz_target!(|data: &[u8]| {
    let [cut, body @ ..] = data else { return };
    let read = |size: usize| {
        let mut parser = Parser::new();
        let mut frames = Vec::new();
        for piece in body.chunks(size) {
            parser.push(piece, |frame| frames.push(format!("{frame:?}")));
        }
        parser.finish(|frame| frames.push(format!("{frame:?}")));
        (frames, parser.broken(), parser.dropped(), parser.is_inside())
    };
    assert_eq!(read(body.len().max(1)), read(usize::from(*cut).max(1)));
});
