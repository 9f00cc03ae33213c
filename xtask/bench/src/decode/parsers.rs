//! What is done with the bytes: Trackway's own way, and parsers alone.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use trackway_core::call::{Call, Completion, Kind};
use trackway_core::flow::{Flow, FlowId, Plane, Start, Time};
use trackway_core::http::{Event, RequestHead, ResponseHead};
use trackway_core::observe::Reader;
use trackway_core::sse;

use super::corpus;

/// Reads bytes; gives something that depends on all of them.
pub(crate) type Work = fn(&[u8]) -> u64;

pub(crate) const REQUEST: &[(&str, Work)] = &[
    ("trackway", |bytes| tokens(&exchange(corpus::CHAT, bytes, ANSWER))),
    ("trackway, and the tool results of the request", |bytes| {
        results(&exchange(corpus::CHAT, bytes, ANSWER))
    }),
    ("trackway, and every message and tool", |bytes| everything(&exchange(corpus::CHAT, bytes, ANSWER))),
    ("serde_json, into Value", |bytes| serde_json::from_slice::<serde_json::Value>(bytes).is_ok().into()),
    ("serde_json, typed, long members raw", |bytes| {
        serde_json::from_slice::<Typed<'_>>(bytes).map_or(0, |it| it.size())
    }),
    ("sonic-rs, into Value", |bytes| sonic_rs::from_slice::<sonic_rs::Value>(bytes).is_ok().into()),
    ("sonic-rs, lazy members", sonic_lazy),
    ("simd-json, borrowed value", |bytes| {
        let mut copy = bytes.to_vec();
        simd_json::to_borrowed_value(&mut copy).is_ok().into()
    }),
];

pub(crate) const CHAT_STREAM: &[(&str, Work)] = &[
    ("trackway", |bytes| tokens(&exchange(corpus::CHAT, b"{\"model\":\"m\",\"messages\":[]}", bytes))),
    ("events alone", |bytes| events(bytes, |data| data.len() as u64)),
    ("events, serde_json into Value", |bytes| {
        events(bytes, |data| serde_json::from_str::<serde_json::Value>(data).is_ok().into())
    }),
    ("events, serde_json typed", |bytes| {
        events(bytes, |data| serde_json::from_str::<Chunk<'_>>(data).map_or(0, |it| it.size()))
    }),
    ("events, sonic-rs typed", |bytes| {
        events(bytes, |data| sonic_rs::from_str::<Chunk<'_>>(data).map_or(0, |it| it.size()))
    }),
];

pub(crate) const OTHER_STREAM: &[(&str, Work)] = &[
    ("trackway", other),
    ("events alone", |bytes| events(bytes, |data| data.len() as u64)),
    ("events, serde_json into Value", |bytes| {
        events(bytes, |data| serde_json::from_str::<serde_json::Value>(data).is_ok().into())
    }),
];

const ANSWER: &[u8] = br#"{"id":"c","choices":[{"message":{"content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;

fn other(bytes: &[u8]) -> u64 {
    if bytes.starts_with(b"event: message_start") {
        let request = br#"{"model":"m","max_tokens":9,"messages":[]}"#;
        tokens(&exchange(corpus::MESSAGES, request, bytes))
    } else {
        tokens(&exchange(corpus::RESPONSES, br#"{"model":"m","input":"x"}"#, bytes))
    }
}

/// One exchange, in pieces as the proxy hands them on.
fn exchange(path: &str, request: &[u8], response: &[u8]) -> Vec<Call> {
    const PIECE: usize = 16 * 1024;
    let mut out = Vec::new();
    let flow = Flow {
        id: FlowId(1),
        process: None,
        plane: Plane::Explicit,
        start: Start::Seen,
        host: Some("api.openai.com".to_owned()),
        destination: None,
        port: 443,
        tls: true,
        alpn: None,
        opened: Time(0),
    };
    let mut reader = Reader::new(flow);
    let head = RequestHead {
        method: "POST".to_owned(),
        target: path.to_owned(),
        authority: Some("api.openai.com".to_owned()),
        version: "1.1",
        headers: Vec::new(),
    };
    let time = Time(1);
    reader.event(Event::Request { id: 0, head: Box::new(head), first_byte: time, time }, &mut out);
    for piece in request.chunks(PIECE) {
        let bytes = Bytes::copy_from_slice(piece);
        reader.event(Event::RequestData { id: 0, bytes, time }, &mut out);
    }
    reader.event(Event::RequestEnd { id: 0, time }, &mut out);
    let head = Box::new(ResponseHead { status: 200, headers: Vec::new() });
    reader.event(Event::Response { id: 0, head, first_byte: time, time }, &mut out);
    for piece in response.chunks(PIECE) {
        let bytes = Bytes::copy_from_slice(piece);
        reader.event(Event::ResponseData { id: 0, bytes, time }, &mut out);
    }
    let end = Event::End { id: 0, completion: Completion::Complete, wire_request: 0, wire_response: 0, time };
    reader.event(end, &mut out);
    out
}

fn tokens(calls: &[Call]) -> u64 {
    calls
        .iter()
        .map(|call| if let Kind::Llm(llm) = &call.kind { llm.usage.output.unwrap_or(0) } else { 0 })
        .sum()
}

fn results(calls: &[Call]) -> u64 {
    let count = |call: &Call| if let Kind::Llm(llm) = &call.kind { llm.tool_results().count() } else { 0 };
    calls.iter().map(count).sum::<usize>() as u64
}

fn everything(calls: &[Call]) -> u64 {
    let count = |call: &Call| {
        let Kind::Llm(llm) = &call.kind else { return 0 };
        llm.input.len() + llm.tools.len() + llm.system.len()
    };
    calls.iter().map(count).sum::<usize>() as u64
}

fn events(bytes: &[u8], mut each: impl FnMut(&str) -> u64) -> u64 {
    let (mut parser, mut sum) = (sse::Parser::new(), 0);
    for piece in bytes.chunks(16 * 1024) {
        parser.push(piece, |event| sum += each(&event.data));
    }
    sum
}

fn sonic_lazy(bytes: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    sonic_rs::to_object_iter(text)
        .filter_map(Result::ok)
        .map(|(_, value)| value.as_raw_str().len() as u64)
        .sum()
}

/// A chat request of which the history stays raw.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    temperature: Option<f64>,
}

impl Typed<'_> {
    fn size(&self) -> u64 {
        let raw: usize = self.messages.iter().chain(&self.tools).map(|raw| raw.get().len()).sum();
        raw as u64 + self.model.len() as u64 + u64::from(self.temperature.is_some())
    }
}

/// A chunk of which only the text counts.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
}

impl Chunk<'_> {
    fn size(&self) -> u64 {
        let one = |choice: &Choice<'_>| {
            choice.delta.content.as_deref().map_or(0, str::len)
                + choice.finish_reason.as_deref().map_or(0, str::len)
        };
        (self.id.len() + self.choices.iter().map(one).sum::<usize>()) as u64
    }
}
