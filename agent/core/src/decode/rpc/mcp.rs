//! The Model Context Protocol: with sessions (until 2025-11-25) and without (2026-07-28).

use serde_json::Value;

use super::{Target, error, filled, value};
use crate::call::Mcp;
use crate::decode::json::{self, Get, Object, take_object};
use crate::http::Headers;

/// Methods whose names no other protocol has.
const METHODS: &[&str] = &[
    "completion/complete",
    "elicitation/create",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/initialized",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "roots/list",
    "sampling/createMessage",
    "server/discover",
    "subscriptions/listen",
    "tasks/list",
    "tasks/result",
    "tools/call",
    "tools/list",
];

/// Prefix of the stateless revision's own members of `_meta`.
const META: &str = "io.modelcontextprotocol/";

/// Whether a request carries a field that only MCP has.
pub(super) fn is_marked(headers: &Headers) -> bool {
    ["mcp-session-id", "mcp-protocol-version", "mcp-method"].iter().any(|name| value(headers, name).is_some())
}

/// Whether a message is MCP's, by itself.
pub(super) fn is_ours(call: &Object) -> bool {
    let Some(method) = call.text("method") else { return false };
    let params = call.object("params");
    METHODS.contains(&method)
        // Language servers initialize as well, without a version of the protocol.
        || method == "initialize" && params.is_some_and(|params| params.text("protocolVersion").is_some())
        || params
            .and_then(|params| params.object("_meta"))
            .is_some_and(|meta| meta.keys().any(|key| key.starts_with(META)))
}

/// One exchange.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    mcp: Mcp,
}

impl Talk {
    /// Reads a request.
    pub(super) fn new(target: &Target<'_>, call: Option<&Object>) -> Option<Self> {
        let marked = is_marked(target.headers);
        // A stream, or the end of a session, has no body; everything else has a message.
        let bare = matches!(target.method, "GET" | "DELETE");
        let ours = call.is_some_and(is_ours) || marked && (bare || call.is_some());
        ours.then(|| {
            let get = |name: &str| value(target.headers, name).map(str::to_owned);
            let mut talk = call.map(Self::asked).unwrap_or_default();
            talk.mcp.session_id = get("mcp-session-id");
            talk.mcp.protocol_version = get("mcp-protocol-version").or(talk.mcp.protocol_version.take());
            talk
        })
    }

    /// A stream that was opened, and nothing more.
    pub(super) fn opened() -> Self {
        Self::default()
    }

    /// What a request says.
    pub(super) fn asked(call: &Object) -> Self {
        let none = Object::new();
        let params = call.object("params").unwrap_or(&none);
        let meta = params.object("_meta").unwrap_or(&none);
        let own = |key: &str| meta.member(&format!("{META}{key}"));
        let method = call.text("method");
        let mut arguments = params.member("arguments").cloned();
        if let Some(arguments) = &mut arguments {
            json::shrink(arguments);
        }
        let name = params.text("name").map(str::to_owned);
        let tool = method == Some("tools/call");
        Self {
            mcp: Mcp {
                method: method.map(str::to_owned),
                id: call.member("id").cloned(),
                protocol_version: own("protocolVersion")
                    .or_else(|| params.member("protocolVersion"))
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                client_info: own("clientInfo").or_else(|| params.member("clientInfo")).cloned(),
                tool_name: name.clone().filter(|_| tool),
                tool_arguments: arguments.filter(|_| tool),
                target: name.filter(|_| !tool).or_else(|| params.text("uri").map(str::to_owned)),
                traceparent: meta.text("traceparent").map(str::to_owned),
                ..Mcp::default()
            },
        }
    }

    pub(super) fn head(&mut self, headers: &Headers) {
        if self.mcp.session_id.is_none() {
            self.mcp.session_id = value(headers, "mcp-session-id").map(str::to_owned);
        }
    }

    /// Reads one message of the answer; true where it is the answer.
    pub(super) fn answer(&mut self, mut message: Object) -> bool {
        self.mcp.messages += 1;
        if message.contains_key("method") {
            let question = message.member("id").is_some();
            *(if question { &mut self.mcp.questions } else { &mut self.mcp.notifications }) += 1;
            return false;
        }
        if let Some(error) = error(&message) {
            self.mcp.error = Some(error);
            return true;
        }
        let Some(mut result) = take_object(&mut message, "result") else { return false };
        self.mcp.is_error = result.is_true("isError");
        let meta = result.object("_meta").and_then(|meta| meta.member("io.modelcontextprotocol/serverInfo"));
        self.mcp.server_info = result.member("serverInfo").or(meta).cloned();
        if let Some(version) = filled(&mut result, "protocolVersion") {
            self.mcp.protocol_version = Some(version);
        }
        let mut result = Value::Object(result);
        json::shrink(&mut result);
        self.mcp.result = Some(result);
        true
    }

    pub(super) fn finish(self, stream: bool) -> Mcp {
        Mcp { stream, ..self.mcp }
    }
}
