//! One call as the JSON object that `--json` prints.
//!
//! The names and their meaning are those of the expected answers beside the recordings. `null` is what the
//! bytes do not say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use trackway_core::call::{A2a, Call, Completion, Fault, Kind, Llm, Mcp, Part};

/// Characters of a tool's result that are shown.
const PREFIX: usize = 80;

/// What an exchange was.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer<'a> {
    /// A call to a model.
    Call(Box<Meaning<'a>>),
    /// Nothing of ours.
    None(Nothing<'a>),
}

/// An AI call.
#[derive(Debug, Serialize)]
pub(super) struct Meaning<'a> {
    id: &'a str,
    kind: &'static str,
    provider: Option<&'a str>,
    api_format: &'a str,
    operation: &'a str,
    stream: bool,
    request_model: Option<&'a str>,
    response_model: Option<&'a str>,
    response_id: Option<&'a str>,
    input_tokens_total: Option<u64>,
    output_tokens_total: Option<u64>,
    cached_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    finish_reasons: &'a [String],
    tool_calls: Vec<ToolCall<'a>>,
    tool_results_in_request: Vec<ToolResult<'a>>,
    output_text: String,
    conversation_id: Option<&'a str>,
    previous_response_id: Option<&'a str>,
    user: Option<&'a str>,
    error: Option<Error<'a>>,
    complete: bool,
    cost_usd: Option<f64>,
    /// What a call of JSON-RPC (MCP, A2A) said; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc: Option<Value>,
    faults: Faults<'a>,
}

/// No AI call.
#[derive(Debug, Serialize)]
pub(super) struct Nothing<'a> {
    id: &'a str,
    kind: &'static str,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    status: Option<u16>,
    faults: Faults<'a>,
}

#[derive(Debug, Serialize)]
struct ToolCall<'a> {
    id: Option<&'a str>,
    name: &'a str,
    /// JSON, or `null` where it was none.
    arguments: Option<&'a Value>,
    /// The text as sent, where it was no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_text: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ToolResult<'a> {
    tool_call_id: Option<&'a str>,
    name: Option<&'a str>,
    content_prefix: String,
}

#[derive(Debug, Serialize)]
struct Error<'a> {
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    message: &'a str,
}

type Faults<'a> = Vec<BTreeMap<&'static str, &'a str>>;

impl<'a> Answer<'a> {
    /// The answer for one call.
    pub(super) fn new(id: &'a str, call: &'a Call) -> Self {
        match &call.kind {
            Kind::Llm(llm) => Self::Call(Box::new(model(id, call, llm))),
            Kind::Mcp(mcp) => Self::Call(Box::new(tool(id, call, mcp))),
            Kind::A2a(a2a) => Self::Call(Box::new(agent(id, call, a2a))),
            Kind::Plain => Self::None(Nothing {
                id,
                kind: "none",
                method: &call.http.method,
                host: &call.http.host,
                path: &call.http.path,
                status: call.http.status,
                faults: faults(&call.faults),
            }),
        }
    }
}

/// A call of MCP: the fields of models are empty, and `rpc` says what it was.
fn tool<'a>(id: &'a str, call: &'a Call, mcp: &'a Mcp) -> Meaning<'a> {
    let rpc = json!({
        "method": mcp.method, "id": mcp.id, "messages": mcp.messages,
        "error": mcp.error.as_ref().map(|error| &error.raw), "tool_name": mcp.tool_name,
        "tool_arguments": mcp.tool_arguments, "session_id": mcp.session_id,
        "protocol_version": mcp.protocol_version, "client_info": mcp.client_info, "is_error": mcp.is_error,
    });
    let operation = mcp.operation().unwrap_or("other");
    Meaning { stream: mcp.stream, rpc: Some(rpc), operation, ..Meaning::empty(id, call, "mcp") }
}

/// A call of A2A, likewise.
fn agent<'a>(id: &'a str, call: &'a Call, a2a: &'a A2a) -> Meaning<'a> {
    let rpc = json!({
        "method": a2a.method, "id": a2a.id, "messages": a2a.messages,
        "error": a2a.error.as_ref().map(|error| &error.raw), "a2a_version": a2a.version,
        "request_text": a2a.request_text, "task_id": a2a.task_id, "context_id": a2a.context_id,
        "states": a2a.states, "result_texts": a2a.result_texts,
    });
    let operation = a2a.operation().unwrap_or("other");
    Meaning { stream: a2a.stream, rpc: Some(rpc), operation, ..Meaning::empty(id, call, "a2a") }
}

