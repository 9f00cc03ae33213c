//! `trackway decode` as it is called: files of each kind, what it prints, and its exit code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const REQUEST: &str = r#"{"model":"gpt-demo","messages":[{"role":"user","content":"hi"},{"role":"tool","tool_call_id":"c0","content":"seven"}]}"#;
const ANSWER: &str = r#"{"id":"r1","model":"gpt-demo-1","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"ok","tool_calls":[{"id":"c1","type":"function","function":{"name":"shell","arguments":"{\"x\": 1}"}},{"id":"c2","type":"function","function":{"name":"shell","arguments":"{x"}}]}}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

/// The names of the JSON answers, in their order.
const NAMES: [&str; 25] = [
    "id",
    "kind",
    "provider",
    "api_format",
    "operation",
    "stream",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens_total",
    "output_tokens_total",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "finish_reasons",
    "tool_calls",
    "tool_results_in_request",
    "output_text",
    "conversation_id",
    "previous_response_id",
    "user",
    "error",
    "complete",
    "cost_usd",
    "faults",
];

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn decode(arguments: &[&str], input: &[u8]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackway"));
    command.arg("decode").args(arguments).env("COLUMNS", "160");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn line(id: Option<&str>) -> String {
    let mut line = json!({"provider_host": "api.openai.com", "scheme": "https", "method": "POST",
        "path": "/v1/chat/completions", "request_headers": {}, "request_body": REQUEST, "status": 200,
        "response_headers": {"content-type": "application/json"}, "response_body": ANSWER});
    if let Some(id) = id {
        line["id"] = id.into();
    }
    line.to_string()
}

fn plain() -> String {
    json!({"id": "p", "provider_host": "files.example", "method": "GET", "path": "/a?key=1", "status": 204})
        .to_string()
}

fn archive() -> String {
    let content = json!({"size": ANSWER.len(), "mimeType": "application/json", "text": ANSWER});
    let request = json!({"method": "POST", "url": "https://api.openai.com/v1/chat/completions", "headers": [],
        "postData": {"mimeType": "application/json", "text": REQUEST}});
    json!({"log": {"version": "1.2", "entries": [
        {"request": request, "response": {"status": 200, "headers": [], "content": content}},
        {"request": {"method": "GET", "url": "https://files.example/b"}, "response": {"status": 0}}]}})
    .to_string()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut pack = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    pack.write_all(text.as_bytes()).unwrap();
    pack.finish().unwrap()
}

/// A file that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let folder = std::env::temp_dir().join(format!("trackway-decode-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
        Self(folder.join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            fs::remove_dir_all(folder).ok();
        }
    }
}

/// What every form of the same exchange has to say.
fn check(answer: &Value, id: &str) {
    let calls = json!([{"id": "c1", "name": "shell", "arguments": {"x": 1}},
        {"id": "c2", "name": "shell", "arguments": null, "arguments_text": "{x"}]);
    let results = json!([{"tool_call_id": "c0", "name": null, "content_prefix": "seven"}]);
    let expected = json!({"id": id, "kind": "llm", "provider": "openai", "api_format": "openai.chat",
        "operation": "chat", "stream": false, "request_model": "gpt-demo", "response_model": "gpt-demo-1",
        "response_id": "r1", "input_tokens_total": 5, "output_tokens_total": 2, "cached_input_tokens": null,
        "cache_creation_input_tokens": null, "reasoning_tokens": null, "finish_reasons": ["tool_calls"],
        "tool_calls": calls, "tool_results_in_request": results, "output_text": "ok", "conversation_id": null,
        "previous_response_id": null, "user": null, "error": null, "complete": true, "cost_usd": null});
    for (name, value) in expected.as_object().unwrap() {
        // A price may be known one day; what costs nothing is not null.
        if name != "cost_usd" {
            assert_eq!(&answer[name], value, "{name}");
        }
    }
}

#[test]
fn lines_on_the_standard_input() {
    let said = decode(&["--json", "-"], format!("{}\n{}\n", line(Some("x")), plain()).as_bytes());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let answers = said.json();
    check(&answers[0], "x");
    assert_eq!(
        answers[1],
        json!({"id": "p", "kind": "none", "method": "GET", "host": "files.example", "path": "/a", "status": 204,
            "faults": []})
    );
    let first = said.out.lines().next().unwrap();
    let places: Vec<usize> = NAMES.iter().map(|name| first.find(&format!("\"{name}\":")).unwrap()).collect();
    // Names inside tool calls may come before; every name of the answer itself comes in order.
    assert!(places[..15].is_sorted() && places[16..].is_sorted(), "{first}");
    assert_eq!(answers[0].as_object().unwrap().len(), NAMES.len());
}

