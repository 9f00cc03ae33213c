//! Header blocks: collecting them over CONTINUATION frames, and what their fields say.

use super::frame::Head;
use super::hpack::Field;
use crate::http::Headers;
use crate::limits;

/// A header block that is being collected.
#[derive(Debug)]
pub(super) struct Block {
    /// The frame that began it.
    pub(super) head: Head,
    pub(super) bytes: Vec<u8>,
}

/// Fields of a block, bounded as the heads of HTTP/1 are.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) status: Option<u16>,
    scheme: bool,
    pub(super) headers: Headers,
    /// Whether fields were left out.
    pub(super) overflow: bool,
    /// Fields of which the name, or the value, was said before the connection was joined.
    pub(super) unknown: usize,
    size: usize,
}

impl Block {
    pub(super) fn new(head: Head, bytes: Vec<u8>) -> Self {
        Self { head, bytes }
    }

    /// Adds a CONTINUATION; false where it is another stream's or the block gets too long.
    pub(super) fn extend(&mut self, head: Head, bytes: &[u8]) -> bool {
        let fits = self.bytes.len() + bytes.len() <= limits::HEADER_BLOCK_BYTES;
        self.bytes.extend_from_slice(if fits { bytes } else { &[] });
        fits && head.stream == self.head.stream
    }
}

impl Fields {
    pub(super) fn add(&mut self, field: Field<'_>) {
        let (Some(name), Some(value)) = (field.name, field.value) else {
            self.unknown += 1;
            return;
        };
        self.size = self.size.saturating_add(name.len() + value.len());
        if self.size > limits::HEAD_BYTES || self.headers.len() >= limits::HEADERS {
            self.overflow = true;
            return;
        }
        let value = String::from_utf8_lossy(value).into_owned();
        match name {
            b":method" => self.method = Some(value),
            b":path" => self.path = Some(value),
            b":authority" => self.authority = Some(value),
            b":status" => self.status = value.parse().ok(),
            b":scheme" => self.scheme = matches!(value.as_str(), "https" | "http"),
            _ if name.starts_with(b":") => {}
            _ => self.headers.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value)),
        }
    }

    /// Whether they are certainly those of a request, and neither trailers nor noise.
    pub(super) fn is_request(&self) -> bool {
        let others = [&self.method, &self.path, &self.authority];
        // Whoever speaks of a scheme says it by a number of the static table.
        self.scheme && (self.unknown > 0 || others.iter().any(|other| other.is_some()))
            || self.method.as_deref() == Some("CONNECT") && self.authority.is_some()
    }

    /// What is to be said of the fields that are not known, the ones that may be among them by name.
    pub(super) fn unknown(&self, request: bool) -> Option<String> {
        let missing: &[(&str, bool)] = if request {
            &[
                (":method", self.method.is_none()),
                (":path", self.path.is_none()),
                (":authority", self.authority.is_none()),
            ]
        } else {
            &[(":status", self.status.is_none())]
        };
        let names: Vec<_> = missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
        let count = self.unknown;
        match (count, names.as_slice()) {
            (0, _) => None,
            (_, []) => Some(format!("{count} header fields were said before we joined")),
            (_, names) => {
                Some(format!("{count} header fields were said before we joined, maybe {}", names.join(", ")))
            }
        }
    }
}
