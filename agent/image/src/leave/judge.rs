//! From the ways that lead to a function's ends to the one thing that all of them say.

use std::collections::BTreeMap;

use super::{Answer, Outcome};
use crate::enter::word;
use crate::hook::{Ok as Success, Place};
use crate::state::{RSP, Value, Width};

/// What is known at a place about the end of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Answer(Answer),
    /// Whichever path is taken, nothing was transferred.
    Nothing,
    No,
}

/// One way to the end: the result, and the signs that values must have had.
pub(super) struct Path {
    pub(super) result: Value,
    pub(super) signs: BTreeMap<Value, u8>,
    /// Whether the buffer and the count were final when it began: nothing was called or written since.
    pub(super) settled: bool,
}

/// The one answer that all paths agree on. `ready` says that only the result matters, not what is written after it.
pub(super) fn judge(paths: &[Path], outcome: Outcome, ready: bool) -> Known {
    let mut nothing = Vec::new();
    let mut something: Option<(Value, Vec<&Path>)> = None;
    for path in paths {
        let positive = match path.result {
            Value::Constant(value) => {
                let value = if outcome == Outcome::Long { value } else { sign_of_low(value) };
                value > 0
            }
            Value::Register(_, Width::Low) | Value::Slot(_, Width::Low) if outcome == Outcome::Long => {
                return Known::No;
            }
            value @ (Value::Register(..) | Value::Slot(..)) => {
                path.signs.get(&key(value, outcome)).is_none_or(|signs| signs & 0b100 != 0)
            }
            Value::Unknown | Value::Stack(_) | Value::Sum(..) | Value::Field(..) | Value::Canary => {
                return Known::No;
            }
        };
        if !positive {
            nothing.push(path);
            continue;
        }
        if !path.settled && !ready {
            return Known::No;
        }
        match &mut something {
            None => something = Some((path.result, vec![path])),
            Some((result, paths)) if *result == path.result => paths.push(path),
            Some(_) => return Known::No,
        }
    }
    let Some((result, some)) = something else { return Known::Nothing };
    let tested = match result {
        // All paths give the value itself, or give up because of it.
        Value::Register(..) | Value::Slot(..)
            if nothing.iter().all(|path| is_failure(path, key(result, outcome))) =>
        {
            key(result, outcome)
        }
        // The result is the count only when some other value is above zero.
        _ => {
            let tested = some.first().and_then(|path| {
                path.signs.iter().find(|(value, signs)| {
                    **signs == 0b100 && nothing.iter().all(|path| is_failure(path, **value))
                })
            });
            let Some((value, _)) = tested else { return Known::No };
            if !some.iter().all(|path| path.signs.get(value) == Some(&0b100)) {
                return Known::No;
            }
            *value
        }
    };
    let count = match (outcome, result) {
        (Outcome::Flag, _) => Some(Place::Out64),
        (_, Value::Constant(_)) => None,
        (_, value) => place(value),
    };
    match (place(tested), count) {
        (Some(tested), Some(count)) => Known::Answer(Answer { ok: Success::Positive(tested), count }),
        _ => Known::No,
    }
}

/// Whether a path that transferred nothing is told by the sign of `tested`.
fn is_failure(path: &Path, tested: Value) -> bool {
    path.signs.get(&tested).is_some_and(|signs| signs & 0b100 == 0)
}

/// Under which name the signs of a result are kept.
fn key(value: Value, outcome: Outcome) -> Value {
    match (outcome, value) {
        (Outcome::Long, Value::Register(_, Width::Full) | Value::Slot(_, Width::Full)) => value,
        _ => low(value),
    }
}

pub(super) fn low(value: Value) -> Value {
    match value {
        Value::Register(register, _) => Value::Register(register, Width::Low),
        Value::Slot(slot, _) => Value::Slot(slot, Width::Low),
        Value::Constant(value) => Value::Constant(sign_of_low(value)),
        other => other,
    }
}

/// The low half of a constant, as a signed number.
fn sign_of_low(value: i64) -> i64 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i64::from(i32::from_le_bytes([a, b, c, d]))
}

fn place(value: Value) -> Option<Place> {
    let stack = word(RSP);
    Some(match value {
        Value::Register(register, Width::Full) => Place::Register64(word(register)),
        Value::Register(register, _) => Place::Register32(word(register)),
        Value::Slot(at, width) => {
            let offset = i16::try_from(at).ok()?;
            if width == Width::Full {
                Place::Memory64 { register: stack, offset }
            } else {
                Place::Memory32 { register: stack, offset }
            }
        }
        Value::Unknown
        | Value::Constant(_)
        | Value::Stack(_)
        | Value::Sum(..)
        | Value::Field(..)
        | Value::Canary => return None,
    })
}
