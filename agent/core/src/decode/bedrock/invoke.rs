//! InvokeModel and its stream: bodies are the model's own. Which family it is, the body tells; the path may
//! name a profile.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use super::texts::Texts;
use super::{Head, converse, counted, exception, model};
use crate::call::{Lazy, Llm, Params, ProviderError, Usage};
use crate::decode::anthropic::messages::Messages;
use crate::decode::cohere::First;
use crate::decode::json::{self, Get, Object};
use crate::decode::openai::chat::Chat;
use crate::decode::openai::completions::{Completions, prompt, said};
use crate::decode::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, body, openai};
use crate::http::Headers;

/// Both formats: whole answers, and streams.
#[derive(Debug)]
pub(crate) struct Invoke {
    pub(crate) stream: bool,
}

impl Invoke {
    fn verb(&self) -> &'static str {
        if self.stream { "invoke-with-response-stream" } else { "invoke" }
    }
}

/// Members that hold what a model is asked, each the word of some family.
const INPUTS: &[&str] = &[
    "messages",
    "prompt",
    "inputText",
    "inputPrompt",
    "message",
    "texts",
    "images",
    "inputs",
    "inputImage",
    "inputType",
    "query",
    "taskType",
    "text_prompts",
];

impl Format for Invoke {
    fn api(&self) -> &'static str {
        if self.stream { "bedrock.invoke_stream" } else { "bedrock.invoke" }
    }

    fn provider(&self) -> &'static str {
        "aws.bedrock"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if model(target, self.verb()).is_some() { Claim::Yes } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        INPUTS.iter().any(|key| body.has(key))
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        let model = model(target, self.verb());
        llm.operation = operation(body, model.as_deref().unwrap_or_default());
        if body.is_array("messages") && body.has("anthropic_version") {
            Messages.request(target, body, llm, faults);
        } else if body.is_array("messages") && converse::is_like(body) {
            converse::request(body, llm, faults);
        } else if body.is_array("messages") {
            Chat.request(target, body, llm, faults);
        } else if body.is_text("message") {
            First.request(target, body, llm, faults);
        } else {
            let small = body.small();
            llm.params = params(small);
            let piece = ["prompt", "inputText", "inputPrompt", "inputs", "query"]
                .iter()
                .find_map(|key| body.raw(key));
            let texts = body.list("texts");
            llm.input = Lazy::new(if texts.is_empty() { piece.into_iter().collect() } else { texts }, prompt);
            let nova = small.object("singleEmbeddingParams");
            if let Some(text) = nova.and_then(|nova| nova.object("text")?.filled("value")) {
                llm.input = vec![said("user", text.to_owned(), None)].into();
            }
            llm.dimensions = ["dimensions", "output_dimension"]
                .iter()
                .find_map(|key| small.count(key))
                .or_else(|| nova.and_then(|nova| nova.count("embeddingDimension")))
                .or_else(|| small.object("embeddingConfig")?.count("outputEmbeddingLength"));
        }
        llm.request_model = model;
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::empty())
    }
}

/// What a request is for.
fn operation(body: &Body, model: &str) -> &'static str {
    let embeds =
        ["texts", "input_type", "inputImage", "embeddingConfig", "singleEmbeddingParams", "embeddingTypes"]
            .iter()
            .any(|key| body.has(key))
            || body.has("inputText") && (body.has("normalize") || body.has("dimensions"))
            || named(model).contains("embed");
    if embeds {
        "embeddings"
    } else if body.has("query") && body.has("documents") {
        "rerank"
    } else if body.has("prompt") || body.has("inputText") || body.has("inputs") {
        "text_completion"
    } else {
        "chat"
    }
}

/// The part of an id that names a model: all of it, but of an ARN what stands behind the words that say that the
/// name is a model's and not somebody's own.
fn named(model: &str) -> &str {
    if !model.starts_with("arn:") {
        return model;
    }
    let resource = model.splitn(6, ':').last().unwrap_or_default();
    match resource.split_once('/') {
        Some(("foundation-model" | "inference-profile", name)) => name,
        _ => "",
    }
}

