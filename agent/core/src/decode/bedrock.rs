//! Amazon Bedrock: `/model/{id}/converse`, `…/invoke` and their streams. The model stands in the path, encoded;
//! it may be an inference profile or an ARN. Source: the API reference of `bedrock-runtime`.

mod blocks;
mod converse;
mod invoke;
mod texts;

pub(crate) use converse::Converse;
pub(crate) use invoke::Invoke;

use super::json::{Get, Object};
use super::{Event, Target, json, openai, segments};
use crate::call::{ProviderError, Usage};
use crate::http::Headers;
use crate::limits;
use crate::redact;

/// The model of a path that ends with `/model/{id}/{verb}`.
fn model(target: &Target<'_>, verb: &str) -> Option<String> {
    let mut parts = segments(target.path);
    let known = target.method == "POST" && parts.next() == Some(verb);
    let id = parts.next().filter(|_| known)?;
    // An ARN whose slash was not encoded takes several segments.
    let mut id = id.to_owned();
    for part in parts {
        if part == "model" {
            return Some(decoded(&id));
        }
        id = format!("{part}/{id}");
    }
    None
}

/// Percent-decoding (RFC 3986 section 2.1).
pub(super) fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let value = digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match value.filter(|_| *byte == b'%') {
            Some(value) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Counts of Converse and Nova: cached tokens stand beside the input.
fn usage(usage: &Object) -> Usage {
    let cached = |kind: &str| {
        usage
            .count(&format!("cache{kind}InputTokens"))
            .or_else(|| usage.count(&format!("cache{kind}InputTokenCount")))
    };
    let hour = |detail: &&serde_json::Value| detail.text("ttl") == Some("1h");
    Usage {
        cache_write_1h: usage.items("cacheDetails").iter().find(hour).and_then(|it| it.count("inputTokens")),
        ..counted(usage.count("inputTokens"), usage.count("outputTokens"), cached)
    }
}

/// Counts of which `Read` from and `Write` to a cache stand beside the input.
fn counted(input: Option<u64>, output: Option<u64>, cached: impl Fn(&str) -> Option<u64>) -> Usage {
    let (read, write) = (cached("Read"), cached("Write"));
    let beside = read.unwrap_or(0).saturating_add(write.unwrap_or(0));
    Usage {
        input: input.map(|count| count.saturating_add(beside)),
        output,
        cache_read: read,
        cache_write: write,
        ..Usage::default()
    }
}

/// What the fields of a response say.
#[derive(Debug, Default)]
struct Head {
    /// The status, where it says that the request failed.
    failed: Option<u16>,
    /// `x-amzn-errortype`, without the name space that may follow it.
    error: Option<String>,
    usage: Usage,
}

impl Head {
    fn new(status: u16, headers: &Headers) -> Self {
        let get =
            |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
        let count = |kind: &str| get(&format!("x-amzn-bedrock-{kind}-token-count"))?.parse::<u64>().ok();
        let error = get("x-amzn-errortype").and_then(|kind| kind.split(':').next());
        Self {
            failed: Some(status).filter(|status| *status >= 400),
            error: error.filter(|kind| !kind.is_empty()).map(str::to_owned),
            usage: counted(count("input"), count("output"), |kind| {
                count(&format!("cache-{}-input", kind.to_ascii_lowercase()))
            }),
        }
    }

    /// The error that a body of a failed request describes.
    fn described(&self, body: &Object) -> Option<ProviderError> {
        if self.failed.is_none() && self.error.is_none() {
            return None;
        }
        // What stands before Bedrock may describe its own errors in a shape of its own.
        let other = openai::error(body).filter(|error| error.kind != "_OTHER" || !error.message.is_empty());
        let kind = ["__type", "code", "Code"].iter().find_map(|key| body.filled(key)).map(named);
        let kind = self.error.clone().or(kind);
        let message = ["message", "Message"].iter().find_map(|key| body.text(key)).map(str::to_owned);
        let inner = other.as_ref().map(|error| error.kind.clone()).filter(|kind| kind != "_OTHER");
        let status = self.failed.map(|status| status.to_string());
        Some(failure(
            kind.or(inner).or(status).as_deref(),
            &message.or(other.map(|error| error.message)).unwrap_or_default(),
        ))
    }
}

/// The name of an error without its name space: `com.amazon.coral.service#AccessDeniedException`.
fn named(kind: &str) -> String {
    kind.rsplit('#').next().unwrap_or_default().to_owned()
}

/// The exception that ended a stream. What it says is JSON by the specification, and text where it is not.
fn exception(event: Event<'_>) -> ProviderError {
    match json::parse(event.data.trim().as_bytes()) {
        Ok(value) if value.is_object() => {
            let message = ["message", "Message"].iter().find_map(|key| value.text(key));
            failure(Some(event.name), message.unwrap_or_default())
        }
        _ => {
            let end = event.data.floor_char_boundary(limits::ERROR_BYTES);
            failure(Some(event.name), event.data.get(..end).unwrap_or_default())
        }
    }
}

/// An error by its name.
fn failure(kind: Option<&str>, message: &str) -> ProviderError {
    ProviderError {
        kind: kind.filter(|kind| !kind.is_empty()).unwrap_or("_OTHER").to_owned(),
        message: redact::text(message).into_owned(),
    }
}
