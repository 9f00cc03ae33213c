//! Exchanges that somebody else recorded: read from a file's bytes, replayed as if they passed now.
//!
//! Two shapes are known: one JSON object per line ([`recording`]) and HTTP Archive ([`har`]). What cannot be
//! read is [`Broken`]; what is missing in an exchange that can is a fault on it, and on its calls.

pub mod har;
pub mod recording;
mod replay;
mod text;

use bytes::Bytes;
use thiserror::Error;

use crate::call::{Completion, Fault};
use crate::flow::{Direction, Time};
use crate::http::{Headers, RequestHead, ResponseHead};
use crate::limits;

/// One recorded exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Its identifier, where the file gives one.
    pub id: Option<String>,
    /// Host without port; empty where the file does not tell.
    pub host: String,
    /// Port, where the file names one.
    pub port: Option<u16>,
    /// Whether the scheme was `https` or `wss`.
    pub tls: bool,
    /// The request's head, its target in origin form.
    pub head: RequestHead,
    /// The request's body.
    pub request: Body,
    /// The answer; `None` where none came.
    pub response: Option<Response>,
    /// Messages of the WebSocket that the exchange became.
    pub messages: Vec<Message>,
    /// When things happened; `None` where the file does not tell.
    pub times: Option<Times>,
    /// How it ended.
    pub ending: Ending,
    /// What the file lacks or says badly.
    pub faults: Vec<Fault>,
}

/// A body without its content coding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes.
    pub bytes: Bytes,
    /// Whether the file held it in base64.
    pub base64: bool,
    /// Bytes as they travelled, where the file tells.
    pub wire: Option<u64>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status and fields.
    pub head: ResponseHead,
    /// The body.
    pub body: Body,
    /// The pieces in which the body came, where the file tells; their lengths add up to the body's.
    pub chunks: Vec<Chunk>,
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its length in bytes.
    pub length: usize,
    /// When it came.
    pub time: Time,
}

/// One WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which way.
    pub direction: Direction,
    /// Text, or binary.
    pub text: bool,
    /// Its content.
    pub bytes: Bytes,
    /// When it passed, where the file tells.
    pub time: Option<Time>,
}

/// When the parts of an exchange passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// First byte of the request.
    pub start: Time,
    /// Last byte of the request.
    pub request_end: Time,
    /// First byte of the answer.
    pub first_byte: Time,
    /// Last byte of the answer.
    pub end: Time,
}

/// How a recorded exchange ended, as far as its file tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Nothing says that anything is missing.
    #[default]
    Whole,
    /// The answer broke off, or the file does not hold it.
    Cut,
    /// The client gave up.
    Cancelled,
}

impl Exchange {
    fn completion(&self) -> Completion {
        match (self.ending, &self.response) {
            (Ending::Cancelled, _) => Completion::Cancelled,
            (_, None) => Completion::Unanswered,
            (Ending::Cut, Some(_)) => Completion::Partial,
            (Ending::Whole, Some(_)) => Completion::Complete,
        }
    }

    fn fault(&mut self, kind: &'static str, detail: impl Into<String>) {
        if self.faults.len() < limits::FAULTS {
            self.faults.push(Fault { kind, detail: detail.into() });
        }
    }
}

/// Why a line, an entry or a file cannot be read. Never repeats what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// No JSON.
    #[error("not JSON near {}column {column}", first(*line))]
    Json {
        /// Line, from one.
        line: usize,
        /// Column.
        column: usize,
    },
    /// JSON that ends too early.
    #[error("ends in the middle of its JSON")]
    Cut,
    /// JSON of another shape.
    #[error("no recorded exchange: {0}")]
    Shape(&'static str),
    /// A line of more than [`limits::CAPTURE_LINE_BYTES`].
    #[error("longer than {} bytes", limits::CAPTURE_LINE_BYTES)]
    Long,
    /// More than [`limits::CAPTURE_ENTRIES`].
    #[error("more than {} entries", limits::CAPTURE_ENTRIES)]
    Many,
}

/// A line of the JSON itself, which mostly is in one.
fn first(line: usize) -> String {
    if line > 1 { format!("line {line} ") } else { String::new() }
}

impl Broken {
    fn new(error: &serde_json::Error, shape: &'static str) -> Self {
        match error.classify() {
            serde_json::error::Category::Eof => Self::Cut,
            serde_json::error::Category::Data => Self::Shape(shape),
            _ => Self::Json { line: error.line(), column: error.column() },
        }
    }
}

/// Removes `content-encoding`: who records decodes, whatever the fields still say. It stays where the body's
/// own first bytes prove that it is still compressed.
fn decoded(headers: &mut Headers, body: &[u8]) {
    let compressed = |coding: &str| match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => body.starts_with(&[0x1f, 0x8b]),
        "zstd" => body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        _ => false,
    };
    headers.retain(|(name, value)| name != "content-encoding" || compressed(value));
}

/// `1.0`, `1.1`, `2` or `3` from the many ways to write it. Most files write nothing for HTTP/1.1.
fn version(text: &str) -> &'static str {
    match text.trim().to_ascii_lowercase().trim_start_matches("http/") {
        "1.0" => "1.0",
        "2" | "2.0" | "h2" => "2",
        "3" | "3.0" | "h3" => "3",
        _ => "1.1",
    }
}

/// Host and port of an authority, without user and password.
fn place(authority: &str) -> (String, Option<u16>) {
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase(), port)
}

#[cfg(test)]
mod tests;
