//! A response body on its way to its decoder: content coding off, then told apart by its first bytes.
//!
//! `content-type` is not asked first: errors in answers to streaming requests are JSON, gateways send blank
//! lines before a body to keep a connection alive, and some servers label a stream as something else.

use crate::encoding;
use crate::eventstream;
use crate::limits;
use crate::sse;

use super::body::Body;
use super::sieve::{Shape, Sieve, Step};
use super::{Answer, Event, Faults};

/// The fields a stream of events may begin with. A body that begins with anything else is no stream.
const FIELDS: &[&[u8]] = &[b"data", b"event", b"id", b"retry", b":"];

/// What `content-type` says of an answer. It counts for what does not tell by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Label {
    /// Nothing of use.
    #[default]
    None,
    /// A stream of server-sent events.
    Events,
    /// JSON documents, one a line.
    Lines,
    /// Frames of AWS.
    Frames,
}

impl Label {
    /// Reads the value of `content-type`.
    pub(crate) fn new(kind: Option<&str>) -> Self {
        let kind =
            kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Self::Events,
            "application/vnd.amazon.eventstream" => Self::Frames,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/stream+json" => Self::Lines,
            _ => Self::None,
        }
    }
}

/// One response body.
#[derive(Debug)]
pub(crate) struct Intake {
    decoder: encoding::Decoder,
    body: Form,
    decoded: Vec<u8>,
    broken: bool,
    label: Label,
}

#[derive(Debug)]
enum Form {
    /// Not enough came yet.
    Unknown(Vec<u8>),
    /// One document, or the first of several.
    Json(Box<Sieve>, Option<Box<Sieve>>),
    /// One document, and behind it something that is none, which nobody reads.
    Sealed(Box<Sieve>),
    /// Documents one after another.
    Lines(Box<Sieve>),
    /// A list whose elements came one after another.
    List(Box<Sieve>),
    Events(Box<sse::Parser>),
    /// Frames of AWS.
    Frames(Box<eventstream::Parser>),
    /// None of these, or nothing more to read.
    Skipped,
}

impl Intake {
    /// `encoding` is the value of `content-encoding`.
    pub(crate) fn new(encoding: Option<&str>, label: Label) -> Self {
        Self {
            label,
            decoder: encoding::Decoder::new(encoding),
            body: Form::Unknown(Vec::new()),
            decoded: Vec::new(),
            broken: false,
        }
    }

    /// Takes bytes as they came; true where they completed an event that is no ping.
    pub(crate) fn push(&mut self, bytes: &[u8], answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        if self.broken || matches!(self.body, Form::Skipped) {
            return false;
        }
        if self.decoder.is_identity() {
            return self.take(bytes, answer, faults);
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
        // What is skipped was not decoded to its end.
        if !self.broken
            && !matches!(self.body, Form::Skipped)
            && let Err(error) = self.decoder.finish()
        {
            faults.add(error.kind(), error.to_string());
        }
        let mut news = false;
        match &mut self.body {
            Form::Unknown(_) | Form::Skipped => {}
            Form::Json(..) | Form::Sealed(_) => {
                let sieve = match std::mem::replace(&mut self.body, Form::Skipped) {
                    Form::Json(open, whole) => Some(whole.unwrap_or(open)),
                    Form::Sealed(whole) => Some(whole),
                    _ => None,
                };
                if let Some(sieve) = sieve {
                    if sieve.is_over() {
                        let most = limits::RESPONSE_BODY_BYTES;
                        faults.add("limit.response_body", format!("longer than {most} bytes"));
                    }
                    let body = Body::new(*sieve, faults);
                    if !body.is_whole() {
                        faults.add("json", "the answer broke off");
                    }
                    answer.body(body, faults);
                }
            }
            Form::Lines(sieve) => {
                if sieve.len() > 0 {
                    faults.add("json", "the last line broke off");
                }
            }
            Form::List(_) => {}
            Form::Frames(parser) => {
                parser.finish(|frame| news |= frame_event(&frame, answer, faults));
                if parser.broken() > 0 {
                    faults
                        .add("eventstream", format!("{} places do not fit their checksum", parser.broken()));
                }
                if parser.dropped() > 0 {
                    let (count, most) = (parser.dropped(), limits::EVENT_BYTES);
                    faults.add("limit.event", format!("{count} frames longer than {most} bytes"));
                }
                if parser.is_inside() {
                    faults.add("eventstream", "the last frame broke off");
                }
            }
            Form::Events(parser) => {
                parser.finish(|event| news |= deliver(&event, answer, faults));
                if parser.dropped() > 0 {
                    let (count, most) = (parser.dropped(), limits::EVENT_BYTES);
                    faults.add("limit.event", format!("{count} events longer than {most} bytes"));
                }
            }
        }
        news
    }

    /// Whether the answer came as events or lines.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.body, Form::Events(_) | Form::Lines(_) | Form::Frames(_))
    }

    fn take(&mut self, bytes: &[u8], answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        if let Form::Unknown(start) = &mut self.body {
            start.extend_from_slice(bytes);
            // White space and a byte order mark may come before anything and mean nothing.
            if self.label != Label::Frames {
                start.drain(..blank(start));
            }
            let Some(body) = sniff(start, self.label) else { return false };
            let start = std::mem::take(start);
            self.body = body;
            if matches!(self.body, Form::Skipped) {
                faults.add("json", "the answer is neither JSON nor a stream of events");
            }
            return self.route(&start, answer, faults);
        }
        self.route(bytes, answer, faults)
    }