fn params(body: &Object) -> Params {
    let config = body.object("textGenerationConfig").unwrap_or(body);
    let number = |keys: &[&str]| keys.iter().find_map(|key| config.number(key));
    Params {
        temperature: config.number("temperature"),
        top_p: number(&["top_p", "topP", "p"]),
        top_k: number(&["top_k", "topK", "k"]),
        max_tokens: ["max_tokens", "max_gen_len", "maxTokens", "maxTokenCount", "max_tokens_to_sample"]
            .iter()
            .find_map(|key| config.count(key)),
        stop: openai::stop(
            ["stop", "stop_sequences", "stopSequences"].iter().find_map(|key| config.member(key)),
        ),
        ..Params::default()
    }
}

/// The payload of an event: a piece of the answer in base64, and padding.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

/// Mistral's models stream messages instead of deltas, and stop for a `stop_reason`. True where that was so.
fn respelled(object: &mut Object) -> bool {
    let mut any = false;
    let choices = object.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        for (from, to) in [("message", "delta"), ("stop_reason", "finish_reason")] {
            if choice.get(to).is_none_or(Value::is_null)
                && let Some(value) = choice.remove(from)
            {
                choice.insert(to.to_owned(), value);
                any = true;
            }
        }
    }
    any
}

/// An answer being read, by whom its shape belongs to.
#[derive(Debug)]
struct Reply {
    head: Head,
    family: Family,
    anthropic: Box<dyn Answer>,
    chat: Box<dyn Answer>,
    completion: Box<dyn Answer>,
    converse: converse::Reply,
    texts: Texts,
    metrics: Usage,
    error: Option<ProviderError>,
    whole: bool,
    /// Whether the provider's last word came.
    ended: bool,
    /// Whether the answer is vectors, which are never looked at.
    vectors: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Family {
    #[default]
    Unknown,
    Anthropic,
    Chat,
    Completion,
    Converse,
    Texts,
}

impl Family {
    fn of(object: &Object) -> Self {
        let kind = object.text("type").unwrap_or_default();
        if kind == "message"
            || kind.starts_with("message_")
            || kind.starts_with("content_block")
            || matches!(kind, "ping" | "error")
        {
            Self::Anthropic
        } else if let Some(choice) = object.get("choices") {
            // Some models answer in the shape that came before chat.
            let text = choice
                .as_array()
                .and_then(|list| list.first())
                .is_some_and(|choice| choice.text("text").is_some());
            if text { Self::Completion } else { Self::Chat }
        } else if object.contains_key("stopReason")
            || object.object("output").is_some_and(|output| output.contains_key("message"))
            || converse::EVENTS.iter().any(|name| object.contains_key(*name))
        {
            Self::Converse
        } else {
            Self::Texts
        }
    }
}

impl Reply {
    fn empty() -> Self {
        Self {
            head: Head::default(),
            family: Family::default(),
            anthropic: Messages.answer(),
            chat: Chat.answer(),
            completion: Completions.answer(),
            converse: converse::Reply::default(),
            texts: Texts::default(),
            metrics: Usage::default(),
            error: None,
            whole: false,
            ended: false,
            vectors: false,
        }
    }

    fn chunk(&mut self, text: &str, faults: &mut Faults) {
        // Nearly every piece is for the family's own reader, which need not build a tree.
        let plain = memmem::find(text.as_bytes(), b"\"amazon-bedrock-").is_none();
        match self.family {
            Family::Anthropic if plain => return self.anthropic.event(Event::new("", text), faults),
            Family::Chat if plain && memmem::find(text.as_bytes(), b"\"delta\"").is_some() => {
                return self.chat.event(Event::new("", text), faults);
            }
            _ => {}
        }
        let mut object = match json::parse(text.as_bytes()) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return faults.add("json", "a chunk is no object"),
            Err(reason) => return faults.add("json", format!("a chunk is {reason}")),
        };
        // What a guardrail says in place of the model is all there will be.
        self.ended |= object.contains_key("amazon-bedrock-guardrailAction");
        if let Some(metrics) = object.object("amazon-bedrock-invocationMetrics") {
            self.ended = true;
            self.metrics =
                counted(metrics.count("inputTokenCount"), metrics.count("outputTokenCount"), |kind| {
                    metrics.count(&format!("cache{kind}InputTokenCount"))
                });
        }
        let family = Family::of(&object);
        if self.family == Family::Unknown {
            self.family = family;
        }
        match self.family {
            Family::Anthropic => self.anthropic.event(Event::new("", text), faults),
            Family::Chat => {
                let text = if respelled(&mut object) {
                    Value::Object(object).to_string().into()
                } else {
                    Cow::Borrowed(text)
                };
                self.chat.event(Event::new("", &text), faults);
            }
            Family::Completion => self.completion.event(Event::new("", text), faults),
            Family::Converse => {
                if let Some((name, inner)) = converse::unwrapped(&mut object) {
                    self.converse.piece(name, inner, faults);
                }
            }
            Family::Texts | Family::Unknown => self.texts.read(object, faults),
        }
    }
}

