//! OpenAI's formats, and those shaped like them.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod exchange;
use exchange::Case;

const CASES: &[Case] = &[
    Case("POST", "/v1/chat/completions", r#"{"model":"m","messages":[]}"#, "text/event-stream"),
    Case("POST", "/v1/responses", r#"{"model":"m","input":"x"}"#, "text/event-stream"),
    Case("POST", "/v1/completions", r#"{"model":"m","prompt":"x"}"#, "text/event-stream"),
    Case("POST", "/v1/embeddings", r#"{"model":"m","input":"x"}"#, "application/json"),
    Case("POST", "/v1/rerank", r#"{"model":"m","query":"x","documents":[]}"#, "application/json"),
    Case("GET", "/v1/responses/resp_1", r#""#, "application/json"),
];

fuzz_target!(|data: &[u8]| exchange::fuzz(CASES, data));
