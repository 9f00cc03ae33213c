//! Streamed Messages: blocks put together by their index.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{blocks, messages::Meta};
use crate::call::Part;
use crate::decode::json::{self, Get, Object, Text, take_object, take_text};
use crate::decode::{Ending, Event, Faults, append, openai};
use crate::limits;

/// The state of one stream.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: BTreeMap<u64, Block>,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Block {
    start: Object,
    text: String,
    json: String,
}

/// A piece of a block, in the shape that nearly every event has.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Text<'a>>,
}

impl Blocks {
    pub(super) fn event(&mut self, event: Event<'_>, meta: &mut Meta, faults: &mut Faults) {
        let data = event.data.trim();
        // Nearly every event is a piece of text, and needs no tree. What has another shape fails here.
        if let Ok(piece) = serde_json::from_str::<Piece<'_>>(data)
            && piece.kind == "content_block_delta"
        {
            let [text, thinking, json] =
                [&piece.delta.text, &piece.delta.thinking, &piece.delta.partial_json]
                    .map(|more| Text::get(more.as_ref()));
            return self.delta(piece.index, text, thinking, json, faults);
        }
        let Some(mut body) = crate::decode::object(data, faults) else { return };
        let kind = body.text("type").unwrap_or(event.name).to_owned();
        let index = body.count("index").unwrap_or(0);
        match kind.as_str() {
            "message_start" => {
                if let Some(mut message) = take_object(&mut body, "message") {
                    meta.read(&mut message);
                }
            }
            "content_block_start" => {
                if self.blocks.len() >= limits::PARTS {
                    return faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
                }
                let start = take_object(&mut body, "content_block").unwrap_or_default();
                self.blocks.insert(index, Block { start, ..Block::default() });
            }
            "content_block_delta" => {
                if let Some(delta) = body.object("delta") {
                    let [text, thinking, json] =
                        ["text", "thinking", "partial_json"].map(|key| delta.text(key));
                    self.delta(index, text, thinking, json, faults);
                }
            }
            "message_delta" => {
                if let Some(mut delta) = take_object(&mut body, "delta") {
                    meta.reason = take_text(&mut delta, "stop_reason").or(meta.reason.take());
                }
                let usage = take_object(&mut body, "usage");
                meta.counted |= usage.as_ref().is_some_and(|usage| usage.count("output_tokens").is_some());
                meta.merge(usage);
            }
            "message_stop" => self.stopped = true,
            "error" => meta.error = openai::error(&body),
            _ => {}
        }
    }

    fn delta(
        &mut self,
        index: u64,
        text: Option<&str>,
        thinking: Option<&str>,
        json: Option<&str>,
        faults: &mut Faults,
    ) {
        if !self.blocks.contains_key(&index) && self.blocks.len() >= limits::PARTS {
            return faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
        }
        let block = self.blocks.entry(index).or_default();
        if let Some(more) = text {
            append(&mut block.text, more, faults);
            block.default_kind("text");
        } else if let Some(more) = thinking {
            append(&mut block.text, more, faults);
            block.default_kind("thinking");
        } else if let Some(more) = json {
            append(&mut block.json, more, faults);
            block.default_kind("tool_use");
        }
    }

    pub(super) fn ending(&self) -> Ending {
        if self.stopped { Ending::Whole } else { Ending::Cut }
    }

    pub(super) fn finish(self) -> Vec<Part> {
        self.blocks.into_values().filter_map(Block::finish).collect()
    }
}

impl Block {
    /// A delta whose start was lost still tells what it is part of.
    fn default_kind(&mut self, kind: &str) {
        if !self.start.contains_key("type") {
            self.start.insert("type".to_owned(), Value::String(kind.to_owned()));
        }
    }

    fn finish(mut self) -> Option<Part> {
        let key = match self.start.text("type") {
            Some("text") => Some("text"),
            Some("thinking") => Some("thinking"),
            _ => None,
        };
        if let Some(key) = key {
            let mut text = take_text(&mut self.start, key).unwrap_or_default();
            text.push_str(&self.text);
            self.start.insert(key.to_owned(), Value::String(text));
        }
        if !self.json.is_empty() {
            // Nothing written means that the start's own input, `{}`, stands.
            self.start.insert("input".to_owned(), json::arguments(Value::String(self.json)));
        }
        blocks::one(self.start)
    }
}
