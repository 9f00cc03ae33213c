//! Messages: `POST …/v1/messages`, whole answers. Streamed ones are in [`super::stream`].

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use super::{blocks, stream::Blocks};
use crate::call::{Lazy, Llm, Message, Outside, Params, Part, ProviderError, ToolDefinition, Usage};
use crate::decode::json::{Get, Object, take_object, take_text};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, body, finish, identity, openai, resource,
    tail,
};
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
        if target.method == "POST" && is_vertex(target.path) {
            return Claim::Yes;
        }
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

    fn fits(&self, body: &Body) -> bool {
        body.is_array("messages")
            && (body.is_text("model") || body.is_text("anthropic_version"))
            && (body.has("max_tokens") || body.has("anthropic_version") || body.has("system"))
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        let small = body.small();
        identity::from_body(small, llm);
        llm.params = params(small);
        llm.request_model = small.filled("model").map(str::to_owned);
        if is_vertex(target.path) {
            resource::place(target.path, llm);
            llm.request_model = llm.request_model.take().or_else(|| resource::model(target.path));
        }
        let mut system = Vec::new();
        blocks::read(body.value("system", faults), &mut system);
        llm.system = system.into();
        let messages = body.list("messages");
        let tooling = |message: &&Bytes| TOOL.find(message).is_some();
        llm.exchanges = Some(Lazy::new(messages.iter().filter(tooling).cloned().collect(), history));
        llm.input = Lazy::new(messages, history);
        llm.tools = Lazy::new(body.list("tools"), tools);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// Whether a path is Vertex's for these models. Counting tokens is the work of a model of that name.
fn is_vertex(path: &str) -> bool {
    matches!(resource::verb(path), Some("rawPredict" | "streamRawPredict"))
        && resource::publisher(path) == Some("anthropic")
        && resource::model(path).is_some_and(|model| model != "count-tokens")
}

/// A word without which no message holds a tool call or its result.
static TOOL: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\"tool_"));

/// The messages that pieces of a request hold.
fn history(pieces: &[Bytes]) -> Vec<Message> {
    let mut out = Vec::new();
    for entry in body::values(pieces) {
        let Value::Object(mut entry) = entry else { continue };
        let mut parts = Vec::new();
        blocks::read(entry.get_mut("content").map(Value::take).unwrap_or_default(), &mut parts);
        let role = take_text(&mut entry, "role").unwrap_or_default();
        out.push(Message { role, parts, finish_reason: None });
    }
    out
}

/// The tools that pieces of a request hold.
fn tools(pieces: &[Bytes]) -> Vec<ToolDefinition> {
    let object = |value| if let Value::Object(tool) = value { Some(definition(tool)) } else { None };
    body::values(pieces).filter_map(object).collect()
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

    /// Runs that are billed and are not in the counts above them: all iterations but the message's own.
    fn outside(&self) -> Vec<Outside> {
        let own = |kind: &str| kind.is_empty() || kind == "message";
        let one = |run: &Value| {
            let kind = run.text("type").unwrap_or_default();
            let usage = run.as_object().filter(|_| !own(kind))?;
            let model = run.filled("model").map(str::to_owned);
            Some(Outside { kind: kind.to_owned(), model, usage: counts(usage) })
        };
        self.usage.items("iterations").iter().take(limits::PARTS).filter_map(one).collect()
    }

    /// How often tools ran on the provider's side, by their names.
    fn tool_uses(&self) -> Vec<(String, u64)> {
        let used = self.usage.object("server_tool_use").into_iter().flatten();
        let count = |(key, count): (&String, &Value)| {
            Some((key.strip_suffix("_requests")?.to_owned(), count.as_u64()?))
        };
        used.filter_map(count).take(limits::PARTS).collect()
    }

    fn usage(&self) -> Usage {
        let usage = counts(&self.usage);
        // A stream begins with a placeholder.
        Usage {
            output: usage.output.filter(|_| self.counted),
            reasoning: usage.reasoning.filter(|_| self.counted),
            ..usage
        }
    }
}

/// Counts of one run of a model.
fn counts(usage: &Object) -> Usage {
    let cache_read = usage.count("cache_read_input_tokens");
    let cache_write = usage.count("cache_creation_input_tokens");
    // The provider counts cached tokens beside its input; the conventions count them inside.
    let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    Usage {
        input: usage.count("input_tokens").map(|count| count.saturating_add(cached)),
        output: usage.count("output_tokens"),
        cache_read,
        cache_write,
        reasoning: usage.object("output_tokens_details").and_then(|details| details.count("thinking_tokens")),
        cache_write_1h: usage
            .object("cache_creation")
            .and_then(|written| written.count("ephemeral_1h_input_tokens")),
        ..Usage::default()
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

    fn body(&mut self, body: Body, faults: &mut Faults) {
        let mut body = body.into_object(faults);
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
        llm.outside = meta.outside();
        llm.tool_uses = meta.tool_uses();
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
