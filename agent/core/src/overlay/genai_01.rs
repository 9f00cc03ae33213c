//! The names of the GenAI conventions v0.1.0.

use crate::names;
use crate::telemetry::Span;

pub(super) fn rename(span: &mut Span) {
    let events = span.events.iter_mut().flat_map(|event| &mut event.attributes);
    for attribute in span.attributes.iter_mut().chain(events) {
        if attribute.key == names::CACHE_WRITE_TOKENS {
            attribute.key = names::overlay::CACHE_WRITE_TOKENS.into();
        }
    }
}
