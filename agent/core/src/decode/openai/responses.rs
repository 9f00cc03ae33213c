//! Responses: `POST …/responses`, whole and streamed, and its retrieval by `GET …/responses/{id}`.
//!
//! A stream's terminal event carries the whole response, so the stream is read cheaply: of the many deltas
//! only the text is kept, for the case that the stream is cut.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use super::{error, items, usage};
use crate::call::{Conversation, Lazy, Llm, Message, Part, ProviderError};
use crate::decode::json::{Get, Object, take_items, take_object, take_text};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, body, finish, identity, segments,
    tail,
};
use crate::{limits, price};

/// The format.
#[derive(Debug)]
pub(crate) struct Responses;

/// Asking for the result of a response that was begun elsewhere.
#[derive(Debug)]
pub(crate) struct Retrieve;

impl Format for Responses {
    fn api(&self) -> &'static str {
        "openai.responses"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        // Compacting a conversation is a run of the model as well, with the same body.
        let known = tail(target.path, &["responses"]) || tail(target.path, &["responses", "compact"]);
        if target.method != "POST" || !known {
            Claim::No
        } else if tail(target.path, &["v1", "responses"]) || tail(target.path, &["codex", "responses"]) {
            Claim::Yes
        } else {
            Claim::Perhaps
        }
    }

    fn fits(&self, body: &Body) -> bool {
        let input = body.is_text("input") || body.is_array("input");
        let (small, model) = (body.small(), body.is_text("model"));
        // A stored prompt needs neither model nor input; every other word of this path does.
        input && (model || small.contains_key("previous_response_id"))
            || body.is_map("prompt") && body.value("prompt", &mut Faults::default()).text("id").is_some()
            || model
                && ["previous_response_id", "conversation", "instructions"].iter().any(|key| body.has(key))
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        if tail(target.path, &["compact"]) {
            llm.api = "openai.responses_compact";
        }
        request(body, llm, faults);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

impl Format for Retrieve {
    fn api(&self) -> &'static str {
        "openai.responses"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "fetch_response"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let mut segments = segments(target.path);
        let id = segments.next().is_some_and(|id| id.starts_with("resp_"));
        if target.method == "GET" && id && segments.next() == Some("responses") {
            Claim::Yes
        } else {
            Claim::No
        }
    }

    fn fits(&self, _body: &Body) -> bool {
        true
    }

    fn request(&self, _target: &Target<'_>, _body: &Body, _llm: &mut Llm, _faults: &mut Faults) {}

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply { retrieved: true, ..Reply::default() })
    }
}

/// Reads a request, of either transport. Input stays as it was sent: after `previous_response_id` it holds
/// only what is new.
pub(super) fn request(body: &Body, llm: &mut Llm, faults: &mut Faults) {
    let small = body.small();
    identity::from_body(small, llm);
    super::request(body, llm);
    llm.previous_response_id = small.filled("previous_response_id").map(str::to_owned);
    if let Value::String(text) = body.value("instructions", faults)
        && !text.is_empty()
    {
        llm.system = vec![Part::Text(text)].into();
    }
    if let Value::String(text) = body.value_if("input", b'"', faults) {
        let parts = vec![Part::Text(text)];
        llm.input = vec![Message { role: "user".to_owned(), parts, finish_reason: None }].into();
        return;
    }
    let items = body.list("input");
    let more: Vec<Bytes> = items.iter().filter(|item| ADDITIONAL.find(item).is_some()).cloned().collect();
    if !more.is_empty() {
        let mut tools = llm.tools.to_vec();
        for mut item in body::values(&more).filter(|item| item.text("type") == Some("additional_tools")) {
            if let Some(item) = item.as_object_mut() {
                super::open(take_items(item, "tools"), true, &mut tools);
            }
        }
        llm.tools = tools.into();
    }
    let tooling = |item: &&Bytes| CALL.find(item).is_some();
    llm.exchanges = Some(Lazy::new(items.iter().filter(tooling).cloned().collect(), history));
    llm.input = Lazy::new(items, history);
}

/// Tools that a client offers in the middle of a conversation.
static ADDITIONAL: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new("additional_tools"));
/// A word without which no item is a tool call or its result.
static CALL: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("_call"));

/// The messages that items of a request make.
fn history(pieces: &[Bytes]) -> Vec<Message> {
    let mut out = Vec::new();
    for item in body::values(pieces).filter(|item| item.text("type") != Some("additional_tools")) {
        items::read(item, &mut out);
    }
    out
}

/// An answer being read, of either transport.
#[derive(Debug, Default)]
pub(super) struct Reply {
    response: Option<Object>,
    /// Items that came whole, by their place.
    done: BTreeMap<u64, Value>,
    /// Items that are still being written.
    open: BTreeMap<u64, Draft>,
    error: Option<ProviderError>,
    terminal: bool,
    body: bool,
    retrieved: bool,
}

/// An item as its deltas left it.
#[derive(Debug, Default)]
struct Draft {
    item: Object,
    text: String,
    reasoning: String,
}

/// The few fields that tell what an event is.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<Cow<'a, str>>,
}

impl Reply {
    /// Reads one event; true where it ended the response.
    pub(super) fn read(&mut self, data: &str, faults: &mut Faults) -> bool {
        let data = data.trim();
        if data.is_empty() || data == "[DONE]" {
            return false;
        }
        // Deltas of other kinds may hold objects; these fail here and are told by their whole value.
        if let Ok(head) = serde_json::from_str::<Head<'_>>(data)
            && let Some(delta) = &head.delta
        {
            self.delta(&head, delta, faults);
            return false;
        }
        if let Some(event) = crate::decode::object(data, faults) {
            self.whole(event, faults);
        }
        self.terminal
    }

