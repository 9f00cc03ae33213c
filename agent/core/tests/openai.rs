//! Small exchanges in OpenAI's shape, as its many imitators have it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/replay.rs"]
mod support;

use calls::{counts, exchange, llm, whole};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn events(list: &[Value]) -> String {
    list.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn counts_may_stand_inside_of_a_choice() {
    let request = json!({"model": "kimi", "messages": [], "stream": true});
    let inside = |usage: Value| {
        json!({"id": "c", "model": "kimi",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]})
    };
    let stream = events(&[
        json!({"id": "c", "model": "kimi", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}),
        inside(json!({"prompt_tokens": 3, "completion_tokens": 2})),
    ]);
    assert_eq!(llm(exchange(CHAT, &request, stream)).1.usage, counts(3, 2));
    // Where they belong they count, whichever comes first.
    let proper = json!({"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 20}});
    for pieces in [
        [inside(json!({"prompt_tokens": 3, "completion_tokens": 2})), proper.clone()],
        [proper.clone(), inside(json!({"prompt_tokens": 3, "completion_tokens": 2}))],
    ] {
        assert_eq!(llm(exchange(CHAT, &request, events(&pieces))).1.usage, counts(30, 20));
    }
}

#[test]
fn an_error_may_come_in_a_list() {
    let answer = json!([{"error": {"code": 400, "message": "No such model", "status": "INVALID_ARGUMENT"}}]);
    for (path, request) in [
        (CHAT, json!({"model": "m", "messages": []})),
        ("/v1beta/openai/embeddings", json!({"model": "m", "input": "Hi"})),
    ] {
        let mut replay = whole(path, &request, &answer);
        replay.status = 400;
        let (_, llm) = llm(replay);
        let error = llm.error.unwrap();
        assert_eq!((error.kind.as_str(), error.message.as_str()), ("400", "No such model"), "{path}");
        assert!(!llm.stream);
    }
}
