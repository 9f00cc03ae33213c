//! Converse and its stream; Nova's own bodies have the same shape.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::{Head, blocks, exception, model, usage};
use crate::call::{Lazy, Llm, Message, Params, Part, ProviderError, ToolDefinition, Usage};
use crate::decode::json::{self, Get, Object, take_items, take_object, take_text};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, body, finish, identity, openai,
};
use crate::http::Headers;
use crate::limits;

/// Both formats: whole answers, and streams.
#[derive(Debug)]
pub(crate) struct Converse {
    pub(crate) stream: bool,
}

impl Converse {
    fn verb(&self) -> &'static str {
        if self.stream { "converse-stream" } else { "converse" }
    }
}

impl Format for Converse {
    fn api(&self) -> &'static str {
        if self.stream { "bedrock.converse_stream" } else { "bedrock.converse" }
    }

    fn provider(&self) -> &'static str {
        "aws.bedrock"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if model(target, self.verb()).is_some() { Claim::Yes } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        // A stored prompt brings its own messages; its variables come instead.
        body.is_array("messages") || body.has("promptVariables")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        request(body, llm, faults);
        llm.request_model = model(target, self.verb());
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// Reads a request of this shape.
pub(super) fn request(body: &Body, llm: &mut Llm, faults: &mut Faults) {
    let none = Object::new();
    let small = body.small();
    let config = small.object("inferenceConfig").unwrap_or(&none);
    // Nova spells one of them otherwise.
    let max_tokens = ["maxTokens", "max_new_tokens"].iter().find_map(|key| config.count(key));
    // Members of the model's own request, as its vendor names them.
    let more = small.object("additionalModelRequestFields").unwrap_or(&none);
    let nova = more.object("inferenceConfig").unwrap_or(&none);
    let effort = more
        .filled("reasoning_effort")
        .or_else(|| more.object("output_config")?.filled("effort"))
        .or_else(|| more.object("reasoningConfig")?.filled("maxReasoningEffort"));
    let format = small.object("outputConfig").and_then(|output| output.object("textFormat")?.text("type"));
    identity::from_body(more, llm);
    if let Some(tags) = small.object("requestMetadata") {
        let user = ["user_id", "userId", "user"].iter().find_map(|key| tags.filled(key));
        llm.user = llm.user.take().or_else(|| user.map(str::to_owned));
    }
    llm.params = Params {
        temperature: config.number("temperature"),
        top_p: config.number("topP"),
        top_k: ["topK", "top_k", "k"]
            .iter()
            .find_map(|key| config.number(key).or_else(|| more.number(key)).or_else(|| nova.number(key))),
        reasoning_level: effort.map(str::to_owned),
        output_type: format.filter(|kind| *kind == "json_schema").map(|_| "json"),
        max_tokens,
        stop: openai::stop(config.member("stopSequences")),
        service_tier: small.object("serviceTier").and_then(|tier| tier.filled("type")).map(str::to_owned),
        ..Params::default()
    };
    let mut system = Vec::new();
    blocks::read(body.value("system", faults), &mut system);
    llm.system = system.into();
    let messages = body.list("messages");
    let tooling = |piece: &&Bytes| memchr::memmem::find(piece, b"\"tool").is_some();
    llm.exchanges = Some(Lazy::new(messages.iter().filter(tooling).cloned().collect(), history));
    llm.input = Lazy::new(messages, history);
    llm.tools = Lazy::new(body.raw("toolConfig").into_iter().collect(), tools);
}

fn history(pieces: &[Bytes]) -> Vec<Message> {
    body::values(pieces).filter_map(|value| Some(message(value.as_object()?.clone()))).collect()
}

fn message(mut entry: Object) -> Message {
    let mut parts = Vec::new();
    blocks::read(entry.get_mut("content").map(Value::take).unwrap_or_default(), &mut parts);
    Message { role: take_text(&mut entry, "role").unwrap_or_default(), parts, finish_reason: None }
}

