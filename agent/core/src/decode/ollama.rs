//! Ollama's own API: `/api/chat`, `/api/generate`, `/api/embed` (docs/api.md of its repository). Streams are
//! JSON documents, one a line; the last one says `done` and holds the counts.

use bytes::Bytes;
use serde_json::Value;

use super::json::{self, Get, Object, take_items, take_object, take_text};
use super::openai::completions::said;
use super::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, body, finish, media, openai, sieve,
    tail,
};
use crate::call::{Lazy, Llm, Message, Params, Part, ProviderError, ToolCall, ToolResult, Usage};
use crate::limits;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ollama {
    Chat,
    Generate,
    Embed,
}

impl Format for Ollama {
    fn api(&self) -> &'static str {
        match self {
            Self::Chat => "ollama.chat",
            Self::Generate => "ollama.generate",
            Self::Embed => "ollama.embed",
        }
    }

    fn provider(&self) -> &'static str {
        "ollama"
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Generate => "text_completion",
            Self::Embed => "embeddings",
        }
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let known = match self {
            Self::Chat => tail(target.path, &["api", "chat"]),
            Self::Generate => tail(target.path, &["api", "generate"]),
            Self::Embed => tail(target.path, &["api", "embed"]) || tail(target.path, &["api", "embeddings"]),
        };
        if target.method == "POST" && known { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("model")
            && match self {
                Self::Chat => body.is_array("messages"),
                Self::Generate => body.has("prompt") || body.has("keep_alive") || body.has("options"),
                Self::Embed => body.has("input") || body.is_text("prompt"),
            }
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        let small = body.small();
        // The format has no vendor but this one.
        if llm.provider != "ollama" {
            "ollama".clone_into(&mut llm.provider);
        }
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.params = params(small);
        llm.tools = Lazy::new(body.list("tools"), openai::tools);
        if let Value::String(system) = body.value("system", faults)
            && !system.is_empty()
        {
            llm.system = vec![Part::Text(system)].into();
        }
        match self {
            Self::Chat => {
                let messages = body.list("messages");
                let tooling = |piece: &&Bytes| memchr::memmem::find(piece, b"tool").is_some();
                llm.exchanges = Some(Lazy::new(messages.iter().filter(tooling).cloned().collect(), history));
                llm.input = Lazy::new(messages, history);
            }
            Self::Generate => {
                llm.input = Lazy::new(body.raw("prompt").into_iter().collect(), openai::completions::prompt)
            }
            Self::Embed => {
                let mut input = body.list("input");
                if input.is_empty() {
                    input.extend(["input", "prompt"].iter().find_map(|key| body.raw(key)));
                }
                llm.dimensions = small.count("dimensions");
                llm.input = Lazy::new(input, openai::completions::prompt);
            }
        }
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply { embed: *self == Self::Embed, ..Reply::default() })
    }
}

fn params(body: &Object) -> Params {
    let none = Object::new();
    let options = body.object("options").unwrap_or(&none);
    Params {
        temperature: options.number("temperature"),
        top_p: options.number("top_p"),
        top_k: options.number("top_k"),
        max_tokens: options.count("num_predict"),
        frequency_penalty: options.number("frequency_penalty"),
        presence_penalty: options.number("presence_penalty"),
        seed: options.member("seed").and_then(Value::as_i64),
        stop: openai::stop(options.member("stop")),
        reasoning_level: body.filled("think").map(str::to_owned),
        output_type: body
            .member("format")
            .filter(|format| format.is_object() || format.as_str() == Some("json"))
            .map(|_| "json"),
        ..Params::default()
    }
}

fn history(pieces: &[Bytes]) -> Vec<Message> {
    let object = |value| if let Value::Object(entry) = value { Some(message(entry)) } else { None };
    body::values(pieces).filter_map(object).collect()
}

fn message(mut entry: Object) -> Message {
    let role = take_text(&mut entry, "role").unwrap_or_default();
    let content = take_text(&mut entry, "content").unwrap_or_default();
    if role == "tool" {
        let name = ["tool_name", "name"].iter().find_map(|key| entry.filled(key)).map(str::to_owned);
        let id = entry.filled("tool_call_id").map(str::to_owned);
        let response = json::result(Value::String(content));
        let parts = vec![Part::ToolResult(ToolResult { id, name, response, is_error: false })];
        return Message { role, parts, finish_reason: None };
    }
    let mut parts = Vec::new();
    parts.extend(take_text(&mut entry, "thinking").filter(|text| !text.is_empty()).map(Part::Reasoning));
    if !content.is_empty() {
        parts.push(Part::Text(content));
    }
    for image in entry.items("images") {
        parts.push(media::inline("image", None, image.as_str().map_or(0, sieve::length)));
    }
    parts.extend(calls(&mut entry).into_iter().map(Part::ToolCall));
    Message { role, parts, finish_reason: None }
}

