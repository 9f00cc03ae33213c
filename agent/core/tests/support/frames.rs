//! Frames of AWS event streams, made.
#![allow(dead_code, reason = "every test binary uses its own part")]

use base64::Engine;
use serde_json::Value;

/// A frame with headers that hold text.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    let mut out = u32::try_from(16 + head.len() + payload.len()).unwrap().to_be_bytes().to_vec();
    out.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(head);
    out.extend(payload.as_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

/// An event.
pub(crate) fn event(name: &str, payload: &str) -> Vec<u8> {
    let kind = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    frame(&kind, payload)
}

/// A piece of a model's own answer.
pub(crate) fn chunk(piece: &Value) -> Vec<u8> {
    let bytes = base64::engine::general_purpose::STANDARD.encode(piece.to_string());
    event("chunk", &serde_json::json!({"bytes": bytes, "p": "abcdef"}).to_string())
}

/// What ends a stream that failed.
pub(crate) fn exception(kind: &str, key: &str, name: &str, payload: &str) -> Vec<u8> {
    frame(&[(key, name), (":message-type", kind), (":error-message", "said in a header")], payload)
}