fn tools(pieces: &[Bytes]) -> Vec<ToolDefinition> {
    let mut out = Vec::new();
    for mut config in body::values(pieces) {
        let list = config.get_mut("tools").map(Value::take);
        let Some(Value::Array(list)) = list else { continue };
        for tool in list.into_iter().take(limits::PARTS) {
            let Value::Object(mut tool) = tool else { continue };
            if let Some(mut spec) = take_object(&mut tool, "toolSpec") {
                let schema = take_object(&mut spec, "inputSchema");
                out.push(ToolDefinition {
                    kind: "function".to_owned(),
                    name: take_text(&mut spec, "name").unwrap_or_default(),
                    description: take_text(&mut spec, "description"),
                    parameters: schema.and_then(|mut schema| schema.get_mut("json").map(Value::take)),
                });
            } else if let Some(name) = tool.object("systemTool").and_then(|tool| tool.filled("name")) {
                out.push(ToolDefinition {
                    kind: "system_tool".to_owned(),
                    name: name.to_owned(),
                    description: None,
                    parameters: None,
                });
            }
        }
    }
    out
}

/// An answer being read.
#[derive(Debug, Default)]
pub(super) struct Reply {
    head: Head,
    body: bool,
    role: Option<String>,
    parts: Vec<Part>,
    open: BTreeMap<u64, Draft>,
    reason: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    usage: Usage,
    /// Whether the last of a stream's events came.
    counted: bool,
    error: Option<ProviderError>,
}

/// A block as its deltas left it.
#[derive(Debug, Default)]
struct Draft {
    start: Object,
    text: String,
    reasoning: String,
    input: String,
    /// What a tool of the provider's gave, and about how long it is.
    result: Vec<Value>,
    held: usize,
}

impl Reply {
    /// Reads a whole answer.
    pub(super) fn whole(&mut self, mut object: Object) {
        self.body = true;
        if let Some(error) = self.head.described(&object) {
            self.error = Some(error);
            return;
        }
        self.about(&object);
        self.reason = take_text(&mut object, "stopReason");
        let message =
            take_object(&mut object, "output").and_then(|mut output| take_object(&mut output, "message"));
        if let Some(mut message) = message {
            self.role = take_text(&mut message, "role");
            blocks::read(message.get_mut("content").map(Value::take).unwrap_or_default(), &mut self.parts);
        }
    }

    /// Counts and the model that a router chose.
    fn about(&mut self, object: &Object) {
        if let Some(counts) = object.object("usage") {
            self.usage = usage(counts);
        }
        let router = object.object("trace").and_then(|trace| trace.object("promptRouter"));
        openai::first(&mut self.model, router.and_then(|router| router.text("invokedModelId")));
        openai::first(&mut self.tier, object.object("serviceTier").and_then(|tier| tier.text("type")));
    }

    /// Reads one event by its name.
    pub(super) fn piece(&mut self, name: &str, mut object: Object, faults: &mut Faults) {
        let index = object.count("contentBlockIndex").unwrap_or(0);
        if !self.open.contains_key(&index) && self.open.len() >= limits::PARTS {
            return faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
        }
        match name {
            "messageStart" => self.role = take_text(&mut object, "role"),
            "contentBlockStart" => {
                self.open.entry(index).or_default().start =
                    take_object(&mut object, "start").unwrap_or_default();
            }
            "contentBlockDelta" => {
                let Some(delta) = object.object("delta") else { return };
                let draft = self.open.entry(index).or_default();
                append(&mut draft.text, delta.text("text").unwrap_or_default(), faults);
                if let Some(reasoning) = delta.object("reasoningContent") {
                    append(&mut draft.reasoning, reasoning.text("text").unwrap_or_default(), faults);
                }
                if let Some(tool) = delta.object("toolUse") {
                    match tool.member("input") {
                        Some(Value::String(more)) => append(&mut draft.input, more, faults),
                        Some(input) => draft.input = input.to_string(),
                        None => {}
                    }
                }
                if let Some(Value::Array(pieces)) =
                    object.get_mut("delta").and_then(|it| it.get_mut("toolResult"))
                {
                    draft.given(std::mem::take(pieces), faults);
                }
            }
            "messageStop" => self.reason = take_text(&mut object, "stopReason"),
            "metadata" => {
                self.counted = true;
                self.about(&object);
            }
            _ => {}
        }
    }

