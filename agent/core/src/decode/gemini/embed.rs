//! Embeddings: `:embedContent`, `:batchEmbedContents`, and Vertex's `:predict`.

use bytes::Bytes;
use serde_json::Value;

use super::{history, message};
use crate::call::{Lazy, Llm, Message, Part, ProviderError, Usage};
use crate::decode::json::{Get, Object};
use crate::decode::{Answer, Body, Claim, Ending, Event, Faults, Format, Target, body, resource};

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
        let known = matches!(resource::verb(target.path), Some("embedContent" | "batchEmbedContents"));
        if target.method == "POST" && known { Claim::Yes } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_array("requests") || body.has("content")
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        resource::place(target.path, llm);
        llm.request_model = resource::model(target.path);
        let requests = body.list("requests");
        let one = body::values(requests.get(..1).unwrap_or_default()).next();
        let one = one.as_ref().and_then(Value::as_object).unwrap_or(body.small());
        // Vertex has it one level deeper.
        let inner = one.object("embedContentConfig").unwrap_or(one);
        llm.dimensions = inner.count("outputDimensionality").or_else(|| inner.count("output_dimensionality"));
        llm.input = match body.raw("content") {
            Some(content) => Lazy::new(vec![content], history),
            None => Lazy::new(requests, contents),
        };
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
        let known = target.method == "POST" && resource::verb(target.path) == Some("predict");
        // The same method serves models that draw or classify, and whatever somebody trained.
        let named = known && resource::model(target.path).is_some_and(|model| model.contains("embed"));
        if named { Claim::Perhaps } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        let first = body.list("instances").into_iter().next();
        body::values(first.as_slice()).next().is_some_and(|it| it.text("content").is_some())
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, _faults: &mut Faults) {
        resource::place(target.path, llm);
        llm.request_model = resource::model(target.path);
        llm.input = Lazy::new(body.list("instances"), instances);
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
        self.error = super::error(small);
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

/// The texts of a batch.
fn contents(pieces: &[Bytes]) -> Vec<Message> {
    body::values(pieces).filter_map(|mut it| message(it.get_mut("content")?.take())).collect()
}

/// The texts that Vertex's general method takes.
fn instances(pieces: &[Bytes]) -> Vec<Message> {
    let read = |it: Value| {
        let parts = vec![Part::Text(it.text("content")?.to_owned())];
        Some(Message { role: "user".to_owned(), parts, finish_reason: None })
    };
    body::values(pieces).filter_map(read).collect()
}

fn tokens(prediction: &Value) -> Option<u64> {
    let statistics: &Object = prediction.object("embeddings")?.object("statistics")?;
    statistics.count("token_count")
}
