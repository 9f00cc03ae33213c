//! Spans as they were stored, and as the terminal's tree takes them.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;
use opentelemetry_proto::tonic::trace::v1::span::{Event as ProtoEvent, SpanKind as ProtoKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use rusqlite::Row;
use trackway_core::flow::Time;
use trackway_core::names;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Content, Event, Resource, Span, SpanId, SpanKind, Status, TraceId,
};

use super::{Error, Store, pieces, range};

/// The bytes that remember who may see an attribute, one for each in their order.
pub(super) fn classes(attributes: &[Attribute], policy: Content) -> impl Iterator<Item = u8> {
    attributes.iter().map(|it| it.class).filter(move |class| policy.shows(*class)).map(|class| class as u8)
}

fn class(byte: Option<&u8>) -> Class {
    match byte {
        Some(0) => Class::Plain,
        Some(1) => Class::Metadata,
        // What nobody classed is shown to who may see everything.
        _ => Class::Content,
    }
}

/// One span with all that was stored of it, in OTLP's shape.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The span.
    pub span: ProtoSpan,
    /// Whose it is.
    pub resource: Arc<ProtoResource>,
}

impl Stored {
    /// Its id, in hexadecimal.
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// Its parent's, empty for the root.
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// What went wrong.
    pub fn error(&self) -> Option<&str> {
        let status = self.span.status.as_ref()?;
        (status.code == StatusCode::Error as i32).then_some(status.message.as_str())
    }

    /// The value of an attribute.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.span.attributes.iter().find(|it| it.key == key)?.value.as_ref()?.value.as_ref()
    }

    /// The text of an attribute.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an attribute.
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.value(key)? {
            Value::IntValue(number) => Some(*number),
            _ => None,
        }
    }

    /// As the terminal's tree takes it. Names that this version does not know are not for the tree.
    pub fn plain(&self) -> Span {
        let proto = &self.span;
        let attributes = proto.attributes.iter().filter_map(|it| {
            // What is still there may be shown: the policy was applied before.
            Some(Attribute { key: names::find(&it.key)?.into(), value: value(it)?, class: Class::Plain })
        });
        Span {
            trace: TraceId(proto.trace_id.as_slice().try_into().unwrap_or_default()),
            id: SpanId(proto.span_id.as_slice().try_into().unwrap_or_default()),
            parent: proto.parent_span_id.as_slice().try_into().ok().map(SpanId),
            name: proto.name.clone(),
            kind: if proto.kind == ProtoKind::Client as i32 { SpanKind::Client } else { SpanKind::Internal },
            start: Time(proto.start_time_unix_nano),
            end: Time(proto.end_time_unix_nano),
            status: self.error().map_or(Status::Unset, |message| Status::Error(message.to_owned())),
            attributes: attributes.collect(),
            events: proto.events.iter().filter_map(event).collect(),
            links: Vec::new(),
            resource: Arc::new(Resource::default()),
        }
    }
}

/// What the tree shows of an event: loops.
fn event(event: &ProtoEvent) -> Option<Event> {
    if event.name != names::LOOP {
        return None;
    }
    let attribute = |it: &KeyValue| {
        Some(Attribute { key: names::find(&it.key)?.into(), value: value(it)?, class: Class::Plain })
    };
    let attributes = event.attributes.iter().filter_map(attribute).collect();
    Some(Event { name: names::LOOP, time: Time(event.time_unix_nano), attributes })
}

fn value(attribute: &KeyValue) -> Option<AttributeValue> {
    Some(match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => AttributeValue::Text(text.clone()),
        Value::IntValue(number) => AttributeValue::Int(*number),
        Value::DoubleValue(number) => AttributeValue::Double(*number),
        Value::BoolValue(truth) => AttributeValue::Bool(*truth),
        Value::ArrayValue(list) => {
            let texts = list.values.iter().filter_map(|it| match it.value.as_ref()? {
                Value::StringValue(text) => Some(text.clone()),
                _ => None,
            });
            AttributeValue::Texts(texts.collect())
        }
        _ => return None,
    })
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    /// Gives every span of a run, in the order of their ends, as far as the policy lets them be seen. `whole` puts
    /// back what was said; the tree does without. Stops where `each` says so.
    pub fn spans(
        &self,
        run: i64,
        policy: Content,
        whole: bool,
        mut each: impl FnMut(Stored) -> bool,
    ) -> Result<(), Error> {
        let (from, to) = range(run);
        let mut statement = self.db.prepare_cached(
            "SELECT s.data, s.classes, s.resource, r.data, r.classes FROM spans s
             LEFT JOIN resources r ON r.id = s.resource WHERE s.id BETWEEN ?1 AND ?2 ORDER BY s.id",
        )?;
        let mut rows = statement.query([from, to])?;
        let mut last: Option<(i64, Arc<ProtoResource>)> = None;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(2)?;
            let resource = match &last {
                Some((known, resource)) if *known == number => Arc::clone(resource),
                _ => Arc::new(resource(row, policy)?),
            };
            last = Some((number, Arc::clone(&resource)));
            let mut span = span(row, policy)?;
            if whole {
                pieces::restore(&self.db, run, &mut span)?;
            }
            if !each(Stored { span, resource }) {
                break;
            }
        }
        Ok(())
    }
}

pub(super) fn span(row: &Row<'_>, policy: Content) -> Result<ProtoSpan, Error> {
    let mut span = ProtoSpan::decode(blob(row, 0)?)?;
    let classes = blob(row, 1)?;
    let mut at = 0;
    keep(&mut span.attributes, classes, &mut at, policy);
    for event in &mut span.events {
        keep(&mut event.attributes, classes, &mut at, policy);
    }
    Ok(span)
}

fn resource(row: &Row<'_>, policy: Content) -> Result<ProtoResource, Error> {
    // A resource is left out where its run was too large; the span still stands.
    if matches!(row.get_ref(3)?, rusqlite::types::ValueRef::Null) {
        return Ok(ProtoResource::default());
    }
    let mut resource = ProtoResource::decode(blob(row, 3)?)?;
    keep(&mut resource.attributes, blob(row, 4)?, &mut 0, policy);
    Ok(resource)
}

fn keep(attributes: &mut Vec<KeyValue>, classes: &[u8], at: &mut usize, policy: Content) {
    attributes.retain(|_| {
        let shown = policy.shows(class(classes.get(*at)));
        *at += 1;
        shown
    });
}

fn blob<'a>(row: &'a Row<'_>, place: usize) -> Result<&'a [u8], Error> {
    Ok(row.get_ref(place)?.as_blob().map_err(rusqlite::Error::from)?)
}
