//! Version 1: `POST …/v1/chat` with one `message` beside its history, and `POST …/v1/generate`. Streams are JSON
//! documents, one a line, and end with the whole answer.

use bytes::Bytes;
use serde_json::Value;

use super::{chat, error, is_ours, usage};
use crate::call::{
    Conversation, Lazy, Llm, Message, Part, ProviderError, ToolCall, ToolDefinition, ToolResult, Usage,
};
use crate::decode::json::{self, Get, Object, take_items, take_object, take_text};
use crate::decode::openai::completions::{prompt, said};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, body, finish, openai, tail,
};
use crate::http::Headers;
use crate::limits;

/// Chat of version 1.
#[derive(Debug)]
pub(crate) struct First;

/// Generate, which came before chat.
#[derive(Debug)]
pub(crate) struct Generate;

impl Format for First {
    fn api(&self) -> &'static str {
        "cohere.v1.chat"
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let known = tail(target.path, &["v1", "chat"]);
        if target.method == "POST" && known { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        // Many servers take a message; the words beside it are Cohere's.
        const WORDS: &[&str] = &["model", "chat_history", "preamble", "connectors", "tool_results"];
        body.is_text("message") && WORDS.iter().any(|word| body.has(word))
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let small = body.small();
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.params = chat::params(small);
        if let Some(id) = small.filled("conversation_id") {
            llm.conversation = Some(Conversation { id: id.to_owned(), source: "body:conversation_id" });
        }
        if let Some(text) = small.filled("preamble") {
            llm.system = vec![Part::Text(text.to_owned())].into();
        }
        let mut input: Vec<Message> =
            body::values(&body.list("chat_history")).filter_map(said_before).collect();
        let results: Vec<Part> = body::values(&body.list("tool_results")).filter_map(result).collect();
        if let Some(text) = small.filled("message") {
            input.push(said("user", text.to_owned(), None));
        }
        if !results.is_empty() {
            input.push(Message { role: "tool".to_owned(), parts: results, finish_reason: None });
        }
        input.truncate(limits::PARTS);
        llm.input = input.into();
        llm.tools = Lazy::new(body.list("tools"), tools);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply { chat: true, ..Reply::default() })
    }
}

