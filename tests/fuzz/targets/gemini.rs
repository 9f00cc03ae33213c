//! Gemini's formats.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod exchange;
use exchange::Case;

const CASES: &[Case] = &[
    Case("POST", "/v1beta/models/m:generateContent", r#"{"contents":[]}"#, "application/json"),
    Case("POST", "/v1beta/models/m:streamGenerateContent", r#"{"contents":[]}"#, "text/event-stream"),
    Case("POST", "/v1internal:streamGenerateContent", r#"{"request":{"contents":[]}}"#, "text/event-stream"),
    Case("POST", "/v1beta/models/m:batchEmbedContents", r#"{"requests":[]}"#, "application/json"),
    Case("POST", "/v1/models/text-embedding-1:predict", r#"{"instances":[{"content":"x"}]}"#, "application/json"),
    Case("POST", "/v1beta/interactions", r#"{"model":"m","input":"x"}"#, "text/event-stream"),
];

fuzz_target!(|data: &[u8]| exchange::fuzz(CASES, data));
