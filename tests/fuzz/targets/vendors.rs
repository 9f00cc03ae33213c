//! Cohere's and Ollama's formats.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod exchange;
use exchange::Case;

const CASES: &[Case] = &[
    Case("POST", "/v2/chat", r#"{"model":"m","messages":[]}"#, "text/event-stream"),
    Case("POST", "/v1/chat", r#"{"model":"m","message":"x"}"#, "application/stream+json"),
    Case("POST", "/v1/generate", r#"{"model":"m","prompt":"x"}"#, "application/stream+json"),
    Case("POST", "/v2/embed", r#"{"model":"m","texts":[]}"#, "application/json"),
    Case("POST", "/api/chat", r#"{"model":"m","messages":[]}"#, "application/x-ndjson"),
    Case("POST", "/api/generate", r#"{"model":"m","prompt":"x"}"#, "application/x-ndjson"),
    Case("POST", "/api/embed", r#"{"model":"m","input":"x"}"#, "application/json"),
];

fuzz_target!(|data: &[u8]| exchange::fuzz(CASES, data));