impl Format for Generate {
    fn api(&self) -> &'static str {
        "cohere.v1.generate"
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let ours = tail(target.path, &["generate"]) && !tail(target.path, &["api", "generate"]);
        if target.method == "POST" && ours { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("prompt") && body.is_text("model")
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let small = body.small();
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.params = chat::params(small);
        llm.input = Lazy::new(body.raw("prompt").into_iter().collect(), prompt);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

fn said_before(value: Value) -> Option<Message> {
    let Value::Object(mut entry) = value else { return None };
    let role = match take_text(&mut entry, "role").as_deref() {
        Some("USER") => "user".to_owned(),
        Some("CHATBOT") => "assistant".to_owned(),
        Some("SYSTEM") => "system".to_owned(),
        Some("TOOL") => "tool".to_owned(),
        other => other.unwrap_or_default().to_lowercase(),
    };
    let mut message = said(&role, take_text(&mut entry, "message").unwrap_or_default(), None);
    message.parts.extend(calls(&mut entry).into_iter().map(Part::ToolCall));
    message.parts.extend(take_items(&mut entry, "tool_results").into_iter().filter_map(result));
    Some(message)
}

fn result(value: Value) -> Option<Part> {
    let Value::Object(mut entry) = value else { return None };
    let call = take_object(&mut entry, "call").unwrap_or_default();
    let response = json::result(entry.get_mut("outputs").map(Value::take).unwrap_or_default());
    let name = call.filled("name").map(str::to_owned);
    Some(Part::ToolResult(ToolResult { id: None, name, response, is_error: false }))
}

/// Calls have no ids, and parameters instead of arguments.
pub(in crate::decode) fn calls(object: &mut Object) -> Vec<ToolCall> {
    let one = |value| {
        let Value::Object(mut call) = value else { return None };
        Some(ToolCall {
            id: None,
            name: take_text(&mut call, "name").unwrap_or_default(),
            arguments: call.get_mut("parameters").map(Value::take).unwrap_or_default(),
            kind: "function",
        })
    };
    take_items(object, "tool_calls").into_iter().take(limits::PARTS).filter_map(one).collect()
}

fn tools(pieces: &[Bytes]) -> Vec<ToolDefinition> {
    let one = |value| {
        let Value::Object(mut tool) = value else { return None };
        Some(ToolDefinition {
            kind: "function".to_owned(),
            name: take_text(&mut tool, "name").unwrap_or_default(),
            description: take_text(&mut tool, "description"),
            parameters: tool.get_mut("parameter_definitions").map(Value::take).filter(|it| !it.is_null()),
        })
    };
    body::values(pieces).filter_map(one).collect()
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    chat: bool,
    /// Whether something in it was Cohere's alone: many servers have a chat and generate.
    ours: bool,
    failed: bool,
    read: bool,
    id: Option<String>,
    text: String,
    /// Texts of several generations; the first is streamed into `text`.
    more: Vec<(String, Option<String>)>,
    calls: Vec<ToolCall>,
    reason: Option<String>,
    usage: Usage,
    ended: bool,
    error: Option<ProviderError>,
}

impl Reply {
    /// Reads a whole answer, by itself or at the end of a stream.
    fn whole(&mut self, mut object: Object) {
        self.ours |=
            is_ours(&object) || object.items("generations").iter().any(|one| one.text("text").is_some());
        let ids: &[&str] =
            if self.chat { &["generation_id", "response_id"] } else { &["id", "generation_id"] };
        if let Some(id) = ids.iter().find_map(|key| object.filled(key)) {
            self.id = Some(id.to_owned());
        }
        if let Some(meta) = object.object("meta") {
            self.usage = usage(meta);
        }
        let calls = calls(&mut object);
        if !calls.is_empty() {
            self.calls = calls;
        }
        if let Some(text) = take_text(&mut object, "text") {
            self.text = text;
        }
        if let Some(reason) = take_text(&mut object, "finish_reason") {
            self.reason = Some(reason);
        }
        let mut list = take_items(&mut object, "generations").into_iter().take(limits::CHOICES);
        if let Some(Value::Object(mut first)) = list.next() {
            self.text = take_text(&mut first, "text").unwrap_or_default();
            self.reason = take_text(&mut first, "finish_reason").or(self.reason.take());
        }
        self.more = list
            .map(|one| {
                let get = |key| one.text(key).map(str::to_owned);
                (get("text").unwrap_or_default(), get("finish_reason"))
            })
            .collect();
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
        self.ours |= is_ours(&object);
        match object.text("event_type").unwrap_or_default() {
            "text-generation" => append(&mut self.text, object.text("text").unwrap_or_default(), faults),
            "tool-calls-generation" => self.calls = calls(&mut object),
            "stream-start" => openai::first(&mut self.id, object.text("generation_id")),
            "stream-end" => {
                self.ended = true;
                let reason = take_text(&mut object, "finish_reason");
                if let Some(response) = take_object(&mut object, "response") {
                    self.whole(response);
                }
                self.reason = reason.or(self.reason.take());
            }
            "stream-error" => {
                self.error = Some(ProviderError {
                    kind: "_OTHER".to_owned(),
                    message: object.text("err").unwrap_or_default().to_owned(),
                });
            }
            _ => {}
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.read = true;
        let object = body.into_object(faults);
        if self.failed {
            self.error = openai::error(&object).or_else(|| error(&object));
        } else {
            self.whole(object);
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self { ours, read, id, text, more, calls, reason, usage, ended, error, .. } = *self;
        if !text.is_empty() || !calls.is_empty() || reason.is_some() {
            let word = match reason.as_deref() {
                Some("COMPLETE") if !calls.is_empty() => Some("tool_call"),
                other => other.map(finish::word),
            };
            let mut message = said("assistant", text, word.map(str::to_owned));
            message.parts.extend(calls.into_iter().map(Part::ToolCall));
            llm.output.push(message);
        }
        llm.finish_reasons.extend(reason);
        for (text, reason) in more {
            llm.output.push(said(
                "assistant",
                text,
                reason.as_deref().map(|raw| finish::word(raw).to_owned()),
            ));
            llm.finish_reasons.extend(reason);
        }
        llm.response_id = id;
        llm.usage = usage;
        llm.error = error;
        let ending = match (read, ended) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        };
        ending.of(ours, llm)
    }
}
