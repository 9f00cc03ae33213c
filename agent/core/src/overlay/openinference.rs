//! OpenInference (Phoenix, Arize): kinds of spans, numbered messages, its own token counts.

use serde_json::{Map, Value, json};

use super::messages::{self, Flat, Piece};
use super::{Extra, find, text};
use crate::names;
use crate::names::overlay as own;
use crate::telemetry::{Attribute, AttributeValue, Class, Span};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Request parameters and what they are called inside `llm.invocation_parameters`.
const PARAMETERS: [(&str, &str); 11] = [
    (names::REQUEST_TEMPERATURE, "temperature"),
    (names::REQUEST_TOP_P, "top_p"),
    (names::REQUEST_TOP_K, "top_k"),
    (names::REQUEST_MAX_TOKENS, "max_tokens"),
    (names::REQUEST_FREQUENCY_PENALTY, "frequency_penalty"),
    (names::REQUEST_PRESENCE_PENALTY, "presence_penalty"),
    (names::REQUEST_SEED, "seed"),
    (names::REQUEST_STOP, "stop_sequences"),
    (names::REQUEST_STREAM, "stream"),
    (names::REQUEST_CHOICES, "n"),
    (names::REQUEST_REASONING_LEVEL, "reasoning_effort"),
];

pub(super) fn extend(span: &Span, extra: &mut Extra) {
    let kind = match text(span, names::OPERATION_NAME).unwrap_or_default() {
        "chat" | "text_completion" | "generate_content" => "LLM",
        "embeddings" => "EMBEDDING",
        "rerank" => "RERANKER",
        "retrieval" => "RETRIEVER",
        "execute_tool" => "TOOL",
        "invoke_agent" | "create_agent" => "AGENT",
        "invoke_workflow" => "CHAIN",
        // A step that is none of the others.
        "" if span.attribute(names::PROCESS_PID).is_some() => "CHAIN",
        // A plain call is nothing that OpenInference knows.
        _ => return,
    };
    extra.text(own::SPAN_KIND, kind, Class::Plain);
    extra.copy(own::AGENT_NAME, find(span, names::AGENT_NAME));
    extra.copy(own::SESSION_ID, find(span, names::CONVERSATION_ID));
    match kind {
        "LLM" => {
            model(span, extra);
            counts(span, extra);
            said(span, extra, true);
        }
        "EMBEDDING" => {
            extra.copy(
                own::EMBEDDING_MODEL,
                find(span, names::RESPONSE_MODEL).or_else(|| find(span, names::REQUEST_MODEL)),
            );
            counts(span, extra);
        }
        "TOOL" => tool(span, extra),
        "AGENT" => said(span, extra, false),
        _ => {}
    }
}

fn model(span: &Span, extra: &mut Extra) {
    let (request, response) = (find(span, names::REQUEST_MODEL), find(span, names::RESPONSE_MODEL));
    extra.copy(own::LLM_MODEL_NAME, response.or(request));
    extra.copy(own::LLM_REQUEST_MODEL, request);
    extra.copy(own::LLM_RESPONSE_MODEL, response);
    if let Some(provider) = text(span, names::PROVIDER_NAME) {
        let (host, shape) = match provider {
            "azure.ai.openai" | "azure.ai.inference" => ("azure", "openai"),
            "gcp.gemini" | "gcp.vertex_ai" | "gcp.gen_ai" => ("google", "vertexai"),
            "aws.bedrock" => ("aws", "amazon"),
            "x_ai" => ("xai", "xai"),
            "mistral_ai" => ("mistralai", "mistralai"),
            other => (other, other),
        };
        extra.text(own::LLM_PROVIDER, host, Class::Plain);
        extra.text(own::LLM_SYSTEM, shape, Class::Plain);
    }
    let mut parameters = Map::new();
    let mut class = Class::Plain;
    for (key, name) in PARAMETERS {
        if let Some(attribute) = find(span, key) {
            parameters.insert(name.to_owned(), value(&attribute.value));
            class = class.max(attribute.class);
        }
    }
    if !parameters.is_empty() {
        extra.text(own::LLM_PARAMETERS, Value::Object(parameters).to_string(), class);
    }
    if let Some(AttributeValue::Texts(reasons)) = span.attribute(names::FINISH_REASONS)
        && let Some(first) = reasons.first()
    {
        extra.text(own::LLM_FINISH_REASON, first.as_str(), Class::Plain);
    }
}

fn counts(span: &Span, extra: &mut Extra) {
    for (key, name) in [
        (own::LLM_PROMPT, names::INPUT_TOKENS),
        (own::LLM_COMPLETION, names::OUTPUT_TOKENS),
        (own::LLM_CACHE_READ, names::CACHE_READ_TOKENS),
        (own::LLM_CACHE_WRITE, names::CACHE_WRITE_TOKENS),
        (own::LLM_REASONING, names::REASONING_TOKENS),
        (own::LLM_COST, names::COST),
    ] {
        extra.copy(key, find(span, name));
    }
    extra.total(own::LLM_TOTAL, span, [names::INPUT_TOKENS, names::OUTPUT_TOKENS]);
}

