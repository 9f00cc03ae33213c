//! One call, made and read, and what tests ask of it.
#![allow(dead_code, reason = "every test binary uses its own part")]

use serde_json::Value;
use trackway_core::call::{Call, Kind, Llm, Part, Usage};

use crate::support::Replay;

/// What AWS calls its frames.
pub(crate) const FRAMES: &str = "application/vnd.amazon.eventstream";

/// The only call of several.
pub(crate) fn one(calls: Vec<Call>) -> Call {
    assert_eq!(calls.len(), 1);
    calls.into_iter().next().unwrap()
}

/// The only call, which is one of a model.
pub(crate) fn llm(replay: Replay) -> (Call, Llm) {
    let call = one(replay.run(0));
    let Kind::Llm(llm) = call.kind.clone() else { panic!("plain: {call:?}") };
    (call, *llm)
}

/// A request and its answer, as it stands.
pub(crate) fn exchange(path: &str, request: &Value, response: impl Into<Vec<u8>>) -> Replay {
    Replay::new(path, request.to_string(), response)
}

/// The same with an answer of JSON.
pub(crate) fn whole(path: &str, request: &Value, response: &Value) -> Replay {
    exchange(path, request, response.to_string()).header("content-type", "application/json")
}

/// The same with an answer of frames.
pub(crate) fn streamed(path: &str, request: &Value, frames: &[Vec<u8>]) -> Replay {
    exchange(path, request, frames.concat()).header("content-type", FRAMES)
}

/// All text of an answer.
pub(crate) fn text(llm: &Llm) -> String {
    let texts = llm.output.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Counts of tokens, and no more.
pub(crate) fn counts(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}
