//! Anthropic's formats.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod exchange;
use exchange::Case;

const CASES: &[Case] = &[
    Case("POST", "/v1/messages", r#"{"model":"m","max_tokens":1,"messages":[]}"#, "text/event-stream"),
    Case("POST", "/v1/complete", r#"{"model":"m","prompt":"x","max_tokens_to_sample":1}"#, "text/event-stream"),
    Case(
        "POST",
        "/v1/publishers/anthropic/models/m:streamRawPredict",
        r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":1,"messages":[]}"#,
        "text/event-stream",
    ),
];

fuzz_target!(|data: &[u8]| exchange::fuzz(CASES, data));
