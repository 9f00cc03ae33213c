//! Models that give texts or vectors, each in a shape of its own: Titan, Llama, Mistral, Cohere, Jurassic,
//! Pegasus, Claude's first format.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::call::{Llm, Part, ToolCall, Usage};
use crate::decode::json::{Get, Object, take_items, take_object, take_text};
use crate::decode::openai::completions::said;
use crate::decode::{Ending, Faults, append, cohere, finish, openai};
use crate::limits;

/// Texts being read.
#[derive(Debug, Default)]
pub(super) struct Texts {
    id: Option<String>,
    model: Option<String>,
    choices: BTreeMap<u64, Choice>,
    calls: Vec<ToolCall>,
    usage: Usage,
    ended: bool,
}

#[derive(Debug, Default)]
struct Choice {
    text: String,
    reason: Option<String>,
}

impl Texts {
    /// Reads a whole answer, or a piece of one.
    pub(super) fn read(&mut self, mut object: Object, faults: &mut Faults) {
        for key in ["id", "generation_id", "response_id"] {
            if let Some(id) = object.member(key) {
                let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                // Cohere's first id is the answer's.
                if key == "response_id" || self.id.is_none() {
                    self.id = Some(id);
                }
            }
        }
        openai::first(&mut self.model, object.text("model"));
        // Counts run on; a key that is absent later keeps its first value.
        let prompt = ["prompt_token_count", "inputTextTokenCount"].iter().find_map(|key| object.count(key));
        self.usage.input = prompt.or(self.usage.input);
        let generated =
            ["generation_token_count", "totalOutputTextTokenCount"].iter().find_map(|key| object.count(key));
        self.usage.output = generated.or(self.usage.output);
        // Jurassic lists its tokens instead of counting them.
        if let Some(prompt) = object.object("prompt") {
            self.usage.input = Some(prompt.items("tokens").len() as u64);
        }
        let calls = cohere::calls(&mut object);
        if !calls.is_empty() {
            self.calls = calls;
        }
        // Cohere's streams say everything again at their end.
        if let Some(mut response) = take_object(&mut object, "response")
            && self.choices.values().all(|choice| choice.text.is_empty())
        {
            let calls = cohere::calls(&mut response);
            if !calls.is_empty() {
                self.calls = calls;
            }
            self.one(0, &mut response, faults);
        }
        let index = object.count("index").unwrap_or(0);
        self.one(index, &mut object, faults);
        self.ended |= object.is_true("is_finished");
        let mut counted = None;
        for key in ["results", "outputs", "generations", "completions"] {
            for (place, entry) in (0..).zip(take_items(&mut object, key)) {
                let Value::Object(mut entry) = entry else { continue };
                let mut count = entry.count("tokenCount");
                if let Some(mut data) = take_object(&mut entry, "data") {
                    count = Some(data.items("tokens").len() as u64);
                    self.one(place, &mut data, faults);
                }
                self.one(place, &mut entry, faults);
                counted = count.map(|count| count.saturating_add(counted.unwrap_or(0))).or(counted);
            }
        }
        self.usage.output = counted.or(self.usage.output);
    }

    fn one(&mut self, index: u64, object: &mut Object, faults: &mut Faults) {
        let text = ["generation", "outputText", "text", "completion", "message"]
            .iter()
            .find_map(|key| take_text(object, key));
        let reason = ["stop_reason", "finish_reason", "completionReason", "finishReason"]
            .iter()
            .find_map(|key| match object.member(key)? {
                Value::String(reason) => Some(reason.clone()),
                Value::Object(inner) => inner.filled("reason").map(str::to_owned),
                _ => None,
            })
            .filter(|reason| !reason.is_empty());
        if text.is_none() && reason.is_none() {
            return;
        }
        if !self.choices.contains_key(&index) && self.choices.len() >= limits::CHOICES {
            return faults.add("limit.choices", format!("more than {} choices", limits::CHOICES));
        }
        let choice = self.choices.entry(index).or_default();
        append(&mut choice.text, &text.unwrap_or_default(), faults);
        choice.reason = reason.or(choice.reason.take());
    }

    /// Writes what is known.
    pub(super) fn write(self, llm: &mut Llm) -> Ending {
        let Self { id, model, mut choices, calls, usage, ended } = self;
        if !calls.is_empty() {
            choices.entry(0).or_default();
        }
        let whole = ended || !choices.is_empty() && choices.values().all(|choice| choice.reason.is_some());
        let answers = llm.operation != "embeddings";
        let mut calls = Some(calls);
        for Choice { text, reason } in choices.into_values() {
            let calls = calls.take().unwrap_or_default();
            if answers && (!text.is_empty() || reason.is_some() || !calls.is_empty()) {
                let word = match reason.as_deref() {
                    Some("COMPLETE") if !calls.is_empty() => Some("tool_call"),
                    other => other.map(finish::word),
                };
                let mut message = said("assistant", text, word.map(str::to_owned));
                message.parts.extend(calls.into_iter().map(Part::ToolCall));
                llm.output.push(message);
            }
            llm.finish_reasons.extend(reason);
        }
        // Vectors have no answer that could be named.
        llm.response_id = id.filter(|_| answers);
        (llm.response_model, llm.usage) = (model, usage);
        if whole { Ending::Whole } else { Ending::Cut }
    }
}
