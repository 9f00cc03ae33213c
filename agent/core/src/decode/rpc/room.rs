//! How much of its answers one exchange may keep.

use serde_json::Value;

use crate::decode::json::{self, Object};
use crate::decode::{Faults, sieve::length};
use crate::limits;

/// Bytes that are left.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
    over: bool,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { left: limits::RPC_KEPT_BYTES, over: false }
    }

    /// Whether so many bytes more may be kept.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.over |= left.is_none();
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// The value without the bytes of media, if there is room for it.
    pub(super) fn value(&mut self, mut value: Value) -> Option<Value> {
        json::shrink(&mut value);
        strip(&mut value);
        self.take(weight(&value)).then_some(value)
    }

    /// Whether a message may wait as it is.
    pub(super) fn fits(&mut self, message: &Object) -> bool {
        let bytes = message.iter().map(|(key, value)| key.len() + weight(value)).sum();
        self.take(bytes)
    }

    /// The text, or nothing where there is no room for it.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> &'a str {
        if self.take(text.len()) { text } else { "" }
    }

    /// Says if something did not fit.
    pub(super) fn tell(&self, faults: &mut Faults) {
        if self.over {
            faults.add("limit.rpc", format!("messages of more than {} bytes", limits::RPC_KEPT_BYTES));
        }
    }
}

/// Replaces the bytes of media by their number: `data` of images and sounds, `blob` of resources.
fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(members) => {
            let media = matches!(members.get("type").and_then(Value::as_str), Some("image" | "audio"));
            let encoded = members.contains_key("uri") || members.contains_key("mimeType");
            for (key, member) in members.iter_mut() {
                match member {
                    Value::String(text) if media && key == "data" || encoded && key == "blob" => {
                        // What was long is its length already.
                        if !text.starts_with('[') {
                            *text = format!("[{} bytes]", length(text));
                        }
                    }
                    other => strip(other),
                }
            }
        }
        _ => {}
    }
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    const EACH: usize = 32;
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + EACH + weight(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_become_their_length() {
        let given = json!({"content": [
            {"type": "image", "data": "QUJD", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "blob": "QUJDRA=="}},
            {"type": "text", "text": "data", "data": "kept"}], "structuredContent": {"blob": "kept"}});
        let kept = Room::new().value(given).unwrap();
        assert_eq!(
            kept,
            json!({"content": [
            {"type": "image", "data": "[4 bytes]", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "blob": "[8 bytes]"}},
            {"type": "text", "text": "data", "data": "kept"}], "structuredContent": {"blob": "kept"}})
        );
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let (mut room, mut faults) = (Room::new(), Faults::default());
        let long = "a b ".repeat(limits::RPC_KEPT_BYTES / 8);
        assert!(room.value(Value::from(long.as_str())).is_some());
        room.tell(&mut faults);
        assert!(room.value(Value::from(long.as_str())).is_none());
        // Something small still fits.
        assert_eq!(room.text("small"), "small");
        room.tell(&mut faults);
        assert_eq!(faults.into_vec()[0].kind, "limit.rpc");
    }
}
