//! Interactions: `POST …/interactions`. A history of typed steps that the provider keeps, for models and for
//! Google's own agents. Source: the types of the `google-genai` package, 1.55 (contents in `outputs`) and
//! 3.4 (`steps`).

mod reply;
mod steps;

use bytes::Bytes;
use serde_json::Value;

use super::{either, output_type, params, parts};
use crate::call::{Lazy, Llm, Message, Part};
use crate::decode::json::{Get, take_text};
use crate::decode::{Answer, Body, Claim, Faults, Format, Target, body, identity, openai, resource, tail};

/// The format.
#[derive(Debug)]
pub(crate) struct Interactions;

impl Format for Interactions {
    fn api(&self) -> &'static str {
        "gemini.interactions"
    }

    fn provider(&self) -> &'static str {
        "gcp.gemini"
    }

    fn operation(&self) -> &'static str {
        "generate_content"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        // Many APIs have interactions.
        if target.method == "POST" && tail(target.path, &["interactions"]) {
            Claim::Perhaps
        } else {
            Claim::No
        }
    }

    fn fits(&self, body: &Body) -> bool {
        (body.is_text("model") || body.is_text("agent")) && body.has("input")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        let small = body.small();
        identity::from_body(small, llm);
        resource::place(target.path, llm);
        llm.request_model = small.filled("model").or_else(|| small.filled("agent")).map(str::to_owned);
        llm.previous_response_id = small.filled("previous_interaction_id").map(str::to_owned);
        if let Some(config) = small.object("generation_config") {
            llm.params = params(config);
            llm.params.reasoning_level = config.filled("thinking_level").map(str::to_owned);
        }
        llm.params.service_tier = small.filled("service_tier").map(str::to_owned);
        let format = small.member("response_format");
        // Before it had types, a format was a schema.
        let schema = format.is_some_and(|it| {
            it.member("schema").is_some()
                || it.is_object() && !matches!(it.text("type"), Some("text" | "audio" | "image" | "video"))
        });
        let mime = format
            .and_then(|it| it.text("mime_type"))
            .or_else(|| either(small, "responseMimeType", "response_mime_type")?.as_str());
        llm.params.output_type = output_type(mime, schema, small.member("response_modalities"));
        let mut system = Vec::new();
        match body.value("system_instruction", faults) {
            Value::String(text) if !text.is_empty() => system.push(Part::Text(text)),
            Value::Object(mut content) => {
                parts::read(content.get_mut("parts").map(Value::take).unwrap_or_default(), &mut system);
            }
            _ => {}
        }
        llm.system = system.into();
        let mut input = body.list("input");
        if input.is_empty() {
            input.extend(body.raw("input"));
        }
        let tooling = |piece: &&Bytes| memchr::memmem::find(piece, b"\"function_").is_some();
        llm.exchanges = Some(Lazy::new(input.iter().filter(tooling).cloned().collect(), history));
        llm.input = Lazy::new(input, history);
        llm.tools = Lazy::new(body.list("tools"), openai::tools);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(reply::Reply::default())
    }
}

/// What pieces of the input hold: texts, contents, turns with a role, or steps.
fn history(pieces: &[Bytes]) -> Vec<Message> {
    body::values(pieces).filter_map(message).collect()
}

fn message(value: Value) -> Option<Message> {
    let mut list = Vec::new();
    let mut item = match value {
        Value::String(text) => {
            return Some(Message {
                role: "user".to_owned(),
                parts: vec![Part::Text(text)],
                finish_reason: None,
            });
        }
        Value::Object(item) => item,
        _ => return None,
    };
    let role = match (take_text(&mut item, "role").as_deref(), item.text("type")) {
        (Some("model"), _) => "assistant".to_owned(),
        (Some(role), _) => role.to_owned(),
        (None, Some("function_result")) => "tool".to_owned(),
        (None, Some("text" | "image" | "audio" | "video" | "document" | "user_input")) => "user".to_owned(),
        (None, _) => "assistant".to_owned(),
    };
    steps::read(item, &mut list);
    Some(Message { role, parts: list, finish_reason: None })
}
