//! The names of the GenAI conventions v0.1.0, and its types.

use crate::names;
use crate::telemetry::{AttributeValue, Span};

pub(super) fn rename(span: &mut Span) {
    let events = span.events.iter_mut().flat_map(|event| &mut event.attributes);
    for attribute in span.attributes.iter_mut().chain(events) {
        if attribute.key == names::CACHE_WRITE_TOKENS {
            attribute.key = names::overlay::CACHE_WRITE_TOKENS.into();
        }
        // It was a double until then.
        if attribute.key == names::REQUEST_TOP_K
            && let AttributeValue::Double(value) = &attribute.value
            && let Some(whole) = whole(*value)
        {
            attribute.value = AttributeValue::Int(whole);
        }
    }
}

fn whole(value: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number in range")]
    (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64)
}