    fn route(&mut self, mut bytes: &[u8], answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        let mut news = false;
        if let Form::Events(parser) = &mut self.body {
            parser.push(bytes, |event| news |= deliver(&event, answer, faults));
            return news;
        }
        if let Form::Frames(parser) = &mut self.body {
            parser.push(bytes, |frame| news |= frame_event(&frame, answer, faults));
            return news;
        }
        while !bytes.is_empty() {
            match &mut self.body {
                Form::Json(_, Some(first)) => {
                    // A second document makes the first one a line.
                    let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else { break };
                    bytes = &bytes[at..];
                    if bytes.first() != Some(&b'{') {
                        faults.add("json", "something stands behind the answer");
                        let first = std::mem::replace(first, Box::new(Sieve::new(0)));
                        self.body = Form::Sealed(first);
                        break;
                    }
                    let first = std::mem::replace(first, Box::new(Sieve::new(0)));
                    news |= line(*first, answer, faults);
                    self.body = Form::Lines(Box::new(Sieve::new(limits::EVENT_BYTES)));
                }
                Form::Json(open, whole) => {
                    let step = open.push(bytes);
                    if open.shape() == Some(Shape::Array) {
                        let open = std::mem::replace(open, Box::new(Sieve::new(0)));
                        self.body = Form::List(open);
                        news |= self.list(answer, faults);
                    } else if matches!(step, Step::Whole(_)) {
                        let sieve = std::mem::replace(open, Box::new(Sieve::new(0)));
                        if self.label == Label::Lines {
                            news |= line(*sieve, answer, faults);
                            self.body = Form::Lines(Box::new(Sieve::new(limits::EVENT_BYTES)));
                        } else {
                            *whole = Some(sieve);
                        }
                    }
                    let Step::Whole(used) = step else { break };
                    bytes = &bytes[used..];
                }
                Form::Lines(open) => {
                    // What stands between two lines is no part of the next.
                    if open.len() == 0 {
                        let Some(at) = bytes.iter().position(|byte| *byte == b'{') else { break };
                        bytes = &bytes[at..];
                    }
                    let Step::Whole(used) = open.push(bytes) else { break };
                    bytes = &bytes[used..];
                    let sieve = std::mem::replace(open, Box::new(Sieve::new(limits::EVENT_BYTES)));
                    news |= line(*sieve, answer, faults);
                }
                Form::List(open) => {
                    open.push(bytes);
                    news |= self.list(answer, faults);
                    break;
                }
                Form::Unknown(_) | Form::Sealed(_) | Form::Events(_) | Form::Frames(_) | Form::Skipped => {
                    break;
                }
            }
        }
        news
    }

    /// Delivers the elements of a list that are whole.
    fn list(&mut self, answer: &mut dyn Answer, faults: &mut Faults) -> bool {
        let Form::List(sieve) = &mut self.body else { return false };
        let mut news = false;
        sieve.drain(|element| {
            answer.event(Event::new("", &String::from_utf8_lossy(element)), faults);
            news = true;
        });
        news
    }
}

/// Hands one frame on.
fn frame_event(frame: &eventstream::Frame<'_>, answer: &mut dyn Answer, faults: &mut Faults) -> bool {
    let data = String::from_utf8_lossy(frame.payload);
    let exception = matches!(frame.kind, "exception" | "error");
    let described = serde_json::json!({"message": frame.message}).to_string();
    // An error of the framing says what it has to say in its headers.
    let data = if exception && data.is_empty() { described.into() } else { data };
    answer.event(Event { name: frame.name, data: &data, exception }, faults);
    true
}

/// Hands one document of several on.
fn line(sieve: Sieve, answer: &mut dyn Answer, faults: &mut Faults) -> bool {
    let (text, _) = sieve.finish();
    answer.event(Event::new("", &String::from_utf8_lossy(&text)), faults);
    true
}

/// Hands one event on; true where it is news.
fn deliver(event: &sse::Event<'_>, answer: &mut dyn Answer, faults: &mut Faults) -> bool {
    let name = event.event.as_deref().unwrap_or_default();
    answer.event(Event::new(name, &event.data), faults);
    name != "ping"
}

/// How many bytes at the start mean nothing.
fn blank(bytes: &[u8]) -> usize {
    let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.len() - rest.trim_ascii_start().len()
}

/// What a body is, by its first bytes; `None` while they are too few.
fn sniff(start: &[u8], label: Label) -> Option<Form> {
    if label == Label::Frames || start.first() == Some(&0) {
        // A prelude tells; an error may be JSON whatever the label says.
        return match eventstream::begins(start) {
            Some(true) => Some(Form::Frames(Box::default())),
            None if label == Label::Frames && !matches!(start.first(), Some(b'{'))
                || start.first() == Some(&0) =>
            {
                None
            }
            _ if label == Label::Frames && start.first() == Some(&b'{') => sniff(start, Label::None),
            _ if label == Label::Frames => Some(Form::Frames(Box::default())),
            _ => Some(Form::Skipped),
        };
    }
    match start.first()? {
        b'{' | b'[' => return Some(Form::Json(Box::new(Sieve::new(limits::RESPONSE_BODY_BYTES)), None)),
        _ if start == b"\xef" || start == b"\xef\xbb" => return None,
        _ => {}
    }
    if label == Label::Events || FIELDS.iter().any(|field| start.starts_with(field)) {
        return Some(Form::Events(Box::new(sse::Parser::new())));
    }
    let possible = FIELDS.iter().any(|field| field.starts_with(start));
    (!possible).then_some(Form::Skipped)
}
