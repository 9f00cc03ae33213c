//! Cohere's formats: chat of both versions, generate, embed. Usage is what was used (`tokens`), where it is
//! said; what was billed (`billed_units`) leaves out what Cohere added to the prompt.

mod chat;
mod embed;
mod first;

pub(crate) use chat::Chat;
pub(crate) use embed::Embed;
pub(super) use first::calls;
pub(crate) use first::{First, Generate};

use super::json::{Get, Object};
use crate::call::{ProviderError, Usage};
use crate::redact;

/// `usage` of version 2, or `meta` of version 1.
fn usage(object: &Object) -> Usage {
    let counts = object.object("tokens").or_else(|| object.object("billed_units"));
    let get = |key: &str| counts.and_then(|counts| counts.count(key));
    Usage {
        input: get("input_tokens"),
        output: get("output_tokens"),
        cache_read: object.count("cached_tokens"),
        reasoning: get("reasoning_tokens"),
        ..Usage::default()
    }
}

/// Whether an answer has what only Cohere's has.
fn is_ours(object: &Object) -> bool {
    object.object("meta").is_some_and(|meta| meta.contains_key("api_version"))
        || ["generation_id", "response_id", "response_type", "event_type"]
            .iter()
            .any(|key| object.filled(key).is_some())
}

/// An error has a message, and seldom a name. Asked only where the status says that it is one.
pub(super) fn error(object: &Object) -> Option<ProviderError> {
    let message = object.text("message")?;
    let kind = object.filled("error_type").unwrap_or("_OTHER").to_owned();
    Some(ProviderError { kind, message: redact::text(message).into_owned() })
}
