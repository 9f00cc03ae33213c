//! Bedrock's formats and watsonx.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod exchange;
use exchange::Case;

const CASES: &[Case] = &[
    Case("POST", "/model/m/converse", r#"{"messages":[]}"#, "application/json"),
    Case("POST", "/model/m/converse-stream", r#"{"messages":[]}"#, "application/vnd.amazon.eventstream"),
    Case("POST", "/model/m/invoke", r#"{"prompt":"x"}"#, "application/json"),
    Case("POST", "/model/m/invoke-with-response-stream", r#"{"prompt":"x"}"#, "application/vnd.amazon.eventstream"),
    Case("POST", "/ml/v1/text/generation", r#"{"model_id":"m","input":"x"}"#, "text/event-stream"),
];

fuzz_target!(|data: &[u8]| exchange::fuzz(CASES, data));
