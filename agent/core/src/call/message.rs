//! What is said in a call: messages, their parts, and the tools on offer.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A tool that the request offered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// `function`, or the provider's own type.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// JSON Schema of its parameters.
    pub parameters: Option<Value>,
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what the wire says.
    pub role: String,
    /// What it holds, in order.
    pub parts: Vec<Part>,
    /// For answers: the finish reason in the conventions' words (`stop`, `length`, `tool_call`, …).
    pub finish_reason: Option<String>,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// What the model said in place of an answer that it refused to give.
    Refusal(String),
    /// Visible reasoning or its summary.
    Reasoning(String),
    /// The model asks the client to run a tool.
    ToolCall(ToolCall),
    /// The client's answer to a tool call.
    ToolResult(ToolResult),
    /// A tool that the provider ran itself, its own item as JSON.
    ServerTool {
        /// `call_id`, `id`
        id: Option<String>,
        /// Name of the tool.
        name: String,
        /// The provider's item.
        item: Value,
    },
    /// Media or a file, without its bytes.
    Media {
        /// `image`, `audio`, `video`, `document`
        modality: &'static str,
        /// `image/png`, …
        mime_type: Option<String>,
        /// A URI or file id where the wire gave one; never inline data.
        uri: Option<String>,
        /// Size of inline data in its encoded form.
        bytes: u64,
    },
    /// Anything else: its `type` on the wire.
    Other(String),
    /// What the provider marked an answer with and clients send back as it is (a signature, an item's id):
    /// its digest, see [`Part::seal`].
    Seal(u64),
}

/// A tool call that the model made.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// `call_…`, `toolu_…`; `None` where the wire had none.
    pub id: Option<String>,
    /// Name.
    pub name: String,
    /// Arguments: parsed where they are JSON, else `Value::String` with the raw text.
    pub arguments: Value,
    /// `function`, or `custom` for free-form input.
    pub kind: &'static str,
}

/// The client's answer to a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The id of the call it answers.
    pub id: Option<String>,
    /// Name, where the wire repeats it.
    pub name: Option<String>,
    /// The result: parsed where it is JSON, else text.
    pub response: Value,
    /// Whether the client marked it as an error.
    pub is_error: bool,
}

impl Part {
    /// A seal from the text of the mark. Base64 counts as the same in both of its alphabets.
    pub fn seal(mark: &str) -> Self {
        let level = |byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        let level: Vec<u8> = mark.trim_end_matches('=').bytes().map(level).collect();
        let digest: [u8; 32] = Sha256::digest(&level).into();
        Part::Seal(digest.iter().take(8).fold(0, |seal, byte| seal << 8 | u64::from(*byte)))
    }
}