    /// Writes what is known.
    pub(super) fn write(self, llm: &mut Llm) -> Ending {
        let Self { body, role, mut parts, open, reason, model, tier, usage, counted, error, .. } = self;
        for draft in open.into_values() {
            draft.finish(&mut parts);
        }
        let whole = reason.is_some() && error.is_none();
        if role.is_some() || !parts.is_empty() {
            let word = reason.as_deref().map(|raw| finish::word(raw).to_owned());
            let role = role.unwrap_or_else(|| "assistant".to_owned());
            llm.output.push(Message { role, parts, finish_reason: word });
        }
        llm.finish_reasons.extend(reason);
        llm.response_model = model;
        llm.service_tier = tier;
        llm.usage = usage;
        llm.error = error;
        match (body, whole) {
            (true, _) => Ending::Open,
            (_, true) if counted => Ending::Whole,
            // Only the counts are missing, which some servers may not send.
            (_, true) => Ending::Open,
            _ => Ending::Cut,
        }
    }
}

impl Draft {
    /// Adds pieces of a result; text goes on where the last piece was text as well.
    fn given(&mut self, pieces: Vec<Value>, faults: &mut Faults) {
        for piece in pieces {
            let more = piece.text("text").map(str::to_owned);
            self.held += more.as_ref().map_or_else(|| piece.to_string().len(), String::len);
            if self.held > limits::PART_BYTES || self.result.len() >= limits::PARTS {
                let most = limits::PART_BYTES;
                return faults.add("limit.part", format!("a part of the answer is longer than {most} bytes"));
            }
            match (self.result.last_mut().and_then(|last| last.get_mut("text")), more) {
                (Some(Value::String(text)), Some(more)) => text.push_str(&more),
                _ => self.result.push(piece),
            }
        }
    }

    fn finish(self, parts: &mut Vec<Part>) {
        let Self { mut start, text, reasoning, input, result, .. } = self;
        if !reasoning.is_empty() {
            parts.push(Part::Reasoning(reasoning));
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        if let Some(Value::Object(tool)) = start.get_mut("toolUse") {
            // A tool without parameters is called with nothing.
            let value = if input.is_empty() {
                Value::Object(Object::new())
            } else {
                json::arguments(Value::String(input))
            };
            tool.insert("input".to_owned(), value);
        }
        if let Some(Value::Object(tool)) = start.get_mut("toolResult") {
            tool.insert("content".to_owned(), Value::Array(result));
        }
        blocks::read(Value::Array(vec![Value::Object(start)]), parts);
    }
}

impl Answer for Reply {
    fn head(&mut self, status: u16, headers: &Headers) {
        self.head = Head::new(status, headers);
    }

    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        if event.exception {
            self.error = Some(exception(event));
        } else if let Some(object) = crate::decode::object(event.data.trim(), faults) {
            self.piece(event.name, object, faults);
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.whole(body.into_object(faults));
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        self.write(llm)
    }
}

/// The events of a stream that a model sends as members of one object (Nova).
pub(super) const EVENTS: &[&str] = &[
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
];

/// Takes an event out of such an object.
pub(super) fn unwrapped(object: &mut Object) -> Option<(&'static str, Object)> {
    EVENTS.iter().find_map(|name| Some((*name, take_object(object, name)?)))
}

/// Whether a body has the shape of Converse's messages: blocks without a `type`.
pub(super) fn is_like(body: &Body) -> bool {
    body.has("schemaVersion") || body.has("inferenceConfig") || {
        let first = body::values(&body.list("messages")).next();
        let Some(Value::Object(mut first)) = first else { return false };
        take_items(&mut first, "content").first().is_some_and(|block| block.text("type").is_none())
    }
}
