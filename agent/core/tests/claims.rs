//! Paths that applications use too: a call is a model's only where the answer has the format's shape as well.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/replay.rs"]
mod support;

use calls::{exchange, llm, one, whole};
use serde_json::{Value, json};
use trackway_core::call::{Completion, Kind};

/// Path, request, an application's answer, the format's answer and its name.
fn cases() -> Vec<(&'static str, Value, Value, Value, &'static str)> {
    let chat = json!({"message": "Hi", "model": "fast"});
    let prompt = json!({"model": "m", "prompt": "Hi"});
    let query = json!({"query": "q", "documents": ["a"], "model": "r"});
    vec![
        (
            "/v1/chat",
            chat,
            json!({"text": "Hello", "id": "7"}),
            json!({"text": "Hello", "generation_id": "g", "finish_reason": "COMPLETE"}),
            "cohere.v1.chat",
        ),
        (
            "/v2/chat",
            json!({"model": "m", "messages": []}),
            json!({"message": "Hello"}),
            json!({"id": "c", "finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "Hello"}]}}),
            "cohere.v2.chat",
        ),
        (
            "/generate",
            prompt.clone(),
            json!({"text": ["Hello"]}),
            json!({"id": "g", "generations": [{"id": "g", "text": "Hello"}]}),
            "cohere.v1.generate",
        ),
        (
            "/embed",
            json!({"model": "m", "texts": ["a"]}),
            json!({"stored": 1, "id": "e"}),
            json!({"id": "e", "embeddings": [[0.5]], "response_type": "embeddings_floats"}),
            "cohere.embed",
        ),
        (
            "/rerank",
            query.clone(),
            json!({"results": [{"id": 1, "title": "a"}]}),
            json!({"results": [{"index": 0, "relevance_score": 0.5}]}),
            "rerank",
        ),
        ("/rerank", query, json!([{"title": "a"}]), json!([{"index": 0, "score": 0.5}]), "rerank"),
        (
            "/api/generate",
            prompt,
            json!({"id": 4, "status": "queued"}),
            json!({"model": "m", "response": "Hello", "done": true}),
            "ollama.generate",
        ),
        (
            "/api/chat",
            json!({"model": "m", "messages": []}),
            json!({"message": {"content": "Hello"}}),
            json!({"message": {"content": "Hello"}, "done": true}),
            "ollama.chat",
        ),
        (
            "/api/embed",
            json!({"model": "m", "input": "a"}),
            json!({"ok": true}),
            json!({"model": "m", "embeddings": [[0.5]]}),
            "ollama.embed",
        ),
        (
            "/api/completions",
            json!({"prompt": "new york", "n": 5}),
            json!({"suggestions": ["new york city"]}),
            json!({"choices": [{"text": "new york city"}]}),
            "openai.completions",
        ),
        (
            "/collections/x/embeddings",
            json!({"input": ["a"], "model": "m"}),
            json!({"ids": [1]}),
            json!({"data": [{"index": 0, "embedding": [0.5]}]}),
            "openai.embeddings",
        ),
    ]
}

#[test]
fn an_applications_own_endpoints_are_no_calls_of_a_model() {
    for (path, request, app, model, api) in cases() {
        let call = one(whole(path, &request, &app).run(0));
        assert!(matches!(call.kind, Kind::Plain), "{path}: {:?}", call.kind);
        assert!(call.faults.is_empty() && call.first_chunk.is_none(), "{path}: {:?}", call.faults);
        assert_eq!(llm(whole(path, &request, &model)).1.api, api, "{path}");
    }
}

#[test]
fn what_no_format_reads_is_no_fault() {
    let request = json!({"model": "m", "prompt": "Hi"});
    for answer in ["queued", "data: queued\n\n", "{\"id\": 4", "{\"id\": 4}\n{\"id\": 5}\n{"] {
        let call = one(exchange("/api/generate", &request, answer).run(0));
        assert!(matches!(call.kind, Kind::Plain), "{answer}");
        assert!(
            call.faults.is_empty() && call.completion == Completion::Complete,
            "{answer}: {:?}",
            call.faults
        );
    }
}

#[test]
fn a_refusal_by_an_application_is_none_of_a_model() {
    for path in ["/v1/chat", "/rerank", "/api/generate", "/api/completions"] {
        let (_, request, ..) = cases().into_iter().find(|case| case.0 == path).unwrap();
        let mut replay = whole(path, &request, &json!({"message": "sign in first"}));
        replay.status = 401;
        assert!(matches!(one(replay.clone().run(0)).kind, Kind::Plain), "{path}");
        // The host of a provider answers for its models.
        replay.host = "api.cohere.com".to_owned();
        replay.head.authority = Some(replay.host.clone());
        assert!(llm(replay).1.error.is_some(), "{path}");
    }
}

#[test]
fn a_rank_of_coheres_names_its_version() {
    let request = json!({"query": "q", "documents": ["a"], "model": "r"});
    let answer = json!({"id": "i", "results": [{"index": 0, "relevance_score": 0.5}],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}});
    let (_, llm) = llm(whole("/v2/rerank", &request, &answer));
    assert_eq!((llm.api, llm.provider.as_str()), ("cohere.rerank", "cohere"));
    assert!(!llm.provider_said);
}
