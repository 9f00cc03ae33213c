//! Text Completions, Anthropic's first format: `POST …/v1/complete`. It says no usage.

use crate::call::{Lazy, Llm, Params, ProviderError};
use crate::decode::json::{Get, Object};
use crate::decode::openai::completions::{prompt, said};
use crate::decode::{
    Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, finish, identity, openai, tail,
};

/// The format.
#[derive(Debug)]
pub(crate) struct Complete;

impl Format for Complete {
    fn api(&self) -> &'static str {
        "anthropic.complete"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method == "POST" && tail(target.path, &["complete"]) { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("prompt") && body.has("max_tokens_to_sample")
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let small = body.small();
        identity::from_body(small, llm);
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.params = Params {
            temperature: small.number("temperature"),
            top_p: small.number("top_p"),
            top_k: small.number("top_k"),
            max_tokens: small.count("max_tokens_to_sample"),
            stop: openai::stop(small.member("stop_sequences")),
            ..Params::default()
        };
        llm.input = Lazy::new(body.raw("prompt").into_iter().collect(), prompt);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    read: bool,
    id: Option<String>,
    model: Option<String>,
    text: String,
    reason: Option<String>,
    error: Option<ProviderError>,
}

impl Reply {
    fn read(&mut self, object: &Object, faults: &mut Faults) {
        self.error = openai::error(object).or(self.error.take());
        openai::first(&mut self.id, object.text("id"));
        openai::first(&mut self.model, object.text("model"));
        append(&mut self.text, object.text("completion").unwrap_or_default(), faults);
        if let Some(reason) = object.filled("stop_reason") {
            self.reason = Some(reason.to_owned());
        }
    }
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        if event.name == "ping" {
            return;
        }
        if let Some(object) = crate::decode::object(event.data.trim(), faults) {
            self.read(&object, faults);
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.read = true;
        self.read(&body.into_object(faults), faults);
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self { read, id, model, text, reason, error } = *self;
        let whole = reason.is_some();
        if whole || !text.is_empty() {
            let word = reason.as_deref().map(|raw| finish::word(raw).to_owned());
            llm.output.push(said("assistant", text, word));
        }
        llm.finish_reasons.extend(reason);
        (llm.response_id, llm.response_model, llm.error) = (id, model, error);
        match (read, whole) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        }
    }
}
