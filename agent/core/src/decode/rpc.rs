//! MCP and A2A over HTTP, recognised by what is said, on any path: methods of JSON-RPC 2.0, or the fields and
//! paths that only these protocols have. Other JSON-RPC stays a plain call.
//!
//! Sources: the specifications of the Model Context Protocol (revisions 2024-11-05 to 2026-07-28) and of the
//! Agent2Agent protocol (0.3 and 1.0).

mod a2a;
mod mcp;
pub(crate) mod pipe;

use serde_json::Value;

use super::json::{Get, Object, take_text};
use super::{Answer, Body, Ending, Event, Faults, Label, Target, json, segments};
use crate::call::{Kind, Llm, RpcError};
use crate::http::Headers;
use crate::limits;
use crate::redact;

/// An exchange of one of them, being read.
#[derive(Debug)]
pub(crate) struct Rpc {
    talk: Talk,
    label: Label,
    /// The answer to what was asked came.
    answered: bool,
    events: bool,
}

#[derive(Debug)]
enum Talk {
    Mcp(mcp::Talk),
    A2a(a2a::Talk),
    /// An opened stream of events that may turn out to be MCP's first transport.
    Perhaps {
        endpoint: bool,
    },
}

/// Whether a request may be one, so that its body is worth keeping.
pub(crate) fn claims(target: &Target<'_>) -> bool {
    let field = |name: &str| value(target.headers, name);
    match target.method {
        "POST" => {
            let json = field("content-type").is_some_and(|kind| kind.contains("json"));
            json || mcp::is_marked(target.headers) || a2a::verb(target).is_some()
        }
        "GET" => {
            let events = field("accept").is_some_and(|accept| accept.contains("text/event-stream"));
            events && (mcp::is_marked(target.headers) || segments(target.path).next() == Some("sse"))
                || a2a::verb(target).is_some()
        }
        "DELETE" => mcp::is_marked(target.headers),
        _ => false,
    }
}

/// The value of a field.
fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

impl Rpc {
    /// Reads a request; `None` where it is something else.
    pub(crate) fn new(target: &Target<'_>, body: Option<&Body>, faults: &mut Faults) -> Option<Self> {
        let messages = body.map(|body| messages(body, faults)).unwrap_or_default();
        let calls: Vec<&Object> = messages.iter().filter(|message| is_rpc(message)).collect();
        let first = calls.iter().find(|call| call.text("method").is_some()).or(calls.first()).copied();
        let talk = if let Some(talk) = a2a::Talk::new(target, first, messages.first()) {
            Talk::A2a(talk)
        } else if let Some(talk) = mcp::Talk::new(target, first) {
            Talk::Mcp(talk)
        } else if target.method == "GET" {
            Talk::Perhaps { endpoint: false }
        } else {
            return None;
        };
        Some(Self { talk, label: Label::None, answered: false, events: false })
    }

    /// What it was. The transport's events are known from `stream`.
    pub(crate) fn into_kind(self, stream: bool) -> (Kind, Ending) {
        let stream = stream || self.label == Label::Events;
        let ending = if self.events && self.answered { Ending::Whole } else { Ending::Open };
        match self.talk {
            Talk::Mcp(talk) => (Kind::Mcp(Box::new(talk.finish(stream))), ending),
            Talk::A2a(talk) => (Kind::A2a(Box::new(talk.finish(stream))), ending),
            Talk::Perhaps { endpoint: true } => {
                (Kind::Mcp(Box::new(mcp::Talk::opened().finish(true))), ending)
            }
            Talk::Perhaps { .. } => (Kind::Plain, Ending::Open),
        }
    }

    fn message(&mut self, message: Object) {
        self.answered |= match &mut self.talk {
            Talk::Mcp(talk) => talk.answer(message),
            Talk::A2a(talk) => talk.answer(message),
            Talk::Perhaps { .. } => false,
        };
    }
}

/// The messages of a body: one, or those of a batch.
fn messages(body: &Body, faults: &mut Faults) -> Vec<Object> {
    if body.is_object() {
        return vec![body.object(faults)];
    }
    let object = |value| if let Value::Object(message) = value { Some(message) } else { None };
    super::body::values(&body.elements()).filter_map(object).take(limits::RPC_BATCH).collect()
}

fn is_rpc(message: &Object) -> bool {
    message.text("jsonrpc") == Some("2.0")
}

/// The protocol's error, in JSON-RPC or in the shape of Google's APIs.
fn error(message: &Object) -> Option<RpcError> {
    let error = message.object("error")?;
    let code = error.member("code").and_then(Value::as_i64).unwrap_or(0);
    let text = error.text("message").unwrap_or_default();
    let mut raw = Value::Object(error.clone());
    json::shrink(&mut raw);
    Some(RpcError { code, message: redact::text(text).into_owned(), raw })
}

impl Answer for Rpc {
    fn head(&mut self, _status: u16, headers: &Headers) {
        self.label = Label::new(value(headers, "content-type"));
        if let Talk::Mcp(talk) = &mut self.talk {
            talk.head(headers);
        }
    }

    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        self.events = true;
        if event.name == "endpoint" {
            // MCP's first transport tells where to send.
            if let Talk::Perhaps { endpoint } = &mut self.talk {
                *endpoint = true;
            }
            return;
        }
        let data = event.data.trim();
        if data.is_empty() {
            return;
        }
        match json::parse(data.as_bytes()) {
            Ok(Value::Object(message)) => self.message(message),
            Ok(Value::Array(list)) => {
                for message in list {
                    if let Value::Object(message) = message {
                        self.message(message);
                    }
                }
            }
            Ok(_) => faults.add("json", "an event is no object"),
            Err(reason) => faults.add("json", format!("an event is {reason}")),
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.message(body.into_object(faults));
    }

    fn finish(self: Box<Self>, _llm: &mut Llm) -> Ending {
        Ending::Open
    }
}

/// Takes a text that is not empty.
fn filled(object: &mut Object, key: &str) -> Option<String> {
    take_text(object, key).filter(|text| !text.is_empty())
}
