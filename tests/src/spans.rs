//! Spans as a collector got them, in a form that tests can ask.

use std::collections::BTreeMap;
use std::fmt;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

/// Characters of an attribute that a failed test shows.
const SHOWN: usize = 120;

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace.
    pub trace: Vec<u8>,
    /// Identity.
    pub id: Vec<u8>,
    /// Empty for a root.
    pub parent: Vec<u8>,
    /// Name.
    pub name: String,
    /// OTLP's number of the kind.
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// The description of an error status; `None` where there was no error.
    pub error: Option<String>,
    /// Attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Attributes of the resource.
    pub resource: BTreeMap<String, Value>,
    /// Names and attributes of its events, in order.
    pub events: Vec<(String, BTreeMap<String, Value>)>,
    /// Spans that it is tied to, and what is said of the tie.
    pub links: Vec<(Vec<u8>, BTreeMap<String, Value>)>,
}

impl Span {
    /// An attribute; `Null` where it is missing.
    pub fn get(&self, key: &str) -> &Value {
        self.attributes.get(key).unwrap_or(&Value::Null)
    }

    /// An attribute that is text.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).as_str().unwrap_or_default()
    }

    /// An attribute that holds JSON as text.
    pub fn json(&self, key: &str) -> Value {
        serde_json::from_str(self.text(key)).unwrap_or(Value::Null)
    }

    /// What kind of work it stands for.
    pub fn operation(&self) -> &str {
        self.text("gen_ai.operation.name")
    }
}

/// A set of spans.
#[derive(Clone, Debug, Default)]
pub struct Spans(pub Vec<Span>);

impl Spans {
    /// Unpacks requests.
    pub fn new(requests: &[ExportTraceServiceRequest]) -> Self {
        let mut spans = Vec::new();
        for resource in requests.iter().flat_map(|request| &request.resource_spans) {
            let shared =
                resource.resource.as_ref().map(|resource| map(&resource.attributes)).unwrap_or_default();
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let status = span.status.as_ref();
                let failed = status.filter(|status| status.code == StatusCode::Error as i32);
                spans.push(Span {
                    trace: span.trace_id.clone(),
                    id: span.span_id.clone(),
                    parent: span.parent_span_id.clone(),
                    name: span.name.clone(),
                    kind: span.kind,
                    start: span.start_time_unix_nano,
                    end: span.end_time_unix_nano,
                    error: failed.map(|status| status.message.clone()),
                    attributes: map(&span.attributes),
                    resource: shared.clone(),
                    events: span.events.iter().map(|it| (it.name.clone(), map(&it.attributes))).collect(),
                    links: span.links.iter().map(|it| (it.span_id.clone(), map(&it.attributes))).collect(),
                });
            }
        }
        spans.sort_by_key(|span| (span.start, span.end));
        Self(spans)
    }

    /// Spans without a parent.
    pub fn roots(&self) -> Vec<&Span> {
        self.0.iter().filter(|span| span.parent.is_empty()).collect()
    }

    /// Spans of one operation (`chat`, `execute_tool`, …), by start.
    pub fn of(&self, operation: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.operation() == operation).collect()
    }

    /// Spans that stand for a process, and for nothing else.
    pub fn processes(&self) -> Vec<&Span> {
        let own = |span: &&Span| {
            span.operation().is_empty() && span.get("process.pid").is_u64() && span.get("url.full").is_null()
        };
        self.0.iter().filter(own).collect()
    }

    /// Spans directly below `parent`.
    pub fn below(&self, parent: &Span) -> Vec<&Span> {
        self.0.iter().filter(|span| span.parent == parent.id).collect()
    }

    /// Spans below `parent` at any depth.
    pub fn under(&self, parent: &Span) -> Vec<&Span> {
        let mut found = self.below(parent);
        let mut next = 0;
        while next < found.len() {
            found.extend(self.below(found[next]));
            next += 1;
        }
        found
    }

    /// One set for each trace.
    pub fn traces(&self) -> Vec<Self> {
        let mut traces: BTreeMap<&[u8], Vec<Span>> = BTreeMap::new();
        for span in &self.0 {
            traces.entry(&span.trace).or_default().push(span.clone());
        }
        traces.into_values().map(Self).collect()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, span: &Span, depth: usize) -> fmt::Result {
        let error = span.error.as_ref().map(|error| format!(" ERROR {error}")).unwrap_or_default();
        write!(f, "{:depth$}{}{error}", "", span.name, depth = 2 * depth)?;
        for (key, value) in &span.attributes {
            let text: String = value.to_string().chars().take(SHOWN).collect();
            write!(f, " {key}={text}")?;
        }
        writeln!(f)?;
        self.below(span).into_iter().try_for_each(|child| self.write(f, child, depth + 1))
    }
}

/// The tree, for the message of a failed test.
impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |span: &Span| self.0.iter().any(|other| other.id == span.parent);
        self.0.iter().filter(|span| !known(span)).try_for_each(|span| self.write(f, span, 0))
    }
}

fn map(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    attributes.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone().into(),
        Some(Any::BoolValue(truth)) => (*truth).into(),
        Some(Any::IntValue(number)) => (*number).into(),
        Some(Any::DoubleValue(number)) => (*number).into(),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|item| self::value(Some(item))).collect(),
        Some(Any::KvlistValue(pairs)) => Value::from_iter(map(&pairs.values)),
        _ => Value::Null,
    }
}
