//! Gemini: `…/models/{model}:generateContent` and its stream, on Google's own hosts, on Vertex and behind
//! gateways. The model stands in the path only. Source: the discovery documents of `generativelanguage` v1beta
//! and `aiplatform` v1.
//!
//! Code Assist, which Gemini CLI speaks, wraps both sides: `…/v1internal:generateContent` with model and project
//! around the request, and the answer inside `response`.

mod embed;
mod interactions;
mod partial;
mod parts;
mod reply;

use bytes::Bytes;
use serde_json::Value;

pub(crate) use embed::{Embed, Predict};
pub(crate) use interactions::Interactions;

use super::json::{self, Get, Object, take_items, take_text};
use super::{Answer, Body, Claim, Faults, Format, Target, body, identity, openai, resource, segments};
use crate::call::{Lazy, Llm, Message, Params, Part, ProviderError, ToolDefinition};
use crate::limits;

/// Four formats: whole answers and streams, by themselves and wrapped.
#[derive(Debug)]
pub(crate) struct Generate {
    pub(crate) stream: bool,
    pub(crate) wrapped: bool,
}

impl Format for Generate {
    fn api(&self) -> &'static str {
        if self.stream { "gemini.stream_generate" } else { "gemini.generate" }
    }

    fn provider(&self) -> &'static str {
        "gcp.gemini"
    }

    fn operation(&self) -> &'static str {
        "generate_content"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let verb = if self.stream { "streamGenerateContent" } else { "generateContent" };
        let ours = if self.wrapped {
            segments(target.path).next().and_then(|last| last.strip_prefix("v1internal:")) == Some(verb)
        } else {
            resource::verb(target.path) == Some(verb)
        };
        if ours && target.method == "POST" { Claim::Yes } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        if self.wrapped {
            body.is_map("request")
        } else {
            body.is_array("contents") || body.is_map("contents")
        }
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        if self.wrapped {
            if let Some(inner) = body.raw("request") {
                request(&Body::read(&inner, faults), llm, faults);
            }
            llm.request_model = body.small().filled("model").map(str::to_owned);
            llm.project = body.small().filled("project").map(str::to_owned);
        } else {
            resource::place(target.path, llm);
            llm.request_model = resource::model(target.path);
            request(body, llm, faults);
        }
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(reply::Reply::new(self.stream))
    }
}

/// What the body says, in camel case or in snake case.
fn request(body: &Body, llm: &mut Llm, faults: &mut Faults) {
    let small = body.small();
    identity::from_body(small, llm);
    let config = either(small, "generationConfig", "generation_config");
    if let Some(config) = config.and_then(Value::as_object) {
        llm.params = params(config);
    }
    llm.params.service_tier =
        either(small, "serviceTier", "service_tier").and_then(Value::as_str).map(str::to_owned);
    for key in ["systemInstruction", "system_instruction"] {
        let mut system = Vec::new();
        match body.value(key, faults) {
            Value::Object(mut content) => {
                parts::read(content.get_mut("parts").map(Value::take).unwrap_or_default(), &mut system)
            }
            Value::String(text) => system.push(Part::Text(text)),
            _ => {}
        }
        if !system.is_empty() {
            llm.system = system.into();
        }
    }
    let mut contents = body.list("contents");
    if contents.is_empty() {
        contents.extend(body.raw("contents"));
    }
    let tooling = |piece: &&Bytes| FUNCTION.iter().any(|word| memchr::memmem::find(piece, word).is_some());
    llm.exchanges = Some(Lazy::new(contents.iter().filter(tooling).cloned().collect(), history));
    llm.input = Lazy::new(contents, history);
    llm.tools = Lazy::new(body.list("tools"), tools);
}

/// Words of which a message with a tool call or a result holds one.
const FUNCTION: [&[u8]; 2] = [b"function", b"tool"];

/// A member in camel case, or in snake case.
fn either<'a>(object: &'a Object, camel: &str, snake: &str) -> Option<&'a Value> {
    object.member(camel).or_else(|| object.member(snake))
}

fn history(pieces: &[Bytes]) -> Vec<Message> {
    body::values(pieces).filter_map(message).collect()
}

