//! Code Assist, which Gemini CLI speaks: `…/v1internal:generateContent` with model and project around the
//! request, and the answer inside `response`.

use super::reply::Reply;
use crate::call::Llm;
use crate::decode::json::Get;
use crate::decode::{Answer, Body, Claim, Faults, Format, Target, segments};

/// Both formats: whole answers, and streams.
#[derive(Debug)]
pub(crate) struct Wrapped {
    pub(crate) stream: bool,
}

impl Format for Wrapped {
    fn api(&self) -> &'static str {
        if self.stream { "gemini.stream_generate" } else { "gemini.generate" }
    }

    fn provider(&self) -> &'static str {
        "gcp.gemini"
    }

    fn operation(&self) -> &'static str {
        "generate_content"
    }

    fn claim(&self, target: &Target<'_>) -> Claim {
        let verb =
            if self.stream { "v1internal:streamGenerateContent" } else { "v1internal:generateContent" };
        let known = target.method == "POST" && segments(target.path).next() == Some(verb);
        if known { Claim::Yes } else { Claim::No }
    }

    fn fits(&self, body: &Body) -> bool {
        body.is_map("request")
    }

    fn request(&self, _target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        let small = body.small();
        if let Some(inner) = body.raw("request") {
            let inner = Body::read(&inner, faults);
            super::request(&inner, llm, faults);
        }
        llm.request_model = small.filled("model").map(str::to_owned);
        llm.project = small.filled("project").map(str::to_owned);
    }

    fn answer(&self) -> Box<dyn Answer> {
        Box::new(Reply::new(self.stream))
    }
}
