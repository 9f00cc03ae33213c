//! Amazon Bedrock: `/model/{id}/converse`, `…/invoke` and their streams. The model stands in the path, encoded;
//! it may be an inference profile or an ARN. Source: the API reference of `bedrock-runtime`.

mod blocks;
mod converse;
mod invoke;
mod texts;

pub(crate) use converse::Converse;
pub(crate) use invoke::Invoke;

use super::json::{Get, Object};
use super::{Target, segments};
use crate::call::{ProviderError, Usage};
use crate::http::Headers;
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
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *byte == b'%') {
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
    failed: bool,
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
            failed: status >= 400,
            error: error.filter(|kind| !kind.is_empty()).map(str::to_owned),
            usage: counted(count("input"), count("output"), |kind| {
                count(&format!("cache-{}-input", kind.to_ascii_lowercase()))
            }),
        }
    }

    /// The error that a body of a failed request describes.
    fn described(&self, body: &Object) -> Option<ProviderError> {
        let message = ["message", "Message"].iter().find_map(|key| body.text(key));
        (self.failed || self.error.is_some())
            .then(|| failure(self.error.as_deref(), message.unwrap_or_default()))
    }
}

/// An error by its name.
fn failure(kind: Option<&str>, message: &str) -> ProviderError {
    ProviderError {
        kind: kind.filter(|kind| !kind.is_empty()).unwrap_or("_OTHER").to_owned(),
        message: redact::text(message).into_owned(),
    }
}
