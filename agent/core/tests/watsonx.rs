//! Small exchanges with watsonx, written by hand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/replay.rs"]
mod support;

use calls::{counts, exchange, llm, text, whole};
use serde_json::json;
use trackway_core::call::Completion;

#[test]
fn watsonx_whole_and_streamed() {
    let request = json!({"model_id": "ibm/granite", "input": "Hi", "project_id": "p",
        "parameters": {"max_new_tokens": 4, "stop_sequences": ["\n"]}});
    let result = |text: &str, input: u64, output: u64, reason: &str| {
        json!({"model_id": "ibm/granite", "results": [{"generated_text": text, "generated_token_count": output,
            "input_token_count": input, "stop_reason": reason}]})
    };
    let (_, llm_) = llm(whole("/ml/v1/text/generation", &request, &result("Yes", 3, 2, "eos_token")));
    assert_eq!(
        (llm_.api, llm_.operation, llm_.provider.as_str()),
        ("watsonx.generate", "text_completion", "ibm.watsonx.ai")
    );
    assert_eq!((text(&llm_).as_str(), llm_.usage), ("Yes", counts(3, 2)));
    assert_eq!((llm_.project.as_deref(), llm_.params.max_tokens), (Some("p"), Some(4)));
    let events: String =
        [("", 3, 0, "not_finished"), ("Y", 0, 1, "not_finished"), ("es", 0, 2, "max_tokens")]
            .iter()
            .map(|(text, input, output, reason)| {
                format!("id: 1\nevent: message\ndata: {}\n\n", result(text, *input, *output, reason))
            })
            .collect();
    let request = json!({"input": "Hi", "parameters": {}});
    let (call, llm_) = llm(exchange("/ml/v1/deployments/d1/text/generation_stream", &request, events)
        .header("content-type", "text/event-stream"));
    assert_eq!((call.completion, text(&llm_).as_str()), (Completion::Complete, "Yes"));
    assert_eq!((llm_.usage, llm_.request_model.as_deref()), (counts(3, 2), Some("d1")));
    assert_eq!(llm_.finish_reasons, ["max_tokens"]);
}
