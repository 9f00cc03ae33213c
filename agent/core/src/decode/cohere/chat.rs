//! Version 2 of chat: `POST …/v2/chat`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::{error, usage};
use crate::call::{Lazy, Llm, Message, Params, Part, ProviderError, ToolCall, Usage};
use crate::decode::json::{self, Get, Object, take_items, take_object, take_text};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, finish, openai, tail,
};
use crate::http::Headers;
use crate::limits;

/// The format.
#[derive(Debug)]
pub(crate) struct Chat;

impl Format for Chat {
    fn api(&self) -> &'static str {
        "cohere.v2.chat"
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method == "POST" && tail(target.path, &["v2", "chat"]) { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_array("messages") && body.is_text("model")
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let small = body.small();
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.params = params(small);
        llm.tools = Lazy::new(body.list("tools"), openai::tools);
        let messages = body.list("messages");
        let tooling = |piece: &&Bytes| memchr::memmem::find(piece, b"tool").is_some();
        let tooled = messages.iter().filter(tooling).cloned().collect();
        llm.exchanges = Some(Lazy::new(tooled, openai::chat::history));
        llm.input = Lazy::new(messages, openai::chat::history);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// Parameters, which both versions name alike.
pub(super) fn params(body: &Object) -> Params {
    let format = body.object("response_format").and_then(|format| format.text("type"));
    Params {
        temperature: body.number("temperature"),
        top_p: body.number("p"),
        top_k: body.number("k"),
        max_tokens: body.count("max_tokens"),
        frequency_penalty: body.number("frequency_penalty"),
        presence_penalty: body.number("presence_penalty"),
        seed: body.member("seed").and_then(Value::as_i64),
        stop: openai::stop(body.member("stop_sequences")),
        output_type: match format {
            Some("json_object") => Some("json"),
            Some("text") => Some("text"),
            _ => None,
        },
        ..Params::default()
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    /// Whether it had the shape of Cohere's.
    ours: bool,
    failed: bool,
    read: bool,
    id: Option<String>,
    plan: String,
    /// Text and thinking by the index of their block.
    content: BTreeMap<u64, Part>,
    calls: BTreeMap<u64, Call>,
    reason: Option<String>,
    usage: Usage,
    error: Option<ProviderError>,
}

#[derive(Debug, Default)]
struct Call {
    id: Option<String>,
    name: String,
    arguments: String,
}

impl Reply {
    fn text(&mut self, index: u64, content: &Object, faults: &mut Faults) {
        if self.content.len() >= limits::PARTS {
            return faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
        }
        if let Some(more) = content.text("thinking") {
            let slot = self.content.entry(index).or_insert_with(|| Part::Reasoning(String::new()));
            if let Part::Reasoning(text) = slot {
                append(text, more, faults);
            }
        } else if let Some(more) = content.text("text") {
            let slot = self.content.entry(index).or_insert_with(|| Part::Text(String::new()));
            if let Part::Text(text) = slot {
                append(text, more, faults);
            }
        }
    }

    fn call(&mut self, index: u64, call: &Object, faults: &mut Faults) {
        if self.calls.len() >= limits::PARTS {
            return faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
        }
        let slot = self.calls.entry(index).or_default();
        openai::first(&mut slot.id, call.text("id"));
        let Some(function) = call.object("function") else { return };
        if slot.name.is_empty() {
            function.text("name").unwrap_or_default().clone_into(&mut slot.name);
        }
        append(&mut slot.arguments, function.text("arguments").unwrap_or_default(), faults);
    }
}

impl Answer for Reply {
    fn head(&mut self, status: u16, _headers: &Headers) {
        self.failed = status >= 400;
    }

    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        let data = event.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        let Some(mut object) = crate::decode::object(data, faults) else { return };
        let index = object.count("index").unwrap_or(0);
        let kind = object.text("type").unwrap_or(event.name).to_owned();
        openai::first(&mut self.id, object.text("id"));
        self.ours |= matches!(
            kind.as_str(),
            "message-start" | "content-start" | "content-delta" | "tool-plan-delta" | "message-end"
        );
        let mut delta = take_object(&mut object, "delta").unwrap_or_default();
        let message = delta.object("message");
        match kind.as_str() {
            "content-start" | "content-delta" => {
                if let Some(content) = message.and_then(|message| message.object("content")) {
                    self.text(index, &content.clone(), faults);
                }
            }
            "tool-plan-delta" => {
                append(
                    &mut self.plan,
                    message.and_then(|it| it.text("tool_plan")).unwrap_or_default(),
                    faults,
                );
            }
            "tool-call-start" | "tool-call-delta" => {
                if let Some(call) = message.and_then(|message| message.object("tool_calls")) {
                    self.call(index, &call.clone(), faults);
                }
            }
            "message-end" => {
                self.reason = take_text(&mut delta, "finish_reason");
                if let Some(counts) = delta.object("usage") {
                    self.usage = usage(counts);
                }
                self.error = self.error.take().or_else(|| openai::error(&delta));
            }
            _ => self.error = self.error.take().or_else(|| openai::error(&object)),
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.read = true;
        let mut object = body.into_object(faults);
        if self.failed {
            self.error = openai::error(&object).or_else(|| error(&object));
            return;
        }
        self.ours = object.object("message").is_some() && object.filled("finish_reason").is_some();
        self.id = take_text(&mut object, "id");
        self.reason = take_text(&mut object, "finish_reason");
        if let Some(counts) = object.object("usage") {
            self.usage = usage(counts);
        }
        let mut message = take_object(&mut object, "message").unwrap_or_default();
        self.plan = take_text(&mut message, "tool_plan").unwrap_or_default();
        for (index, content) in (0..).zip(take_items(&mut message, "content")) {
            if let Value::Object(content) = content {
                self.text(index, &content, faults);
            }
        }
        for (index, call) in (0..).zip(take_items(&mut message, "tool_calls")) {
            if let Value::Object(call) = call {
                self.call(index, &call, faults);
            }
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self { ours, read, id, plan, content, calls, reason, usage, error, .. } = *self;
        let mut parts = Vec::new();
        // The plan is what the model thinks before it asks for tools.
        parts.extend(Some(plan).filter(|plan| !plan.is_empty()).map(Part::Reasoning));
        parts.extend(
            content.into_values().filter(|part| !matches!(part, Part::Text(text) if text.is_empty())),
        );
        parts.extend(calls.into_values().map(|call| {
            Part::ToolCall(ToolCall {
                id: call.id,
                name: call.name,
                // A tool without parameters is called with nothing.
                arguments: match call.arguments {
                    text if text.is_empty() => Value::Object(Object::new()),
                    text => json::arguments(Value::String(text)),
                },
                kind: "function",
            })
        }));
        let whole = reason.is_some();
        if whole || !parts.is_empty() {
            let word = reason.as_deref().map(|raw| finish::word(raw).to_owned());
            llm.output.push(Message { role: "assistant".to_owned(), parts, finish_reason: word });
        }
        llm.finish_reasons.extend(reason);
        llm.response_id = id;
        llm.usage = usage;
        llm.error = error;
        let ending = match (read, whole) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        };
        ending.of(ours, llm)
    }
}
