//! Requests whose path is not known, because the connection was joined after it had been said.
//!
//! The host has to be the provider's own, and the body such that of all that the provider takes, one thing
//! alone looks like it. Where that is not certain, it is a plain call.

use super::{Answer, Body, Claim, Faults, Format, Target, anthropic, host, openai};
use crate::call::Llm;

/// A format that is recognised without its path.
#[derive(Debug)]
struct Unplaced {
    format: &'static dyn Format,
    tells: fn(&Body) -> bool,
}

static FORMATS: &[&dyn Format] = &[
    &Unplaced {
        format: &openai::chat::Chat,
        tells: |body| body.is_text("model") && body.is_array("messages") && !body.has("input"),
    },
    &Unplaced {
        format: &openai::responses::Responses,
        // Embeddings and moderations have a model and an input too, and none of these.
        tells: |body| {
            let own = ["stream", "instructions", "tools", "store", "reasoning", "max_output_tokens"];
            body.is_text("model") && !body.has("messages") && own.iter().any(|key| body.has(key))
        },
    },
    &Unplaced {
        format: &anthropic::messages::Messages,
        // What only counts tokens has the rest, and not this.
        tells: |body| body.is_text("model") && body.has("max_tokens"),
    },
];

/// The formats that a request to this host may have.
pub(crate) fn candidates(host: &str, port: u16) -> Vec<&'static dyn Format> {
    let Some(provider) = host::provider(host, port) else { return Vec::new() };
    FORMATS.iter().copied().filter(|format| format.provider() == provider).collect()
}

impl Format for Unplaced {
    fn api(&self) -> &'static str {
        self.format.api()
    }

    fn provider(&self) -> &'static str {
        self.format.provider()
    }

    fn operation(&self) -> &'static str {
        self.format.operation()
    }

    fn claim(&self, _target: &Target<'_>) -> Claim {
        Claim::Perhaps
    }

    fn fits(&self, body: &Body) -> bool {
        self.format.fits(body) && (self.tells)(body)
    }

    fn request(&self, target: &Target<'_>, body: &Body, llm: &mut Llm, faults: &mut Faults) {
        self.format.request(target, body, llm, faults);
    }

    fn answer(&self) -> Box<dyn Answer> {
        self.format.answer()
    }
}
