//! Server-sent events: the same events whatever the cuts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::sse::Parser;

fuzz_target!(|data: &[u8]| {
    let [cut, body @ ..] = data else { return };
    let read = |size: usize| {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in body.chunks(size) {
            parser.push(piece, |event| events.push(format!("{event:?}")));
        }
        parser.finish(|event| events.push(format!("{event:?}")));
        events
    };
    assert_eq!(read(body.len().max(1)), read(usize::from(*cut).max(1)));
});
