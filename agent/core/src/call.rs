//! What one exchange meant.

mod lazy;
mod message;
mod rpc;

use crate::flow::{FlowId, Plane, Time};
use crate::process::ProcessKey;
pub use lazy::Lazy;
pub use message::{Message, Part, ToolCall, ToolDefinition, ToolResult};
pub use rpc::{A2a, Mcp, RpcError};

/// One request and its answer, understood.
#[derive(Clone, Debug)]
pub struct Call {
    /// The connection it travelled on.
    pub flow: FlowId,
    /// Its number on that connection, from zero, in the order of the requests.
    pub index: u64,
    /// The process that made it, where it is known.
    pub process: Option<ProcessKey>,
    /// How its connection was captured.
    pub plane: Plane,
    /// First byte of the request.
    pub start: Time,
    /// Last byte of the request.
    pub request_end: Time,
    /// First byte of the response.
    pub first_byte: Option<Time>,
    /// First piece of a streamed answer (first event that is no comment or ping).
    pub first_chunk: Option<Time>,
    /// Last byte of the response, or the moment it was cut.
    pub end: Time,
    /// The HTTP side.
    pub http: Http,
    /// What it was.
    pub kind: Kind,
    /// How it ended.
    pub completion: Completion,
    /// What could not be read or did not fit the format, beside what could. At most `limits::FAULTS`.
    pub faults: Vec<Fault>,
}

/// The HTTP side of a call. No header value of a credential is ever in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// `POST`, `GET`, …
    pub method: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host as the client named it (`:authority`, `Host`, SNI), without port.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path without query.
    pub path: String,
    /// Query with secret values replaced; `None` where there was none.
    pub query: Option<String>,
    /// Response status; `None` where no response came.
    pub status: Option<u16>,
    /// `1.0`, `1.1`, `2`, or `websocket`.
    pub version: &'static str,
    /// Request body bytes as they travelled (compressed).
    pub request_bytes: u64,
    /// Response body bytes as they travelled.
    pub response_bytes: u64,
    /// `content-type` of the response.
    pub content_type: Option<String>,
    /// `user-agent`.
    pub user_agent: Option<String>,
    /// `traceparent` of the request, if well-formed.
    pub traceparent: Option<String>,
    /// The provider's id for the request (`x-request-id`, `request-id`, …).
    pub request_id: Option<String>,
    /// The SDK's retry counter (`x-stainless-retry-count`).
    pub resend_count: Option<u32>,
    /// How often something between client and provider tried (`x-envoy-attempt-count`); 1 is the first time.
    pub attempts: Option<u32>,
    /// Fields of the response that tell of rate limits, as sent. At most `limits::RATE_FIELDS`.
    pub rate_limits: Vec<(String, String)>,
}

/// What kind of call it was.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An inference call to a model.
    Llm(Box<Llm>),
    /// A message of the Model Context Protocol: a tool that is called, or what prepares it.
    Mcp(Box<Mcp>),
    /// A message of the Agent2Agent protocol: another agent that is asked.
    A2a(Box<A2a>),
    /// Any other HTTP exchange.
    Plain,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completion {
    /// Everything that the format demands arrived.
    Complete,
    /// The answer was cut: connection lost, stream without its terminal event, origin reset.
    Partial,
    /// The client went away before the answer was whole.
    Cancelled,
    /// No response at all.
    Unanswered,
}

/// A thing that could not be read, beside what could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable short name, e.g. `json`, `sse`, `truncated`, `gap`, `encoding`, `limit.request_body`.
    pub kind: &'static str,
    /// One line for a person. Never holds content or secrets.
    pub detail: String,
}

