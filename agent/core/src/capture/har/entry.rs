//! One entry of an archive.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

use super::super::text::{self, Text};
use super::super::{self as capture, Body, Broken, Ending, Exchange, Message, Response, Times};
use crate::flow::{Direction, Time};
use crate::http::{RequestHead, ResponseHead};
use crate::limits;

/// What is read of an entry. Members that are told apart by their type stay values, so that one odd member
/// costs no entry.
#[derive(Deserialize)]
struct Entry {
    request: Request,
    #[serde(default)]
    response: Option<Answer>,
    #[serde(default, rename = "startedDateTime")]
    started: Value,
    #[serde(default)]
    timings: Value,
    #[serde(default, rename = "_webSocketMessages")]
    messages: Option<Vec<SocketMessage>>,
    #[serde(default, rename = "_resourceType")]
    resource: Value,
    #[serde(default, rename = "_id")]
    id: Value,
    #[serde(default, rename = "_error")]
    error: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    method: Option<Text>,
    url: Text,
    #[serde(default)]
    http_version: Option<Text>,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    post_data: Option<PostData>,
    #[serde(default)]
    body_size: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PostData {
    mime_type: Option<Text>,
    text: Option<Text>,
    params: Option<Vec<Param>>,
    #[serde(alias = "_encoding")]
    encoding: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Param {
    name: Option<Text>,
    value: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    status: Value,
    headers: Value,
    content: Option<Content>,
    body_size: Value,
    #[serde(rename = "_error")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    size: Value,
    mime_type: Option<Text>,
    text: Option<Text>,
    encoding: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SocketMessage {
    #[serde(rename = "type")]
    kind: Option<Text>,
    time: Value,
    opcode: Value,
    data: Option<Text>,
}

/// Reads one entry.
pub(super) fn read(json: &str) -> Result<Exchange, Broken> {
    let shape = "an entry has a request with a url";
    let entry: Entry = serde_json::from_str(json).map_err(|error| Broken::new(&error, shape))?;
    // A list would be taken for the members in their order.
    if !json.trim_start().starts_with('{') {
        return Err(Broken::Shape(shape));
    }
    let answer = entry.response.unwrap_or_default();
    let times = times(&entry.started, &entry.timings);
    let mut exchange = Exchange {
        id: entry.id.as_str().filter(|id| !id.is_empty()).map(str::to_owned),
        times,
        ..Exchange::default()
    };
    request(entry.request, &mut exchange);
    let error =
        [&answer.error, &entry.error].into_iter().find_map(Value::as_str).filter(|text| !text.is_empty());
    if let Some(error) = error {
        // Chromium's name for what the page itself gave up.
        let cancelled = error.contains("ERR_ABORTED");
        exchange.ending = if cancelled { Ending::Cancelled } else { Ending::Cut };
        exchange.fault("capture", "the recorder noted an error of the transport");
    }
    let messages = entry.messages.unwrap_or_default();
    let socket = !messages.is_empty() || entry.resource == "websocket";
    if messages.len() > limits::CAPTURE_MESSAGES {
        exchange.fault("limit.messages", format!("more than {} messages", limits::CAPTURE_MESSAGES));
        exchange.ending = Ending::Cut;
    }
    for message in messages.into_iter().take(limits::CAPTURE_MESSAGES) {
        socket_message(message, &mut exchange);
    }
    // A WebSocket that carried messages was upgraded, whatever status was kept.
    let upgraded = socket && !exchange.messages.is_empty();
    let status = if upgraded { Some(101) } else { text::status(&answer.status) };
    if let Some(status) = status {
        exchange.response = Some(response(status, answer, &mut exchange));
    }
    Ok(exchange)
}

fn request(request: Request, exchange: &mut Exchange) {
    let url = request.url.into_string();
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = if scheme.is_empty() { ("", rest) } else { rest.split_at(end) };
    (exchange.host, exchange.port) = capture::place(authority);
    exchange.tls = ["https", "wss"].iter().any(|secure| scheme.eq_ignore_ascii_case(secure));
    let mut headers = text::headers(&request.headers);
    let form = request.post_data.unwrap_or_default();
    let mime = form.mime_type.map(Text::into_string).unwrap_or_default();
    if text::field(&headers, "content-type").is_none() && !mime.is_empty() {
        headers.push(("content-type".to_owned(), mime.clone()));
    }
    exchange.head = RequestHead {
        method: request.method.map_or_else(|| "GET".to_owned(), Text::into_string),
        target: match target {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        },
        authority: None,
        version: capture::version(&request.http_version.map(Text::into_string).unwrap_or_default()),
        headers,
    };
    let sent = form.text.filter(|text| !text.0.is_empty());
    let params = form.params.unwrap_or_default();
    let size = text::count(&request.body_size).filter(|size| *size > 0);
    let (body, lost) = match sent {
        Some(text) => body(text, form.encoding, "request", exchange),
        // Only this kind of form is its parameters and nothing else.
        None if !params.is_empty() && mime.to_ascii_lowercase().contains("x-www-form-urlencoded") => {
            (Body { bytes: urlencoded(params).into(), ..Body::default() }, false)
        }
        None => (Body::default(), size.is_some() || !params.is_empty()),
    };
    if lost {
        exchange.fault("capture", "the file does not hold the request's body");
    }
    exchange.request = Body { wire: size, ..body };
    capture::decoded(&mut exchange.head.headers, &exchange.request.bytes);
}

fn response(status: u16, answer: Answer, exchange: &mut Exchange) -> Response {
    let mut headers = text::headers(&answer.headers);
    let content = answer.content.unwrap_or_default();
    let mime = content.mime_type.map(Text::into_string).unwrap_or_default();
    // Chromium writes `x-unknown` where there was none.
    if text::field(&headers, "content-type").is_none() && mime.contains('/') {
        headers.push(("content-type".to_owned(), mime));
    }
    let wire = text::count(&answer.body_size).filter(|size| *size > 0);
    let size = text::count(&content.size).filter(|size| *size > 0);
    let received = content.text.filter(|text| !text.0.is_empty());
    let (body, lost) = match received {
        Some(text) => body(text, content.encoding, "response", exchange),
        None => (Body::default(), size.or(wire).is_some() && status != 101),
    };
    if lost {
        exchange.fault("capture", "the file does not hold the response's body");
        if exchange.ending == Ending::Whole {
            exchange.ending = Ending::Cut;
        }
    }
    capture::decoded(&mut headers, &body.bytes);
    Response { head: ResponseHead { status, headers }, body: Body { wire, ..body }, chunks: Vec::new() }
}

/// A body, and whether it is lost.
fn body(text: Text, encoding: Option<Text>, side: &str, exchange: &mut Exchange) -> (Body, bool) {
    let base64 = encoding.is_some_and(|encoding| encoding.0.eq_ignore_ascii_case(b"base64"));
    let bytes = if base64 { text::base64(&text.0) } else { Some(text.0) };
    if bytes.is_none() {
        exchange.fault("capture", format!("the {side}'s body is no base64"));
    }
    let lost = bytes.is_none();
    (Body { bytes: Bytes::from(bytes.unwrap_or_default()), base64, wire: None }, lost)
}

fn socket_message(message: SocketMessage, exchange: &mut Exchange) {
    let direction =
        match message.kind.map(Text::into_string).unwrap_or_default().to_ascii_lowercase().as_str() {
            "send" | "request" | "outgoing" => Direction::ToOrigin,
            "receive" | "response" | "incoming" => Direction::ToClient,
            _ => return exchange.fault("capture", "a message of the WebSocket has no direction"),
        };
    // Opcodes of RFC 6455. Text where none is given: that is what most send.
    let opcode = text::count(&message.opcode).unwrap_or(1);
    if opcode > 2 {
        return;
    }
    let Text(data) = message.data.unwrap_or_default();
    let text = opcode != 2;
    // Writers put binary messages in base64; what is none is taken as it stands.
    let bytes = if text { data } else { text::base64(&data).unwrap_or(data) };
    let time = text::number(&message.time).and_then(text::nanos).filter(|time| *time > 0).map(Time);
    exchange.messages.push(Message { direction, text, bytes: bytes.into(), time });
}

/// Form fields as they travel (WHATWG URL, application/x-www-form-urlencoded).
fn urlencoded(params: Vec<Param>) -> Vec<u8> {
    let mut out = Vec::new();
    let write = |text: Option<Text>, out: &mut Vec<u8>| {
        for byte in text.unwrap_or_default().0 {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(byte),
                b' ' => out.push(b'+'),
                _ => out.extend(format!("%{byte:02X}").into_bytes()),
            }
        }
    };
    for param in params {
        if !out.is_empty() {
            out.push(b'&');
        }
        write(param.name, &mut out);
        out.push(b'=');
        write(param.value, &mut out);
    }
    out
}

/// The start as ISO 8601 with its offset, and milliseconds for each phase after it; -1 is one that did not
/// happen. `ssl` is part of `connect`.
fn times(started: &Value, timings: &Value) -> Option<Times> {
    let started = OffsetDateTime::parse(started.as_str()?.trim(), &Iso8601::DEFAULT).ok()?;
    let mut at = u64::try_from(started.unix_timestamp_nanos()).ok()?;
    let mut after = |phases: &[&str]| {
        for phase in phases {
            let ms = timings.get(phase).and_then(text::number).unwrap_or(0.0);
            at = at.saturating_add(text::nanos(ms / 1e3).unwrap_or(0));
        }
        Time(at)
    };
    Some(Times {
        start: after(&["blocked", "dns", "connect"]),
        request_end: after(&["send"]),
        first_byte: after(&["wait"]),
        end: after(&["receive"]),
    })
}
