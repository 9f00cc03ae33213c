//! The attributes of one inference call.

use super::attributes::Attributes;
use super::{messages, outcome};
use crate::call::{Call, Llm};
use crate::names;
use crate::telemetry::Class;

/// Span name: `chat gpt-5`.
pub(super) fn name(llm: &Llm) -> String {
    match &llm.request_model {
        Some(model) => format!("{} {model}", operation(llm)),
        None => operation(llm).to_owned(),
    }
}

fn operation(llm: &Llm) -> &'static str {
    if llm.operation.is_empty() { "chat" } else { llm.operation }
}

/// Everything that `gen_ai` inference spans say.
pub(super) fn attributes(call: &Call, llm: &Llm, set: &mut Attributes) {
    set.plain(names::OPERATION_NAME, operation(llm));
    set.maybe(names::PROVIDER_NAME, Some(&llm.provider));
    if !llm.provider_said {
        // The vendor whose format it is; nothing says who answered.
        set.truth(names::PROVIDER_INFERRED);
    }
    set.maybe_int(names::EMBEDDING_DIMENSIONS, llm.dimensions);
    set.maybe(names::REQUEST_MODEL, llm.request_model.as_deref());
    set.maybe(names::RESPONSE_MODEL, llm.response_model.as_deref());
    set.maybe(names::RESPONSE_ID, llm.response_id.as_deref());
    set.maybe(names::PREVIOUS_RESPONSE_ID, llm.previous_response_id.as_deref());
    set.maybe(names::CONVERSATION_ID, llm.conversation.as_ref().map(|it| it.id.as_str()));
    set.maybe(names::AGENT_NAME, llm.agent.as_deref());
    if let Some(thread) = &llm.thread {
        set.maybe(names::THREAD_ID, Some(&thread.id));
        set.maybe(names::THREAD_PARENT_ID, thread.parent.as_deref());
    }
    if let Some(user) = &llm.user {
        set.text(names::USER_ID, user, Class::Metadata);
    }
    if llm.auxiliary {
        set.truth(names::HTTP_AUXILIARY);
    }
    parameters(llm, set);
    usage(llm, set);
    answer(call, llm, set);
    provider(llm, set);
}

fn parameters(llm: &Llm, set: &mut Attributes) {
    let params = &llm.params;
    if llm.stream {
        set.truth(names::REQUEST_STREAM);
    }
    set.double(names::REQUEST_TEMPERATURE, params.temperature);
    set.double(names::REQUEST_TOP_P, params.top_p);
    set.double(names::REQUEST_TOP_K, params.top_k);
    set.maybe_int(names::REQUEST_MAX_TOKENS, params.max_tokens);
    set.double(names::REQUEST_FREQUENCY_PENALTY, params.frequency_penalty);
    set.double(names::REQUEST_PRESENCE_PENALTY, params.presence_penalty);
    if let Some(seed) = params.seed {
        set.int(names::REQUEST_SEED, seed);
    }
    set.texts(names::REQUEST_STOP, params.stop.clone(), Class::Metadata);
    set.maybe_int(names::REQUEST_CHOICES, params.choices.filter(|choices| *choices != 1));
    set.maybe(names::REQUEST_REASONING_LEVEL, params.reasoning_level.as_deref());
    set.maybe(names::OUTPUT_TYPE, params.output_type);
}

fn usage(llm: &Llm, set: &mut Attributes) {
    // A response that is fetched again was paid for once.
    if llm.auxiliary {
        return;
    }
    set.maybe_int(names::INPUT_TOKENS, llm.usage.input);
    set.maybe_int(names::OUTPUT_TOKENS, llm.usage.output);
    set.maybe_int(names::CACHE_READ_TOKENS, llm.usage.cache_read);
    set.maybe_int(names::CACHE_WRITE_TOKENS, llm.usage.cache_write);
    set.maybe_int(names::REASONING_TOKENS, llm.usage.reasoning);
    match &llm.cost {
        Some(Ok(cost)) => {
            set.double(names::COST, Some(cost.usd));
            set.plain(names::COST_SOURCE, cost.source.word());
        }
        Some(Err(why)) => set.plain(names::COST_UNKNOWN, why.to_string()),
        None => {}
    }
}

fn answer(call: &Call, llm: &Llm, set: &mut Attributes) {
    let reasons = messages::finish_reasons(&llm.output, &llm.finish_reasons, call.completion);
    set.texts(names::FINISH_REASONS, reasons, Class::Plain);
    if llm.stream
        && let Some(first) = call.first_chunk
    {
        #[expect(clippy::cast_precision_loss, reason = "a double holds nanoseconds of months exactly")]
        let seconds = first.since(call.start) as f64 / 1e9;
        set.double(names::TIME_TO_FIRST_CHUNK, Some(seconds));
    }
    set.maybe(names::COMPLETION, outcome::completion(call.completion));
}

fn provider(llm: &Llm, set: &mut Attributes) {
    match llm.api {
        "openai.chat" => set.plain(names::OPENAI_API_TYPE, "chat_completions"),
        "openai.responses" | "openai.responses_compact" => set.plain(names::OPENAI_API_TYPE, "responses"),
        _ => return,
    }
    let asked = llm.params.service_tier.as_deref().filter(|tier| *tier != "auto");
    set.maybe(names::OPENAI_REQUEST_TIER, asked);
    set.maybe(names::OPENAI_RESPONSE_TIER, llm.service_tier.as_deref());
    set.maybe(names::OPENAI_FINGERPRINT, llm.system_fingerprint.as_deref());
}

/// What was said. Long, and so only where it is shown.
pub(super) fn content(call: &Call, llm: &Llm, set: &mut Attributes) {
    if !llm.system.is_empty() {
        set.json(names::SYSTEM_INSTRUCTIONS, messages::parts(&llm.system), Class::Content);
    }
    if !llm.tools.is_empty() {
        set.json(names::TOOL_DEFINITIONS, messages::definitions(&llm.tools), Class::Content);
    }
    if !llm.input.is_empty() {
        set.json(names::INPUT_MESSAGES, messages::input(&llm.input), Class::Content);
    }
    if !llm.output.is_empty() {
        let output = messages::output(&llm.output, &llm.finish_reasons, call.completion);
        set.json(names::OUTPUT_MESSAGES, output, Class::Content);
    }
}
