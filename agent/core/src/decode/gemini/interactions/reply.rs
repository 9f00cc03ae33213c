//! Answers of Interactions: one object, or a stream of steps, each with a start and its pieces.

use std::collections::BTreeMap;

use serde_json::Value;

use super::steps::{contents, one, read};
use crate::call::{Llm, Message, Part, ProviderError, Usage};
use crate::decode::gemini::error;
use crate::decode::json::{self, Get, Object, take_items, take_object, take_text};
use crate::decode::{Answer, Body, Ending, Event, Faults, append, finish, openai};
use crate::limits;

/// An answer being read.
#[derive(Debug, Default)]
pub(super) struct Reply {
    read: bool,
    done: bool,
    id: Option<String>,
    model: Option<String>,
    status: Option<String>,
    tier: Option<String>,
    usage: Object,
    steps: BTreeMap<u64, Step>,
    error: Option<ProviderError>,
}

/// A step of a stream.
#[derive(Debug, Default)]
struct Step {
    start: Object,
    /// Arguments, as their text comes.
    json: String,
    parts: Vec<Part>,
}

impl Reply {
    /// Reads an interaction, as far as it is there.
    fn interaction(&mut self, mut object: Object, faults: &mut Faults) {
        openai::first(&mut self.id, object.text("id"));
        openai::first(&mut self.model, object.text("model").or_else(|| object.text("agent")));
        openai::first(&mut self.tier, object.text("service_tier"));
        if let Some(status) = object.filled("status") {
            self.status = Some(status.to_owned());
        }
        self.count(take_object(&mut object, "usage"));
        let list = match take_items(&mut object, "steps") {
            list if list.is_empty() => take_items(&mut object, "outputs"),
            list => list,
        };
        // What a stream brought piece by piece may be repeated at its end.
        if !self.steps.is_empty() {
            return;
        }
        for (index, step) in (0..).zip(list) {
            if self.steps.len() >= limits::PARTS {
                return faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
            }
            // What the request brought may be repeated as well.
            let asked = matches!(step.text("type"), Some("user_input" | "function_result"));
            if let Value::Object(start) = step
                && !asked
            {
                self.steps.insert(index, Step { start, ..Step::default() });
            }
        }
    }

    /// Counts are running totals.
    fn count(&mut self, usage: Option<Object>) {
        if let Some(usage) = usage.filter(|usage| !usage.is_empty()) {
            self.usage = usage;
        }
    }

    /// The step of an event, begun where its start was lost.
    fn step(&mut self, index: u64, faults: &mut Faults) -> Option<&mut Step> {
        if !self.steps.contains_key(&index) && self.steps.len() >= limits::PARTS {
            faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
            return None;
        }
        Some(self.steps.entry(index).or_default())
    }

    fn usage(&self) -> Usage {
        let count = |key: &str| self.usage.count(key);
        let (input, tools) = (count("total_input_tokens"), count("total_tool_use_tokens"));
        let (output, thoughts) = (count("total_output_tokens"), count("total_thought_tokens"));
        let input = input.or(tools).map(|_| input.unwrap_or(0).saturating_add(tools.unwrap_or(0)));
        // Thoughts stand beside the answer, unless the total of the answer itself leaves no room for them.
        let inside = count("total_tokens")
            .is_some_and(|total| Some(total) == input.and_then(|input| input.checked_add(output?)));
        let beside = if inside { 0 } else { thoughts.unwrap_or(0) };
        let audio = |key: &str| {
            let is_audio =
                |it: &&Value| it.text("modality").is_some_and(|it| it.eq_ignore_ascii_case("audio"));
            self.usage.items(key).iter().find(is_audio).and_then(|it| it.count("tokens"))
        };
        Usage {
            input,
            output: output.or(thoughts).map(|_| output.unwrap_or(0).saturating_add(beside)),
            cache_read: count("total_cached_tokens"),
            reasoning: thoughts,
            audio_input: audio("input_tokens_by_modality"),
            audio_output: audio("output_tokens_by_modality"),
            ..Usage::default()
        }
    }
}

impl Step {
    fn delta(&mut self, mut delta: Object, faults: &mut Faults) {
        let kind = take_text(&mut delta, "type").unwrap_or_default();
        // A delta whose start was lost still tells what it is part of.
        let whole = match kind.as_str() {
            "text" | "image" | "audio" | "video" | "document" => "model_output",
            "thought_summary" => "thought",
            "arguments_delta" => "function_call",
            "thought_signature" | "text_annotation_delta" => return,
            other => other,
        };
        if !self.start.contains_key("type") {
            self.start.insert("type".to_owned(), Value::from(whole));
        }
        match kind.as_str() {
            "arguments_delta" => {
                let more = ["arguments", "partial_arguments"].iter().find_map(|key| delta.text(key));
                append(&mut self.json, more.unwrap_or_default(), faults);
            }
            "thought_summary" => {
                let mut more = Vec::new();
                contents(delta.get_mut("content").map(Value::take), &mut more);
                for part in more {
                    self.add(if let Part::Text(text) = part { Part::Reasoning(text) } else { part }, faults);
                }
            }
            _ if whole == "model_output" => {
                if let Some(part) = one(kind, delta) {
                    self.add(part, faults);
                }
            }
            // Calls and results of tools come whole.
            _ => {
                for (key, value) in delta {
                    if self.start.len() < limits::MEMBERS {
                        self.start.insert(key, value);
                    }
                }
            }
        }
    }

