//! Answers: one object, or a stream of objects that each add to the parts. Counts are running totals.

use std::collections::BTreeMap;

use serde_json::Value;

use super::partial::Partial;
use super::parts;
use crate::call::{Llm, Message, Part, ProviderError, Usage};
use crate::decode::json::{self, Get, Object, take_items, take_object};
use crate::decode::{Answer, Body, Ending, Event, Faults, append, finish, openai};
use crate::limits;

/// An answer being read.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Whether a stream was asked for; a list of objects is one only then.
    stream: bool,
    events: bool,
    /// Whether anything but an error came.
    answered: bool,
    id: Option<String>,
    model: Option<String>,
    choices: BTreeMap<u64, Choice>,
    /// Whether the request was refused, so that there is no candidate.
    blocked: bool,
    usage: Object,
    error: Option<ProviderError>,
}

#[derive(Debug, Default)]
struct Choice {
    parts: Vec<Part>,
    partial: Partial,
    reason: Option<String>,
    seals: Vec<Part>,
}

impl Reply {
    pub(super) fn new(stream: bool) -> Self {
        Self { stream, ..Self::default() }
    }

    /// Reads one object.
    pub(super) fn read(&mut self, mut object: Object, faults: &mut Faults) {
        if let Some(error) = super::error(&object) {
            self.error = Some(error);
            return;
        }
        self.answered = true;
        openai::first(&mut self.id, object.text("responseId"));
        openai::first(&mut self.model, object.text("modelVersion"));
        if let Some(usage) = take_object(&mut object, "usageMetadata")
            // Early chunks may hold nothing but the kind of traffic.
            && (usage.iter().any(|(key, _)| key.ends_with("TokenCount")) || self.usage.is_empty())
        {
            self.usage = usage;
        }
        let feedback = object.object("promptFeedback");
        self.blocked |= feedback.is_some_and(|feedback| feedback.member("blockReason").is_some());
        for candidate in take_items(&mut object, "candidates") {
            let Value::Object(mut candidate) = candidate else { continue };
            let index = candidate.count("index").unwrap_or(0);
            if !self.choices.contains_key(&index) && self.choices.len() >= limits::CHOICES {
                faults.add("limit.choices", format!("more than {} choices", limits::CHOICES));
                continue;
            }
            let choice = self.choices.entry(index).or_default();
            if let Some(reason) = candidate.member("finishReason") {
                choice.reason = Some(reason.as_str().map_or_else(|| reason.to_string(), str::to_owned));
            }
            let mut content = take_object(&mut candidate, "content").unwrap_or_default();
            let list = match content.get_mut("parts").map(Value::take) {
                Some(Value::Array(list)) => list,
                other => other.into_iter().collect(),
            };
            for part in list {
                let Value::Object(part) = part else { continue };
                if choice.seals.len() < limits::PARTS {
                    choice.seals.extend(parts::seal(&part));
                }
                // A call whose arguments come in pieces goes on in parts of the same kind.
                if !choice.partial.take_piece(&part, &mut choice.parts, faults)
                    && let Some(part) = parts::one(part)
                {
                    choice.add(part, faults);
                }
            }
        }
    }

    fn usage(&self) -> Usage {
        let usage = &self.usage;
        let thoughts = usage.count("thoughtsTokenCount");
        let answer = usage.count("candidatesTokenCount");
        let prompt = usage.count("promptTokenCount");
        let tools = usage.count("toolUsePromptTokenCount");
        let audio = |key: &str| {
            let is_audio = |detail: &&Value| {
                detail.text("modality") == Some("AUDIO") || detail.count("modality") == Some(AUDIO)
            };
            usage.items(key).iter().find(is_audio).and_then(|detail| detail.count("tokenCount"))
        };
        Usage {
            // What tools of the provider fed back stands beside the prompt.
            input: prompt.or(tools).map(|_| prompt.unwrap_or(0).saturating_add(tools.unwrap_or(0))),
            // Thoughts stand beside the answer.
            output: answer.or(thoughts).map(|_| answer.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
            cache_read: usage.count("cachedContentTokenCount"),
            cache_write: None,
            reasoning: thoughts,
            cache_write_1h: None,
            audio_input: audio("promptTokensDetails"),
            audio_output: audio("candidatesTokensDetails"),
        }
    }
}

impl Choice {
    /// Text goes on where the last part was text of the same kind.
    fn add(&mut self, part: Part, faults: &mut Faults) {
        let full = self.parts.len() >= limits::PARTS;
        match (self.parts.last_mut(), part) {
            (Some(Part::Text(text)), Part::Text(more))
            | (Some(Part::Reasoning(text)), Part::Reasoning(more)) => append(text, &more, faults),
            (_, part) if !full => self.parts.push(part),
            _ => faults.add("limit.parts", format!("more than {} parts", limits::PARTS)),
        }
    }
}

/// `Modality.AUDIO` by its number.
const AUDIO: u64 = 4;

/// `FinishReason` by its number, which some clients ask for in place of the name. Behind these the two APIs
/// number differently, but for two that mean a filter in both.
const REASONS: &[(&str, &str)] = &[
    ("1", "STOP"),
    ("2", "MAX_TOKENS"),
    ("3", "SAFETY"),
    ("4", "RECITATION"),
    ("7", "SAFETY"),
    ("8", "SAFETY"),
];

/// The name of a reason; as it is where it is no number.
fn named(raw: &str) -> &str {
    REASONS.iter().find(|(number, _)| *number == raw).map_or(raw, |(_, name)| name)
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        let data = event.data.trim();
        // Gateways that speak several formats end this one as they end the others.
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        self.events = true;
        match json::parse(data.as_bytes()) {
            // The command line tool's endpoint wraps each object.
            Ok(Value::Object(mut object)) => {
                let inner = take_object(&mut object, "response");
                self.read(inner.unwrap_or(object), faults);
            }
            Ok(_) => faults.add("json", "an event is no object"),
            Err(reason) => faults.add("json", format!("an event is {reason}")),
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        let mut object = body.into_object(faults);
        let inner = take_object(&mut object, "response");
        self.read(inner.unwrap_or(object), faults);
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        llm.usage = self.usage();
        llm.service_tier =
            ["serviceTier", "trafficType"].iter().find_map(|key| self.usage.filled(key)).map(str::to_owned);
        let Self { stream, events, answered, id, model, choices, blocked, error, .. } = *self;
        // A list of objects is how a stream comes that was not asked to be one of events.
        if stream && events && answered {
            llm.stream = true;
        }
        let whole = blocked || !choices.is_empty() && choices.values().all(|it| it.reason.is_some());
        for choice in choices.into_values() {
            let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
            // The provider says `STOP` whether a tool is asked for or not.
            let word = choice.reason.as_deref().map(|raw| match finish::word(named(raw)) {
                "stop" if calls => "tool_call",
                word => word,
            });
            llm.output.push(Message {
                role: "assistant".to_owned(),
                finish_reason: word.map(str::to_owned),
                parts: choice.parts.into_iter().chain(choice.seals).collect(),
            });
            llm.finish_reasons.extend(choice.reason);
        }
        if blocked && llm.output.is_empty() {
            let finish_reason = Some("content_filter".to_owned());
            llm.output.push(Message { role: "assistant".to_owned(), parts: Vec::new(), finish_reason });
        }
        llm.response_id = id;
        llm.response_model = model;
        llm.error = error;
        if whole { Ending::Whole } else { Ending::Cut }
    }
}
