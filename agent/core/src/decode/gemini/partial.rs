//! Arguments of a call that come in pieces, each with a path into the arguments (Vertex,
//! `streamFunctionCallArguments`). Source: `FunctionCall.partialArgs` in the discovery document of
//! `aiplatform` v1; paths are of RFC 9535.

use serde_json::Value;

use crate::call::{Part, ToolCall};
use crate::decode::Faults;
use crate::decode::json::{Get, Object};
use crate::limits;

/// The call of a candidate that is not finished.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// Where it stands among the parts.
    open: Option<usize>,
    /// Bytes of text so far.
    taken: usize,
    /// Places made so far.
    places: usize,
}

impl Partial {
    /// Takes a part that is a piece of a call; false where it is anything else.
    pub(super) fn take_piece(&mut self, part: &Object, parts: &mut Vec<Part>, faults: &mut Faults) -> bool {
        let Some(call) = part.object("functionCall") else { return false };
        let goes_on = call.is_true("willContinue");
        let named = call.filled("name");
        if let Some(name) = named {
            // What has all its arguments at once is no piece.
            if !goes_on && call.member("partialArgs").is_none() {
                self.open = None;
                return false;
            }
            if parts.len() >= limits::PARTS {
                faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
                return true;
            }
            self.open = Some(parts.len());
            (self.taken, self.places) = (0, 0);
            parts.push(Part::ToolCall(ToolCall {
                id: call.filled("id").map(str::to_owned),
                name: name.to_owned(),
                arguments: call.member("args").cloned().unwrap_or_else(|| Value::Object(Object::new())),
                kind: "function",
            }));
        }
        let Some(Part::ToolCall(begun)) = self.open.and_then(|at| parts.get_mut(at)) else { return false };
        for piece in call.items("partialArgs") {
            self.taken = self.taken.saturating_add(piece.text("stringValue").map_or(0, str::len));
            if self.taken > limits::PART_BYTES {
                faults.add("limit.part", format!("arguments longer than {} bytes", limits::PART_BYTES));
            } else if set(&mut begun.arguments, piece, &mut self.places).is_none() {
                faults.add("json", "a piece of arguments has no place");
            }
        }
        if !goes_on {
            self.open = None;
        }
        true
    }
}

/// Puts one piece at its place; text goes on where text stands.
fn set(arguments: &mut Value, piece: &Value, places: &mut usize) -> Option<()> {
    let slot = slot(arguments, piece.text("jsonPath")?, places)?;
    if let Some(more) = piece.text("stringValue") {
        match slot {
            Value::String(text) => text.push_str(more),
            other => *other = Value::String(more.to_owned()),
        }
        return Some(());
    }
    // `nullValue` is an enumeration of one word.
    let value = ["numberValue", "boolValue"].iter().find_map(|key| piece.member(key));
    *slot = value.cloned().unwrap_or_default();
    Some(())
}

/// The place that a path names; made where it is missing, but no more of them than a call has parts.
fn slot<'a>(value: &'a mut Value, path: &str, places: &mut usize) -> Option<&'a mut Value> {
    let mut rest = path.strip_prefix('$')?;
    let mut at = value;
    for _ in 0..limits::JSON_DEPTH {
        if rest.is_empty() {
            return Some(at);
        }
        let step;
        (step, rest) = next(rest)?;
        if at.is_null() || !step.is_in(at) {
            *places += 1;
            if *places > limits::PARTS {
                return None;
            }
        }
        at = match step {
            Step::Key(key) => {
                if at.is_null() {
                    *at = Value::Object(Object::new());
                }
                at.as_object_mut()?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut()?;
                // Elements come in order; a gap would be made of nothing.
                if index == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(index)?
            }
        };
    }
    None
}

enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    /// Whether it leads to a place that is there.
    fn is_in(&self, value: &Value) -> bool {
        match self {
            Self::Key(key) => value.get(key).is_some(),
            Self::Index(index) => value.get(index).is_some(),
        }
    }
}

/// The first step of a path, and what follows it: `.name`, `[0]`, `['name']` or `["name"]`.
fn next(path: &str) -> Option<(Step, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        return (!name.is_empty()).then(|| (Step::Key(name.to_owned()), rest));
    }
    let inner = path.strip_prefix('[')?;
    let Some(quote) = inner.chars().next().filter(|it| matches!(it, '\'' | '"')) else {
        let (digits, rest) = inner.split_once(']')?;
        return Some((Step::Index(digits.parse().ok()?), rest));
    };
    let mut name = String::new();
    let mut letters = inner.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            letter if letter == quote => {
                let rest = inner.get(at + quote.len_utf8()..)?.strip_prefix(']')?;
                return Some((Step::Key(name), rest));
            }
            letter => name.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_stand_where_their_paths_say() {
        let mut arguments = json!({});
        for piece in [
            json!({"jsonPath": "$.city", "stringValue": "New ", "willContinue": true}),
            json!({"jsonPath": "$.city", "stringValue": "Delhi"}),
            json!({"jsonPath": "$.days[0].high", "numberValue": 31.5}),
            json!({"jsonPath": "$.days[1]['it\\'s \"cold\"']", "boolValue": false}),
            json!({"jsonPath": "$[\"a.b\"]", "nullValue": "NULL_VALUE"}),
        ] {
            assert_eq!(set(&mut arguments, &piece, &mut 0), Some(()), "{piece}");
        }
        let days = json!([{"high": 31.5}, {"it's \"cold\"": false}]);
        assert_eq!(arguments, json!({"city": "New Delhi", "days": days, "a.b": null}));
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        for path in ["city", "$.", "$[", "$[1]", "$['a", "$['a'", "$[-1]", "$.a[99999999999999999999]", "$x"]
        {
            let mut arguments = json!({});
            let piece = json!({"jsonPath": path, "stringValue": "x"});
            assert_eq!(set(&mut arguments, &piece, &mut 0), None, "{path}");
        }
        let deep = format!("${}", "[0]".repeat(limits::JSON_DEPTH + 1));
        assert!(slot(&mut Value::Null, &deep, &mut 0).is_none());
        assert!(slot(&mut Value::Null, "$.a", &mut limits::PARTS.clone()).is_none());
    }
}
