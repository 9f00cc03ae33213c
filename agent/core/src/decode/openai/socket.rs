//! The WebSocket transport of Responses, as Codex speaks it: one connection, many responses one after another.
//! The client sends `response.create` with what the HTTP body would hold; the server sends the same events
//! as it would over SSE.

use serde_json::Value;

use super::responses::{Reply, Responses, request};
use crate::call::Llm;
use crate::decode::json::Get;
use crate::decode::{Body, Ending, Faults, Format, tail};

/// Whether an upgrade on this path may carry Responses.
pub(crate) fn claims(path: &str) -> bool {
    tail(path, &["responses"])
}

/// One response on the connection.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The trace context that the client sent with this message, as it came: headers belong to the upgrade.
    pub(crate) traceparent: Option<String>,
    llm: Box<Llm>,
    reply: Reply,
    /// Of the request.
    pub(crate) faults: Faults,
}

/// Reads a message of the client. `None` where it begins no response.
///
/// `base` is what the upgrade's headers say of the caller.
pub(crate) fn create(message: &[u8], base: &Llm) -> Option<Turn> {
    let mut faults = Faults::default();
    let mut body = Body::read(message, &mut faults);
    // `response.append` is what earlier versions called a request that goes on.
    if !matches!(body.small().text("type"), Some("response.create" | "response.append")) {
        return None;
    }
    // The body's fields stand beside `type`; a nested `response` is the other spelling of this protocol.
    if !body.has("input")
        && let Some(inner) = body.raw("response").filter(|inner| inner.starts_with(b"{"))
    {
        body = Body::read(&inner, &mut faults);
    }
    let traceparent = body
        .small()
        .object("client_metadata")
        .and_then(|metadata| metadata.text("ws_request_header_traceparent"));
    let traceparent = traceparent.map(str::to_owned);
    let mut llm = Box::new(base.clone());
    llm.auxiliary = body.small().member("generate").and_then(Value::as_bool) == Some(false);
    llm.stream = true;
    request(&body, &mut llm, &mut faults);
    Some(Turn { traceparent, llm, reply: Reply::default(), faults })
}

impl Turn {
    /// Reads a message of the server; true where it ended this response.
    pub(crate) fn event(&mut self, message: &str, faults: &mut Faults) -> bool {
        self.reply.read(message, faults) || self.reply.failed()
    }

    /// Writes what is known.
    pub(crate) fn finish(self) -> (Box<Llm>, Ending) {
        let Turn { mut llm, reply, .. } = self;
        let failed = reply.failed();
        let ending = reply.write(&mut llm);
        (llm, if failed { Ending::Cut } else { ending })
    }
}

/// The format that these calls have.
pub(crate) fn format() -> &'static dyn Format {
    &Responses
}
