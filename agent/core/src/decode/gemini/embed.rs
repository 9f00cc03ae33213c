//! Embeddings: `:embedContent`, `:batchEmbedContents`, and Vertex's `:predict`.

use serde_json::Value;

use super::path;
use crate::call::{Llm, ProviderError, Usage};
use crate::decode::json::{Get, Object};
use crate::decode::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, body, openai};

/// Embeddings of Gemini's own API.
#[derive(Debug)]
pub(crate) struct Embed;

/// Embeddings by Vertex's general method for models.
#[derive(Debug)]
pub(crate) struct Predict;

impl Format for Embed {
    fn api(&self) -> &'static str {
        "gemini.embed"
    }

    fn provider(&self) -> &'static str {
        "gcp.gemini"
    }

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let known = |verb| super::model(target.path, verb).is_some();
        if target.method == "POST" && (known("embedContent") || known("batchEmbedContents")) {
            Claim::Yes
        } else {
            Claim::No
        }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_array("requests") || body.has("content")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        let verb = if body.has("requests") { "batchEmbedContents" } else { "embedContent" };
        path(target, verb, llm);
        let one = body::values(&body.list("requests")).next();
        let one = one.as_ref().and_then(Value::as_object).unwrap_or(body.small());
        llm.dimensions = one.count("outputDimensionality").or_else(|| one.count("output_dimensionality"));
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

impl Format for Predict {
    fn api(&self) -> &'static str {
        "vertex.predict_embed"
    }

    fn provider(&self) -> &'static str {
        "gcp.vertex_ai"
    }

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let known = target.method == "POST" && super::model(target.path, "predict").is_some();
        // The same method serves models that draw or classify.
        if known { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        let first = body::values(&body.list("instances")).next();
        let Some(Value::Object(first)) = first else { return false };
        let text = first.text("content").is_some();
        text && (first.contains_key("task_type") || first.contains_key("title") || first.len() == 1)
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        path(target, "predict", llm);
        llm.dimensions =
            body.small().object("parameters").and_then(|parameters| parameters.count("outputDimensionality"));
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::default())
    }
}

/// An answer being read. The vectors are never looked at, but for the counts that stand beside them.
#[derive(Debug, Default)]
struct Reply {
    usage: Usage,
    error: Option<ProviderError>,
}

impl Answer for Reply {
    fn event(&mut self, _event: Event<'_>, _faults: &mut Faults) {}

    fn body(&mut self, body: Body, _faults: &mut Faults) {
        let small = body.small();
        self.error = openai::error(small);
        self.usage.input = small.object("usageMetadata").and_then(|usage| usage.count("promptTokenCount"));
        let counts: Vec<u64> = body::values(&body.list("predictions")).filter_map(|it| tokens(&it)).collect();
        if !counts.is_empty() {
            self.usage.input = Some(counts.iter().fold(0, |sum, count| sum.saturating_add(*count)));
        }
    }

    fn finish(self: Box<Self>, llm: &mut Llm) -> Ending {
        llm.usage = self.usage;
        llm.error = self.error;
        Ending::Open
    }
}

fn tokens(prediction: &Value) -> Option<u64> {
    let statistics: &Object = prediction.object("embeddings")?.object("statistics")?;
    statistics.count("token_count")
}
