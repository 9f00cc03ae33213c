//! A response body on its way to its decoder: content coding off, then told apart by its first bytes.
//!
//! `content-type` is not asked first: errors in answers to streaming requests are JSON, gateways send blank
//! lines before a body to keep a connection alive, and some servers label a stream as something else.

use crate::encoding;
use crate::limits;
use crate::sse;

use super::{Answer, Event, Faults, json};

/// The fields a stream of events may begin with. A body that begins with anything else is no stream.
const FIELDS: &[&[u8]] = &[b"data", b"event", b"id", b"retry", b":"];

/// One response body.
#[derive(Debug)]
pub(crate) struct Intake {
    decoder: encoding::Decoder,
    body: Body,
    decoded: Vec<u8>,
    broken: bool,
    labelled: bool,
}

#[derive(Debug)]
enum Body {
    /// Not enough came yet.
    Unknown(Vec<u8>),
    Json(Vec<u8>),
    Events(Box<sse::Parser>),
    /// Neither, or too long.
    Skipped,
}

impl Intake {
    /// `encoding` is the value of `content-encoding`; `labelled` whether the answer says that it is a stream
    /// of events, which counts for what does not tell by itself.
    pub(crate) fn new(encoding: Option<&str>, labelled: bool) -> Self {
        Self {
            labelled,
            decoder: encoding::Decoder::new(encoding),
            body: Body::Unknown(Vec::new()),
            decoded: Vec::new(),
            broken: false,
        }
    }

    /// Takes bytes as they came; true where they completed an event that is no ping.
    pub(crate) fn push(&mut self, bytes: &[u8], answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        if self.broken || matches!(self.body, Body::Skipped) {
            return false;
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        if let Err(error) = self.decoder.push(bytes, &mut decoded) {
            faults.add(error.kind(), error.to_string());
            self.broken = true;
        }
        let news = self.take(&decoded, answer, faults);
        self.decoded = decoded;
        news
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self, answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        if !self.broken
            && let Err(error) = self.decoder.finish()
        {
            faults.add(error.kind(), error.to_string());
        }
        let mut news = false;
        match std::mem::replace(&mut self.body, Body::Skipped) {
            Body::Unknown(_) | Body::Skipped => {}
            Body::Json(bytes) => match json::parse(&bytes) {
                Ok(value) => answer.body(value, faults),
                Err(reason) => faults.add("json", format!("the answer is {reason}")),
            },
            Body::Events(mut parser) => {
                parser.finish(|event| news |= deliver(&event, answer, faults));
                if parser.dropped() > 0 {
                    let (count, most) = (parser.dropped(), limits::EVENT_BYTES);
                    faults.add("limit.event", format!("{count} events longer than {most} bytes"));
                }
                self.body = Body::Events(parser);
            }
        }
        news
    }

    /// Whether the answer came as a stream of events.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Events(_))
    }

    fn take(&mut self, bytes: &[u8], answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        if let Body::Unknown(start) = &mut self.body {
            start.extend_from_slice(bytes);
            // White space and a byte order mark may come before anything and mean nothing.
            start.drain(..blank(start));
            let Some(body) = sniff(start, self.labelled) else { return false };
            let start = std::mem::take(start);
            self.body = body;
            if matches!(self.body, Body::Skipped) {
                faults.add("json", "the answer is neither JSON nor a stream of events");
            }
            return self.route(&start, answer, faults);
        }
        self.route(bytes, answer, faults)
    }

    fn route(&mut self, bytes: &[u8], answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        match &mut self.body {
            Body::Json(body) if body.len().saturating_add(bytes.len()) > limits::RESPONSE_BODY_BYTES => {
                faults
                    .add("limit.response_body", format!("longer than {} bytes", limits::RESPONSE_BODY_BYTES));
                self.body = Body::Skipped;
                false
            }
            Body::Json(body) => {
                body.extend_from_slice(bytes);
                false
            }
            Body::Events(parser) => {
                let mut news = false;
                parser.push(bytes, |event| news |= deliver(&event, answer, faults));
                news
            }
            Body::Unknown(_) | Body::Skipped => false,
        }
    }
}

/// Hands one event on; true where it is news.
fn deliver(event: &sse::Event<'_>, answer: &mut dyn Answer, faults: &mut Faults) -> bool {
    let name = event.event.as_deref().unwrap_or_default();
    answer.event(Event { name, data: &event.data }, faults);
    name != "ping"
}

/// How many bytes at the start mean nothing.
fn blank(bytes: &[u8]) -> usize {
    let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.len() - rest.trim_ascii_start().len()
}

/// What a body is, by its first bytes; `None` while they are too few.
fn sniff(start: &[u8], labelled: bool) -> Option<Body> {
    match start.first()? {
        b'{' | b'[' => return Some(Body::Json(Vec::new())),
        _ if start == b"\xef" || start == b"\xef\xbb" => return None,
        _ => {}
    }
    if labelled || FIELDS.iter().any(|field| start.starts_with(field)) {
        return Some(Body::Events(Box::new(sse::Parser::new())));
    }
    let possible = FIELDS.iter().any(|field| field.starts_with(start));
    (!possible).then_some(Body::Skipped)
}
