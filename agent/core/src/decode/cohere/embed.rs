//! Embeddings: `POST …/v2/embed` and `…/v1/embed`. The vectors are never looked at.

use super::{error, is_ours, usage};
use crate::call::{Lazy, Llm, ProviderError, Usage};
use crate::decode::json::Get;
use crate::decode::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, openai, tail};
use crate::http::Headers;

/// The format.
#[derive(Debug)]
pub(crate) struct Embed;

impl Format for Embed {
    fn api(&self) -> &'static str {
        "cohere.embed"
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method == "POST" && tail(target.path, &["embed"]) { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("model")
            && (body.is_array("texts") || body.is_array("images") || body.is_array("inputs"))
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let small = body.small();
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.dimensions = small.count("output_dimension");
        llm.input = Lazy::new(body.list("texts"), openai::completions::prompt);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    /// Whether it had the shape of Cohere's.
    ours: bool,
    failed: bool,
    id: Option<String>,
    usage: Usage,
    error: Option<ProviderError>,
}

impl Answer for Reply {
    fn head(&mut self, status: u16, _headers: &Headers) {
        self.failed = status >= 400;
    }

    fn event(&mut self, _event: Event<'_>, _faults: &mut Faults) {}

    fn body(&mut self, body: Body, _faults: &mut Faults) {
        let small = body.small();
        if self.failed {
            self.error = openai::error(small).or_else(|| error(small));
            return;
        }
        self.id = small.filled("id").map(str::to_owned);
        self.ours = body.has("embeddings") && (self.id.is_some() || is_ours(small));
        if let Some(meta) = small.object("meta") {
            self.usage = Usage { output: None, ..usage(meta) };
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        llm.response_id = self.id;
        llm.usage = self.usage;
        llm.error = self.error;
        Ending::Open.of(self.ours, llm)
    }
}
