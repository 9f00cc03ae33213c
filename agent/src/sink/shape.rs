//! How one exporter's spans look: in which names, and how long values may be.

use std::sync::Arc;

use trackway_core::overlay::Overlays;
use trackway_core::telemetry::{Attribute, Content, Event, Span};
use trackway_core::truncate;

use super::translate::{self, Translated};

/// The look of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Names beside (or in place of) those of the GenAI conventions v1.41.
    pub overlays: Overlays,
    /// Longest value of an attribute, in bytes.
    pub attribute_bytes: Option<usize>,
}

impl Shape {
    /// A span as it goes out.
    pub(super) fn translate(self, span: &Span, policy: Content) -> Translated {
        if self == Self::default() {
            return translate::span(span, policy);
        }
        // Only what is shown is looked at: what is made from it is then shown rightly, too.
        let shown = |attributes: &[Attribute]| -> Vec<Attribute> {
            attributes.iter().filter(|attribute| policy.shows(attribute.class)).cloned().collect()
        };
        let event = |event: &Event| Event {
            name: event.name,
            time: event.time,
            attributes: shown(&event.attributes),
        };
        let mut span = Span {
            trace: span.trace,
            id: span.id,
            parent: span.parent,
            name: span.name.clone(),
            kind: span.kind,
            start: span.start,
            end: span.end,
            status: span.status.clone(),
            attributes: shown(&span.attributes),
            events: span.events.iter().map(event).collect(),
            links: span.links.clone(),
            resource: Arc::clone(&span.resource),
        };
        self.overlays.apply(&mut span);
        if let Some(limit) = self.attribute_bytes {
            truncate::apply(&mut span, limit);
        }
        translate::span(&span, policy)
    }

    /// The conventions whose names the attributes follow. Those of v0.1.0 have no address that is known.
    pub(super) fn schema(self) -> &'static str {
        if self.overlays.genai_01 { "" } else { translate::SCHEMA_URL }
    }
}
