//! Chat Completions: `POST …/chat/completions`, whole answers. Streamed ones are in [`super::stream`].

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use super::stream::Chunks;
use super::{content, error, first, usage};
use crate::call::{Lazy, Llm, Message, Part, ToolCall, ToolResult, Usage};
use crate::decode::json::{self, Get, Object, take_items, take_object, take_text};
use crate::decode::sieve::length;
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, body, finish, identity, resource, segments,
    tail,
};
use crate::{limits, price};

/// The format.
#[derive(Debug)]
pub(crate) struct Chat;

impl Format for Chat {
    fn api(&self) -> &'static str {
        "openai.chat"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method != "POST" {
            Claim::No
        } else if tail(target.path, &["chat", "completions"]) {
            Claim::Yes
        } else if is_raw(target.path) || tail(target.path, &["v1", "chat"]) {
            Claim::Perhaps
        } else {
            Claim::No
        }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_array("messages")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        identity::from_body(body.small(), llm);
        super::request(body, llm);
        if llm.request_model.is_none() {
            llm.request_model = deployment(target.path)
                .or_else(|| resource::model(target.path).filter(|_| is_raw(target.path)));
        }
        resource::place(target.path, llm);
        let messages = body.list("messages");
        llm.exchanges =
            Some(Lazy::new(messages.iter().filter(|it| is_tooling(it)).cloned().collect(), history));
        llm.input = Lazy::new(messages, history);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// Whether a path is Vertex's for the models of other publishers, most of which speak this format.
fn is_raw(path: &str) -> bool {
    matches!(resource::verb(path), Some("rawPredict" | "streamRawPredict"))
        && resource::publisher(path).is_some_and(|whose| !matches!(whose, "anthropic" | "google"))
}

/// The deployment that Azure has in the path instead of a model in the body.
pub(in crate::decode) fn deployment(path: &str) -> Option<String> {
    let mut later = None;
    for segment in segments(path) {
        if segment == "deployments" {
            return later.map(str::to_owned);
        }
        later = Some(segment);
    }
    None
}

/// Whether the text of a message can hold a tool call or a result.
fn is_tooling(message: &[u8]) -> bool {
    TOOLING.iter().any(|word| word.find(message).is_some())
}

/// Words without which no message holds a tool call or a result.
static TOOLING: LazyLock<[memmem::Finder<'static>; 3]> =
    LazyLock::new(|| ["tool_calls", "\"tool\"", "\"function"].map(memmem::Finder::new));

/// The messages that pieces of a request hold.
pub(in crate::decode) fn history(pieces: &[Bytes]) -> Vec<Message> {
    let object = |value| if let Value::Object(entry) = value { Some(message(entry)) } else { None };
    body::values(pieces).filter_map(object).collect()
}

/// One message, of a request or an answer.
fn message(mut entry: Object) -> Message {
    let role = take_text(&mut entry, "role").unwrap_or_default();
    let mut parts = Vec::new();
    if role == "tool" || role == "function" {
        let id = take_text(&mut entry, "tool_call_id").filter(|id| !id.is_empty());
        let response = json::result(flat(entry.get_mut("content").map(Value::take).unwrap_or_default()));
        parts.push(Part::ToolResult(ToolResult {
            id,
            name: take_text(&mut entry, "name"),
            response,
            is_error: false,
        }));
        return Message { role: "tool".to_owned(), parts, finish_reason: None };
    }
    if let Some(text) = ["reasoning_content", "reasoning"].iter().find_map(|key| take_text(&mut entry, key))
        && !text.is_empty()
    {
        parts.push(Part::Reasoning(text));
    }
    if let Some(value) = entry.get_mut("content") {
        content::read(value.take(), &mut parts);
    }
    if let Some(text) = take_text(&mut entry, "refusal").filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal(text));
    }
    if let Some(audio) = entry.object("audio").filter(|audio| audio.filled("id").is_some()) {
        parts.push(crate::decode::media::inline("audio", None, audio.text("data").map_or(0, length)));
    }
    for call in take_items(&mut entry, "tool_calls").into_iter().take(limits::PARTS) {
        if let Value::Object(call) = call {
            parts.push(Part::ToolCall(tool_call(call)));
        }
    }
    if let Some(mut call) = take_object(&mut entry, "function_call")
        && call.filled("name").is_some()
    {
        parts.push(Part::ToolCall(ToolCall {
            id: None,
            name: take_text(&mut call, "name").unwrap_or_default(),
            arguments: json::arguments(call.get_mut("arguments").map(Value::take).unwrap_or_default()),
            kind: "function",
        }));
    }
    Message { role, parts, finish_reason: None }
}

