//! Small exchanges with InvokeModel of Bedrock, written by hand: bodies are the models' own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/replay.rs"]
mod support;

use calls::{counts, llm, streamed, text, whole};
use frames::chunk;
use serde_json::{Value, json};
use trackway_core::call::{Completion, Usage};

#[test]
fn anthropic_inside_invoke() {
    let request = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
        "metadata": {"user_id": "user_1_account_2_session_3"},
        "messages": [{"role": "user", "content": "Hi"}]});
    let pieces = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "role": "assistant",
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics":
            {"inputTokenCount": 3, "outputTokenCount": 7, "cacheReadInputTokenCount": 20}}),
    ];
    let frames: Vec<Vec<u8>> = pieces.iter().map(chunk).collect();
    let path = "/model/eu.anthropic.claude/invoke-with-response-stream";
    let (call, llm_) = llm(streamed(path, &request, &frames));
    assert_eq!((call.completion, call.faults), (Completion::Complete, vec![]));
    assert_eq!((llm_.api, llm_.response_id.as_deref()), ("bedrock.invoke_stream", Some("msg_1")));
    assert_eq!(text(&llm_), "Hello");
    // What the model itself says counts, not what was measured beside it.
    assert_eq!(llm_.usage, Usage { cache_read: Some(20), ..counts(23, 8) });
    assert_eq!(llm_.conversation.unwrap().id, "3");
    // Cut before the end: what was generated so far is not known.
    let (call, llm_) = llm(streamed(path, &request, &frames[..3]));
    assert_eq!((call.completion, llm_.usage.output), (Completion::Partial, None));
}