/// Messages: the newest as input and output, and for a model all of them, numbered, with the tools on offer.
fn said(span: &Span, extra: &mut Extra, all: bool) {
    let sides = [
        (own::LLM_INPUT_MESSAGES, own::INPUT_VALUE, own::INPUT_MIME, messages::input(span)),
        (own::LLM_OUTPUT_MESSAGES, own::OUTPUT_VALUE, own::OUTPUT_MIME, messages::output(span)),
    ];
    for (list, value, mime, flat) in sides {
        let Some((flat, class)) = flat else { continue };
        if let Some(newest) = flat.last() {
            let (said, kind) = match newest.text() {
                Some(said) if newest.calls.is_empty() => (said, TEXT),
                said => (as_json(newest, said).to_string(), JSON),
            };
            extra.text(value, said, class);
            extra.text(mime, kind, Class::Plain);
        }
        if all {
            flat.iter()
                .enumerate()
                .for_each(|(n, it)| numbered(&format!("{list}.{n}.message"), it, class, extra));
        }
    }
    if let Some(tools) = find(span, names::TOOL_DEFINITIONS).filter(|_| all) {
        let items = messages::newest(messages::json(tools.value.as_text()));
        for (n, item) in items.into_iter().enumerate() {
            let schema = definition(item).to_string();
            extra.text(format!("{}.{n}.tool.json_schema", own::LLM_TOOLS), schema, tools.class);
        }
    }
}

fn as_json(message: &Flat, said: Option<String>) -> Value {
    let calls: Vec<Value> =
        message.calls.iter().map(|call| json!({"name": call.name, "arguments": call.arguments})).collect();
    json!({"role": message.role, "content": said, "tool_calls": calls})
}

fn numbered(key: &str, message: &Flat, class: Class, extra: &mut Extra) {
    extra.text(format!("{key}.role"), message.role.as_str(), class);
    if let Some(id) = &message.answers {
        extra.text(format!("{key}.tool_call_id"), id.as_str(), class);
    }
    if message.has_images() {
        for (m, piece) in message.pieces.iter().enumerate() {
            let key = format!("{key}.contents.{m}.message_content");
            match piece {
                Piece::Text(text) => {
                    extra.text(format!("{key}.type"), "text", class);
                    extra.text(format!("{key}.text"), text.as_str(), class);
                }
                Piece::Image(uri) => {
                    extra.text(format!("{key}.type"), "image", class);
                    extra.text(format!("{key}.image.image.url"), uri.as_str(), class);
                }
            }
        }
    } else if let Some(text) = message.text() {
        extra.text(format!("{key}.content"), text, class);
    }
    for (k, call) in message.calls.iter().enumerate() {
        let key = format!("{key}.tool_calls.{k}.tool_call");
        if let Some(id) = &call.id {
            extra.text(format!("{key}.id"), id.as_str(), class);
        }
        extra.text(format!("{key}.function.name"), call.name.as_str(), class);
        extra.text(format!("{key}.function.arguments"), call.arguments.as_str(), class);
    }
}

/// `{"type":"function","function":{…}}` from the flat shape of the conventions.
fn definition(mut item: Value) -> Value {
    let kind = item.as_object_mut().and_then(|members| members.remove("type"));
    match kind {
        Some(Value::String(kind)) if kind != "function" => {
            if let Some(members) = item.as_object_mut() {
                members.insert("type".to_owned(), kind.into());
            }
            item
        }
        _ => json!({"type": "function", "function": item}),
    }
}

fn tool(span: &Span, extra: &mut Extra) {
    extra.copy(own::TOOL_NAME, find(span, names::TOOL_NAME));
    extra.copy(own::TOOL_ID, find(span, names::TOOL_CALL_ID));
    extra.copy(own::TOOL_DESCRIPTION, find(span, names::TOOL_DESCRIPTION));
    let arguments = find(span, names::TOOL_ARGUMENTS);
    extra.copy(own::TOOL_PARAMETERS, arguments);
    side(arguments, own::INPUT_VALUE, own::INPUT_MIME, extra);
    side(find(span, names::TOOL_RESULT), own::OUTPUT_VALUE, own::OUTPUT_MIME, extra);
}

/// A JSON string is the text in it.
fn side(attribute: Option<&Attribute>, value: &'static str, mime: &'static str, extra: &mut Extra) {
    let Some((attribute, text)) = attribute.and_then(|it| Some((it, it.value.as_text()?))) else { return };
    let (said, kind) = match messages::json(Some(text)) {
        Some(Value::String(text)) => (text, TEXT),
        Some(_) => (text.to_owned(), JSON),
        None => (text.to_owned(), TEXT),
    };
    extra.text(value, said, attribute.class);
    extra.text(mime, kind, Class::Plain);
}

fn value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => text.as_str().into(),
        AttributeValue::Int(value) => (*value).into(),
        AttributeValue::Double(value) => (*value).into(),
        AttributeValue::Bool(value) => (*value).into(),
        AttributeValue::Texts(texts) => texts.as_slice().into(),
    }
}
