//! Streamed Chat Completions: chunks put together per choice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::chat::Meta;
use super::chunk::{self, Chunk};
use super::content;
use crate::call::{Message, Part, ToolCall};
use crate::decode::json::{self, Get, Object, Text};
use crate::decode::{Ending, Event, Faults, append, finish};
use crate::limits;

/// The state of one stream.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    choices: BTreeMap<u64, Choice>,
    done: bool,
}

#[derive(Debug, Default)]
struct Choice {
    role: Option<String>,
    parts: Vec<Part>,
    calls: Vec<Fragments>,
    reason: Option<String>,
}

/// A tool call as its fragments left it.
#[derive(Debug, Default)]
struct Fragments {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    custom: bool,
    /// Some servers send arguments as an object instead of a string.
    object: Option<Value>,
}

impl Chunks {
    pub(super) fn event(&mut self, event: Event<'_>, meta: &mut Meta, faults: &mut Faults) {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        if data.is_empty() {
            return;
        }
        if let Some(chunk) = Chunk::read(data) {
            meta.name(chunk.id, chunk.model, chunk.tier, chunk.fingerprint);
            if let Some(choice) = &chunk.choice
                && let Some(place) = self.choice(choice.index.unwrap_or(0), faults)
            {
                place.quick(choice, faults);
            }
            return;
        }
        let Some(chunk) = crate::decode::object(data, faults) else { return };
        meta.read(&chunk);
        for choice in chunk.items("choices") {
            if let Some(place) = self.choice(choice.count("index").unwrap_or(0), faults) {
                place.read(choice, faults);
            }
        }
    }

    fn choice(&mut self, index: u64, faults: &mut Faults) -> Option<&mut Choice> {
        if !self.choices.contains_key(&index) && self.choices.len() >= limits::CHOICES {
            faults.add("limit.choices", format!("more than {} choices", limits::CHOICES));
            return None;
        }
        Some(self.choices.entry(index).or_default())
    }

    /// Whether the stream came to its end.
    pub(super) fn ending(&self, failed: bool) -> Ending {
        let reasons = self.choices.values().all(|choice| choice.reason.is_some());
        if self.done && !failed || !self.choices.is_empty() && reasons { Ending::Whole } else { Ending::Cut }
    }

    pub(super) fn finish(self) -> (Vec<Message>, Vec<String>) {
        let mut reasons = Vec::new();
        let mut output = Vec::new();
        for choice in self.choices.into_values() {
            let Choice { role, mut parts, calls, reason } = choice;
            parts.extend(calls.into_iter().map(|call| Part::ToolCall(call.finish())));
            output.push(Message {
                role: role.unwrap_or_else(|| "assistant".to_owned()),
                parts,
                finish_reason: reason
                    .as_deref()
                    .filter(|raw| !raw.is_empty())
                    .map(|raw| finish::word(raw).to_owned()),
            });
            reasons.extend(reason);
        }
        (output, reasons)
    }
}

impl Choice {
    /// Reads a chunk of the usual shape.
    fn quick(&mut self, choice: &chunk::Choice<'_>, faults: &mut Faults) {
        self.reason(choice.reason);
        let delta = &choice.delta;
        super::first(&mut self.role, delta.role);
        if let Some(text) = delta.reasoning.iter().find_map(|text| Text::filled(text.as_ref())) {
            self.reasoning(text, faults);
        }
        if let Some(text) = Text::filled(delta.content.as_ref()) {
            self.text(text, faults);
        }
        if let Some(text) = Text::filled(delta.refusal.as_ref()) {
            self.add(Part::Refusal(text.to_owned()), faults);
        }
        if let Some(fragment) = &delta.call {
            let function = &fragment.function;
            let id = fragment.id.unwrap_or_default();
            let name = function.name.unwrap_or_default();
            if let Some(call) = self.named(fragment.index, id, name, faults)
                && let Some(more) = Text::get(function.arguments.as_ref())
            {
                append(&mut call.arguments, more, faults);
            }
        }
    }

    fn reason(&mut self, reason: Option<&str>) {
        if let Some(reason) = reason
            && (!reason.is_empty() || self.reason.is_none())
        {
            self.reason = Some(reason.to_owned());
        }
    }