impl Answer for Reply {
    fn head(&mut self, status: u16, headers: &Headers) {
        self.head = Head::new(status, headers);
        self.anthropic.head(status, headers);
        self.chat.head(status, headers);
    }

    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        if event.exception {
            self.error = Some(exception(event));
        } else if let Ok(piece) = serde_json::from_str::<Piece<'_>>(event.data) {
            match STANDARD.decode(piece.bytes.as_bytes()) {
                Ok(bytes) => self.chunk(&String::from_utf8_lossy(&bytes), faults),
                Err(_) => faults.add("base64", "a chunk is not valid base64"),
            }
        } else {
            // An event that is none of ours; JSON it has to be.
            crate::decode::object(event.data.trim(), faults);
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.whole = true;
        let small = body.small();
        if let Some(error) = self.head.described(small) {
            self.error = Some(error);
            return;
        }
        let mut shape = small.clone();
        if body.has("choices") {
            let first = body::values(&body.list("choices")).take(1).collect();
            shape.insert("choices".to_owned(), first);
        }
        if body.has("output") {
            shape.insert("output".to_owned(), body.value("output", faults));
        }
        self.family = Family::of(&shape);
        match self.family {
            Family::Anthropic => self.anthropic.body(body, faults),
            Family::Chat => self.chat.body(body, faults),
            Family::Completion => self.completion.body(body, faults),
            Family::Converse => self.converse.whole(body.into_object(faults)),
            Family::Texts | Family::Unknown => {
                self.vectors =
                    ["embedding", "embeddings", "embeddingsByType"].iter().any(|key| body.has(key));
                let object = if self.vectors { small.clone() } else { body.into_object(faults) };
                self.texts.read(object, faults);
            }
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self {
            head,
            family,
            anthropic,
            chat,
            completion,
            converse,
            texts,
            metrics,
            error,
            whole,
            ended,
            vectors,
        } = *self;
        // A profile's name says nothing of its model; what came back does.
        if vectors {
            llm.operation = "embeddings";
        }
        let ending = match family {
            Family::Anthropic => anthropic.finish(llm),
            Family::Chat => chat.finish(llm),
            Family::Completion => completion.finish(llm),
            Family::Converse => converse.write(llm),
            Family::Texts => texts.write(llm),
            Family::Unknown => Ending::Cut,
        };
        let said = |own: Option<u64>, other: Option<u64>, last: Option<u64>| own.or(other).or(last);
        let usage = &mut llm.usage;
        if usage.input.is_none() {
            let other = if head.usage.input.is_some() { head.usage } else { metrics };
            usage.cache_read = usage.cache_read.or(other.cache_read);
            usage.cache_write = usage.cache_write.or(other.cache_write);
        }
        usage.input = said(usage.input, head.usage.input, metrics.input);
        usage.output = said(usage.output, head.usage.output, metrics.output);
        let failed = error.is_some();
        llm.error = error.or(llm.error.take());
        match (whole, failed, ended) {
            (true, ..) => Ending::Open,
            (_, true, _) => Ending::Cut,
            // The provider's own counts close every stream.
            (_, _, true) => Ending::Whole,
            _ => ending,
        }
    }
}
