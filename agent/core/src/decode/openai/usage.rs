//! Token counts of OpenAI-shaped answers, in the conventions' sense: cached tokens are inside the input,
//! reasoning is inside the output.

use crate::call::Usage;
use crate::decode::json::{Get, Object};

/// Reads a usage object of Chat Completions or Responses.
pub(super) fn read(usage: &Object) -> Usage {
    let details = |keys: &[&str]| keys.iter().find_map(|key| usage.object(key));
    // `prompt_token_details` is how one vendor spells it.
    let input_details = details(&["prompt_tokens_details", "input_tokens_details", "prompt_token_details"]);
    let output_details =
        details(&["completion_tokens_details", "output_tokens_details", "completion_token_details"]);
    let input = usage.count("prompt_tokens").or_else(|| usage.count("input_tokens"));
    let generated = usage.count("completion_tokens").or_else(|| usage.count("output_tokens"));
    let reasoning = output_details.and_then(|details| details.count("reasoning_tokens"));
    Usage {
        input,
        output: generated.map(|count| count.saturating_add(beside(usage, input, count, reasoning))),
        cache_read: input_details.and_then(|details| details.count("cached_tokens")).or_else(|| {
            ["prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens"]
                .iter()
                .find_map(|key| usage.count(key))
        }),
        cache_write: input_details.and_then(|details| details.count("cache_write_tokens")),
        reasoning,
        audio_input: input_details.and_then(|details| details.count("audio_tokens")),
        audio_output: output_details.and_then(|details| details.count("audio_tokens")),
        cache_write_1h: None,
    }
}

/// Reasoning that stands beside the completion count instead of inside it. Some servers count so; the
/// arithmetic of the answer itself tells: the total is the sum of three, or the part exceeds the whole.
fn beside(usage: &Object, input: Option<u64>, generated: u64, reasoning: Option<u64>) -> u64 {
    let reasoning = reasoning.unwrap_or(0);
    let total = input.and_then(|input| input.checked_add(generated)?.checked_add(reasoning));
    let summed = total.is_some() && usage.count("total_tokens") == total;
    if reasoning > 0 && (summed || reasoning > generated) { reasoning } else { 0 }
}
