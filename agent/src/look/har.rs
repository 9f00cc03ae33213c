//! A run's requests as an HTTP archive (<http://www.softwareishard.com/blog/har-12-spec/>).
//!
//! Spans keep what a request meant, not its bytes. What is known of method, address, status, times and sizes stands
//! in the members that HAR has for it; what was said stands in the body as JSON under its attributes' names, with a
//! comment that says so. Nothing is made up: what is not known is empty or -1, as HAR wants it, and named.

use std::io::Write;

use serde_json::{Map, Value, json};
use trackway_core::names;
use trackway_core::telemetry::Content;

use super::{Error, json};
use crate::store::{Store, Stored, Summary};

/// What was said in a request, and what in its answer.
const ASKED: [&str; 4] =
    [names::SYSTEM_INSTRUCTIONS, names::INPUT_MESSAGES, names::TOOL_DEFINITIONS, names::TOOL_ARGUMENTS];
const ANSWERED: [&str; 2] = [names::OUTPUT_MESSAGES, names::TOOL_RESULT];

const REBUILT: &str = "rebuilt by trackway from the span's attributes: not the bytes that passed";
const ABSENT: &str = "the body was not kept";

/// Writes the archive.
pub(super) fn archive(
    store: &Store,
    run: &Summary,
    policy: Content,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let head = json!({
        "version": "1.2",
        "creator": {"name": "trackway", "version": env!("CARGO_PKG_VERSION")},
        "comment": format!(
            "Run {} of {}. Headers and bodies were not kept: a body here is rebuilt, or absent, as its comment says.",
            run.trace, run.agent
        ),
    });
    let head = head.to_string();
    // Entries are written as they come: a run may hold many.
    write!(out, "{{\"log\":{},\"entries\":[", head.trim_end_matches('}'))?;
    let mut written = Ok(());
    let mut first = true;
    store.spans(run.id, policy, true, |stored| {
        if let Some(entry) = entry(store, &stored) {
            let comma = if std::mem::take(&mut first) { "\n" } else { ",\n" };
            written = write!(out, "{comma}{entry}");
        }
        written.is_ok()
    })?;
    written?;
    writeln!(out, "\n]}}}}")?;
    Ok(())
}

/// The entry of one exchange; `None` for a span that is none.
fn entry(store: &Store, stored: &Stored) -> Option<Value> {
    // Only exchanges have both.
    stored.value(names::CAPTURE_PLANE)?;
    let host = stored.text(names::SERVER_ADDRESS)?;
    if stored.value(names::UNREAD_REASON).is_some() {
        return None;
    }
    let mut unknown = Vec::new();
    let sent = stored.text(names::HTTP_METHOD_ORIGINAL).or_else(|| stored.text(names::HTTP_METHOD));
    let method = sent.unwrap_or_else(|| {
        unknown.push("method");
        ""
    });
    let url = stored.text(names::URL_FULL).map(str::to_owned).unwrap_or_else(|| {
        unknown.push("path");
        address(stored, host, &mut unknown)
    });
    let status = stored.number(names::HTTP_STATUS).unwrap_or(0);
    let span = &stored.span;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds with a fraction")]
    let time = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as f64 / 1e6;
    let first = match stored.value(names::TIME_TO_FIRST_CHUNK) {
        Some(opentelemetry_proto::tonic::common::v1::any_value::Value::DoubleValue(seconds)) => {
            (seconds * 1e3).min(time)
        }
        _ => time,
    };
    let size = |key| stored.number(key).unwrap_or(-1);
    let version = stored.text(names::NETWORK_PROTOCOL_VERSION).map(|version| format!("HTTP/{version}"));
    let (asked, answered) = (said(stored, &ASKED), said(stored, &ANSWERED));
    let mut request = json!({
        "method": method, "url": url, "httpVersion": version.clone().unwrap_or_default(), "cookies": [],
        "headers": [], "queryString": [], "headersSize": -1, "bodySize": size(names::HTTP_REQUEST_BODY_SIZE),
    });
    match asked {
        Some(body) => {
            request["postData"] = json!({
                "mimeType": "application/json", "params": [], "text": body, "comment": REBUILT,
            });
        }
        None => request["comment"] = ABSENT.into(),
    }
    let content = match answered {
        Some(body) => json!({
            "size": size(names::HTTP_RESPONSE_BODY_SIZE), "mimeType": "application/json", "text": body,
            "comment": REBUILT,
        }),
        None => json!({
            "size": size(names::HTTP_RESPONSE_BODY_SIZE), "mimeType": "x-unknown", "comment": ABSENT,
        }),
    };
    let unknown = match unknown.as_slice() {
        [] => String::new(),
        unknown => format!("; not known: {}", unknown.join(", ")),
    };
    Some(json!({
        "startedDateTime": store.iso(span.start_time_unix_nano),
        "time": time,
        "request": request,
        "response": {
            "status": status, "statusText": "", "httpVersion": version.unwrap_or_default(), "cookies": [],
            "headers": [], "content": content, "redirectURL": "", "headersSize": -1,
            "bodySize": size(names::HTTP_RESPONSE_BODY_SIZE),
            "_error": stored.error().filter(|_| status == 0),
        },
        "cache": {},
        "timings": {"send": 0, "wait": first, "receive": time - first, "comment": "send is part of wait"},
        "_id": stored.id(),
        "comment": format!("span {}: {}{unknown}", stored.id(), span.name),
    }))
}

/// Where a request went, as far as its span says.
fn address(stored: &Stored, host: &str, unknown: &mut Vec<&'static str>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = stored.number(names::SERVER_PORT).unwrap_or(0);
    // The port of HTTPS says so well enough; any other says nothing.
    let scheme = stored.text(names::URL_SCHEME).unwrap_or_else(|| {
        if port != 443 {
            unknown.push("scheme");
        }
        if port == 80 { "http" } else { "https" }
    });
    match (scheme, port) {
        (_, 0) | ("https", 443) | ("http", 80) => format!("{scheme}://{host}/"),
        _ => format!("{scheme}://{host}:{port}/"),
    }
}

/// The attributes that hold what was said, as one JSON object.
fn said(stored: &Stored, keys: &[&str]) -> Option<String> {
    let mut members = Map::new();
    for key in keys {
        let Some(attribute) = stored.span.attributes.iter().find(|it| it.key == **key) else { continue };
        let value = json::value(attribute.value.as_ref());
        // Messages are JSON in a text.
        let inner = value.as_str().and_then(|text| serde_json::from_str(text).ok());
        members.insert((*key).to_owned(), inner.unwrap_or(value));
    }
    (!members.is_empty()).then(|| Value::Object(members).to_string())
}
