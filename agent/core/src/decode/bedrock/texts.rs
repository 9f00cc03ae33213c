//! Models that give texts or vectors, each in a shape of its own: Titan, Llama, Mistral, Cohere, Jurassic,
//! Claude's first format.

use serde_json::Value;

use crate::call::{Llm, Usage};
use crate::decode::json::{Get, Object, take_items, take_text};
use crate::decode::openai::completions::said;
use crate::decode::{Ending, Faults, append, finish, openai};

/// Texts being read.
#[derive(Debug, Default)]
pub(super) struct Texts {
    id: Option<String>,
    model: Option<String>,
    text: String,
    reason: Option<String>,
    usage: Usage,
    ended: bool,
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
        self.one(&mut object, faults);
        for key in ["results", "outputs", "generations", "completions"] {
            if let Some(Value::Object(mut first)) = take_items(&mut object, key).into_iter().next() {
                let titan = first.count("tokenCount");
                self.usage.output = titan.or(self.usage.output);
                if let Some(mut data) = first.get_mut("data").map(Value::take)
                    && let Some(data) = data.as_object_mut()
                {
                    self.usage.output = Some(data.items("tokens").len() as u64);
                    self.one(data, faults);
                }
                self.one(&mut first, faults);
            }
        }
    }

    fn one(&mut self, object: &mut Object, faults: &mut Faults) {
        for key in ["generation", "outputText", "text", "completion"] {
            if let Some(more) = take_text(object, key) {
                append(&mut self.text, &more, faults);
            }
        }
        for key in ["stop_reason", "finish_reason", "completionReason", "finishReason"] {
            let reason = match object.member(key) {
                Some(Value::String(reason)) => Some(reason.clone()),
                Some(Value::Object(inner)) => inner.filled("reason").map(str::to_owned),
                _ => None,
            };
            if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
                self.reason = Some(reason);
            }
        }
        self.ended |= object.is_true("is_finished");
    }

    /// Writes what is known.
    pub(super) fn write(self, llm: &mut Llm) -> Ending {
        let Self { id, model, text, reason, usage, ended } = self;
        let whole = ended || reason.is_some();
        if llm.operation != "embeddings" && (!text.is_empty() || reason.is_some()) {
            let word = reason.as_deref().map(|raw| finish::word(raw).to_owned());
            llm.output.push(said("assistant", text, word));
        }
        llm.finish_reasons.extend(reason);
        // Vectors have no answer that could be named.
        llm.response_id = id.filter(|_| llm.operation != "embeddings");
        (llm.response_model, llm.usage) = (model, usage);
        if whole { Ending::Whole } else { Ending::Cut }
    }
}
