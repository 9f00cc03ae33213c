//! Attributes of calls of tools and agents: MCP and A2A, in the names of the conventions for MCP.

use serde_json::Value;

use super::attributes::Attributes;
use crate::call::{A2a, Call, Http, Kind, Mcp, RpcError};
use crate::names;
use crate::telemetry::Class;

/// What such a call says, and the name of its span; `None` for any other call.
pub(super) fn attributes(call: &Call, set: &mut Attributes) -> Option<String> {
    match &call.kind {
        Kind::Mcp(mcp) => {
            // Neither proxy nor probes see HTTP over anything else.
            set.plain(names::NETWORK_TRANSPORT, "tcp");
            tool(mcp, set)
        }
        Kind::A2a(a2a) => agent(a2a, set),
        Kind::Llm(_) | Kind::Plain => None,
    }
}

/// The requests that a batch holds beside its first, each as a call of its own in the time of the exchange.
pub(super) fn batch(call: &Call) -> impl Iterator<Item = Call> + '_ {
    let others = if let Kind::Mcp(mcp) = &call.kind { mcp.others.as_slice() } else { &[] };
    others.iter().filter(|other| !other.by_server && other.method.is_some()).map(|other| Call {
        kind: Kind::Mcp(Box::new(other.clone())),
        flow: call.flow,
        index: call.index,
        process: call.process,
        plane: call.plane,
        start: call.start,
        request_end: call.request_end,
        first_byte: call.first_byte,
        first_chunk: call.first_chunk,
        end: call.end,
        http: match &other.traceparent {
            Some(own) => Http { traceparent: Some(own.clone()), ..call.http.clone() },
            None => call.http.clone(),
        },
        completion: call.completion,
        faults: Vec::new(),
    })
}

/// The span's name is the method and the tool or prompt that it names, never the address of a resource.
pub(super) fn tool(mcp: &Mcp, set: &mut Attributes) -> Option<String> {
    set.maybe(names::MCP_SESSION_ID, mcp.session_id.as_deref());
    set.maybe(names::MCP_PROTOCOL_VERSION, mcp.protocol_version.as_deref());
    id(mcp.id.as_ref(), set);
    let method = mcp.method.as_deref()?;
    set.plain(names::MCP_METHOD_NAME, method);
    failure(mcp.error.as_ref(), set);
    let target = mcp.target.as_deref();
    match (&mcp.tool_name, method) {
        (Some(tool), _) => {
            set.maybe(names::OPERATION_NAME, mcp.operation());
            set.plain(names::TOOL_NAME, tool.as_str());
            if let Some(arguments) = &mcp.tool_arguments {
                set.json(names::TOOL_ARGUMENTS, arguments.clone(), Class::Content);
            }
            if let Some(result) = &mcp.result {
                set.json(names::TOOL_RESULT, result.clone(), Class::Content);
            }
            Some(format!("{method} {tool}"))
        }
        (None, "prompts/get") => {
            set.maybe(names::PROMPT_NAME, target);
            Some(target.map_or_else(|| method.to_owned(), |target| format!("{method} {target}")))
        }
        (None, _) => {
            if let Some(uri) = target {
                set.text(names::MCP_RESOURCE_URI, uri, Class::Metadata);
            }
            Some(method.to_owned())
        }
    }
}

fn agent(a2a: &A2a, set: &mut Attributes) -> Option<String> {
    id(a2a.id.as_ref(), set);
    set.plain(names::RPC_METHOD, a2a.method.as_str());
    set.maybe(names::CONVERSATION_ID, a2a.context_id.as_deref());
    failure(a2a.error.as_ref(), set);
    set.maybe(names::OPERATION_NAME, a2a.operation());
    // To send a message is to invoke the agent, whose name the message does not tell.
    Some(a2a.operation().unwrap_or(&a2a.method).to_owned())
}

fn id(id: Option<&Value>, set: &mut Attributes) {
    if let Some(id) = id {
        let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        set.plain(names::JSONRPC_REQUEST_ID, text);
    }
}

fn failure(error: Option<&RpcError>, set: &mut Attributes) {
    if let Some(error) = error {
        set.plain(names::RPC_STATUS, error.code.to_string());
    }
}