    fn delta(&mut self, head: &Head<'_>, delta: &str, faults: &mut Faults) {
        let index = head.output_index.unwrap_or(0);
        if self.done.contains_key(&index) || self.open.len() >= limits::PARTS {
            return;
        }
        match head.kind.as_ref() {
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                append(&mut self.open.entry(index).or_default().reasoning, delta, faults);
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta" => {
                append(&mut self.open.entry(index).or_default().text, delta, faults);
            }
            _ => {}
        }
    }

    fn whole(&mut self, mut event: Object, faults: &mut Faults) {
        let index = event.count("output_index");
        let kind = take_text(&mut event, "type").unwrap_or_default();
        match kind.as_str() {
            "response.output_item.added" => {
                if let Some(item) = take_object(&mut event, "item")
                    && self.open.len() < limits::PARTS
                {
                    self.open.entry(index.unwrap_or(0)).or_default().item = item;
                }
            }
            "response.output_item.done" => {
                // Without a place, items come one after another.
                let at =
                    index.unwrap_or(self.done.last_key_value().map_or(0, |(last, _)| last.saturating_add(1)));
                self.open.remove(&at);
                if let Some(item) = event.get_mut("item").map(Value::take).filter(Value::is_object)
                    && self.done.len() < limits::PARTS
                {
                    self.done.insert(at, item);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                self.terminal = true;
                self.response = take_object(&mut event, "response").or(self.response.take());
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.response = take_object(&mut event, "response").or(self.response.take());
            }
            "error" => {
                // Flat as in HTTP streams, or nested as on the WebSocket.
                event.insert("type".to_owned(), Value::String("error".to_owned()));
                self.error = error(&event);
            }
            "" if event.contains_key("error") => self.error = error(&event),
            "" => faults.add("sse", "an event has no type"),
            _ => {}
        }
    }

    /// Whether an error ended the response.
    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Writes what is known.
    pub(super) fn write(self, llm: &mut Llm) -> Ending {
        let Reply { response, done, open, error: reported, terminal, body, retrieved } = self;
        let mut response = response.unwrap_or_default();
        llm.response_id = take_text(&mut response, "id").filter(|id| !id.is_empty());
        llm.response_model = take_text(&mut response, "model").filter(|model| !model.is_empty());
        llm.service_tier = take_text(&mut response, "service_tier");
        llm.usage = response.object("usage").map(usage::read).unwrap_or_default();
        llm.stated_cost = response.object("usage").and_then(price::stated);
        if llm.conversation.as_ref().is_none_or(|known| known.source == identity::CACHE_KEY)
            && let Some(id) =
                response.object("conversation").and_then(|conversation| conversation.filled("id"))
        {
            llm.conversation = Some(Conversation { id: id.to_owned(), source: "body:conversation" });
        }
        if retrieved {
            llm.previous_response_id = take_text(&mut response, "previous_response_id");
        }
        let reason = response
            .object("incomplete_details")
            .and_then(|details| details.filled("reason"))
            .or_else(|| response.filled("status"))
            .map(str::to_owned);
        llm.error = reported.or_else(|| error(&response));
        let mut list = take_items(&mut response, "output");
        if list.is_empty() {
            // Some servers leave the terminal event's output empty; a cut stream has no terminal event.
            let mut by_place: BTreeMap<u64, Value> =
                open.into_iter().map(|(at, draft)| (at, draft.finish())).collect();
            by_place.extend(done);
            list.extend(by_place.into_values());
        }
        for item in list {
            items::read(item, &mut llm.output);
        }
        // A response of the server may hold the output of its own tools in between: still one answer.
        let mut rest = std::mem::take(&mut llm.output).into_iter();
        if let Some(mut answer) = rest.next() {
            "assistant".clone_into(&mut answer.role);
            answer.parts.extend(rest.flat_map(|message| message.parts));
            llm.output.push(answer);
        }
        let finished = terminal || body;
        if finished {
            let calls = llm.tool_calls().next().is_some();
            if let (Some(answer), Some(raw)) = (llm.output.first_mut(), &reason) {
                let word = if calls && raw == "completed" { "tool_call" } else { finish::word(raw) };
                answer.finish_reason = Some(word.to_owned());
            }
            llm.finish_reasons.extend(reason);
        }
        match (body, terminal) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        }
    }
}

impl Draft {
    /// The item as far as it was written.
    fn finish(mut self) -> Value {
        let kind = self.item.text("type").unwrap_or_default().to_owned();
        match kind.as_str() {
            "function_call" => drop(self.item.insert("arguments".to_owned(), Value::String(self.text))),
            "custom_tool_call" => drop(self.item.insert("input".to_owned(), Value::String(self.text))),
            "reasoning" => {
                let summary = serde_json::json!([{"type": "summary_text", "text": self.reasoning}]);
                self.item.insert("summary".to_owned(), summary);
            }
            "message" | "" => {
                if kind.is_empty() && self.text.is_empty() {
                    let summary = serde_json::json!([{"type": "summary_text", "text": self.reasoning}]);
                    return serde_json::json!({"type": "reasoning", "summary": summary});
                }
                let content = serde_json::json!([{"type": "output_text", "text": self.text}]);
                self.item.insert("content".to_owned(), content);
            }
            _ => {}
        }
        Value::Object(self.item)
    }
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        self.read(event.data, faults);
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.body = true;
        self.response = Some(body.into_object(faults));
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let retrieved = self.retrieved;
        let ending = self.write(llm);
        // A poll before the end tells nothing that the last one will not tell again.
        llm.auxiliary |= retrieved
            && !matches!(llm.finish_reasons.first().map(String::as_str), Some(reason) if reason != "queued" && reason != "in_progress");
        ending
    }
}
