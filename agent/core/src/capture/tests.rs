use serde_json::{Value, json};

use super::*;
use crate::call::{Call, Kind, Llm};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const ANSWER: &str = r#"{"id":"r","model":"m-1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"é"}}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

/// All entries of an archive that must be whole.
fn entries(list: Value) -> Vec<Exchange> {
    let mut out = Vec::new();
    let file = json!({"log": {"version": "1.2", "creator": {"name": "t"}, "entries": list}}).to_string();
    har::read(file.as_bytes(), |entry| out.push(entry.unwrap())).unwrap();
    out
}

fn entry(value: Value) -> Exchange {
    entries(json!([value])).remove(0)
}

/// A chat as Chromium writes it, with changes.
fn chromium(change: impl FnOnce(&mut Value)) -> Value {
    let mut entry = json!({
        "_resourceType": "fetch", "_priority": "High", "connection": "12",
        "startedDateTime": "2026-01-02T03:04:05.250Z", "time": 30.5,
        "request": {"method": "POST", "url": "https://api.openai.com/v1/chat/completions?x=1#top",
            "httpVersion": "http/2.0", "headersSize": -1, "bodySize": CHAT.len(), "cookies": [], "queryString": [],
            "headers": [{"name": ":authority", "value": "api.openai.com"}, {"name": ":path", "value": "/v1"},
                {"name": "Content-Type", "value": "application/json"}],
            "postData": {"mimeType": "application/json", "text": CHAT}},
        "response": {"status": 200, "statusText": "", "httpVersion": "http/2.0", "_error": null,
            "headers": [{"name": "Content-Encoding", "value": "br"}, {"name": "content-type", "value": "application/json"}],
            "content": {"size": ANSWER.len(), "mimeType": "application/json", "text": ANSWER}, "bodySize": 99},
        "timings": {"blocked": 1.0, "dns": -1, "ssl": 2, "connect": 3, "send": 0.5, "wait": 20, "receive": 6}
    });
    change(&mut entry);
    entry
}

fn llm(exchange: Exchange) -> (Call, Llm) {
    let mut calls = exchange.replay();
    assert_eq!(calls.len(), 1);
    let call = calls.remove(0);
    let Kind::Llm(llm) = call.kind.clone() else { panic!("{call:?}") };
    (call, *llm)
}

