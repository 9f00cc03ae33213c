//! Spans and metrics in the shapes of OTLP, filtered by a content policy. One translation for the network and
//! the file.

pub mod points;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::span::{
    Event as ProtoEvent, Link as ProtoLink, SpanKind as ProtoKind,
};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as ProtoSpan, Status as ProtoStatus,
};
use trackway_core::telemetry::{Attribute, AttributeValue, Content, Link, Resource, Span, SpanKind, Status};

/// The conventions whose names the attributes follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

/// The trace is sampled, and the parent is known not to be remote (`SpanFlags` in `trace.proto`).
const FLAGS: u32 = 0x101;
/// The parent is known to be remote.
const REMOTE: u32 = 0x200;

/// One span in OTLP's shape, with its resource beside it.
#[derive(Clone, Debug)]
pub struct Translated {
    /// Whose it is.
    pub resource: Arc<Resource>,
    /// The span.
    pub span: ProtoSpan,
}

/// A span as the policy lets it be seen.
pub fn span(span: &Span, policy: Content) -> Translated {
    let (code, message) = match &span.status {
        Status::Unset => (StatusCode::Unset, String::new()),
        Status::Error(message) => (StatusCode::Error, message.clone()),
    };
    let kind = match span.kind {
        SpanKind::Internal => ProtoKind::Internal,
        SpanKind::Client => ProtoKind::Client,
    };
    let events = span.events.iter().map(|event| ProtoEvent {
        time_unix_nano: event.time.0,
        name: event.name.to_owned(),
        attributes: attributes(&event.attributes, policy),
        dropped_attributes_count: 0,
    });
    let proto = ProtoSpan {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map(|id| id.0.to_vec()).unwrap_or_default(),
        flags: if adopted(span) { FLAGS | REMOTE } else { FLAGS },
        name: span.name.clone(),
        kind: kind as i32,
        start_time_unix_nano: span.start.0,
        end_time_unix_nano: span.end.0,
        attributes: attributes(&span.attributes, policy),
        events: events.collect(),
        links: span.links.iter().map(|it| link(it, policy)).collect(),
        status: Some(ProtoStatus { message, code: code as i32 }),
        ..ProtoSpan::default()
    };
    Translated { resource: Arc::clone(&span.resource), span: proto }
}

/// Whether a span is the root of a run that stands in somebody else's trace.
fn adopted(span: &Span) -> bool {
    span.parent.is_some() && span.is_root()
}

fn link(link: &Link, policy: Content) -> ProtoLink {
    ProtoLink {
        trace_id: link.trace.0.to_vec(),
        span_id: link.span.0.to_vec(),
        attributes: attributes(&link.attributes, policy),
        ..ProtoLink::default()
    }
}

/// One request: a `ResourceSpans` for each resource, in the order in which they first appear. `schema` names
/// the conventions.
pub fn request(spans: Vec<Translated>, policy: Content, schema: &str) -> ExportTraceServiceRequest {
    let mut groups: Vec<(Arc<Resource>, Vec<ProtoSpan>)> = Vec::new();
    for Translated { resource, span } in spans {
        // The pointer is compared first: spans of one process share their resource.
        let place = groups.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &resource) || *other == resource);
        match place {
            Some((_, spans)) => spans.push(span),
            None => groups.push((resource, vec![span])),
        }
    }
    let groups = groups.into_iter().map(|(resource, spans)| {
        let attributes = attributes(&resource.attributes, policy);
        group(ProtoResource { attributes, ..ProtoResource::default() }, spans, schema)
    });
    ExportTraceServiceRequest { resource_spans: groups.collect() }
}

/// The spans of one resource, as ours.
pub(crate) fn group(resource: ProtoResource, spans: Vec<ProtoSpan>, schema: &str) -> ResourceSpans {
    let spans = ScopeSpans { scope: Some(scope()), spans, schema_url: schema.to_owned() };
    ResourceSpans { resource: Some(resource), scope_spans: vec![spans], schema_url: schema.to_owned() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "trackway".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Attributes as the policy lets them be seen.
pub(crate) fn attributes(attributes: &[Attribute], policy: Content) -> Vec<KeyValue> {
    let shown = attributes.iter().filter(|attribute| policy.shows(attribute.class));
    shown
        .map(|attribute| KeyValue {
            key: attribute.key.clone().into_owned(),
            value: Some(AnyValue { value: Some(value(&attribute.value)) }),
            ..KeyValue::default()
        })
        .collect()
}

fn value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => Value::StringValue(text.clone()),
        AttributeValue::Int(value) => Value::IntValue(*value),
        AttributeValue::Double(value) => Value::DoubleValue(*value),
        AttributeValue::Bool(value) => Value::BoolValue(*value),
        AttributeValue::Texts(texts) => Value::ArrayValue(ArrayValue {
            values: texts
                .iter()
                .map(|text| AnyValue { value: Some(Value::StringValue(text.clone())) })
                .collect(),
        }),
    }
}