#[test]
fn every_family_in_its_own_words() {
    type Case = (&'static str, Value, Value, &'static str, &'static str, Option<&'static str>, Usage);
    let unknown = Usage::default;
    let cases: Vec<Case> = vec![
        (
            "Nova",
            json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
                "inferenceConfig": {"max_new_tokens": 4}}),
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "Yes"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 1, "outputTokens": 2}}),
            "chat",
            "Yes",
            Some("end_turn"),
            counts(1, 2),
        ),
        (
            "Llama",
            json!({"prompt": "Hi", "max_gen_len": 4}),
            json!({"generation": "Yes", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop"}),
            "text_completion",
            "Yes",
            Some("stop"),
            counts(1, 2),
        ),
        (
            "Titan",
            json!({"inputText": "Hi", "textGenerationConfig": {"maxTokenCount": 4}}),
            json!({"inputTextTokenCount": 1, "results": [{"tokenCount": 2, "outputText": "Yes", "completionReason": "FINISH"}]}),
            "text_completion",
            "Yes",
            Some("FINISH"),
            counts(1, 2),
        ),
        (
            "Mistral, a prompt",
            json!({"prompt": "<s>[INST] Hi [/INST]", "max_tokens": 4}),
            json!({"outputs": [{"text": "Yes", "stop_reason": "length"}]}),
            "text_completion",
            "Yes",
            Some("length"),
            unknown(),
        ),
        (
            "Mistral, messages",
            json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}, "stop_reason": "stop"}]}),
            "chat",
            "Yes",
            Some("stop"),
            unknown(),
        ),
        (
            "gpt-oss",
            json!({"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 4}),
            json!({"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"},
                "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
            "chat",
            "Yes",
            Some("stop"),
            counts(1, 2),
        ),
        (
            "DeepSeek",
            json!({"prompt": "Hi", "max_tokens": 4}),
            json!({"choices": [{"text": "Yes", "stop_reason": "stop"}]}),
            "text_completion",
            "Yes",
            Some("stop"),
            unknown(),
        ),
        (
            "Cohere Command",
            json!({"prompt": "Hi", "max_tokens": 4}),
            json!({"id": "c", "generations": [{"id": "g", "text": "Yes", "finish_reason": "COMPLETE"}]}),
            "text_completion",
            "Yes",
            Some("COMPLETE"),
            unknown(),
        ),
        (
            "Jurassic",
            json!({"prompt": "Hi", "maxTokens": 4}),
            json!({"id": 7, "prompt": {"text": "Hi", "tokens": [{}]}, "completions":
                [{"data": {"text": "Yes", "tokens": [{}, {}]}, "finishReason": {"reason": "endoftext"}}]}),
            "text_completion",
            "Yes",
            Some("endoftext"),
            counts(1, 2),
        ),
        (
            "Claude's first format",
            json!({"prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 4}),
            json!({"completion": "Yes", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}),
            "text_completion",
            "Yes",
            Some("stop_sequence"),
            unknown(),
        ),
        (
            "Titan vectors",
            json!({"inputText": "Hi", "dimensions": 2, "normalize": true}),
            json!({"embedding": [0.1, 0.2], "inputTextTokenCount": 1}),
            "embeddings",
            "",
            None,
            Usage { input: Some(1), ..unknown() },
        ),
        (
            "Cohere vectors",
            json!({"texts": ["Hi"], "input_type": "search_query"}),
            json!({"id": "e", "embeddings": [[0.1]], "texts": ["hi"]}),
            "embeddings",
            "",
            None,
            unknown(),
        ),
        (
            "Cohere rerank",
            json!({"query": "Hi", "documents": ["a"], "api_version": 2}),
            json!({"results": [{"index": 0, "relevance_score": 0.5}]}),
            "rerank",
            "",
            None,
            unknown(),
        ),
    ];
    for (name, request, response, operation, said, reason, usage) in cases {
        let (call, llm_) = llm(whole("/model/m/invoke", &request, &response));
        assert_eq!((call.completion, call.faults), (Completion::Complete, vec![]), "{name}");
        assert_eq!((llm_.api, llm_.operation), ("bedrock.invoke", operation), "{name}");
        assert_eq!(text(&llm_), said, "{name}");
        assert_eq!(llm_.finish_reasons, reason.into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(llm_.usage, usage, "{name}");
        assert_eq!(llm_.params.max_tokens.is_some(), !said.is_empty(), "{name}");
        // The fields of the response tell where the body does not.
        let counted = whole("/model/m/invoke", &request, &response)
            .header("x-amzn-bedrock-input-token-count", "30")
            .header("x-amzn-bedrock-output-token-count", "40");
        let (_, llm_) = llm(counted);
        let said = |own: Option<u64>, other| own.or(Some(other));
        assert_eq!(
            (llm_.usage.input, llm_.usage.output),
            (said(usage.input, 30), said(usage.output, 40)),
            "{name}"
        );
    }
}

#[test]
fn every_family_as_a_stream() {
    let metrics = json!({"inputTokenCount": 10, "outputTokenCount": 20});
    let cases = [
        (
            "Llama",
            json!({"prompt": "Hi"}),
            vec![
                json!({"generation": "Y", "prompt_token_count": 1, "generation_token_count": 1, "stop_reason": null}),
                json!({"generation": "es", "prompt_token_count": null, "generation_token_count": 2, "stop_reason": "stop"}),
            ],
            "stop",
            (1, 2),
        ),
        (
            "Titan",
            json!({"inputText": "Hi"}),
            vec![
                json!({"outputText": "Y", "index": 0, "inputTextTokenCount": 1, "totalOutputTextTokenCount": null}),
                json!({"outputText": "es", "index": 0, "totalOutputTextTokenCount": 2, "completionReason": "FINISH"}),
            ],
            "FINISH",
            (1, 2),
        ),
        (
            "Mistral, messages",
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            vec![
                json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Y"}, "stop_reason": null}]}),
                json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "es"}, "stop_reason": "stop"}]}),
            ],
            "stop",
            (10, 20),
        ),
        (
            "gpt-oss",
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            vec![
                json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Y"}, "finish_reason": null}]}),
                json!({"choices": [{"index": 0, "delta": {"content": "es"}, "finish_reason": "stop"}]}),
            ],
            "stop",
            (10, 20),
        ),
        (
            "Mistral, a prompt",
            json!({"prompt": "Hi"}),
            vec![
                json!({"outputs": [{"text": "Y", "stop_reason": null}]}),
                json!({"outputs": [{"text": "es", "stop_reason": "stop"}]}),
            ],
            "stop",
            (10, 20),
        ),
        (
            "Cohere Command R",
            json!({"message": "Hi"}),
            vec![
                json!({"event_type": "text-generation", "is_finished": false, "text": "Y"}),
                json!({"event_type": "text-generation", "is_finished": false, "text": "es"}),
                json!({"event_type": "stream-end", "is_finished": true, "finish_reason": "COMPLETE",
                "response": {"text": "Yes", "generation_id": "g", "finish_reason": "COMPLETE"}}),
            ],
            "COMPLETE",
            (10, 20),
        ),
        (
            "Nova",
            json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
            vec![
                json!({"messageStart": {"role": "assistant"}}),
                json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Yes"}}}),
                json!({"messageStop": {"stopReason": "end_turn"}}),
                json!({"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2}}}),
            ],
            "end_turn",
            (1, 2),
        ),
    ];
    for (name, request, mut pieces, reason, (input, output)) in cases {
        pieces.last_mut().unwrap()["amazon-bedrock-invocationMetrics"] = metrics.clone();
        let frames: Vec<Vec<u8>> = pieces.iter().map(chunk).collect();
        let path = "/model/m/invoke-with-response-stream";
        let (call, llm_) = llm(streamed(path, &request, &frames));
        assert_eq!((call.completion, call.faults), (Completion::Complete, vec![]), "{name}");
        assert_eq!((text(&llm_).as_str(), llm_.output.len()), ("Yes", 1), "{name}");
        assert_eq!(llm_.finish_reasons, [reason], "{name}");
        assert_eq!(llm_.usage, counts(input, output), "{name}");
        let (call, llm_) = llm(streamed(path, &request, &frames[..1]));
        assert_eq!(call.completion, Completion::Partial, "{name}");
        assert!(llm_.stream && llm_.finish_reasons.is_empty(), "{name}");
    }
}

#[test]
fn several_generations_and_calls_of_cohere() {
    let answer = json!({"generations": [{"text": "A", "finish_reason": "COMPLETE"}, {"text": "B", "finish_reason": "MAX_TOKENS"}]});
    let (_, llm_) = llm(whole("/model/m/invoke", &json!({"prompt": "Hi", "num_generations": 2}), &answer));
    assert_eq!(
        (llm_.output.len(), llm_.finish_reasons),
        (2, vec!["COMPLETE".to_owned(), "MAX_TOKENS".to_owned()])
    );
    let answer = json!({"text": "", "generation_id": "g", "response_id": "r", "finish_reason": "COMPLETE",
        "tool_calls": [{"name": "look", "parameters": {"a": 1}}]});
    let request = json!({"message": "Hi", "preamble": "Be brief.",
        "chat_history": [{"role": "USER", "message": "Before"}],
        "tool_results": [{"call": {"name": "look", "parameters": {}}, "outputs": [{"b": 2}]}]});
    let (_, llm_) = llm(whole("/model/m/invoke", &request, &answer));
    assert_eq!(llm_.tool_calls().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["look"]);
    assert_eq!(llm_.tool_results().count(), 1);
    assert_eq!((llm_.response_id.as_deref(), llm_.input.len()), (Some("r"), 3));
    assert_eq!(llm_.output[0].finish_reason.as_deref(), Some("tool_call"));
}

#[test]
fn an_error_at_the_start_of_a_stream_is_kept() {
    let request = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}]});
    let piece = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let path = "/model/eu.anthropic.claude/invoke-with-response-stream";
    let (call, llm_) = llm(streamed(path, &request, &[chunk(&piece)]));
    let error = llm_.error.unwrap();
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("overloaded_error", "Overloaded"));
    assert_eq!(call.completion, Completion::Partial);
}

#[test]
fn what_makes_vectors_is_told_by_model_and_answer_not_by_names_of_ones_own() {
    let text = json!({"results": [{"outputText": "Yes", "completionReason": "FINISH"}]});
    let vector = json!({"embedding": [0.1], "inputTextTokenCount": 1});
    let arn = |rest: &str| format!("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3A{rest}/invoke");
    for (path, answer, operation) in [
        (arn("application-inference-profile%2Fembed-team"), &text, "text_completion"),
        (arn("provisioned-model%2Fembedded"), &text, "text_completion"),
        (arn("application-inference-profile%2Fabc"), &vector, "embeddings"),
        (arn("foundation-model%2Famazon.titan-embed-text-v1"), &vector, "embeddings"),
        ("/model/amazon.titan-embed-text-v1/invoke".to_owned(), &vector, "embeddings"),
    ] {
        let (_, llm_) = llm(whole(&path, &json!({"inputText": "Hi"}), answer));
        assert_eq!(llm_.operation, operation, "{path}");
    }
}