fn message(content: Value) -> Option<Message> {
    let Value::Object(mut content) = content else { return None };
    let mut list = Vec::new();
    parts::read(content.get_mut("parts").map(Value::take).unwrap_or_default(), &mut list);
    let role = match take_text(&mut content, "role").as_deref() {
        Some("model") => "assistant".to_owned(),
        Some("function") => "tool".to_owned(),
        Some(other) => other.to_owned(),
        None => "user".to_owned(),
    };
    Some(Message { role, parts: list, finish_reason: None })
}

fn params(config: &Object) -> Params {
    let get = |camel, snake| either(config, camel, snake);
    let number = |camel, snake| get(camel, snake).and_then(Value::as_f64);
    let mime = get("responseMimeType", "response_mime_type").and_then(Value::as_str);
    let thinking = get("thinkingConfig", "thinking_config");
    Params {
        temperature: config.number("temperature"),
        top_p: number("topP", "top_p"),
        top_k: number("topK", "top_k"),
        max_tokens: config.count("maxOutputTokens").or_else(|| config.count("max_output_tokens")),
        frequency_penalty: number("frequencyPenalty", "frequency_penalty"),
        presence_penalty: number("presencePenalty", "presence_penalty"),
        seed: config.member("seed").and_then(Value::as_i64),
        stop: openai::stop(get("stopSequences", "stop_sequences")),
        choices: config.count("candidateCount").or_else(|| config.count("candidate_count")),
        reasoning_level: thinking
            .and_then(|thinking| {
                thinking.filled("thinkingLevel").or_else(|| thinking.filled("thinking_level"))
            })
            .map(str::to_owned),
        output_type: output_type(
            mime,
            ["responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"]
                .iter()
                .any(|key| config.member(key).is_some()),
            get("responseModalities", "response_modalities"),
        ),
        service_tier: None,
    }
}

/// What kind of answer is asked for: JSON by its media type or a schema, else the one modality that is named.
fn output_type(mime: Option<&str>, schema: bool, modalities: Option<&Value>) -> Option<&'static str> {
    let only = match modalities.and_then(Value::as_array).map(Vec::as_slice) {
        Some([one]) => one.as_str().map(str::to_ascii_lowercase),
        _ => None,
    };
    match (mime, only.as_deref()) {
        (Some("application/json"), _) => Some("json"),
        _ if schema => Some("json"),
        (_, Some("image")) => Some("image"),
        (_, Some("audio")) => Some("speech"),
        (Some("text/plain"), _) | (_, Some("text")) => Some("text"),
        _ => None,
    }
}

/// Google's errors have a word in `status`; their `code` repeats the status of HTTP.
fn error(body: &Object) -> Option<ProviderError> {
    let mut error = openai::error(body)?;
    if let Some(status) = body.object("error").and_then(|inner| inner.filled("status")) {
        status.clone_into(&mut error.kind);
    }
    Some(error)
}

/// Functions of the client under their names, tools of the provider under their own.
fn tools(pieces: &[Bytes]) -> Vec<ToolDefinition> {
    let mut out = Vec::new();
    for tool in body::values(pieces) {
        let Value::Object(mut tool) = tool else { continue };
        for key in ["functionDeclarations", "function_declarations"] {
            for declared in take_items(&mut tool, key) {
                let Value::Object(mut declared) = declared else { continue };
                if out.len() >= limits::PARTS {
                    return out;
                }
                out.push(ToolDefinition {
                    kind: "function".to_owned(),
                    name: take_text(&mut declared, "name").unwrap_or_default(),
                    description: take_text(&mut declared, "description"),
                    parameters: ["parameters", "parametersJsonSchema", "parameters_json_schema"]
                        .iter()
                        .find_map(|key| declared.get_mut(*key).map(Value::take).filter(|it| !it.is_null())),
                });
            }
        }
        for (key, value) in tool.into_iter().filter(|(_, value)| value.is_object()) {
            let kind = json::snake(&key);
            out.push(ToolDefinition { name: kind.clone(), kind, description: None, parameters: Some(value) });
        }
    }
    out
}
