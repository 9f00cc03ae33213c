//! watsonx.ai: `…/ml/v1/text/generation` and its stream (and the beta paths before it). Chunks repeat running
//! counts, and only some hold the input's.

use serde_json::Value;

use super::json::{Get, Object};
use super::openai::completions::{prompt, said};
use super::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, append, finish, openai, segments};
use crate::call::{Lazy, Llm, Params, ProviderError, Usage};

/// The format.
#[derive(Debug)]
pub(crate) struct Watsonx;

impl Format for Watsonx {
    fn api(&self) -> &'static str {
        "watsonx.generate"
    }

    fn provider(&self) -> &'static str {
        "ibm.watsonx.ai"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let mut last = segments(target.path);
        let pair = (last.next(), last.next());
        let known = matches!(
            pair,
            (Some("text" | "text_stream"), Some("generation"))
                | (Some("generation" | "generation_stream"), Some("text"))
        );
        if target.method == "POST" && known { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("input") && (body.is_text("model_id") || body.is_map("parameters"))
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let (none, small) = (Object::new(), body.small());
        let params = small.object("parameters").unwrap_or(&none);
        // A deployment stands in the path instead of a model in the body.
        llm.request_model =
            small.filled("model_id").map(str::to_owned).or_else(|| openai::chat::deployment(target.path));
        llm.project = small.filled("project_id").map(str::to_owned);
        llm.params = Params {
            temperature: params.number("temperature"),
            top_p: params.number("top_p"),
            top_k: params.number("top_k"),
            max_tokens: params.count("max_new_tokens"),
            seed: params.member("random_seed").and_then(Value::as_i64),
            stop: openai::stop(params.member("stop_sequences")),
            ..Params::default()
        };
        llm.input = Lazy::new(body.raw("input").into_iter().collect(), prompt);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    whole: bool,
    model: Option<String>,
    text: String,
    reason: Option<String>,
    usage: Usage,
    error: Option<ProviderError>,
}

impl Reply {
    fn read(&mut self, object: &Object, faults: &mut Faults) {
        self.error = self.error.take().or_else(|| openai::error(object)).or_else(|| {
            let first = object.items("errors").first()?;
            let text = |key| first.text(key).unwrap_or_default().to_owned();
            Some(ProviderError { kind: text("code"), message: text("message") })
        });
        openai::first(&mut self.model, object.text("model_id"));
        for result in object.items("results").iter().take(1) {
            append(&mut self.text, result.text("generated_text").unwrap_or_default(), faults);
            if let Some(reason) = result.filled("stop_reason").filter(|reason| *reason != "not_finished") {
                self.reason = Some(reason.to_owned());
            }
            self.usage.input = self.usage.input.max(result.count("input_token_count"));
            self.usage.output = self.usage.output.max(result.count("generated_token_count"));
        }
    }
}

impl Answer for Reply {
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        if let Some(object) = crate::decode::object(event.data.trim(), faults) {
            self.read(&object, faults);
        }
    }

    fn body(&mut self, body: Body, faults: &mut Faults) {
        self.whole = true;
        self.read(&body.into_object(faults), faults);
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let Self { whole, model, text, reason, usage, error } = *self;
        let ended = reason.is_some();
        if ended || !text.is_empty() {
            llm.output.push(said(
                "assistant",
                text,
                reason.as_deref().map(|raw| finish::word(raw).to_owned()),
            ));
        }
        llm.finish_reasons.extend(reason);
        (llm.response_model, llm.usage, llm.error) = (model, usage, error);
        match (whole, ended) {
            (true, _) => Ending::Open,
            (_, true) => Ending::Whole,
            _ => Ending::Cut,
        }
    }
}
