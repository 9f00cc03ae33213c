//! Keeps attribute values within [`ATTRIBUTE_BYTES`] and JSON valid while doing so.

use serde_json::{Value, json};

use crate::limits::ATTRIBUTE_BYTES;
use crate::redact;

/// Longest string inside a value that is too long as a whole, tried in this order.
const STRING_STEPS: [usize; 4] = [64 * 1024, 8 * 1024, 1024, 128];

/// Text, cut at a character boundary and marked.
pub(super) fn text(value: String) -> String {
    cut(value, ATTRIBUTE_BYTES)
}

/// JSON text of a value without its secrets. Long strings are cut first, then the oldest items of an
/// array are left out; what is left is valid JSON and says what is missing.
pub(super) fn json(mut value: Value) -> String {
    clean(&mut value);
    let mut whole = value.to_string();
    for step in STRING_STEPS {
        if whole.len() <= ATTRIBUTE_BYTES {
            return whole;
        }
        shorten(&mut value, step);
        whole = value.to_string();
    }
    if whole.len() <= ATTRIBUTE_BYTES {
        return whole;
    }
    match value {
        Value::Array(items) => newest(items),
        // A single object of countless small members: its text, as a JSON string, is what can be kept.
        _ => Value::String(cut(whole, ATTRIBUTE_BYTES / 4)).to_string(),
    }
}

fn newest(items: Vec<Value>) -> String {
    // Room for the note and its commas.
    let mut room = ATTRIBUTE_BYTES - 256;
    let mut kept: Vec<Value> = Vec::new();
    let total = items.len();
    for item in items.into_iter().rev() {
        let size = item.to_string().len() + 1;
        if size > room {
            break;
        }
        room -= size;
        kept.push(item);
    }
    let note = format!("[{} earlier items left out: size limit]", total - kept.len());
    kept.push(json!({"role": "system", "type": "text", "parts": [{"type": "text", "content": note}]}));
    kept.reverse();
    Value::Array(kept).to_string()
}

/// Takes secrets out of every string of a value.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(redacted) = redact::text(text) {
                *text = redacted;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        _ => {}
    }
}

fn shorten(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) => *text = cut(std::mem::take(text), limit),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, limit)),
        Value::Object(members) => members.values_mut().for_each(|member| shorten(member, limit)),
        _ => {}
    }
}

fn cut(mut value: String, limit: usize) -> String {
    if value.len() > limit {
        // Room for the mark, so that cutting again at the same limit changes nothing.
        let keep = value.floor_char_boundary(limit.saturating_sub(40));
        let left_out = value.len() - keep;
        value.truncate(keep);
        value.push_str(&format!("…[{left_out} bytes left out]"));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_stay_as_they_are() {
        assert_eq!(json(json!({"a": [1, "b"]})), r#"{"a":[1,"b"]}"#);
        assert_eq!(text("é".into()), "é");
    }

    #[test]
    fn long_strings_are_cut_and_marked_and_the_rest_stays() {
        let cut =
            json(json!([{"role": "user", "parts": ["x".repeat(3 * ATTRIBUTE_BYTES)]}, {"role": "tool"}]));
        let back: Value = serde_json::from_str(&cut).unwrap();
        assert!(cut.len() <= ATTRIBUTE_BYTES);
        assert_eq!(back[1]["role"], "tool");
        assert!(back[0]["parts"][0].as_str().unwrap().ends_with("bytes left out]"));
    }

    #[test]
    fn the_oldest_of_countless_messages_go_first() {
        let items: Vec<Value> = (0..200_000).map(|n| json!({"role": "user", "n": n})).collect();
        let cut = json(Value::Array(items));
        let back: Vec<Value> = serde_json::from_str(&cut).unwrap();
        assert!(cut.len() <= ATTRIBUTE_BYTES);
        assert_eq!(back.last().unwrap()["n"], 199_999);
        assert!(back[0]["parts"][0]["content"].as_str().unwrap().contains("left out"));
    }

    #[test]
    fn an_object_without_end_stays_valid() {
        let members = (0..200_000).map(|n| (n.to_string(), json!(n))).collect();
        let cut = json(Value::Object(members));
        assert!(cut.len() <= ATTRIBUTE_BYTES);
        assert!(serde_json::from_str::<Value>(&cut).is_ok());
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        let cut = cut("é".repeat(100), 99);
        assert!(cut.len() <= 99 && cut.starts_with("éé"), "{cut}");
    }
}
