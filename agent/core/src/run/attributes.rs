//! Building attribute lists: absent values leave no trace, long ones are cut, keys stay unique.

use serde_json::Value;

use super::bound;
use crate::redact;
use crate::telemetry::{Attribute, AttributeValue, Class};

/// Attributes of one span in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<Attribute>);

impl Attributes {
    fn set(&mut self, key: &'static str, value: AttributeValue, class: Class) {
        match self.0.iter_mut().find(|attribute| attribute.key == key) {
            Some(attribute) => (attribute.value, attribute.class) = (value, class),
            None => self.0.push(Attribute { key: key.into(), value, class }),
        }
    }

    /// Names, ids and words of our own, which hold no secrets by their nature.
    pub(super) fn plain(&mut self, key: &'static str, value: impl Into<String>) {
        self.set(key, AttributeValue::Text(bound::text(value.into())), Class::Plain);
    }

    /// The same, where there is one.
    pub(super) fn maybe(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.plain(key, value);
        }
    }

    /// Text that others wrote: secrets are taken out.
    pub(super) fn text(&mut self, key: &'static str, value: &str, class: Class) {
        let value = bound::text(redact::text(value).into_owned());
        self.set(key, AttributeValue::Text(value), class);
    }

    /// A JSON value as a JSON string, without secrets and within bounds.
    pub(super) fn json(&mut self, key: &'static str, value: Value, class: Class) {
        self.set(key, AttributeValue::Text(bound::json(value)), class);
    }

    pub(super) fn texts(&mut self, key: &'static str, values: Vec<String>, class: Class) {
        if !values.is_empty() {
            self.set(key, AttributeValue::Texts(values), class);
        }
    }

    pub(super) fn int(&mut self, key: &'static str, value: impl TryInto<i64>) {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.set(key, AttributeValue::Int(value), Class::Plain);
    }

    pub(super) fn maybe_int(&mut self, key: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }

    /// A count that says something only when it is not zero.
    pub(super) fn count(&mut self, key: &'static str, value: u64) {
        if value != 0 {
            self.int(key, value);
        }
    }

    pub(super) fn double(&mut self, key: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.set(key, AttributeValue::Double(value), Class::Plain);
        }
    }

    pub(super) fn truth(&mut self, key: &'static str) {
        self.set(key, AttributeValue::Bool(true), Class::Plain);
    }
}
