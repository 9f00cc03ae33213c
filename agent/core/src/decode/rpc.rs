//! MCP and A2A over HTTP, recognised by what is said, on any path: methods of JSON-RPC 2.0, or the fields and
//! paths that only these protocols have. Other JSON-RPC stays a plain call.
//!
//! Sources: the specifications of the Model Context Protocol (revisions 2024-11-05 to 2026-07-28) and of the
//! Agent2Agent protocol (0.3 and 1.0).

mod a2a;
mod gate;
mod mark;
mod mcp;
pub(crate) mod pipe;
mod room;

use serde_json::Value;

use super::json::{Get, Object};
use super::{Answer, Body, Ending, Event, Faults, Label, Target, json};
use crate::call::{Kind, Llm, RpcError};
use crate::http::Headers;
use crate::limits;
use crate::redact;
pub(crate) use gate::{Gate, Verdict};
pub(crate) use mark::Mark;
use mark::Verb;
use room::Room;

/// An exchange that may be one of theirs, being read.
#[derive(Debug)]
pub(crate) struct Rpc {
    mark: Mark,
    talk: Talk,
    room: Room,
    label: Label,
    /// The response says that all went well.
    fine: bool,
    /// A message came as an event.
    events: bool,
}

#[derive(Debug)]
enum Talk {
    /// The request is not whole yet; messages of an early answer wait.
    Early(Vec<(Object, bool)>, Room),
    Mcp(mcp::Talk),
    A2a(a2a::Talk),
    /// The answer decides.
    Open,
    /// It is something else.
    Other,
}

/// The value of a field that is not empty.
fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

impl Rpc {
    /// A request of which the head is known.
    pub(crate) fn new(mark: Mark) -> Self {
        Self {
            mark,
            talk: Talk::Early(Vec::new(), Room::new()),
            room: Room::new(),
            label: Label::None,
            fine: false,
            events: false,
        }
    }

    /// Whether it has turned out to be something else.
    pub(crate) fn is_other(&self) -> bool {
        matches!(self.talk, Talk::Other)
    }

    /// Takes the request's body once it is whole. `lost`: there was one that could not be read.
    pub(crate) fn request(&mut self, body: Option<&Body>, lost: bool, faults: &mut Faults) {
        let talk = self.decide(body, lost, faults);
        if let Talk::Early(early, _) = std::mem::replace(&mut self.talk, talk) {
            for (message, whole) in early {
                self.message(message, whole);
            }
        }
    }

    fn decide(&mut self, body: Option<&Body>, lost: bool, faults: &mut Faults) -> Talk {
        let (mark, room) = (&self.mark, &mut self.room);
        let messages = body.map(|body| messages(body, faults)).unwrap_or_default();
        let calls: Vec<&Object> = messages.iter().filter(|message| is_rpc(message)).collect();
        let protocol = calls.iter().find_map(|call| Protocol::of(call, mark));
        match protocol {
            Some(Protocol::A2a) => {
                let call = calls.iter().find(|call| Protocol::of(call, mark) == Some(Protocol::A2a));
                return call.map_or(Talk::Other, |call| Talk::A2a(a2a::Talk::asked(call, mark, room)));
            }
            Some(Protocol::Mcp) => return Talk::Mcp(mcp::Talk::asked(&calls, mark, room)),
            None => {}
        }
        if mark.verb != Verb::Post {
            return match mark.rest {
                _ if mark.session.is_some() && mark.rest.is_none() => Talk::Mcp(mcp::Talk::head(mark)),
                Some(method) if mark.a2a || mark.sure => {
                    Talk::A2a(a2a::Talk::bound(method, None, mark, room))
                }
                None if mark.is_mcp() => Talk::Mcp(mcp::Talk::head(mark)),
                _ => Talk::Open,
            };
        }
        if let Some(method) = mark.rest {
            let body = messages.first();
            if mark.a2a && !a2a::sends(method) || body.is_some_and(a2a::is_send) {
                return Talk::A2a(a2a::Talk::bound(method, body, mark, room));
            }
        }
        // The stateless revision says in fields what the body says, so that nobody has to read it.
        if (lost || body.is_none()) && mark.method.is_some() {
            return Talk::Mcp(mcp::Talk::head(mark));
        }
        Talk::Other
    }

    /// What it was; `None` where it was something else. `stream`: the answer came as events.
    pub(crate) fn into_kind(self, stream: bool, faults: &mut Faults) -> Option<(Kind, Ending)> {
        let stream = stream || self.label == Label::Events;
        let (kind, wants, got) = match self.talk {
            Talk::Mcp(talk) if talk.listens() => {
                // Whoever listens hears all there is, until one side has enough.
                let ending = if self.fine { Ending::Whole } else { Ending::Open };
                self.room.tell(faults);
                return Some((Kind::Mcp(Box::new(talk.finish(stream))), ending));
            }
            Talk::Mcp(talk) => {
                let (wants, got) = (talk.waits(), talk.is_answered());
                (Kind::Mcp(Box::new(talk.finish(stream))), wants, got)
            }
            Talk::A2a(talk) => {
                let got = talk.is_answered(self.events);
                (Kind::A2a(Box::new(talk.finish(stream))), true, got)
            }
            Talk::Early(..) | Talk::Open | Talk::Other => return None,
        };
        self.room.tell(faults);
        let ending = match (wants, got) {
            (true, true) => Ending::Whole,
            // A refusal may be no message at all, and what was only acknowledged is answered elsewhere.
            (true, false) if self.fine && stream => Ending::Cut,
            _ => Ending::Open,
        };
        Some((kind, ending))
    }

