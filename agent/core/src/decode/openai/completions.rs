//! Completions, the first of OpenAI's formats: `POST …/completions` with a `prompt`, whole and streamed; and
//! its variant that fills in the middle (`…/fim/completions`), whose choices hold messages.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::chat::Meta;
use crate::call::{Lazy, Llm, Message, Part};
use crate::decode::json::{Get, Object, take_items};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, body, finish, identity, tail,
};
use crate::limits;

/// The format.
#[derive(Debug)]
pub(crate) struct Completions;

impl Format for Completions {
    fn api(&self) -> &'static str {
        "openai.completions"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method != "POST"
            || !tail(target.path, &["completions"])
            || tail(target.path, &["chat", "completions"])
        {
            Claim::No
        } else if tail(target.path, &["v1", "completions"]) {
            Claim::Yes
        } else {
            Claim::Perhaps
        }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("prompt") || body.is_array("prompt")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        identity::from_body(body.small(), llm);
        super::request(body, llm);
        if llm.request_model.is_none() {
            llm.request_model = super::chat::deployment(target.path);
        }
        let prompts = match body.list("prompt") {
            list if list.is_empty() => body.raw("prompt").into_iter().collect(),
            list => list,
        };
        llm.input = Lazy::new(prompts, prompt);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// Texts; prompts of token numbers say nothing to a reader.
pub(in crate::decode) fn prompt(pieces: &[Bytes]) -> Vec<Message> {
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    body::values(pieces).filter_map(text).map(|text| said("user", text, None)).collect()
}

/// One message of one text.
pub(in crate::decode) fn said(role: &str, text: String, finish_reason: Option<String>) -> Message {
    let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] };
    Message { role: role.to_owned(), parts, finish_reason }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    meta: Meta,
    choices: BTreeMap<u64, Choice>,
    done: bool,
    read: bool,
    /// Whether it had choices, or what stands for them.
    shaped: bool,
}

#[derive(Debug, Default)]
struct Choice {
    text: String,
    reason: Option<String>,
}

impl Reply {
    fn read(&mut self, mut object: Object, faults: &mut Faults) {
        self.meta.read(&object);
        self.shaped |= object.contains_key("choices") || object.text("value").is_some();
        // Writer streams bare values.
        if let Some(value) = object.text("value") {
            append(&mut self.choices.entry(0).or_default().text, value, faults);
        }
        for (place, choice) in (0..).zip(take_items(&mut object, "choices")) {
            let index = choice.count("index").unwrap_or(place);
            if !self.choices.contains_key(&index) && self.choices.len() >= limits::CHOICES {
                faults.add("limit.choices", format!("more than {} choices", limits::CHOICES));
                continue;
            }
            let slot = self.choices.entry(index).or_default();
            let inner = choice.object("message").or_else(|| choice.object("delta"));
            let text = choice.text("text").or_else(|| inner.and_then(|inner| inner.text("content")));
            append(&mut slot.text, text.unwrap_or_default(), faults);
            if let Some(reason) = choice.filled("finish_reason").or_else(|| choice.filled("stop_reason")) {
                slot.reason = Some(reason.to_owned());
            }
        }
    }
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        match event.data.trim() {
            "[DONE]" => self.done = true,
            "" => {}
            data => {
                if let Some(object) = crate::decode::object(data, faults) {
                    self.read(object, faults);
                }
            }
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.read = true;
        self.read(body.into_object(faults), faults);
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self { meta, choices, done, read, shaped } = *self;
        let claimed = meta.claims(shaped, read, llm);
        let reasons = !choices.is_empty() && choices.values().all(|choice| choice.reason.is_some());
        let whole = done && meta.error.is_none() || reasons;
        for choice in choices.into_values() {
            let word = choice.reason.as_deref().map(|raw| finish::word(raw).to_owned());
            llm.output.push(said("assistant", choice.text, word));
            llm.finish_reasons.extend(choice.reason);
        }
        meta.write(llm);
        let ending = match (read, whole) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        };
        ending.of(claimed, llm)
    }
}
