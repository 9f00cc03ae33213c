use trackway_core::capture::recording;

use super::*;

fn call(line: &serde_json::Value) -> Call {
    recording::read(line.to_string().as_bytes()).unwrap().replay().remove(0)
}

fn chat() -> Call {
    let answer = serde_json::json!({"id": "r1", "model": "gpt-demo-2026-01-01",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "sh\u{1b}[31mell", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 12345, "completion_tokens": 67, "total_tokens": 12412,
            "prompt_tokens_details": {"cached_tokens": 1000}}});
    call(
        &serde_json::json!({"method": "POST", "path": "/v1/chat/completions", "provider_host": "api.openai.com",
        "scheme": "https", "status": 200, "request_body": "{\"model\":\"gpt-demo\",\"messages\":[]}",
        "response_headers": {"content-type": "application/json"}, "response_body": answer.to_string()}),
    )
}

fn refused() -> Call {
    call(
        &serde_json::json!({"method": "POST", "path": "/v1/chat/completions", "provider_host": "api.openai.com",
        "status": 401, "request_body": "{\"model\":\"gpt-demo\",\"messages\":[]}",
        "response_body": "{\"error\":{\"message\":\"Incorrect key\",\"type\":\"invalid_request_error\"}}"}),
    )
}

fn other() -> Call {
    call(&serde_json::json!({"method": "GET", "path": "/a", "provider_host": "files.example", "status": 200}))
}

fn printed(width: usize, all: bool) -> Vec<String> {
    let mut table = Table::new(Look { width, color: false }, all);
    let mut out = Vec::new();
    for (id, call) in [("long-name-of-a-capture.har#1", chat()), ("b", refused()), ("c", other())] {
        table.add(id, &call, &mut out).unwrap();
    }
    table.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_line_for_each_call_and_the_totals() {
    let lines = printed(200, false);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines[0]), "id provider api operation model in cached out finish tools note");
    assert_eq!(
        words(&lines[1]),
        "long-name-of-a-capture.har#1 openai openai.chat chat gpt-demo-2026-01-01 12,345 1,000 67 tool_calls sh [31mell"
    );
    assert_eq!(words(&lines[2]), "b openai openai.chat chat gpt-demo ✗ invalid_request_error");
    assert_eq!(
        lines[4],
        "3 exchanges · 2 model calls · in 12,345 (cached 1,000) out 67 · tokens of 1 call unknown · 1 tool call · 1 error"
    );
    assert_eq!(lines[5], "1 no AI calls (--all lists them): files.example 1");
    assert!(!lines.concat().contains('\u{1b}'), "what a file holds does not steer the terminal");
}

#[test]
fn every_width_holds() {
    for width in 20..220 {
        for line in printed(width, true) {
            assert!(text::width(&line) <= width || !line.contains("  "), "{width}: {line}");
        }
        if width >= 80 {
            let lines = printed(width, true);
            assert!(lines[1].contains("12,345"), "{width}: {}", lines[1]);
            assert!(lines[1].contains("…har#1") || lines[1].contains(".har#1") || !lines[0].contains("id"));
        }
    }
}

#[test]
fn all_shows_what_is_no_call() {
    let lines = printed(200, true);
    assert!(lines[3].ends_with("GET files.example/a 200"), "{}", lines[3]);
    assert_eq!(lines.len(), 6, "and does not count it apart");
}
