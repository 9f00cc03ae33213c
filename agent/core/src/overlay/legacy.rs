//! The names before v1.37, and those of OpenLLMetry (Traceloop).

use super::messages::{self, Flat};
use super::{Extra, find, text};
use crate::names;
use crate::names::overlay as own;
use crate::telemetry::{Class, Span};

pub(super) fn extend(span: &Span, extra: &mut Extra) {
    let operation = text(span, names::OPERATION_NAME).unwrap_or_default();
    match operation {
        "invoke_agent" | "create_agent" => extra.text(own::TRACELOOP_KIND, "agent", Class::Plain),
        "execute_tool" => extra.text(own::TRACELOOP_KIND, "tool", Class::Plain),
        "invoke_workflow" => extra.text(own::TRACELOOP_KIND, "workflow", Class::Plain),
        _ => {}
    }
    let Some(provider) = text(span, names::PROVIDER_NAME) else { return };
    extra.text(own::SYSTEM, system(provider), Class::Plain);
    let kind = match operation {
        "chat" | "generate_content" => "chat",
        "text_completion" => "completion",
        "embeddings" => "embedding",
        "rerank" => "rerank",
        _ => "unknown",
    };
    extra.text(own::LEGACY_REQUEST_TYPE, kind, Class::Plain);
    extra.copy(
        own::LEGACY_MODEL,
        find(span, names::RESPONSE_MODEL).or_else(|| find(span, names::REQUEST_MODEL)),
    );
    extra.copy(own::LEGACY_PROMPT_TOKENS, find(span, names::INPUT_TOKENS));
    extra.copy(own::LEGACY_COMPLETION_TOKENS, find(span, names::OUTPUT_TOKENS));
    extra.total(own::LEGACY_TOTAL_TOKENS, span, [names::INPUT_TOKENS, names::OUTPUT_TOKENS]);
    for (list, flat) in [(own::PROMPT, messages::input(span)), (own::COMPLETION, messages::output(span))] {
        if let Some((flat, class)) = flat {
            flat.iter().enumerate().for_each(|(n, it)| numbered(&format!("{list}.{n}"), it, class, extra));
        }
    }
}

/// The words of `gen_ai.system` where they were others.
fn system(provider: &str) -> &str {
    match provider {
        "gcp.vertex_ai" => "vertex_ai",
        "gcp.gemini" => "gemini",
        "azure.ai.inference" => "az.ai.inference",
        "azure.ai.openai" => "az.ai.openai",
        "x_ai" => "xai",
        other => other,
    }
}

fn numbered(key: &str, message: &Flat, class: Class, extra: &mut Extra) {
    extra.text(format!("{key}.role"), message.role.as_str(), class);
    if let Some(text) = message.text() {
        extra.text(format!("{key}.content"), text, class);
    }
    if let Some(id) = &message.answers {
        extra.text(format!("{key}.tool_call_id"), id.as_str(), class);
    }
    if let Some(reason) = &message.finish_reason {
        extra.text(format!("{key}.finish_reason"), reason.as_str(), class);
    }
    for (k, call) in message.calls.iter().enumerate() {
        let key = format!("{key}.tool_calls.{k}");
        if let Some(id) = &call.id {
            extra.text(format!("{key}.id"), id.as_str(), class);
        }
        extra.text(format!("{key}.name"), call.name.as_str(), class);
        extra.text(format!("{key}.arguments"), call.arguments.as_str(), class);
    }
}
