//! Messages: `POST …/v1/messages`, whole answers. Streamed ones are in [`super::stream`].

use serde_json::Value;

use super::{blocks, stream::Blocks};
use crate::call::{Llm, Message, Params, Part, ProviderError, ToolDefinition, Usage};
use crate::decode::json::{Get, Object, take_items, take_object, take_text};
use crate::decode::{Answer, Claim, Ending, Event, Faults, Format, Target, finish, identity, openai, tail};
use crate::limits;

/// The format.
#[derive(Debug)]
pub(crate) struct Messages;

impl Format for Messages {
    fn api(&self) -> &'static str {
        "anthropic.messages"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method != "POST" || !tail(target.path, &["messages"]) {
            return Claim::No;
        }
        // Many APIs have messages; this header is Anthropic's alone.
        if target.headers.iter().any(|(name, _)| name == "anthropic-version") {
            Claim::Yes
        } else {
            Claim::Perhaps
        }
    }

    fn fits(&self, body: &Object) -> bool {
        body.member("messages").is_some_and(Value::is_array)
            && (body.text("model").is_some() || body.text("anthropic_version").is_some())
            && (body.contains_key("max_tokens")
                || body.contains_key("anthropic_version")
                || body.contains_key("system"))
    }

    fn request(&self, _target: &Target<'_>, mut body: Object, llm: &mut Llm) {
        identity::from_body(&body, llm);
        llm.params = params(&body);
        llm.request_model = take_text(&mut body, "model").filter(|model| !model.is_empty());
        if let Some(system) = body.get_mut("system") {
            blocks::read(system.take(), &mut llm.system);
        }
        for entry in take_items(&mut body, "messages").into_iter().take(limits::PARTS) {
            let Value::Object(mut entry) = entry else { continue };
            let mut parts = Vec::new();
            blocks::read(entry.get_mut("content").map(Value::take).unwrap_or_default(), &mut parts);
            llm.input.push(Message {
                role: take_text(&mut entry, "role").unwrap_or_default(),
                parts,
                finish_reason: None,
            });
        }
        for tool in take_items(&mut body, "tools").into_iter().take(limits::PARTS) {
            if let Value::Object(tool) = tool {
                llm.tools.push(definition(tool));
            }
        }
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

fn params(body: &Object) -> Params {
    let config = body.object("output_config");
    let format = body.object("output_format").or_else(|| config.and_then(|config| config.object("format")));
    Params {
        temperature: body.number("temperature"),
        top_p: body.number("top_p"),
        top_k: body.number("top_k"),
        max_tokens: body.count("max_tokens"),
        stop: openai::stop(body.member("stop_sequences")),
        reasoning_level: config.and_then(|config| config.filled("effort")).map(str::to_owned),
        output_type: format
            .and_then(|format| format.text("type"))
            .filter(|kind| *kind == "json_schema")
            .map(|_| "json"),
        service_tier: body.filled("service_tier").map(str::to_owned),
        ..Params::default()
    }
}

/// A tool of the client has no type or `custom`; every other type is a tool of Anthropic's own.
fn definition(mut tool: Object) -> ToolDefinition {
    let kind =
        take_text(&mut tool, "type").filter(|kind| kind != "custom").unwrap_or_else(|| "function".to_owned());
    ToolDefinition {
        name: take_text(&mut tool, "name").unwrap_or_else(|| kind.clone()),
        kind,
        description: take_text(&mut tool, "description"),
        parameters: tool.get_mut("input_schema").map(Value::take).filter(|schema| !schema.is_null()),
    }
}

/// What a message says beside its content, whole or streamed.
#[derive(Debug, Default)]
pub(super) struct Meta {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) role: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) usage: Object,
    pub(super) error: Option<ProviderError>,
    /// Whether `usage.output_tokens` is the answer; a stream begins with a placeholder.
    pub(super) counted: bool,
}

impl Meta {
    /// Reads a message object.
    pub(super) fn read(&mut self, message: &mut Object) {
        self.id = take_text(message, "id").filter(|id| !id.is_empty());
        self.model = take_text(message, "model").filter(|model| !model.is_empty());
        self.role = take_text(message, "role");
        self.reason = take_text(message, "stop_reason");
        self.merge(take_object(message, "usage"));
    }

    /// Later counts replace earlier ones, key by key.
    pub(super) fn merge(&mut self, usage: Option<Object>) {
        self.usage.extend(usage.into_iter().flatten().filter(|(_, value)| !value.is_null()));
    }

    fn usage(&self) -> Usage {
        let usage = &self.usage;
        let cache_read = usage.count("cache_read_input_tokens");
        let cache_write = usage.count("cache_creation_input_tokens");
        // The provider counts cached tokens beside its input; the conventions count them inside.
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        Usage {
            input: usage.count("input_tokens").map(|count| count.saturating_add(cached)),
            output: usage.count("output_tokens").filter(|_| self.counted),
            cache_read,
            cache_write,
            reasoning: usage
                .object("output_tokens_details")
                .and_then(|details| details.count("thinking_tokens"))
                .filter(|_| self.counted),
        }
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    meta: Meta,
    blocks: Blocks,
    parts: Vec<Part>,
    read: bool,
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        self.blocks.event(event, &mut self.meta, faults);
    }

    fn body(&mut self, body: Value, faults: &mut Faults) {
        let Value::Object(mut body) = body else {
            faults.add("json", "the answer is no object");
            return;
        };
        self.read = true;
        self.meta.error = openai::error(&body);
        if self.meta.error.is_none() {
            self.meta.read(&mut body);
            self.meta.counted = true;
            blocks::read(body.get_mut("content").map(Value::take).unwrap_or_default(), &mut self.parts);
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Reply { meta, blocks, parts, read } = *self;
        let ending = if read { Ending::Open } else { blocks.ending() };
        llm.usage = meta.usage();
        llm.service_tier = meta.usage.filled("service_tier").map(str::to_owned);
        let parts = if read { parts } else { blocks.finish() };
        if meta.id.is_some() || !parts.is_empty() {
            llm.output.push(Message {
                role: meta.role.unwrap_or_else(|| "assistant".to_owned()),
                parts,
                finish_reason: meta.reason.as_deref().map(|raw| finish::word(raw).to_owned()),
            });
        }
        llm.response_id = meta.id;
        llm.response_model = meta.model;
        llm.finish_reasons.extend(meta.reason);
        llm.error = meta.error;
        ending
    }
}
