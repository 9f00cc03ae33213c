//! Files of recorded exchanges: no panic, at least one call for each entry, and the same whatever the cuts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::call::Call;
use trackway_core::capture::{Exchange, har, recording};

fuzz_target!(|data: &[u8]| {
    let [cut, file @ ..] = data else { return };
    let mut exchanges = Vec::new();
    let _broken = har::read(file, |entry| exchanges.extend(entry));
    exchanges.extend(file.split(|byte| *byte == b'\n').filter_map(|line| recording::read(line).ok()));
    for exchange in exchanges {
        check(exchange, usize::from(*cut).max(1));
    }
});

fn check(exchange: Exchange, size: usize) {
    let pieces: usize =
        exchange.response.iter().flat_map(|response| &response.chunks).map(|chunk| chunk.length).sum();
    if let Some(response) = exchange.response.as_ref().filter(|response| !response.chunks.is_empty()) {
        assert_eq!(pieces, response.body.bytes.len(), "the pieces are the body's");
    }
    let (whole, cut) = (exchange.clone().replay(), exchange.replay_cut(|_| size));
    assert!(!whole.is_empty());
    let meaning = |calls: &[Call]| calls.iter().map(|call| format!("{:?} {:?}", call.kind, call.completion)).collect::<Vec<_>>();
    assert_eq!(meaning(&whole), meaning(&cut));
}
