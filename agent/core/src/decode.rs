//! The providers' wire formats.
//!
//! A format is judged by the tail of the path and by the body, never by the host: the same bodies travel to
//! providers, clouds, gateways and `localhost`. To add one is to write a file that implements [`Format`] and
//! [`Answer`], and to name it in [`FORMATS`].

mod anthropic;
mod bedrock;
mod body;
mod cohere;
mod finish;
mod gemini;
mod host;
pub(crate) mod identity;
mod intake;
pub(crate) mod json;
mod media;
mod ollama;
mod openai;
mod rerank;
mod resource;
pub(crate) mod rpc;
mod sieve;
pub(crate) mod unplaced;
mod watsonx;

use std::fmt::Debug;

use crate::call::{Fault, Llm};
use crate::http::Headers;
use crate::limits;
pub(crate) use body::Body;
pub(crate) use intake::{Intake, Label};
pub(crate) use openai::socket;
pub(crate) use sieve::{Sieve, Step};

/// Every format that is known, in the order in which they are asked.
static FORMATS: &[&dyn Format] = &[
    &openai::chat::Chat,
    &openai::responses::Responses,
    &openai::responses::Retrieve,
    &anthropic::messages::Messages,
    &anthropic::complete::Complete,
    &openai::completions::Completions,
    &openai::embeddings::Embeddings,
    &cohere::Chat,
    &cohere::First,
    &cohere::Generate,
    &cohere::Embed,
    &rerank::Rerank,
    &ollama::Ollama::Chat,
    &ollama::Ollama::Generate,
    &ollama::Ollama::Embed,
    &bedrock::Converse { stream: false },
    &bedrock::Converse { stream: true },
    &bedrock::Invoke { stream: false },
    &bedrock::Invoke { stream: true },
    &watsonx::Watsonx,
    &gemini::Generate { stream: false, wrapped: true },
    &gemini::Generate { stream: true, wrapped: true },
    &gemini::Generate { stream: false, wrapped: false },
    &gemini::Generate { stream: true, wrapped: false },
    &gemini::Embed,
    &gemini::Predict,
    &gemini::Interactions,
];

/// One wire format.
pub(crate) trait Format: Debug + Sync {
    /// Value of [`Llm::api`].
    fn api(&self) -> &'static str;

    /// Provider where the host names none.
    fn provider(&self) -> &'static str;

    /// Value of [`Llm::operation`].
    fn operation(&self) -> &'static str {
        "chat"
    }

    /// What the path says.
    fn claim(&self, target: &Target<'_>) -> Claim;

    /// Whether a request's body is of this format. Asked only after [`Format::claim`].
    fn fits(&self, body: &Body) -> bool;

    /// Reads the request. Members that are long are left for later: see [`crate::call::Lazy`].
    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults);

    /// Begins to read an answer.
    fn answer(&self) -> Box<dyn Answer>;
}

/// An answer as it arrives: either events or one body.
pub(crate) trait Answer: Debug + Send {
    /// The status and fields of the response, before anything else.
    fn head(&mut self, _status: u16, _headers: &Headers) {}

    /// One server-sent event, one line of several, or one element of a list.
    fn event(&mut self, event: Event<'_>, faults: &mut Faults);

    /// A JSON object that is all of the answer. It may have broken off.
    fn body(&mut self, body: Body, faults: &mut Faults);

    /// Nothing more comes: writes what is known.
    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending;
}

/// What a path says about a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is something else.
    No,
    /// It may be; the body has to fit.
    Perhaps,
    /// It is, as long as a readable body does not contradict.
    Yes,
}

/// How an answer ended, as far as its format tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that the format demands was there, whatever became of the connection after it.
    Whole,
    /// The format does not tell; the transport does.
    Open,
    /// Something was missing.
    Cut,
    /// It is no answer of this format, and the call none of a model.
    Other,
}

impl Ending {
    /// The same on a path and with a request that are not a format's alone: the answer has to have its shape
    /// too, unless the host is known to be a provider's.
    fn of(self, shaped: bool, llm: &Llm) -> Self {
        if shaped || llm.provider_said { self } else { Self::Other }
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// `POST`, …
    pub(crate) method: &'a str,
    /// Path without query.
    pub(crate) path: &'a str,
    /// Fields of the request.
    pub(crate) headers: &'a Headers,
}

/// An event of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// Its `event` field; empty where there was none.
    pub(crate) name: &'a str,
    /// Its `data`.
    pub(crate) data: &'a str,
    /// Whether the stream ends with it because something went wrong (event streams of AWS).
    pub(crate) exception: bool,
}

impl<'a> Event<'a> {
    /// An event that is no exception.
    pub(crate) fn new(name: &'a str, data: &'a str) -> Self {
        Self { name, data, exception: false }
    }
}

/// The faults of one call, bounded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault once.
    pub(crate) fn add(&mut self, kind: &'static str, detail: impl Into<String>) {
        self.push(Fault { kind, detail: detail.into() });
    }

    /// Notes a fault once.
    pub(crate) fn push(&mut self, fault: Fault) {
        if self.0.len() < limits::FAULTS && !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// The formats that a request to this target may have.
pub(crate) fn candidates(target: &Target<'_>) -> Vec<&'static dyn Format> {
    FORMATS.iter().copied().filter(|format| format.claim(target) != Claim::No).collect()
}

/// Chooses among candidates: by the body where it could be read, else by the path alone.
pub(crate) fn choose(
    candidates: &[&'static dyn Format],
    target: &Target<'_>,
    body: Option<&Body>,
) -> Option<&'static dyn Format> {
    candidates.iter().copied().find(|format| match body {
        Some(body) => format.fits(body),
        None => format.claim(target) == Claim::Yes,
    })
}

/// An inference call of which only its format and target are known.
pub(crate) fn begin(format: &dyn Format, host: &str, port: u16) -> Llm {
    let said = host::provider(host, port);
    Llm {
        operation: format.operation(),
        provider: said.unwrap_or(format.provider()).to_owned(),
        provider_said: said.is_some(),
        api: format.api(),
        ..Llm::default()
    }
}

/// The object that an event's data holds; what is none is a fault.
fn object(data: &str, faults: &mut Faults) -> Option<json::Object> {
    match json::parse(data.as_bytes()) {
        Ok(serde_json::Value::Object(object)) => return Some(object),
        Ok(_) => faults.add("json", "an event is no object"),
        Err(reason) => faults.add("json", format!("an event is {reason}")),
    }
    None
}

/// The path's segments, last first, empty ones left out.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|segment| !segment.is_empty())
}

/// Whether the path ends with these segments.
fn tail(path: &str, end: &[&str]) -> bool {
    let mut segments = segments(path);
    end.iter().rev().all(|wanted| segments.next() == Some(*wanted))
}

/// Appends to text that a stream builds up, within bounds.
fn append(text: &mut String, more: &str, faults: &mut Faults) {
    if text.len().saturating_add(more.len()) <= limits::PART_BYTES {
        text.push_str(more);
    } else {
        faults.add("limit.part", format!("a part of the answer is longer than {} bytes", limits::PART_BYTES));
    }
}