impl<'a> Meaning<'a> {
    /// What is no call of a model says nothing of models.
    fn empty(id: &'a str, call: &'a Call, kind: &'static str) -> Self {
        Self {
            id,
            kind,
            provider: None,
            api_format: kind,
            operation: "other",
            stream: false,
            request_model: None,
            response_model: None,
            response_id: None,
            input_tokens_total: None,
            output_tokens_total: None,
            cached_input_tokens: None,
            cache_creation_input_tokens: None,
            reasoning_tokens: None,
            finish_reasons: &[],
            tool_calls: Vec::new(),
            tool_results_in_request: Vec::new(),
            output_text: String::new(),
            conversation_id: None,
            previous_response_id: None,
            user: None,
            error: None,
            complete: call.completion == Completion::Complete,
            cost_usd: None,
            rpc: None,
            faults: faults(&call.faults),
        }
    }
}

fn model<'a>(id: &'a str, call: &'a Call, llm: &'a Llm) -> Meaning<'a> {
    let (api_format, operation) = names(llm);
    // Other identifiers of a session stand in headers and metadata of clients; this one is the provider's.
    let conversation = llm.conversation.as_ref().filter(|known| known.source == "body:conversation");
    // What a fetched response continued was said by the request that began it.
    let asked = llm.operation != "fetch_response";
    Meaning {
        id,
        kind: "llm",
        provider: Some(llm.provider.as_str()).filter(|_| llm.provider_said),
        api_format,
        operation,
        stream: llm.stream,
        request_model: llm.request_model.as_deref(),
        response_model: llm.response_model.as_deref(),
        response_id: llm.response_id.as_deref(),
        input_tokens_total: llm.usage.input,
        output_tokens_total: llm.usage.output,
        cached_input_tokens: llm.usage.cache_read,
        cache_creation_input_tokens: llm.usage.cache_write,
        reasoning_tokens: llm.usage.reasoning,
        finish_reasons: &llm.finish_reasons,
        tool_calls: llm.tool_calls().map(tool_call).collect(),
        tool_results_in_request: llm.tool_results().map(tool_result).collect(),
        output_text: text(llm),
        conversation_id: conversation.map(|known| known.id.as_str()),
        previous_response_id: llm.previous_response_id.as_deref().filter(|_| asked),
        user: llm.user.as_deref(),
        error: llm.error.as_ref().map(|error| Error {
            kind: Some(error.kind.as_str()).filter(|kind| !kind.is_empty()),
            message: &error.message,
        }),
        complete: complete(call, llm),
        cost_usd: cost(llm),
        rpc: None,
        faults: faults(&call.faults),
    }
}

/// Format and operation in the words of the expected answers.
pub(super) fn names(llm: &Llm) -> (&str, &str) {
    match (llm.api, llm.operation) {
        ("openai.responses", "fetch_response") => ("openai.responses_retrieve", "other"),
        (api, operation) => (api, operation),
    }
}

/// What the call cost in US dollars, where that is known.
pub(super) fn cost(llm: &Llm) -> Option<f64> {
    llm.cost.as_ref().and_then(|cost| cost.as_ref().ok()).map(|cost| cost.usd)
}

/// Whether the whole answer was there. One that is still being made in the background is not.
fn complete(call: &Call, llm: &Llm) -> bool {
    let made = !llm.finish_reasons.iter().any(|reason| reason == "queued" || reason == "in_progress");
    call.completion == Completion::Complete && made
}

fn tool_call(call: &trackway_core::call::ToolCall) -> ToolCall<'_> {
    let text = call.arguments.as_str();
    ToolCall {
        id: call.id.as_deref(),
        name: &call.name,
        arguments: Some(&call.arguments).filter(|_| text.is_none()),
        arguments_text: text,
    }
}

fn tool_result(result: &trackway_core::call::ToolResult) -> ToolResult<'_> {
    let content = match &result.response {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    ToolResult {
        tool_call_id: result.id.as_deref(),
        name: result.name.as_deref(),
        content_prefix: content.chars().take(PREFIX).collect(),
    }
}

/// Everything that was said to the user, of all choices.
fn text(llm: &Llm) -> String {
    let parts = llm.output.iter().flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn faults(faults: &[Fault]) -> Faults<'_> {
    faults
        .iter()
        .map(|fault| BTreeMap::from([("kind", fault.kind), ("detail", fault.detail.as_str())]))
        .collect()
}
