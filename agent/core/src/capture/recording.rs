//! One exchange per line: a JSON object with `id`, `provider_host`, `scheme`, `method`, `path`,
//! `request_headers`, `request_body`, `status`, `response_headers`, `response_body` and their like.
//!
//! A body is text, or base64 where `request_body_encoding` or `response_body_encoding` says so. Seconds since
//! the epoch in `started_at`, and the answer's pieces in `chunk_lengths` and `chunk_arrival_s` (seconds since
//! the start), are there where the recorder kept them.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::text::{self, Text};
use super::{Body, Broken, Chunk, Ending, Exchange, Response, Times};
use crate::flow::Time;
use crate::http::{RequestHead, ResponseHead};

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Line {
    id: Value,
    provider_host: Option<Text>,
    scheme: Option<Text>,
    method: Option<Text>,
    path: Option<Text>,
    request_headers: Value,
    request_body: Option<Text>,
    request_body_encoding: Option<Text>,
    status: Value,
    response_headers: Value,
    response_body: Option<Text>,
    response_body_encoding: Option<Text>,
    http_version: Option<Text>,
    started_at: Value,
    chunk_arrival_s: Value,
    chunk_lengths: Value,
}

/// Reads one line.
pub fn read(line: &[u8]) -> Result<Exchange, Broken> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start_matches('\u{feff}').trim();
    let shape = "a line is an object with method, path and bodies";
    let line: Line = serde_json::from_str(text).map_err(|error| Broken::new(&error, shape))?;
    // A list would be taken for the members in their order.
    if !text.starts_with('{') {
        return Err(Broken::Shape(shape));
    }
    let (Some(method), Some(path)) = (line.method, line.path) else {
        return Err(Broken::Shape("a line has a method and a path"));
    };
    let string = |text: Option<Text>| text.map(Text::into_string).unwrap_or_default();
    let (host, port) = super::place(&string(line.provider_host));
    let mut exchange = Exchange {
        id: match line.id {
            Value::String(id) => Some(id),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        },
        tls: !string(line.scheme).eq_ignore_ascii_case("http"),
        head: RequestHead {
            method: method.into_string(),
            target: path.into_string(),
            authority: None,
            version: super::version(&string(line.http_version)),
            headers: text::headers(&line.request_headers),
        },
        host,
        port,
        ..Exchange::default()
    };
    exchange.request = body(line.request_body, line.request_body_encoding, "request", &mut exchange);
    super::decoded(&mut exchange.head.headers, &exchange.request.bytes);
    let body = body(line.response_body, line.response_body_encoding, "response", &mut exchange);
    let mut headers = text::headers(&line.response_headers);
    super::decoded(&mut headers, &body.bytes);
    let start = text::number(&line.started_at).and_then(text::nanos).map(Time);
    let chunks = start
        .and_then(|start| chunks(&line.chunk_lengths, &line.chunk_arrival_s, start, body.bytes.len()))
        .unwrap_or_default();
    exchange.times = start.filter(|_| !chunks.is_empty()).map(|start| {
        let at = |chunk: Option<&Chunk>| chunk.map_or(start, |chunk| chunk.time);
        Times { start, request_end: start, first_byte: at(chunks.first()), end: at(chunks.last()) }
    });
    let status = text::status(&line.status);
    if status.is_none() && !body.bytes.is_empty() {
        exchange.fault("capture", "there is a response without a status");
    }
    exchange.response =
        status.map(|status| Response { head: ResponseHead { status, headers }, body, chunks });
    Ok(exchange)
}

fn body(text: Option<Text>, encoding: Option<Text>, side: &str, exchange: &mut Exchange) -> Body {
    let Text(text) = text.unwrap_or_default();
    let base64 = encoding.is_some_and(|encoding| encoding.0.eq_ignore_ascii_case(b"base64"));
    let bytes = if base64 { text::base64(&text) } else { Some(text) };
    if bytes.is_none() {
        exchange.fault("capture", format!("the {side}'s body is no base64"));
        exchange.ending = Ending::Cut;
    }
    Body { bytes: Bytes::from(bytes.unwrap_or_default()), base64, wire: None }
}

/// The pieces, where they are the body's.
fn chunks(lengths: &Value, arrivals: &Value, start: Time, size: usize) -> Option<Vec<Chunk>> {
    let (lengths, arrivals) = (lengths.as_array()?, arrivals.as_array()?);
    if lengths.len() != arrivals.len() {
        return None;
    }
    let mut rest = size;
    let mut out = Vec::with_capacity(lengths.len().min(size));
    for (length, arrival) in lengths.iter().zip(arrivals) {
        let length = usize::try_from(length.as_u64()?).ok()?;
        rest = rest.checked_sub(length)?;
        let after = text::number(arrival).and_then(text::nanos)?;
        // Empty pieces carry nothing, and so cannot make the list longer than the body.
        if length > 0 {
            out.push(Chunk { length, time: Time(start.0.saturating_add(after)) });
        }
    }
    (rest == 0).then_some(out)
}
