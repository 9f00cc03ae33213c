//! One exchange read in several cuts, and what tests ask of it.
#![allow(dead_code, reason = "every test binary uses its own part")]

use serde_json::Value;
use trackway_core::call::{Call, Kind, Llm, Part};

use crate::support::Replay;

/// Replays an exchange in several cuts, which must all mean the same.
pub(crate) fn call(replay: &Replay) -> Call {
    let calls = replay.clone().run(0);
    assert_eq!(calls.len(), 1);
    let call = calls.into_iter().next().unwrap();
    for seed in 1..8 {
        let again = replay.clone().run(seed);
        assert_eq!(format!("{:?}", again[0].kind), format!("{:?}", call.kind), "seed {seed}");
        assert_eq!(again[0].completion, call.completion, "seed {seed}");
    }
    call
}

/// What a call says, which is one of a model.
pub(crate) fn llm(call: &Call) -> &Llm {
    match &call.kind {
        Kind::Llm(llm) => llm,
        other => panic!("{other:?}"),
    }
}

/// A request and its answer, as it stands.
pub(crate) fn exchange(path: &str, request: &Value, response: &str) -> Replay {
    Replay::new(path, request.to_string(), response)
}

/// Server-sent events.
pub(crate) fn events(list: &[Value]) -> String {
    list.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

/// All text of an answer.
pub(crate) fn text(llm: &Llm) -> String {
    let part = |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
    llm.output.iter().flat_map(|message| &message.parts).map(part).collect()
}

/// Tokens: input, output, read from a cache, written to it, reasoning.
pub(crate) fn counts(llm: &Llm) -> [Option<u64>; 5] {
    let usage = &llm.usage;
    [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning]
}
