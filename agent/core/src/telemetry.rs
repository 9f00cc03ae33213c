//! Spans as Trackway makes them: with ids and times of its own, after the fact.
//!
//! The shapes follow OTLP (`opentelemetry/proto/trace/v1/trace.proto`); sinks translate, they do not decide.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::flow::Time;

/// A trace's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

macro_rules! hex {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
hex!(TraceId, SpanId);

impl TraceId {
    /// The id that these parts give, the same wherever it is computed. Parts are kept apart by their lengths.
    pub fn derive(parts: &[&[u8]]) -> Self {
        Self(first(&digest(parts)))
    }
}

impl SpanId {
    /// The id that these parts give within a trace, the same wherever it is computed.
    pub fn derive(trace: TraceId, parts: &[&[u8]]) -> Self {
        let mut all: Vec<&[u8]> = vec![&trace.0];
        all.extend_from_slice(parts);
        Self(first(&digest(&all)))
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first bytes of a digest, never all zero: W3C Trace Context calls such an id invalid.
fn first<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut id = [0; N];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = *from;
    }
    if id.iter().all(|byte| *byte == 0)
        && let Some(last) = id.last_mut()
    {
        *last = 1;
    }
    id
}

/// One finished span.
#[derive(Clone, Debug)]
pub struct Span {
    /// Trace.
    pub trace: TraceId,
    /// Identity.
    pub id: SpanId,
    /// Parent; `None` for the root of a run.
    pub parent: Option<SpanId>,
    /// Name, low cardinality.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// Start.
    pub start: Time,
    /// End.
    pub end: Time,
    /// Outcome.
    pub status: Status,
    /// Attributes in the order in which they were set; keys are unique.
    pub attributes: Vec<Attribute>,
    /// Events.
    pub events: Vec<Event>,
    /// Other spans that this one has to do with.
    pub links: Vec<Link>,
    /// The observed process that this span belongs to.
    pub resource: Arc<Resource>,
}

/// OTLP's span kinds that Trackway uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Inside one process.
    Internal,
    /// A request to a server.
    Client,
}

/// OTLP's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing went wrong.
    #[default]
    Unset,
    /// Something did; the text says what, without secrets.
    Error(String),
}

/// An event on a span.
#[derive(Clone, Debug)]
pub struct Event {
    /// Name.
    pub name: &'static str,
    /// When.
    pub time: Time,
    /// Attributes.
    pub attributes: Vec<Attribute>,
}

/// A tie to another span, in this trace or another.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub span: SpanId,
    /// What it is about.
    pub attributes: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// From [`crate::names`]; made where a convention numbers its keys.
    pub key: Cow<'static, str>,
    /// Value.
    pub value: AttributeValue,
    /// Who may see it.
    pub class: Class,
}

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Number.
    Double(f64),
    /// Truth.
    Bool(bool),
    /// List of text.
    Texts(Vec<String>),
}

/// What an attribute reveals; a sink's content policy decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Always sent: names, counts, times, ids.
    Plain,
    /// Says what was done without saying what was said: argv, URLs' queries. Sent with `metadata` and `full`.
    Metadata,
    /// Messages, arguments, results, reasoning. Sent with `full` only.
    Content,
}

/// How much a sink may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// [`Class::Plain`] only.
    None,
    /// Also [`Class::Metadata`].
    Metadata,
    /// Everything.
    Full,
}

impl Content {
    /// Whether an attribute of this class may be shown.
    pub fn shows(self, class: Class) -> bool {
        match class {
            Class::Plain => true,
            Class::Metadata => self >= Content::Metadata,
            Class::Content => self == Content::Full,
        }
    }
}

/// What OTLP calls the resource: one observed process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Attributes, `service.name` among them.
    pub attributes: Vec<Attribute>,
}

impl Span {
    /// Whether it is the root of a run, which may stand under a span of somebody else.
    pub fn is_root(&self) -> bool {
        self.parent.is_none() || self.attribute(crate::names::RUN_STATUS).is_some()
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.attributes.iter().find(|a| a.key == key).map(|a| &a.value)
    }
}

impl AttributeValue {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            AttributeValue::Int(value) => Some(*value),
            _ => None,
        }
    }
}
