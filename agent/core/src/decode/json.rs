//! Reading JSON that may be anything: every question has an answer, none fails.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::sieve::length;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Longest run of text without white space that is kept inside opaque items; longer ones are encoded media.
const INLINE_BYTES: usize = 64 * 1024;

/// Parses a whole document. serde_json refuses what is deeper than 128, which is [`crate::limits::JSON_DEPTH`].
///
/// Clients written in JavaScript and Python send lone surrogates (half an emoji, cut by an ellipsis), which
/// RFC 8259 section 8.2 leaves open and serde_json refuses; these and broken UTF-8 are replaced, then it
/// is tried once more.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let first = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // The message of a syntax error holds positions only, never content.
    let reason = || format!("not valid JSON near line {} column {}", first.line(), first.column());
    let repaired = repair(bytes);
    serde_json::from_str(&repaired).map_err(|_error| reason())
}

/// Replaces broken UTF-8 and escapes of lone surrogates by U+FFFD.
fn repair(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let length = match surrogate(escape) {
            Some(0xD800..=0xDBFF) => {
                let pair = escape.get(6..).and_then(surrogate);
                if matches!(pair, Some(0xDC00..=0xDFFF)) { 12 } else { 0 }
            }
            Some(_) => 0,
            // An escape of another kind: the back slash and the character that it escapes.
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        if length == 0 {
            out.push_str("\\ufffd");
            rest = escape.get(6..).unwrap_or_default();
        } else {
            let (kept, after) = escape.split_at(length.min(escape.len()));
            out.push_str(kept);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The surrogate that a `\uXXXX` escape at the start of `text` names.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok().filter(|unit| (0xD800..=0xDFFF).contains(unit))
}

/// A string of the wire, borrowed where it holds no escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// The text, where it is there.
    pub(crate) fn get(text: Option<&Self>) -> Option<&str> {
        text.map(|text| text.0.as_ref())
    }

    /// The text, where it is there and not empty.
    pub(crate) fn filled(text: Option<&Self>) -> Option<&str> {
        Self::get(text).filter(|text| !text.is_empty())
    }
}

/// Questions to an object, or to a value that may be one.
pub(crate) trait Get {
    /// The member, `null` counted as absent.
    fn member(&self, key: &str) -> Option<&Value>;

    /// A string.
    fn text(&self, key: &str) -> Option<&str> {
        self.member(key)?.as_str()
    }

    /// A string that is not empty.
    fn filled(&self, key: &str) -> Option<&str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A count; `12.0` is one as well.
    fn count(&self, key: &str) -> Option<u64> {
        let value = self.member(key)?;
        value.as_u64().or_else(|| {
            let number = value.as_f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be whole and in range"
            )]
            (number.fract() == 0.0 && (0.0..=9.0e15).contains(&number)).then_some(number as u64)
        })
    }

    /// A number.
    fn number(&self, key: &str) -> Option<f64> {
        self.member(key)?.as_f64()
    }

    /// An object.
    fn object(&self, key: &str) -> Option<&Object> {
        self.member(key)?.as_object()
    }

    /// The elements of an array; nothing where there is none.
    fn items(&self, key: &str) -> &[Value] {
        self.member(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether the member is `true`.
    fn is_true(&self, key: &str) -> bool {
        self.member(key).and_then(Value::as_bool) == Some(true)
    }
}

impl Get for Object {
    fn member(&self, key: &str) -> Option<&Value> {
        self.get(key).filter(|value| !value.is_null())
    }
}

impl Get for Value {
    fn member(&self, key: &str) -> Option<&Value> {
        self.get(key).filter(|value| !value.is_null())
    }
}

/// Takes a string out of an object.
pub(crate) fn take_text(object: &mut Object, key: &str) -> Option<String> {
    match object.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Takes an array out of an object.
pub(crate) fn take_items(object: &mut Object, key: &str) -> Vec<Value> {
    match object.get_mut(key).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Takes an object out of an object.
pub(crate) fn take_object(object: &mut Object, key: &str) -> Option<Object> {
    match object.get_mut(key).map(Value::take) {
        Some(Value::Object(inner)) => Some(inner),
        _ => None,
    }
}

/// Tool arguments as the model wrote them: parsed where they are JSON, else the text.
pub(crate) fn arguments(raw: Value) -> Value {
    match raw {
        Value::String(text) => parse_or_text(text, |_| true),
        other => other,
    }
}

/// A tool's result: parsed where it is an object or a list, else the text. A bare `42` stays text.
pub(crate) fn result(raw: Value) -> Value {
    let mut value = match raw {
        Value::String(text) => parse_or_text(text, |text| text.trim_start().starts_with(['{', '['])),
        other => other,
    };
    shrink(&mut value);
    value
}

fn parse_or_text(text: String, worth: impl Fn(&str) -> bool) -> Value {
    if !worth(&text) {
        return Value::String(text);
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Replaces inline media (long text without white space) by its size.
pub(crate) fn shrink(value: &mut Value) {
    match value {
        Value::String(text) if is_inline(text) || text.contains('\0') && length(text) > text.len() as u64 => {
            *text = format!("[{} bytes]", length(text));
        }
        Value::Array(items) => items.iter_mut().for_each(shrink),
        Value::Object(members) => members.values_mut().for_each(shrink),
        _ => {}
    }
}

/// A name in camel case as the conventions write names.
pub(crate) fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn is_inline(text: &str) -> bool {
    text.len() > INLINE_BYTES && !text.bytes().take(INLINE_BYTES).any(|b| b.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_and_broken_utf8_are_replaced() {
        let check = |input: &[u8], expect: &str| {
            assert_eq!(parse(input).unwrap()["a"], expect, "{}", String::from_utf8_lossy(input));
        };
        check(br#"{"a":"x\ud83d"}"#, "x\u{fffd}");
        check(br#"{"a":"\udc00\\ud83d\n"}"#, "\u{fffd}\\ud83d\n");
        check(br#"{"a":"\ud83d\ude00 \ud83d!"}"#, "\u{1f600} \u{fffd}!");
        check(b"{\"a\":\"\xff\"}", "\u{fffd}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(parse(&deep).is_err());
        assert!(parse(&[vec![b'['; 100], vec![b']'; 100]].concat()).is_ok());
    }

    #[test]
    fn numbers_stay_text_as_results_and_values_as_arguments() {
        assert_eq!(result("42".into()), Value::from("42"));
        assert_eq!(arguments("42".into()), Value::from(42));
        assert_eq!(result(r#"{"a":1}"#.into()), serde_json::json!({"a": 1}));
        assert_eq!(arguments("{broken".into()), Value::from("{broken"));
    }

    #[test]
    fn inline_media_is_replaced_by_its_size() {
        let mut value = serde_json::json!({"result": "A".repeat(100_000), "text": "a b ".repeat(30_000)});
        shrink(&mut value);
        assert_eq!(value["result"], "[100000 bytes]");
        assert_eq!(value["text"].as_str().unwrap().len(), 120_000);
    }
}
