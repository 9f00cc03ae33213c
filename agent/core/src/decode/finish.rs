//! Finish reasons in the words of the conventions.

/// Maps a provider's reason; what is not known stays as it is.
pub(crate) fn word(raw: &str) -> &str {
    match raw {
        "STOP" | "FINISH" | "FINISHED" | "endoftext" | "eos_token" | "COMPLETE" | "STOP_SEQUENCE"
        | "end_turn" | "stop_sequence" | "eos" | "completed" | "complete" => "stop",
        "MAX_TOKENS"
        | "max_tokens"
        | "max_output_tokens"
        | "model_length"
        | "model_context_window_exceeded" => "length",
        "TOOL_CALL" | "tool_calls" | "function_call" | "tool_use" => "tool_call",
        "refusal"
        | "content_filtered"
        | "guardrail_intervened"
        | "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR" => "content_filter",
        "ERROR" | "failed" | "cancelled" => "error",
        other => other,
    }
}
