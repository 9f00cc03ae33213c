//! Reranking, which vendors spell alike: `POST …/rerank` with a query and documents. Cohere's is told apart by
//! its host, and by the version that its answer names.

use super::json::{Get, Object};
use super::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, body, openai, tail};
use crate::call::{Llm, ProviderError, Usage};
use crate::http::Headers;

/// The format, as Cohere has it or as others do.
#[derive(Debug)]
pub(crate) struct Rerank;

impl Format for Rerank {
    fn api(&self) -> &'static str {
        "rerank"
    }

    fn provider(&self) -> &'static str {
        ""
    }

    fn operation(&self) -> &'static str {
        "rerank"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method == "POST" && tail(target.path, &["rerank"]) { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.has("query") && (body.is_array("documents") || body.is_array("texts"))
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        llm.request_model = body.small().filled("model").map(str::to_owned);
        if llm.provider == "cohere" {
            llm.api = "cohere.rerank";
        }
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    id: Option<String>,
    model: Option<String>,
    input: Option<u64>,
    failed: bool,
    error: Option<ProviderError>,
    /// Whether it was ranks.
    ranks: bool,
    /// Whether it named the version of Cohere's API.
    cohere: bool,
}

/// Whether an element of an answer is a rank.
fn is_rank(object: &Object) -> bool {
    object.contains_key("index")
        && ["relevance_score", "score"].iter().any(|key| object.number(key).is_some())
}

impl Answer for Reply {
    fn head(&mut self, status: u16, _headers: &Headers) {
        self.failed = status >= 400;
    }

    /// Hugging Face's server answers with a list and nothing around it.
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        let object = crate::decode::object(event.data.trim(), faults);
        self.ranks |= object.is_some_and(|object| is_rank(&object));
    }

    fn body(&mut self, body: Body, _faults: &mut Faults) {
        let small = body.small();
        self.model = small.filled("model").map(str::to_owned);
        self.cohere = small.object("meta").is_some_and(|meta| meta.contains_key("api_version"));
        let list = ["results", "data"].iter().find(|key| body.is_array(key)).map(|key| body.list(key));
        self.ranks = list.is_some_and(|list| match list.first() {
            Some(_) => body::values(list.get(..1).unwrap_or_default())
                .any(|first| first.as_object().is_some_and(is_rank)),
            // No ranks say nothing; what stands beside them does.
            None => self.model.is_some() || self.cohere || small.object("usage").is_some(),
        });
        self.error = openai::error(small);
        if self.failed {
            self.error = self.error.take().or_else(|| super::cohere::error(small));
        } else if body.has("meta") || small.object("usage").is_none() {
            // Cohere's own; what gateways add names their generation, not the answer.
            self.id = small.filled("id").map(str::to_owned);
        }
        self.input = small.object("usage").and_then(|usage| usage.count("prompt_tokens"));
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        llm.response_id = self.id;
        llm.response_model = self.model;
        llm.usage = Usage { input: self.input, ..Usage::default() };
        llm.error = self.error;
        if self.cohere {
            llm.api = "cohere.rerank";
            if llm.provider.is_empty() {
                "cohere".clone_into(&mut llm.provider);
            }
        }
        Ending::Open.of(self.ranks, llm)
    }
}