#[test]
fn chromium_with_its_pseudo_fields_and_timings() {
    let exchange = entry(chromium(|_| {}));
    assert_eq!((exchange.host.as_str(), exchange.port, exchange.tls), ("api.openai.com", None, true));
    assert_eq!(exchange.head.target, "/v1/chat/completions?x=1");
    assert_eq!(exchange.head.version, "2");
    assert_eq!(exchange.head.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    let start = 1_767_323_045_250_000_000 + 4_000_000;
    let times = Times {
        start: Time(start),
        request_end: Time(start + 500_000),
        first_byte: Time(start + 20_500_000),
        end: Time(start + 26_500_000),
    };
    assert_eq!(exchange.times, Some(times));
    let (call, llm) = llm(exchange);
    assert_eq!((llm.usage.input, llm.usage.output), (Some(5), Some(2)));
    assert_eq!((call.start, call.first_byte, call.end), (times.start, Some(times.first_byte), times.end));
    assert_eq!(call.first_chunk, None, "an archive does not tell");
    assert_eq!(call.http.response_bytes, 99, "as it travelled");
    assert_eq!((call.completion, call.faults.len()), (Completion::Complete, 0), "{:?}", call.faults);
}

#[test]
fn an_offset_of_the_clock_is_taken_into_account() {
    let at =
        |text: &str| entry(chromium(|entry| entry["startedDateTime"] = text.into())).times.map(|t| t.start.0);
    let utc = at("2026-01-02T03:04:05.250Z");
    assert!(utc.is_some());
    assert_eq!(at("2026-01-02T05:04:05.250+02:00"), utc, "Firefox");
    assert_eq!(at("2026-01-02T05:04:05.250+0200"), utc, "Charles");
    assert_eq!(at("2026-01-02T03:04:05.250000+00:00"), utc, "mitmproxy");
    assert_eq!(at("yesterday"), None);
}

#[test]
fn bodies_in_base64_and_names_in_any_case() {
    // `é` and all, once with padding that is missing and broken over lines.
    use ::base64::Engine as _;
    let engine = ::base64::engine::general_purpose::STANDARD;
    let mut packed = engine.encode(ANSWER).trim_end_matches('=').to_owned();
    packed.insert(76, '\n');
    let exchange = entry(chromium(|entry| {
        entry["response"]["content"] =
            json!({"size": 1, "mimeType": "x-unknown", "text": packed, "encoding": "Base64"});
        entry["response"]["headers"] = json!([{"name": "X-Request-Id", "value": "q"}]);
        entry["request"]["postData"] = json!({"text": engine.encode(CHAT), "encoding": "base64"});
    }));
    assert!(exchange.request.base64);
    let response = exchange.response.clone().unwrap();
    assert!(response.body.base64);
    assert_eq!(response.body.bytes, ANSWER);
    let (call, llm) = llm(exchange);
    assert_eq!(llm.request_model.as_deref(), Some("m"));
    assert_eq!(call.http.request_id.as_deref(), Some("q"));
    let broken = entry(chromium(|entry| entry["response"]["content"]["encoding"] = "base64".into()));
    assert_eq!(broken.ending, Ending::Cut);
    assert!(broken.faults.iter().any(|fault| fault.detail.contains("base64")), "{:?}", broken.faults);
}

#[test]
fn what_the_file_lacks_is_said_and_not_made_up() {
    let exchange = entry(chromium(|entry| {
        entry["response"]["content"].as_object_mut().unwrap().remove("text");
    }));
    let (call, lacking) = llm(exchange);
    assert_eq!(call.completion, Completion::Partial);
    assert_eq!(lacking.usage.input, None);
    assert!(call.faults.iter().any(|fault| fault.kind == "capture"), "{:?}", call.faults);
    // An answer without a body lacks nothing.
    let empty = entry(chromium(|entry| {
        entry["response"]["content"] = json!({"size": 0, "mimeType": ""});
        entry["response"]["bodySize"] = 0.into();
    }));
    assert_eq!((empty.ending, empty.faults.len()), (Ending::Whole, 0));
    let without = entry(json!({"request": {"url": "http://h:81"}}));
    assert_eq!((without.host.as_str(), without.port, without.tls), ("h", Some(81), false));
    assert_eq!((without.head.method.as_str(), without.head.target.as_str()), ("GET", "/"));
    assert_eq!((without.times, &without.response), (None, &None));
}

#[test]
fn a_status_of_zero_is_no_answer() {
    let with = |error: Value| {
        let exchange = entry(chromium(|entry| {
            entry["response"] = json!({"status": 0, "headers": [], "content": {"size": 0}, "_error": error});
        }));
        llm(exchange).0.completion
    };
    assert_eq!(with(Value::Null), Completion::Unanswered);
    assert_eq!(with("net::ERR_CONNECTION_REFUSED".into()), Completion::Unanswered);
    assert_eq!(with("net::ERR_ABORTED".into()), Completion::Cancelled);
    let cut =
        entry(chromium(|entry| entry["response"]["_error"] = "net::ERR_INCOMPLETE_CHUNKED_ENCODING".into()));
    assert_eq!(cut.ending, Ending::Cut);
    let quoted = entry(chromium(|entry| entry["response"]["status"] = "200".into()));
    assert_eq!(quoted.response.unwrap().head.status, 200);
}

#[test]
fn forms_are_their_parameters() {
    let exchange = entry(chromium(|entry| {
        entry["request"]["postData"] = json!({"mimeType": "application/x-www-form-urlencoded; charset=utf-8",
            "params": [{"name": "a b", "value": "1&2"}, {"name": "é"}]});
    }));
    assert_eq!(exchange.request.bytes, "a+b=1%262&%C3%A9=");
    let upload = entry(chromium(|entry| {
        entry["request"]["postData"] =
            json!({"mimeType": "multipart/form-data; boundary=x", "params": [{"name": "f"}]});
    }));
    assert!(upload.faults.iter().any(|fault| fault.detail.contains("request's body")), "{:?}", upload.faults);
}

#[test]
fn a_web_socket_is_as_many_calls_as_it_carried() {
    let create =
        |id: &str| json!({"type": "response.create", "model": "m", "previous_response_id": id}).to_string();
    let done = |id: &str| {
        json!({"type": "response.completed", "response": {"id": id, "object": "response", "status": "completed",
            "model": "m-1", "output": [], "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}})
        .to_string()
    };
    let exchange = entry(json!({
        "_resourceType": "websocket",
        "request": {"method": "GET", "url": "wss://api.openai.com/v1/responses", "headers": []},
        "response": {"status": 0, "content": {}},
        "_webSocketMessages": [
            {"type": "send", "time": 1767323045.5, "opcode": 1, "data": create("r0")},
            {"type": "receive", "time": 1767323046.5, "opcode": 1, "data": done("r1")},
            {"type": "receive", "time": 1767323046.6, "opcode": 2, "data": "AAH/"},
            {"type": "send", "time": 1767323047, "opcode": 1, "data": create("r1")},
            {"type": "receive", "time": 1767323048, "opcode": 1, "data": done("r2")},
            {"type": "receive", "time": 1767323048, "opcode": 8, "data": ""},
        ]
    }));
    assert_eq!(exchange.messages.len(), 5);
    assert_eq!(exchange.messages[2].bytes, [0, 1, 255].as_slice());
    let calls = exchange.replay();
    let ids: Vec<_> = calls
        .iter()
        .map(|call| match &call.kind {
            Kind::Llm(llm) => llm.response_id.clone().unwrap_or_default(),
            _ => String::new(),
        })
        .collect();
    assert_eq!(ids, ["r1", "r2"]);
    assert_eq!(calls[0].start, Time(1_767_323_045_500_000_000));
}

#[test]
fn one_broken_entry_costs_no_other() {
    let file =
        json!({"log": {"entries": [chromium(|_| {}), {"request": {}}, 7, chromium(|_| {})], "pages": []}});
    let mut seen = Vec::new();
    har::read(file.to_string().as_bytes(), |entry| seen.push(entry.is_ok())).unwrap();
    assert_eq!(seen, [true, false, false, true]);
    // A file that breaks off gives what came before.
    let whole = file.to_string();
    let cut = &whole[..whole.len() - 200];
    seen.clear();
    assert_eq!(har::read(cut.as_bytes(), |entry| seen.push(entry.is_ok())), Err(Broken::Cut));
    assert_eq!(seen, [true, false, false]);
}

#[test]
fn a_deep_file_is_no_danger() {
    let deep = "[".repeat(100_000);
    let read = |text: String| {
        let mut broken = 0;
        let result = har::read(text.as_bytes(), |entry| broken += i32::from(entry.is_err()));
        (result.is_ok(), broken)
    };
    let closed = format!("{deep}{}", "]".repeat(100_000));
    assert_eq!(read(format!("{{\"log\":{{\"x\":{closed},\"entries\":[]}}}}")), (true, 0));
    assert_eq!(read(format!("{{\"log\":{{\"entries\":[{closed}]}}}}")), (true, 1));
    assert_eq!(read(format!("{{\"log\":{{\"entries\":{deep}")), (false, 0));
    let nested = format!("{{\"request\":{{\"url\":\"http://h\",\"headers\":{closed}}}}}");
    assert_eq!(read(format!("{{\"log\":{{\"entries\":[{nested}]}}}}")), (true, 1));
    assert!(recording::read(format!("{{\"request_headers\":{closed}}}").as_bytes()).is_err());
}

#[test]
fn marks_and_halves_of_characters_are_no_hindrance() {
    let text = chromium(|entry| entry["request"]["postData"]["text"] = CHAT.replace("hi", "HALF").into());
    let file = json!({"log": {"entries": [text]}}).to_string().replace("HALF", "\\ud83d\u{e9}");
    let mut found = Vec::new();
    let marked = format!("\u{feff}{file}");
    har::read(marked.as_bytes(), |entry| found.push(entry.unwrap())).unwrap();
    assert_eq!(llm(found.remove(0)).1.request_model.as_deref(), Some("m"));
    assert!(har::begins(marked.as_bytes()));
    assert!(har::begins(b" {\n \"log\" : {"));
    assert!(!har::begins(b"{\"id\": \"log\"}"));
}

fn line(change: impl FnOnce(&mut Value)) -> Result<Exchange, Broken> {
    let mut line = json!({"id": "x", "provider_host": "api.openai.com", "scheme": "https", "method": "POST",
        "path": "/v1/chat/completions", "request_headers": {"content-encoding": "gzip"}, "request_body": CHAT,
        "request_body_encoding": "utf8", "status": 200, "response_headers": {"content-type": "application/json"},
        "response_body": ANSWER, "response_body_encoding": "utf8", "http_version": "HTTP/2", "licence": "none"});
    change(&mut line);
    recording::read(line.to_string().as_bytes())
}

#[test]
fn a_line_with_and_without_times() {
    let exchange = line(|_| {}).unwrap();
    assert_eq!(exchange.id.as_deref(), Some("x"));
    assert_eq!((exchange.times, exchange.head.version), (None, "2"));
    assert!(exchange.head.headers.is_empty(), "the coding was undone");
    let (call, known) = llm(exchange);
    assert_eq!((known.usage.input, call.first_chunk), (Some(5), None));
    let timed = line(|line| {
        line["started_at"] = 100.5.into();
        line["chunk_lengths"] = json!([10, 0, ANSWER.len() - 10]);
        line["chunk_arrival_s"] = json!([0.5, 0.75, 2.0]);
    })
    .unwrap();
    assert_eq!(timed.response.as_ref().unwrap().chunks.len(), 2);
    let (call, _) = llm(timed);
    let seconds = |s: f64| Time(nanos(s));
    assert_eq!(
        (call.start, call.first_byte, call.end),
        (seconds(100.5), Some(seconds(101.0)), seconds(102.5))
    );
    // Pieces that are not the body's are none.
    let odd = line(|line| {
        line["started_at"] = 1.into();
        line["chunk_lengths"] = json!([1]);
        line["chunk_arrival_s"] = json!([0.5]);
    });
    assert_eq!(odd.unwrap().times, None);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and whole")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[test]
fn a_body_that_is_still_compressed_keeps_its_coding() {
    use ::base64::Engine as _;
    use std::io::Write as _;
    let mut pack = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    pack.write_all(ANSWER.as_bytes()).unwrap();
    let packed = ::base64::engine::general_purpose::STANDARD.encode(pack.finish().unwrap());
    let exchange = line(|line| {
        line["response_headers"]["Content-Encoding"] = "gzip".into();
        line["response_body_encoding"] = "base64".into();
        line["response_body"] = packed.into();
    })
    .unwrap();
    assert_eq!(llm(exchange).1.usage.input, Some(5));
}

#[test]
fn lines_that_are_no_exchange_say_why_and_repeat_nothing() {
    let error = |text: &str| recording::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("{\"method\": \"GET\", \"pa"), "ends in the middle of its JSON");
    assert_eq!(error("secret"), "not JSON near column 1");
    assert_eq!(error("[\"secret\"]"), error("{\"method\":{\"secret\":1}}"));
    assert!(!error("{\"method\": \"secret\"}").contains("secret"));
    let unanswered = line(|line| line["status"] = Value::Null).unwrap();
    assert_eq!(unanswered.faults.len(), 1, "{:?}", unanswered.faults);
    assert_eq!(llm(unanswered).0.completion, Completion::Unanswered);
}

#[test]
fn any_cut_gives_the_same_call() {
    let whole = format!("{:?}", llm(line(|_| {}).unwrap()).1);
    for size in [1, 2, 7, 100] {
        let calls = line(|_| {}).unwrap().replay_cut(|_| size);
        let Kind::Llm(llm) = &calls[0].kind else { panic!() };
        assert_eq!(format!("{llm:?}"), whole);
    }
}
