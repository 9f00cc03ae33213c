//! A chunk of a stream in the shape that nearly every one has, read without building a tree.
//!
//! What has another shape is refused here, and read as any JSON: errors, counts, lists of parts, custom tools,
//! and whatever comes next. So this file may be strict.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A string of the wire, borrowed where it holds no escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(super) fn get(text: Option<&Self>) -> Option<&str> {
        text.map(|text| text.0.as_ref())
    }
}

/// A chunk that holds nothing but deltas.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) system_fingerprint: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Option<IgnoredAny>,
    #[serde(default)]
    x_groq: Option<IgnoredAny>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// What one chunk says of one choice.
#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) delta: Delta<'a>,
    #[serde(default)]
    usage: Option<IgnoredAny>,
    #[serde(default)]
    message: Option<IgnoredAny>,
}

/// A piece of a message.
#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(super) role: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<Fragment<'a>>>,
    #[serde(default)]
    function_call: Option<IgnoredAny>,
    #[serde(default)]
    executed_tools: Option<IgnoredAny>,
}

/// A piece of a tool call.
#[derive(Debug, Deserialize)]
pub(super) struct Fragment<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function: Function<'a>,
    #[serde(default)]
    custom: Option<IgnoredAny>,
}

/// The function of a tool call.
#[derive(Debug, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Text<'a>>,
}

impl<'a> Chunk<'a> {
    /// The chunk, where it has this shape and no other.
    pub(super) fn read(data: &'a str) -> Option<Self> {
        let chunk: Self = serde_json::from_str(data).ok()?;
        let plain = chunk.usage.is_none()
            && chunk.x_groq.is_none()
            && chunk.error.is_none()
            && chunk.choices.iter().all(|choice| {
                let delta = &choice.delta;
                let tools = delta.tool_calls.as_deref().unwrap_or_default();
                choice.usage.is_none()
                    && choice.message.is_none()
                    && delta.function_call.is_none()
                    && delta.executed_tools.is_none()
                    && tools.iter().all(|tool| tool.custom.is_none())
            });
        plain.then_some(chunk)
    }
}
