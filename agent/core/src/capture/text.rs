//! Strings of a capture file, which may be anything: JavaScript writes halves of characters.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;

use crate::http::Headers;
use crate::limits;

/// Padding may be there or not: the writers do not agree.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A JSON string as bytes. Unlike `String` it takes escapes of lone surrogates, which then are no UTF-8.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(pub(super) Vec<u8>);

impl Text {
    /// As text, what is no UTF-8 replaced.
    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.0)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_vec()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.as_bytes().to_vec()))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Text, E> {
                Ok(Text(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Bytes from base64; `None` where it is none.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    LENIENT.decode(packed).ok()
}

/// Fields as an object of name and value (or values), or as a list of `{name, value}` or of pairs.
/// Pseudo fields of HTTP/2 are left out, and what is more than the limit.
pub(super) fn headers(value: &Value) -> Headers {
    let mut out = Headers::new();
    let mut add = |name: &str, value: &Value| {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Null => continue,
                other => other.to_string(),
            };
            if out.len() < limits::HEADERS && !name.is_empty() && !name.starts_with(':') {
                out.push((name.to_ascii_lowercase(), value));
            }
        }
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(fields) => {
            for field in fields {
                let name = field.get("name").or_else(|| field.get(0)).and_then(Value::as_str);
                let value = field.get("value").or_else(|| field.get(1));
                add(name.unwrap_or_default(), value.unwrap_or(&Value::Null));
            }
        }
        _ => {}
    }
    out
}

/// The value of the first field of this name.
pub(super) fn field<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A number, also one in quotes.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A whole number that is not negative.
pub(super) fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| match number(value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked: whole, not negative, and small enough to be exact"
        )]
        Some(number) if number >= 0.0 && number.fract() == 0.0 && number < 9e15 => Some(number as u64),
        _ => None,
    })
}

/// A status; zero and what is none count as absent.
pub(super) fn status(value: &Value) -> Option<u16> {
    count(value).and_then(|status| u16::try_from(status).ok()).filter(|status| *status > 0)
}

/// Nanoseconds from a number of seconds; what is negative is none.
pub(super) fn nanos(seconds: f64) -> Option<u64> {
    let nanos = seconds * 1e9;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (nanos.is_finite() && (0.0..1.8e19).contains(&nanos)).then_some(nanos as u64)
}