#[test]
fn gzip_and_archives_are_known_by_their_bytes() {
    let lines = Scratch::new("anything.txt", &gzip(&line(None)));
    let archived = Scratch::new("capture.bin", &gzip(&archive()));
    let said = decode(&["--json", lines.path(), archived.path()], b"");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let answers = said.json();
    assert_eq!(answers.len(), 3);
    check(&answers[0], "anything.txt#1");
    check(&answers[1], "capture.bin#1");
    assert_eq!((&answers[2]["kind"], &answers[2]["status"]), (&json!("none"), &Value::Null));
}

#[test]
fn the_table_counts_what_it_leaves_out() {
    let said = decode(&["-"], archive().as_bytes());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("2 exchanges · 1 model call · in 5 out 2 · 2 tool calls"), "{}", said.out);
    assert!(said.out.contains("1 no AI calls (--all lists them): files.example 1"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}'), "no colours where there is no terminal");
    let all = decode(&["--all", "-"], archive().as_bytes());
    assert!(all.out.contains("GET files.example/b no answer"), "{}", all.out);
}

#[test]
fn what_is_broken_is_named_and_costs_nothing_else() {
    let text = format!("{}\n{{\"id\":\n{}\n", line(Some("a")), line(Some("b")));
    let said = decode(&["--json", "-"], text.as_bytes());
    assert_eq!(said.code, Some(1));
    assert_eq!(said.json().len(), 2);
    assert_eq!(said.err, "trackway: stdin line 2: ends in the middle of its JSON\n");
    // An archive and a compressed file that break off: what came before is there.
    let whole = archive();
    let said = decode(&["--json", "-"], &whole.as_bytes()[..whole.len() - 20]);
    assert_eq!((said.code, said.json().len()), (Some(1), 1), "{}", said.err);
    let packed = gzip(&format!("{}\n", line(Some("a"))).repeat(2000));
    let said = decode(&["--json", "-"], &packed[..packed.len() - 100]);
    assert_eq!(said.code, Some(1));
    assert!(said.json().len() > 1000 && said.err.starts_with("trackway: stdin: "), "{}", said.err);
}

#[test]
fn the_exit_code_tells_a_bad_file_from_a_bad_command() {
    let absent = decode(&["/nonexistent/file.har"], b"");
    assert_eq!(absent.code, Some(1));
    assert!(absent.err.starts_with("trackway: file.har: "), "{}", absent.err);
    assert_eq!(decode(&["-"], b"").code, Some(1), "nothing could be read");
    assert_eq!(decode(&[], b"").code, Some(2));
    assert_eq!(decode(&["--json", "--all", "-"], b"").code, Some(2));
}

#[test]
fn runs_hold_what_belongs_together() {
    let post = |id: &str, messages: &Value, message: &Value| {
        let request = json!({"model": "gpt-demo", "messages": messages}).to_string();
        let answer = json!({"id": id, "model": "gpt-demo-1", "choices": [{"index": 0, "finish_reason": "stop",
            "message": message}]});
        json!({"id": id, "provider_host": "api.openai.com", "scheme": "https", "method": "POST",
            "path": "/v1/chat/completions", "request_headers": {}, "request_body": request, "status": 200,
            "response_headers": {"content-type": "application/json"}, "response_body": answer.to_string()})
        .to_string()
    };
    let asked = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_0123456789",
        "type": "function", "function": {"name": "shell", "arguments": "{\"cmd\": \"ls\"}"}}]});
    let ask = json!([{"role": "user", "content": "What is here?"}]);
    let answered = json!([{"role": "user", "content": "What is here?"}, asked,
        {"role": "tool", "tool_call_id": "call_0123456789", "content": "notes.txt"}]);
    let other = json!([{"role": "user", "content": "What is there?"}]);
    let file = [
        post("a1", &ask, &asked),
        plain(),
        post("b1", &other, &json!({"role": "assistant", "content": "Nothing"})),
        post("a2", &answered, &json!({"role": "assistant", "content": "Notes"})),
    ];
    let said = decode(&["--runs", "-"], file.join("\n").as_bytes());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let runs = said.json();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["exchange_ids"], json!(["a1", "a2"]));
    assert_eq!(
        runs[0]["links"],
        json!([
            {"from": "a1", "to": "a2", "rule": "tool_call_id"},
            {"from": "a1", "to": "a2", "rule": "history"},
        ])
    );
    assert_eq!(
        runs[0]["tool_calls"],
        json!([{"tool_call_id": "call_0123456789", "name": "shell", "arguments": {"cmd": "ls"},
            "produced_by": "a1", "executed_by": null, "consumed_by": "a2", "matched_on": "tool_call_id"}])
    );
    assert_eq!(runs[1]["exchange_ids"], json!(["b1"]));
    assert_ne!(runs[0]["run_id"], runs[1]["run_id"]);
}
