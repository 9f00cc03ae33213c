//! What OpenAI's formats share, and with them most of the world.

pub(crate) mod chat;
mod chunk;
pub(crate) mod completions;
mod content;
pub(crate) mod embeddings;
mod items;
pub(crate) mod responses;
pub(crate) mod socket;
mod stream;
mod usage;

use bytes::Bytes;
use serde_json::Value;

use super::body::{self, Body};
use super::json::{Get, Object, take_items, take_object, take_text};
use crate::call::{Lazy, Llm, Params, ProviderError, ToolDefinition};
use crate::limits;
use crate::redact;

/// The parameters that Chat Completions and Responses name alike.
fn params(body: &Object) -> Params {
    let format = body
        .object("response_format")
        .or_else(|| body.object("text").and_then(|text| text.object("format")))
        .and_then(|format| format.text("type"));
    Params {
        temperature: body.number("temperature"),
        top_p: body.number("top_p"),
        top_k: body.number("top_k"),
        max_tokens: ["max_completion_tokens", "max_output_tokens", "max_tokens"]
            .iter()
            .find_map(|key| body.count(key)),
        frequency_penalty: body.number("frequency_penalty"),
        presence_penalty: body.number("presence_penalty"),
        seed: body.member("seed").and_then(Value::as_i64),
        stop: stop(body.member("stop")),
        choices: body.count("n"),
        reasoning_level: body
            .filled("reasoning_effort")
            .or_else(|| body.object("reasoning").and_then(|reasoning| reasoning.filled("effort")))
            .map(str::to_owned),
        output_type: match format {
            Some("json_schema" | "json_object") => Some("json"),
            Some("text") => Some("text"),
            _ => None,
        },
        service_tier: body.filled("service_tier").map(str::to_owned),
    }
}

/// `stop` is a string or a list.
pub(super) fn stop(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Tools of both shapes: nested (`function: {…}`) and flat. Namespaces are opened; a tool keeps the plain name
/// by which calls name it.
pub(super) fn tools(pieces: &[Bytes]) -> Vec<ToolDefinition> {
    let mut out = Vec::new();
    open(body::values(pieces).collect(), true, &mut out);
    out
}

fn open(list: Vec<Value>, outer: bool, out: &mut Vec<ToolDefinition>) {
    for entry in list {
        let Value::Object(mut tool) = entry else { continue };
        if out.len() >= limits::PARTS {
            return;
        }
        let kind = take_text(&mut tool, "type").unwrap_or_else(|| "function".to_owned());
        if kind == "namespace" {
            // One level only: a namespace in a namespace does not exist, and recursion wants a bound.
            if outer {
                open(take_items(&mut tool, "tools"), false, out);
            }
            continue;
        }
        let mut inner = take_object(&mut tool, &kind).unwrap_or(tool);
        let name = ["name", "server_label"].iter().find_map(|key| take_text(&mut inner, key));
        let parameters = ["parameters", "input_schema"]
            .iter()
            .find_map(|key| inner.get_mut(*key).map(Value::take).filter(|value| !value.is_null()));
        out.push(ToolDefinition {
            name: name.unwrap_or_else(|| kind.clone()),
            kind,
            description: take_text(&mut inner, "description"),
            parameters,
        });
    }
}

/// The error that a body or an event reports, in any of the shapes that OpenAI-like servers use.
pub(super) fn error(body: &Object) -> Option<ProviderError> {
    match body.member("error") {
        Some(Value::Object(inner)) => Some(described(inner)),
        Some(Value::String(text)) if !text.is_empty() => Some(ProviderError {
            kind: named(body).unwrap_or_else(|| "_OTHER".to_owned()),
            message: redact::text(text).into_owned(),
        }),
        Some(_) => None,
        None if body.text("object") == Some("error") || body.text("type") == Some("error") => {
            Some(described(body))
        }
        None => body.member("detail").map(|detail| ProviderError {
            kind: "_OTHER".to_owned(),
            message: redact::text(&detail.as_str().map_or_else(|| detail.to_string(), str::to_owned))
                .into_owned(),
        }),
    }
}

pub(super) fn described(error: &Object) -> ProviderError {
    let message = error.text("message").or_else(|| error.text("detail")).unwrap_or_default();
    ProviderError {
        kind: named(error).unwrap_or_else(|| "_OTHER".to_owned()),
        message: redact::text(message).into_owned(),
    }
}

/// A word for the error: its code where that is a word, else its type, else a numeric code.
fn named(error: &Object) -> Option<String> {
    let code = error.filled("code").filter(|code| !code.bytes().all(|b| b.is_ascii_digit()));
    let kind = error.filled("type").filter(|kind| *kind != "error");
    code.or(kind)
        .map(str::to_owned)
        .or_else(|| error.member("code").filter(|code| code.is_number() || code.is_string()).map(plain))
        .filter(|name| !name.is_empty())
        // A sentence is no name; what came as one has its place in the message.
        .map(|name| if name.len() > 80 || name.contains(' ') { "_OTHER".to_owned() } else { name })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Who the end user is, by the newer name first.
fn user(body: &Object) -> Option<String> {
    ["safety_identifier", "user"].iter().find_map(|key| body.filled(key)).map(str::to_owned)
}

/// What both requests say of themselves beside messages.
fn request(body: &Body, llm: &mut Llm) {
    let small = body.small();
    llm.params = params(small);
    llm.user = user(small);
    llm.request_model = small.filled("model").map(str::to_owned);
    // `functions` are tools in their first form.
    let offered = ["tools", "functions"].iter().flat_map(|key| body.list(key)).collect();
    llm.tools = Lazy::new(offered, tools);
}

/// Remembers the first text that is not empty.
pub(super) fn first(slot: &mut Option<String>, text: Option<&str>) {
    if slot.is_none() {
        *slot = text.filter(|text| !text.is_empty()).map(str::to_owned);
    }
}