/// A list of text parts is one text.
fn flat(content: Value) -> Value {
    match content {
        Value::Array(list) if list.iter().all(|part| part.text("type") == Some("text")) => {
            Value::String(list.iter().filter_map(|part| part.text("text")).collect())
        }
        other => other,
    }
}

fn tool_call(mut call: Object) -> ToolCall {
    let id = take_text(&mut call, "id").filter(|id| !id.is_empty());
    // Some servers fill in an empty `custom` beside every function.
    if let Some(mut custom) =
        take_object(&mut call, "custom").filter(|custom| custom.filled("name").is_some())
    {
        return ToolCall {
            id,
            name: take_text(&mut custom, "name").unwrap_or_default(),
            arguments: custom.get_mut("input").map(Value::take).unwrap_or_default(),
            kind: "custom",
        };
    }
    let mut function = take_object(&mut call, "function").unwrap_or_default();
    ToolCall {
        id,
        name: take_text(&mut function, "name").unwrap_or_default(),
        arguments: json::arguments(function.get_mut("arguments").map(Value::take).unwrap_or_default()),
        kind: "function",
    }
}

/// What every chunk and the whole body say of the answer.
#[derive(Debug, Default)]
pub(super) struct Meta {
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    fingerprint: Option<String>,
    pub(super) usage: Option<Usage>,
    /// Whether the counts stood where they belong.
    counted: bool,
    cost: Option<f64>,
    pub(super) error: Option<crate::call::ProviderError>,
}

impl Meta {
    /// Remembers names; the first that are filled count.
    pub(super) fn name(
        &mut self,
        id: Option<&str>,
        model: Option<&str>,
        tier: Option<&str>,
        fingerprint: Option<&str>,
    ) {
        first(&mut self.id, id);
        first(&mut self.model, model);
        first(&mut self.tier, tier);
        first(&mut self.fingerprint, fingerprint);
    }

    /// Writes what is known.
    pub(super) fn write(self, llm: &mut Llm) {
        llm.response_id = self.id;
        llm.response_model = self.model;
        llm.service_tier = self.tier;
        llm.system_fingerprint = self.fingerprint;
        llm.usage = self.usage.unwrap_or_default();
        llm.stated_cost = self.cost;
        llm.error = self.error;
    }

    /// Whether an answer shows that the request was for a model: by its shape, or by an error, or by nothing that
    /// could be read, where the request named a model.
    pub(super) fn claims(&self, shaped: bool, read: bool, llm: &Llm) -> bool {
        shaped || llm.request_model.is_some() && (self.error.is_some() || !read)
    }

    /// Reads one body or chunk. Azure's first chunk has empty ids, so the first that is filled counts.
    pub(super) fn read(&mut self, body: &Object) {
        let get = |key| body.text(key);
        self.name(get("id"), get("model"), get("service_tier"), get("system_fingerprint"));
        let counts =
            body.object("usage").or_else(|| body.object("x_groq").and_then(|groq| groq.object("usage")));
        self.counted |= counts.is_some();
        // Moonshot's streams have them inside of the choice.
        let inside = || body.items("choices").first().and_then(|choice| choice.object("usage"));
        if let Some(counts) = counts.or_else(|| inside().filter(|_| !self.counted)) {
            self.usage = Some(usage::read(counts));
            self.cost = price::stated(counts).or(self.cost);
        }
        // `detail` is an error only where nothing else is an answer.
        if body.contains_key("error") || !body.contains_key("choices") {
            self.error = error(body).or(self.error.take());
        }
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    meta: Meta,
    chunks: Chunks,
    output: Vec<Message>,
    reasons: Vec<String>,
    read: bool,
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        self.chunks.event(event, &mut self.meta, faults);
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        let mut body = body.into_object(faults);
        self.read = true;
        self.meta.read(&body);
        for choice in take_items(&mut body, "choices").into_iter().take(limits::CHOICES) {
            let Value::Object(mut choice) = choice else { continue };
            // Mistral's models on Bedrock spell it as Anthropic does.
            let reason = ["finish_reason", "stop_reason"].iter().find_map(|key| take_text(&mut choice, key));
            if let Some(mut message) = take_object(&mut choice, "message").map(message) {
                message.finish_reason =
                    reason.as_deref().filter(|raw| !raw.is_empty()).map(|raw| finish::word(raw).to_owned());
                if message.role.is_empty() {
                    "assistant".clone_into(&mut message.role);
                }
                self.output.push(message);
            }
            self.reasons.extend(reason);
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Reply { meta, chunks, output, reasons, read } = *self;
        let ending = if read { Ending::Open } else { chunks.ending(meta.error.is_some()) };
        (llm.output, llm.finish_reasons) = if read { (output, reasons) } else { chunks.finish() };
        meta.write(llm);
        ending
    }
}
