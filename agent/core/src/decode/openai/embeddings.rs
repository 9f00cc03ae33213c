//! Embeddings: `POST …/embeddings`. The vectors are never looked at.

use memchr::memmem;

use super::chat::{Meta, deployment};
use crate::call::{Lazy, Llm};
use crate::decode::json::Get;
use crate::decode::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, identity, tail};

/// The format.
#[derive(Debug)]
pub(crate) struct Embeddings;

impl Format for Embeddings {
    fn api(&self) -> &'static str {
        "openai.embeddings"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        if target.method == "POST" && tail(target.path, &["embeddings"]) { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_text("input") || body.is_array("input")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let small = body.small();
        identity::from_body(small, llm);
        super::request(body, llm);
        if llm.request_model.is_none() {
            llm.request_model = deployment(target.path);
        }
        llm.dimensions = small.count("dimensions").or_else(|| small.count("output_dimension"));
        let input = match body.list("input") {
            list if list.is_empty() => body.raw("input").into_iter().collect(),
            list => list,
        };
        llm.input = Lazy::new(input, super::completions::prompt);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// An answer being read.
#[derive(Debug, Default)]
struct Reply {
    meta: Meta,
    total: Option<u64>,
    read: bool,
    /// Whether it was vectors.
    vectors: bool,
}

impl Answer for Reply {
    /// Google's endpoint puts an error into a list.
    fn event(&mut self, event: Event<'_>, faults: &mut Faults) {
        if let Some(object) = crate::decode::object(event.data.trim(), faults) {
            self.meta.read(&object);
        }
    }

    fn body(&mut self, body: Body, _faults: &mut Faults) {
        let small = body.small();
        self.meta.read(small);
        self.read = true;
        let first = body.list("data").into_iter().next();
        self.vectors = first.is_some_and(|first| memmem::find(&first, b"\"embedding\"").is_some())
            || ["embedding", "embeddings"].iter().any(|key| body.is_array(key) || body.is_map(key))
            || small.object("usage").is_some_and(|usage| usage.contains_key("prompt_tokens"));
        self.total = small.object("usage").and_then(|usage| usage.count("total_tokens"));
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        let claimed = self.meta.claims(self.vectors, self.read, llm);
        self.meta.write(llm);
        // Everything is input here, so the total is the input.
        llm.usage.input = llm.usage.input.or(self.total);
        Ending::Open.of(claimed, llm)
    }
}
