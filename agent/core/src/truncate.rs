//! Attribute values within the size that a reader takes.
//!
//! Backends that cut a value in the middle leave broken JSON behind (Grafana Tempo at 2048 bytes). Here JSON
//! stays JSON of the same shape: the newest message is kept longest, long strings lose their middle, what is
//! left out is counted where it was. `trackway.truncated` names the attributes that were shortened.

mod fit;
mod string;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use self::fit::Shape;
use crate::limits::SHORTEST_ATTRIBUTE;
use crate::names;
use crate::telemetry::{Attribute, AttributeValue, Class, Span};

/// Shortens every value of a span that is longer than `limit` bytes. A limit below
/// [`SHORTEST_ATTRIBUTE`] counts as that.
pub fn apply(span: &mut Span, limit: usize) {
    let limit = limit.max(SHORTEST_ATTRIBUTE);
    let mut cut: Vec<String> = Vec::new();
    let events = span.events.iter_mut().flat_map(|event| &mut event.attributes);
    for attribute in span.attributes.iter_mut().chain(events) {
        if shorten(attribute, limit) {
            let name = unnumbered(&attribute.key);
            if !cut.iter().any(|other| other == name) {
                cut.push(name.to_owned());
            }
        }
    }
    if cut.is_empty() {
        return;
    }
    match span.attributes.iter_mut().find(|attribute| attribute.key == names::TRUNCATED) {
        Some(Attribute { value: AttributeValue::Texts(before), .. }) => {
            cut.retain(|name| !before.contains(name));
            before.append(&mut cut);
        }
        _ => span.attributes.push(Attribute {
            key: Cow::Borrowed(names::TRUNCATED),
            value: AttributeValue::Texts(cut),
            class: Class::Plain,
        }),
    }
}

/// A numbered key without what comes from its first number on: its list.
fn unnumbered(key: &str) -> &str {
    let mut end = 0;
    for part in key.split('.') {
        if end > 0 && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return key.get(..end - 1).unwrap_or(key);
        }
        end += part.len() + 1;
    }
    key
}

/// Whether the value was too long.
fn shorten(attribute: &mut Attribute, limit: usize) -> bool {
    match &mut attribute.value {
        AttributeValue::Text(text) if text.len() > limit => {
            let short = json(text, shape(&attribute.key), limit);
            *text = short.unwrap_or_else(|| string::head(text, limit));
            true
        }
        AttributeValue::Texts(texts) => {
            let mut any = false;
            for text in texts.iter_mut().filter(|text| text.len() > limit) {
                *text = string::head(text, limit);
                any = true;
            }
            any
        }
        _ => false,
    }
}

fn shape(key: &str) -> Shape {
    match key {
        names::INPUT_MESSAGES | names::OUTPUT_MESSAGES => Shape::Messages,
        names::SYSTEM_INSTRUCTIONS => Shape::Parts,
        names::TOOL_DEFINITIONS => Shape::Definitions,
        _ => Shape::Any,
    }
}

/// JSON in short; `None` where the text is no JSON.
fn json(text: &str, shape: Shape, limit: usize) -> Option<String> {
    if !text.trim_start().starts_with(['[', '{', '"']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let short = fit::fit(&value, limit, shape).unwrap_or_else(|| match value {
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(serde_json::Map::new()),
        _ => Value::Null,
    });
    Some(short.to_string())
}