/// An inference call.
#[derive(Clone, Debug, Default)]
pub struct Llm {
    /// `chat`, `text_completion`, … of the GenAI conventions.
    pub operation: &'static str,
    /// Value of `gen_ai.provider.name`.
    pub provider: String,
    /// Whether host, port or headers say so. Otherwise `provider` is the one whose format it is.
    pub provider_said: bool,
    /// The wire format: `openai.chat`, `openai.responses`, `anthropic.messages`.
    pub api: &'static str,
    /// Whether the answer was streamed (decided by the response).
    pub stream: bool,
    /// Model asked for.
    pub request_model: Option<String>,
    /// Model that answered.
    pub response_model: Option<String>,
    /// Id of the response.
    pub response_id: Option<String>,
    /// Id of the response that this one continues.
    pub previous_response_id: Option<String>,
    /// Conversation or session id that the wire says, and where it stood.
    pub conversation: Option<Conversation>,
    /// End-user identifier as sent.
    pub user: Option<String>,
    /// Organisation that is charged: what the response says, else the request.
    pub organization: Option<String>,
    /// Project inside the organisation, or the cloud project in the path.
    pub project: Option<String>,
    /// Who calls: agent name where it says so deterministically (`claude-code`, `codex`).
    pub agent: Option<String>,
    /// This call's thread inside the agent (Codex `thread-id`, Claude's agent id), and the parent thread.
    pub thread: Option<Thread>,
    /// Token counts.
    pub usage: Usage,
    /// Dollars that the response itself says it cost.
    pub stated_cost: Option<f64>,
    /// What it cost, or why that is not known; `None` until a [`crate::price::Book`] was asked.
    pub cost: Option<Result<crate::price::Cost, crate::price::Unpriced>>,
    /// What was billed beside `usage` and is not inside it: runs of other models that the provider made on the
    /// way (Anthropic `usage.iterations`).
    pub outside: Vec<Outside>,
    /// How often the provider ran tools that it bills by use, by their names (Anthropic `usage.server_tool_use`).
    pub tool_uses: Vec<(String, u64)>,
    /// Vectors asked for have this many dimensions.
    pub dimensions: Option<u64>,
    /// Reasons as the provider gave them, one per choice.
    pub finish_reasons: Vec<String>,
    /// Request parameters.
    pub params: Params,
    /// Tools that were offered.
    pub tools: Lazy<ToolDefinition>,
    /// Instructions apart from the history.
    pub system: Lazy<Part>,
    /// History as sent.
    pub input: Lazy<Message>,
    /// The messages of `input` that may hold tool calls or their results; where a format does not tell them
    /// apart, `input` itself.
    pub exchanges: Option<Lazy<Message>>,
    /// Answer, one message per choice.
    pub output: Vec<Message>,
    /// The error that the provider reported, in the body or inside the stream.
    pub error: Option<ProviderError>,
    /// True where the request only warms a cache or counts tokens and no model ran.
    pub auxiliary: bool,
    /// OpenAI service tier that answered, Anthropic `usage.service_tier`.
    pub service_tier: Option<String>,
    /// `system_fingerprint`.
    pub system_fingerprint: Option<String>,
}

/// A conversation id and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The id.
    pub id: String,
    /// Where it stood, e.g. `header:session-id`, `body:conversation`, `body:metadata.user_id`.
    pub source: &'static str,
}

/// A thread inside an agent's session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// This thread.
    pub id: String,
    /// The thread that spawned it, or for agents that know sessions only, the session.
    pub parent: Option<String>,
    /// Whether the wire says that an agent started it, and not a person.
    pub spawned: bool,
}

/// Token counts. `None` is unknown, `Some(0)` is what the provider said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Everything sent, cached tokens included.
    pub input: Option<u64>,
    /// Everything generated, reasoning included.
    pub output: Option<u64>,
    /// Part of `input` that was read from a cache.
    pub cache_read: Option<u64>,
    /// Part of `input` that was written to a cache.
    pub cache_write: Option<u64>,
    /// Part of `output` that was reasoning.
    pub reasoning: Option<u64>,
    /// Part of `cache_write` that was written for an hour, which costs more.
    pub cache_write_1h: Option<u64>,
    /// Part of `input` that was audio.
    pub audio_input: Option<u64>,
    /// Part of `output` that was audio.
    pub audio_output: Option<u64>,
}

/// Tokens that were billed beside an answer's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// What for: `compaction`, `advisor_message`, …
    pub kind: String,
    /// The model that ran, where it is said.
    pub model: Option<String>,
    /// Its tokens.
    pub usage: Usage,
}

/// Request parameters, as sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// `temperature`
    pub temperature: Option<f64>,
    /// `top_p`
    pub top_p: Option<f64>,
    /// `top_k`
    pub top_k: Option<f64>,
    /// `max_tokens`, `max_completion_tokens`, `max_output_tokens`
    pub max_tokens: Option<u64>,
    /// `frequency_penalty`
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`
    pub presence_penalty: Option<f64>,
    /// `seed`
    pub seed: Option<i64>,
    /// `stop`, `stop_sequences`
    pub stop: Vec<String>,
    /// `n`
    pub choices: Option<u64>,
    /// `reasoning.effort`, `reasoning_effort`, `output_config.effort`
    pub reasoning_level: Option<String>,
    /// `json` where a JSON answer was asked for, `text` where plain text was, else `image` or `speech`.
    pub output_type: Option<&'static str>,
    /// `service_tier`
    pub service_tier: Option<String>,
}

/// An error that the provider reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// `error.type` or `error.code`, low cardinality.
    pub kind: String,
    /// Message.
    pub message: String,
}

impl Llm {
    /// Every tool call of the answer, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.output.iter().flat_map(|m| &m.parts).filter_map(|p| match p {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The messages of the request that hold all its tool calls and results.
    pub fn tooling(&self) -> &[Message] {
        self.exchanges.as_ref().unwrap_or(&self.input)
    }

    /// Every tool result that the request carries, in order.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.tooling().iter().flat_map(|m| &m.parts).filter_map(|p| match p {
            Part::ToolResult(result) => Some(result),
            _ => None,
        })
    }
}
