//! Reranking, which vendors spell alike: `POST …/rerank` with a query and documents. Cohere's is told apart by
//! its answer only, and by its host.

use super::json::Get;
use super::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, openai, tail};
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
}

impl Answer for Reply {
    fn head(&mut self, status: u16, _headers: &Headers) {
        self.failed = status >= 400;
    }

    fn event(&mut self, _event: Event<'_>, _faults: &mut Faults) {}

    fn body(&mut self, body: Body, _faults: &mut Faults) {
        let small = body.small();
        self.model = small.filled("model").map(str::to_owned);
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
        Ending::Open
    }
}