    /// Adds text; it goes on where the last piece was text as well.
    fn text(&mut self, more: &str, faults: &mut Faults) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => append(text, more, faults),
            _ => self.add(Part::Text(more.to_owned()), faults),
        }
    }

    fn reasoning(&mut self, more: &str, faults: &mut Faults) {
        match self.parts.last_mut() {
            Some(Part::Reasoning(text)) => append(text, more, faults),
            _ => self.add(Part::Reasoning(more.to_owned()), faults),
        }
    }

    fn read(&mut self, choice: &Value, faults: &mut Faults) {
        self.reason(choice.text("finish_reason"));
        let Some(delta) = choice.object("delta") else { return };
        super::first(&mut self.role, delta.text("role"));
        if let Some(text) = delta.filled("reasoning_content").or_else(|| delta.filled("reasoning")) {
            self.reasoning(text, faults);
        }
        match delta.member("content") {
            Some(Value::String(text)) if !text.is_empty() => self.text(text, faults),
            Some(list @ Value::Array(_)) => {
                let mut parts = Vec::new();
                content::read(list.clone(), &mut parts);
                for part in parts {
                    self.add(part, faults);
                }
            }
            _ => {}
        }
        if let Some(text) = delta.filled("refusal") {
            self.add(Part::Refusal(text.to_owned()), faults);
        }
        for fragment in delta.items("tool_calls") {
            if let Some(fragment) = fragment.as_object() {
                self.tool_call(fragment, faults);
            }
        }
        if let Some(call) = delta.object("function_call") {
            self.function_call(call, faults);
        }
    }

    /// Adds a piece; text goes on where the last piece was text as well.
    fn add(&mut self, piece: Part, faults: &mut Faults) {
        let full = self.parts.len() >= limits::PARTS;
        match (self.parts.last_mut(), piece) {
            (Some(Part::Text(text)), Part::Text(more))
            | (Some(Part::Refusal(text)), Part::Refusal(more))
            | (Some(Part::Reasoning(text)), Part::Reasoning(more)) => {
                append(text, &more, faults);
            }
            (_, piece) if !full => self.parts.push(piece),
            _ => faults.add("limit.parts", format!("more than {} parts", limits::PARTS)),
        }
    }

    fn tool_call(&mut self, fragment: &Object, faults: &mut Faults) {
        // Some servers fill in an empty `custom` beside every function.
        let custom = fragment
            .object("custom")
            .filter(|custom| custom.filled("name").is_some() || custom.filled("input").is_some());
        let function = custom.or_else(|| fragment.object("function"));
        let name = function.and_then(|function| function.filled("name")).unwrap_or_default();
        let id = fragment.filled("id").unwrap_or_default();
        let index = fragment.count("index");
        let Some(call) = self.named(index, id, name, faults) else { return };
        call.custom |= custom.is_some();
        let key = if custom.is_some() { "input" } else { "arguments" };
        match function.and_then(|function| function.member(key)) {
            Some(Value::String(more)) => append(&mut call.arguments, more, faults),
            Some(object @ Value::Object(_)) => call.object = Some(object.clone()),
            _ => {}
        }
    }

    /// The call that a fragment belongs to, with its id and name, of which the first ones count.
    fn named(
        &mut self,
        index: Option<u64>,
        id: &str,
        name: &str,
        faults: &mut Faults,
    ) -> Option<&mut Fragments> {
        let Some(call) = self.slot(index, id, name) else {
            faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
            return None;
        };
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        Some(call)
    }

    /// The call that a fragment belongs to: by its index; without one, a new id begins a new call.
    /// Servers that number every call 0 are found out by a whole call that a new id and name follow.
    fn slot(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<&mut Fragments> {
        let known = match index {
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index)),
            None => self.calls.len().checked_sub(1),
        };
        let fresh = |call: &Fragments| match index {
            None => !id.is_empty() && id != call.id,
            Some(_) => {
                !name.is_empty() && id != call.id && !id.is_empty() && !call.id.is_empty() && call.is_whole()
            }
        };
        let at = match known.filter(|at| self.calls.get(*at).is_some_and(|call| !fresh(call))) {
            Some(at) => at,
            None if self.calls.len() < limits::PARTS => {
                self.calls.push(Fragments { index, ..Fragments::default() });
                self.calls.len() - 1
            }
            None => return None,
        };
        self.calls.get_mut(at)
    }

    /// Legacy: at most one call, without an id.
    fn function_call(&mut self, call: &Object, faults: &mut Faults) {
        let name = call.filled("name").unwrap_or_default();
        let more = call.filled("arguments").unwrap_or_default();
        if name.is_empty() && more.is_empty() {
            return;
        }
        if self.calls.is_empty() {
            self.calls.push(Fragments::default());
        }
        if let Some(slot) = self.calls.first_mut() {
            if slot.name.is_empty() {
                name.clone_into(&mut slot.name);
            }
            append(&mut slot.arguments, more, faults);
        }
    }
}

impl Fragments {
    fn is_whole(&self) -> bool {
        self.object.is_some() || serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }

    fn finish(self) -> ToolCall {
        let Fragments { id, name, arguments, custom, object, .. } = self;
        ToolCall {
            id: (!id.is_empty()).then_some(id),
            name,
            arguments: match object {
                Some(object) => object,
                None if custom => Value::String(arguments),
                None => json::arguments(Value::String(arguments)),
            },
            kind: if custom { "custom" } else { "function" },
        }
    }
}
