//! The same span in the names of other conventions, for one exporter.
//!
//! An overlay adds (or, for newer names of OpenTelemetry, renames) and takes nothing away. What it makes from
//! content is content: an attribute has the class of what it was made from. It is applied to what a sink
//! shows, so that nothing is put together that stays here.

mod genai_01;
mod legacy;
mod messages;
mod openinference;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::metrics::Naming;
use crate::telemetry::{Attribute, AttributeValue, Class, Span};

/// Which overlays an exporter has. None is the names of the GenAI conventions v1.41.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlays {
    /// GenAI conventions v0.1.0.
    pub genai_01: bool,
    /// OpenInference.
    pub openinference: bool,
    /// The names before v1.37 and OpenLLMetry's.
    pub legacy: bool,
}

impl Overlays {
    /// Whether spans stay as they are.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The names of metrics that go with them.
    pub fn naming(self) -> Naming {
        if self.genai_01 { Naming::Genai01 } else { Naming::Compat }
    }

    /// Adds to a span what the overlays say.
    pub fn apply(self, span: &mut Span) {
        let mut extra = Extra::default();
        if self.openinference {
            openinference::extend(span, &mut extra);
        }
        if self.legacy {
            legacy::extend(span, &mut extra);
        }
        span.attributes.append(&mut extra.0);
        // Last: the others read the names that this one changes.
        if self.genai_01 {
            genai_01::rename(span);
        }
    }
}

/// Attributes that an overlay adds.
#[derive(Debug, Default)]
struct Extra(Vec<Attribute>);

impl Extra {
    fn set(&mut self, key: impl Into<Cow<'static, str>>, value: AttributeValue, class: Class) {
        self.0.push(Attribute { key: key.into(), value, class });
    }

    fn text(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>, class: Class) {
        self.set(key, AttributeValue::Text(value.into()), class);
    }

    /// An attribute of the span under another name.
    fn copy(&mut self, key: &'static str, from: Option<&Attribute>) {
        if let Some(from) = from {
            self.set(key, from.value.clone(), from.class);
        }
    }

    /// The sum of two counts, where both are known.
    fn total(&mut self, key: &'static str, span: &Span, parts: [&str; 2]) {
        let [a, b] = parts.map(|part| span.attribute(part).and_then(AttributeValue::as_int));
        if let Some(total) = a.zip(b).and_then(|(a, b)| a.checked_add(b)) {
            self.set(key, AttributeValue::Int(total), Class::Plain);
        }
    }
}

fn find<'a>(span: &'a Span, key: &str) -> Option<&'a Attribute> {
    span.attributes.iter().find(|attribute| attribute.key == key)
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    span.attribute(key).and_then(AttributeValue::as_text)
}