/// Arguments are an object; ids are missing before version 0.13.
fn calls(entry: &mut Object) -> Vec<ToolCall> {
    let mut out = Vec::new();
    for call in take_items(entry, "tool_calls").into_iter().take(limits::PARTS) {
        let Value::Object(mut call) = call else { continue };
        let id = take_text(&mut call, "id").filter(|id| !id.is_empty());
        let Some(mut function) = take_object(&mut call, "function") else { continue };
        out.push(ToolCall {
            id: id.or_else(|| take_text(&mut function, "id").filter(|id| !id.is_empty())),
            name: take_text(&mut function, "name").unwrap_or_default(),
            arguments: json::arguments(function.get_mut("arguments").map(Value::take).unwrap_or_default()),
            kind: "function",
        });
    }
    out
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    embed: bool,
    /// Whether it had the shape of Ollama's: many applications have a chat of their own on these paths.
    ours: bool,
    read: bool,
    model: Option<String>,
    thinking: String,
    text: String,
    calls: Vec<ToolCall>,
    reason: Option<String>,
    done: bool,
    input: Option<u64>,
    output: Option<u64>,
    error: Option<ProviderError>,
}

impl Reply {
    fn line(&mut self, mut object: Object, faults: &mut Faults) {
        if let Some(error) = openai::error(&object) {
            self.error = Some(error);
        }
        openai::first(&mut self.model, object.text("model"));
        self.ours |= object.member("done").is_some_and(Value::is_boolean)
            && (object.object("message").is_some() || object.text("response").is_some());
        let mut inner = take_object(&mut object, "message").unwrap_or_default();
        for key in ["content", "thinking"] {
            if let Some(more) = inner.text(key) {
                append(if key == "content" { &mut self.text } else { &mut self.thinking }, more, faults);
            }
        }
        append(&mut self.text, object.text("response").unwrap_or_default(), faults);
        append(&mut self.thinking, object.text("thinking").unwrap_or_default(), faults);
        let room = limits::PARTS.saturating_sub(self.calls.len());
        self.calls.extend(calls(&mut inner).into_iter().take(room));
        self.done |= object.is_true("done");
        if let Some(reason) = object.filled("done_reason") {
            self.reason = Some(reason.to_owned());
        }
        self.input = object.count("prompt_eval_count").or(self.input);
        self.output = object.count("eval_count").or(self.output);
    }
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        match json::parse(event.data.trim().as_bytes()) {
            Ok(Value::Object(object)) => self.line(object, faults),
            Ok(_) => faults.add("json", "a line is no object"),
            Err(reason) => faults.add("json", format!("a line is {reason}")),
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.read = true;
        self.ours = self.embed && (body.is_array("embeddings") || body.is_array("embedding"));
        // Vectors stay where they are.
        let object = if self.embed { body.small().clone() } else { body.into_object(faults) };
        self.line(object, faults);
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self { embed, ours, read, model, thinking, text, calls, reason, done, input, output, error } =
            *self;
        llm.response_model = model;
        llm.usage = Usage { input, output: output.filter(|_| !embed), ..Usage::default() };
        llm.error = error;
        if !embed && (!text.is_empty() || !thinking.is_empty() || !calls.is_empty() || done) {
            let word = match reason.as_deref() {
                Some("stop") if !calls.is_empty() => Some("tool_call"),
                other => other.map(finish::word),
            };
            let mut message = said("assistant", text, word.map(str::to_owned));
            if !thinking.is_empty() {
                message.parts.insert(0, Part::Reasoning(thinking));
            }
            message.parts.extend(calls.into_iter().map(Part::ToolCall));
            llm.output.push(message);
        }
        llm.finish_reasons.extend(reason);
        let ending = match (read, done) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        };
        let ending = ending.of(ours, llm);
        llm.provider_said = true;
        ending
    }
}