    fn message(&mut self, message: Object, whole: bool) {
        if matches!(self.talk, Talk::Open) {
            self.talk = self.opened(&message);
        }
        match &mut self.talk {
            Talk::Early(early, room) => {
                if early.len() < limits::RPC_EARLY && room.fits(&message) {
                    early.push((message, whole));
                }
            }
            Talk::Mcp(talk) => talk.answer(message, whole, &mut self.room),
            Talk::A2a(talk) => talk.answer(message, whole, &mut self.room),
            Talk::Open | Talk::Other => {}
        }
    }

    /// What a request was that did not tell, by the first message of its answer.
    fn opened(&mut self, message: &Object) -> Talk {
        match self.mark.rest {
            Some(method) if a2a::is_answer(method, message) => {
                Talk::A2a(a2a::Talk::bound(method, None, &self.mark, &mut self.room))
            }
            None if is_rpc(message) && mcp::is_ours(message) => Talk::Mcp(mcp::Talk::head(&self.mark)),
            _ => Talk::Other,
        }
    }
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Mcp,
    A2a,
}

impl Protocol {
    fn of(call: &Object, mark: &Mark) -> Option<Self> {
        let Some(method) = call.text("method") else {
            // An answer to a question of the server.
            let answers = call.contains_key("result") || call.contains_key("error");
            return (answers && mark.is_mcp()).then_some(Self::Mcp);
        };
        if mark.mcp {
            Some(Self::Mcp)
        } else if a2a::is_ours(call) || mark.a2a && a2a::is_known(method) {
            Some(Self::A2a)
        } else {
            (mcp::is_ours(call) || mark.is_mcp()).then_some(Self::Mcp)
        }
    }
}

/// The messages of a body: one, or those of a batch.
fn messages(body: &Body, faults: &mut Faults) -> Vec<Object> {
    if body.is_object() {
        return vec![body.object(faults)];
    }
    let elements = body.elements();
    if elements.len() > limits::RPC_BATCH {
        faults.add("limit.rpc_batch", format!("more than {} messages in a batch", limits::RPC_BATCH));
    }
    let object = |value| if let Value::Object(message) = value { Some(message) } else { None };
    super::body::values(&elements).take(limits::RPC_BATCH).filter_map(object).collect()
}

fn is_rpc(message: &Object) -> bool {
    message.text("jsonrpc") == Some("2.0")
}

/// The protocol's error, in JSON-RPC or in the shape of Google's APIs.
fn error(message: &Object, room: &mut Room) -> Option<RpcError> {
    let error = message.object("error")?;
    let code = error.member("code").and_then(Value::as_i64).unwrap_or(0);
    let text = error.text("message").unwrap_or_default();
    let raw = room.value(Value::Object(error.clone())).unwrap_or_default();
    Some(RpcError { code, message: redact::text(room.text(text)).into_owned(), raw })
}

impl Answer for Rpc {
    fn head(&mut self, status: u16, headers: &Headers) {
        self.fine = (200..300).contains(&status);
        self.label = Label::new(value(headers, "content-type"));
        // The server gives the session its id with the answer to the first message.
        let session = value(headers, "mcp-session-id").filter(|_| self.mark.session.is_none());
        if let Some(session) = session {
            self.mark.session = Some(session.to_owned());
            match &mut self.talk {
                Talk::Mcp(talk) => talk.session(session),
                Talk::Open => self.talk = Talk::Mcp(mcp::Talk::head(&self.mark)),
                _ => {}
            }
        }
    }

    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        if self.is_other() {
            return;
        }
        self.events = true;
        let data = event.data.trim();
        if event.name == "endpoint" {
            // MCP's first transport tells where to send.
            let place = data.starts_with('/') || data.starts_with("http");
            if matches!(self.talk, Talk::Open) && self.mark.rest.is_none() && place {
                self.talk = Talk::Mcp(mcp::Talk::head(&self.mark));
            }
            if let Talk::Mcp(talk) = &mut self.talk
                && let Some((_, query)) = data.split_once('?')
                && let Some(session) = mark::session(query)
            {
                talk.session(&session);
            }
            return;
        }
        // Servers that can resume begin with an event that has an id and no data.
        if data.is_empty() {
            return;
        }
        match json::parse(data.as_bytes()) {
            Ok(Value::Object(message)) => self.message(message, true),
            Ok(Value::Array(list)) => {
                for message in list.into_iter().take(limits::RPC_BATCH) {
                    if let Value::Object(message) = message {
                        self.message(message, true);
                    }
                }
            }
            Ok(_) | Err(_) if matches!(self.talk, Talk::Open) => self.talk = Talk::Other,
            Ok(_) => faults.add("json", "an event is no object"),
            Err(reason) => faults.add("json", format!("an event is {reason}")),
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        let whole = body.is_whole();
        self.message(body.into_object(faults), whole);
    }

    fn finish(self: Box<Self>, _llm: &mut Llm) -> Ending {
        Ending::Open
    }
}