    /// Text goes on where the last part was text of the same kind.
    fn add(&mut self, part: Part, faults: &mut Faults) {
        let full = self.parts.len() >= limits::PARTS;
        match (self.parts.last_mut(), part) {
            (Some(Part::Text(text)), Part::Text(more))
            | (Some(Part::Reasoning(text)), Part::Reasoning(more)) => append(text, &more, faults),
            (
                Some(Part::Media { modality, uri: None, bytes, .. }),
                Part::Media { modality: more_of, uri: None, bytes: more, .. },
            ) if *modality == more_of => {
                *bytes = bytes.saturating_add(more);
            }
            (_, part) if !full => self.parts.push(part),
            _ => faults.add("limit.parts", format!("more than {} parts", limits::PARTS)),
        }
    }

    fn finish(mut self, out: &mut Vec<Part>) {
        if !self.json.is_empty() {
            self.start.insert("arguments".to_owned(), json::arguments(Value::String(self.json)));
        }
        let before = out.len();
        read(self.start, out);
        // What a start holds of a text is its beginning.
        let mut rest = self.parts.into_iter().peekable();
        if let (Some(Part::Text(begun)), Some(Part::Text(more)))
        | (Some(Part::Reasoning(begun)), Some(Part::Reasoning(more))) =
            (out.get_mut(before..).and_then(<[Part]>::last_mut), rest.peek())
        {
            begun.push_str(more);
            rest.next();
        }
        out.extend(rest);
    }
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        let data = event.data.trim();
        if data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let Some(mut body) = crate::decode::object(data, faults) else { return };
        let kind = body.filled("event_type").unwrap_or(event.name).to_owned();
        let index = body.count("index").unwrap_or(0);
        match kind.as_str() {
            "interaction.created"
            | "interaction.start"
            | "interaction.completed"
            | "interaction.complete" => {
                if let Some(interaction) = take_object(&mut body, "interaction") {
                    self.interaction(interaction, faults);
                }
                self.done |= kind.starts_with("interaction.complete");
            }
            "interaction.status_update" => {
                openai::first(&mut self.id, body.text("interaction_id"));
                if let Some(status) = take_text(&mut body, "status") {
                    self.status = Some(status);
                }
                self.count(take_object(&mut body, "usage"));
            }
            "step.start" | "content.start" => {
                let start = ["step", "content"].iter().find_map(|key| take_object(&mut body, key));
                if let Some(step) = self.step(index, faults) {
                    step.start = start.unwrap_or_default();
                }
            }
            "step.delta" | "content.delta" => {
                if let Some(delta) = take_object(&mut body, "delta")
                    && let Some(step) = self.step(index, faults)
                {
                    step.delta(delta, faults);
                }
                let total = take_object(&mut body, "metadata");
                self.count(total.and_then(|mut metadata| take_object(&mut metadata, "total_usage")));
            }
            "step.stop" => self.count(take_object(&mut body, "usage")),
            _ => self.error = error(&body).or(self.error.take()),
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.read = true;
        let object = body.into_object(faults);
        self.error = error(&object);
        if self.error.is_none() {
            let first = object.items("errors").first().and_then(Value::as_object);
            self.error = first.map(openai::described);
            self.interaction(object, faults);
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        llm.usage = self.usage();
        for used in self.usage.items("grounding_tool_count").iter().take(limits::PARTS) {
            if let (Some(name), Some(count)) = (used.filled("type"), used.count("count")) {
                llm.tool_uses.push((name.to_owned(), count));
            }
        }
        let Self { read, done, id, model, status, tier, steps, error, .. } = *self;
        // Before its end, a stream says only that it goes on.
        let status = status.filter(|_| read || done);
        let mut parts = Vec::new();
        for step in steps.into_values() {
            step.finish(&mut parts);
        }
        if status.is_some() || !parts.is_empty() {
            let word = status.as_deref().map(|raw| match raw {
                "requires_action" => "tool_call",
                "incomplete" | "budget_exceeded" => "length",
                raw => finish::word(raw),
            });
            let finish_reason = word.map(str::to_owned);
            llm.output.push(Message { role: "assistant".to_owned(), parts, finish_reason });
        }
        // There is no other reason than the status.
        llm.finish_reasons.extend(status);
        llm.response_id = id;
        llm.response_model = model;
        llm.service_tier = tier;
        llm.error = error;
        match (read, done) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        }
    }
}
