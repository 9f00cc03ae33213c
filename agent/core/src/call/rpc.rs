//! Calls of tools and agents: MCP and A2A, which both speak JSON-RPC 2.0 or something like it.

use serde_json::Value;

/// An error of the protocol, as opposed to a tool that failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpcError {
    /// `code`
    pub code: i64,
    /// `message`
    pub message: String,
    /// The error as it was sent.
    pub raw: Value,
}

/// One exchange of MCP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mcp {
    /// `tools/call`, …; `None` for what has no method of its own (opening or ending a session, an answer).
    pub method: Option<String>,
    /// Its JSON-RPC id, a string or a number.
    pub id: Option<Value>,
    /// Messages that the answer held: the result, notifications, questions of the server.
    pub messages: u64,
    /// Those of them that were notifications.
    pub notifications: u64,
    /// Those of them that ask the client something (sampling, elicitation).
    pub questions: u64,
    /// `Mcp-Session-Id`, of either side.
    pub session_id: Option<String>,
    /// The revision of the protocol.
    pub protocol_version: Option<String>,
    /// `clientInfo`
    pub client_info: Option<Value>,
    /// `serverInfo`
    pub server_info: Option<Value>,
    /// Name of the tool that is called.
    pub tool_name: Option<String>,
    /// Its arguments.
    pub tool_arguments: Option<Value>,
    /// Name of the prompt, or URI of the resource, that is asked for.
    pub target: Option<String>,
    /// `result`, without the bytes of media.
    pub result: Option<Value>,
    /// `result.isError`: the tool failed.
    pub is_error: bool,
    /// The protocol's own error.
    pub error: Option<RpcError>,
    /// `params._meta.traceparent`, as it came.
    pub traceparent: Option<String>,
    /// Whether the answer came as events.
    pub stream: bool,
}

/// One exchange of A2A.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct A2a {
    /// In the names of version 1.0: `SendMessage`, `GetTask`, …; `GET agent-card`.
    pub method: String,
    /// Its JSON-RPC id; `None` over plain HTTP.
    pub id: Option<Value>,
    /// `1.0`, `0.3`
    pub version: Option<String>,
    /// Messages that the answer held.
    pub messages: u64,
    /// What the client said, its text parts.
    pub request_text: String,
    /// The task that the server assigned.
    pub task_id: Option<String>,
    /// The conversation that the server assigned.
    pub context_id: Option<String>,
    /// States that the task went through.
    pub states: Vec<String>,
    /// What the agent said and made: texts of messages and artifacts, in order.
    pub result_texts: Vec<String>,
    /// The protocol's own error.
    pub error: Option<RpcError>,
    /// Whether the answer came as events.
    pub stream: bool,
}
