//! Recorded traffic of many providers: however its bytes are cut, they mean the same.
//!
//! What they should mean is compared by `cargo xtask recordings`. The recordings lie beside the repository
//! and are not part of it. Without them this test says so and passes, unless `TRACKWAY_RECORDINGS` says where
//! they are, or `CI` that nothing may be skipped. `TRACKWAY_SPLITS` says how often every body is cut; twice
//! unless it is set.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/replay.rs"]
mod support;

use recorded::{folder, lines};
use support::Replay;
use trackway_core::call::Call;
use trackway_core::capture::recording;

fn splits() -> u64 {
    std::env::var("TRACKWAY_SPLITS").map_or(2, |text| text.parse().unwrap())
}

/// What a call says apart from its times.
fn meaning(calls: &[Call]) -> String {
    let one = |call: &Call| format!("{:?} {:?} {:?}", call.kind, call.completion, call.faults);
    calls.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn check(file: &str) {
    let Some(folder) = folder("exchanges.jsonl.gz") else { return };
    let (mut count, mut differing) = (0_u64, Vec::new());
    for line in lines(folder.join(file)) {
        count += 1;
        let exchange = recording::read(&line).unwrap();
        let id = exchange.id.clone().unwrap();
        let whole = exchange.clone().replay();
        assert_eq!(whole.len(), 1, "{id}");
        let whole = meaning(&whole);
        for seed in 1..=splits() {
            let cut = Replay::from_recording(exchange.clone()).run(seed * 0x9e37_79b9 + count);
            if meaning(&cut) != whole {
                differing.push(format!("{id}, seed {seed}"));
            }
        }
        // The same as bytes of a connection.
        let replay = Replay::from_recording(exchange);
        let bytes = support::observe(std::slice::from_ref(&replay), count);
        if meaning(&bytes) != whole {
            differing.push(format!("{id}, as bytes: {} calls", bytes.len()));
        }
        let joined = support::join(&replay, count * 0x9e37_79b9);
        if meaning(&joined) != whole {
            differing.push(format!("{id}, joined before it: {} calls", joined.len()));
        }
    }
    println!("{file}: {count} exchanges, {} times each", splits() + 3);
    assert!(count > 0);
    assert!(differing.is_empty(), "{} differ: {:?}", differing.len(), &differing[..differing.len().min(12)]);
}

#[test]
fn model_calls_mean_the_same_however_they_are_cut() {
    check("exchanges.jsonl.gz");
}

#[test]
fn other_calls_mean_the_same_however_they_are_cut() {
    for file in ["negatives.jsonl.gz", "mcp-local.jsonl.gz", "a2a-local.jsonl.gz"] {
        check(file);
    }
}
