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

/// One exchange of MCP, or one message of it.
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
    /// Those notifications that told how far the work is.
    pub progress: u64,
    /// Those messages that ask the client something (sampling, elicitation).
    pub questions: u64,
    /// `Mcp-Session-Id` of either side; in the first transport, the session in the URL.
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
    /// `params._meta.traceparent`, if well-formed.
    pub traceparent: Option<String>,
    /// Whether the answer came as events.
    pub stream: bool,
    /// Whether the server said it, not the client.
    pub by_server: bool,
    /// What the exchange carried beside its first message: the rest of a batch with the answers to it,
    /// questions of the server, and answers to what was asked in another exchange.
    /// At most `limits::RPC_BATCH`.
    pub others: Vec<Mcp>,
}

/// One exchange of A2A.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct A2a {
    /// As it was sent in JSON-RPC: `message/send` of 0.3, `SendMessage` of 1.0. Over plain HTTP the name that
    /// 1.0 gives to the path; `GET agent-card`.
    pub method: String,
    /// Its JSON-RPC id; `None` over plain HTTP.
    pub id: Option<Value>,
    /// `A2A-Version`; `0.3` where there is none and the method is named as before 1.0.
    pub version: Option<String>,
    /// Messages that the answer held.
    pub messages: u64,
    /// What the client said, its text parts.
    pub request_text: String,
    /// The task that the request names.
    pub asked_task: Option<String>,
    /// The task that the answer tells of, else the one that the client's message continues.
    pub task_id: Option<String>,
    /// The conversation, likewise.
    pub context_id: Option<String>,
    /// States that the task went through, as sent.
    pub states: Vec<String>,
    /// What the agent said and made: the text parts of messages and artifacts, in the order in which they came.
    pub result_texts: Vec<String>,
    /// The protocol's own error.
    pub error: Option<RpcError>,
    /// Whether the answer came as events.
    pub stream: bool,
}

impl Mcp {
    /// Value of `gen_ai.operation.name`.
    pub fn operation(&self) -> Option<&'static str> {
        (self.method.as_deref() == Some("tools/call")).then_some("execute_tool")
    }
}

impl A2a {
    /// Value of `gen_ai.operation.name`.
    pub fn operation(&self) -> Option<&'static str> {
        let sends = [
            "SendMessage",
            "SendStreamingMessage",
            "message/send",
            "message/stream",
            "tasks/send",
            "tasks/sendSubscribe",
        ];
        sends.contains(&self.method.as_str()).then_some("invoke_agent")
    }
}
