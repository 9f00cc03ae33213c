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
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => "content_filter",
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL" => "error",
        "ERROR" | "failed" | "cancelled" => "error",
        other => other,
    }
}
