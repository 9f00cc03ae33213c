//! Recorded traffic of many providers against answers that other programs computed from the same bytes.
//!
//! The recordings lie beside the repository and are not part of it. Without them this test says so and
//! passes, unless `TRACKWAY_RECORDINGS` says where they are, or `CI` that nothing may be skipped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/replay.rs"]
mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use support::Replay;
use trackway_core::call::{Completion, Kind, Llm, Part};

/// The folder of the recordings, where there is one.
fn folder() -> Option<PathBuf> {
    let asked = std::env::var_os("TRACKWAY_RECORDINGS").map(PathBuf::from);
    let required = asked.is_some() || std::env::var_os("CI").is_some();
    let folder =
        asked.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"));
    let found = folder.join("exchanges.jsonl.gz").exists();
    assert!(found || !required, "no recordings in {}", folder.display());
    if !found {
        println!("skipped: no recordings in {}", folder.display());
    }
    found.then_some(folder)
}

fn lines(path: PathBuf) -> impl Iterator<Item = Value> {
    let file = File::open(&path).unwrap();
    BufReader::new(MultiGzDecoder::new(file))
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Runs one exchange through the decoders; its bytes are cut at places that its id decides.
fn replay(exchange: &Value) -> trackway_core::call::Call {
    let seed = u64::from_str_radix(exchange["id"].as_str().unwrap_or("1"), 16).unwrap_or(1);
    let calls = Replay::from_recording(exchange).run(seed);
    assert_eq!(calls.len(), 1, "{}", exchange["id"]);
    calls.into_iter().next().unwrap()
}

#[derive(Default)]
struct Score {
    compared: u32,
    equal: u32,
    skipped: u32,
    differing: Vec<String>,
}

#[test]
fn recorded_exchanges_give_the_expected_calls() {
    let Some(folder) = folder() else { return };
    let apis = ["openai.chat", "openai.responses", "openai.responses_retrieve", "anthropic.messages"];
    let mut expected: HashMap<String, Value> = lines(folder.join("expected.jsonl.gz"))
        .filter(|answer| apis.contains(&answer["api_format"].as_str().unwrap()))
        .map(|answer| (answer["id"].as_str().unwrap().to_owned(), answer))
        .collect();
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut fields: BTreeMap<&str, u32> = BTreeMap::new();
    let mut strangers = Vec::new();
    for exchange in lines(folder.join("exchanges.jsonl.gz")) {
        let id = exchange["id"].as_str().unwrap().to_owned();
        let Some(expect) = expected.remove(&id) else {
            let call = replay(&exchange);
            if let Kind::Llm(llm) = call.kind {
                strangers.push(format!("{id} {} as {}", exchange["path"], llm.api));
            }
            continue;
        };
        let score = scores.entry(expect["api_format"].as_str().unwrap().to_owned()).or_default();
        if is_doubtful(&expect) {
            score.skipped += 1;
            continue;
        }
        score.compared += 1;
        let call = replay(&exchange);
        let mut differing = differences(&call, &expect);
        // The same as bytes of a connection.
        let seed = u64::from(score.compared);
        let bytes = support::observe(&[Replay::from_recording(&exchange)], seed);
        let same = bytes.len() == 1
            && bytes.iter().all(|seen| format!("{:?}", seen.kind) == format!("{:?}", call.kind));
        if !same {
            differing.push(("bytes", format!("{} calls", bytes.len())));
        }
        // The expected text leaves refusals out; here they are what the model said.
        differing.retain(|(field, got)| *field != "output_text" || !is_refusal(&exchange, got));
        if differing.is_empty() {
            score.equal += 1;
        } else {
            for (field, _) in &differing {
                *fields.entry(field).or_default() += 1;
            }
            score.differing.push(format!("{id} {differing:?}"));
        }
    }
    for (api, score) in &scores {
        println!("{api}: compared {}, equal {}, doubtful {}", score.compared, score.equal, score.skipped);
        for line in score.differing.iter().take(12) {
            println!("  {}", line.chars().take(600).collect::<String>());
        }
    }
    println!("differing fields: {fields:?}");
    println!("other formats taken for one of these: {}", strangers.len());
    for line in strangers.iter().take(12) {
        println!("  {line}");
    }
    // Compaction is a run of the model in the same words; the expected answers file it under other calls.
    strangers.retain(|line| !line.contains("/responses/compact"));
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(expected.is_empty(), "expected answers without exchange: {}", expected.len());
    for (api, score) in &scores {
        let share = f64::from(score.equal) / f64::from(score.compared);
        assert!(share >= 0.99, "{api}: {share}");
    }
}

#[test]
fn nothing_else_is_taken_for_an_inference_call() {
    let Some(folder) = folder() else { return };
    let mut count = 0;
    for exchange in lines(folder.join("negatives.jsonl.gz")) {
        count += 1;
        assert!(matches!(replay(&exchange).kind, Kind::Plain), "{} {}", exchange["id"], exchange["path"]);
    }
    println!("negatives: {count}");
    assert!(count > 0);
}

/// Recordings that were edited, and numbers that their own bytes contradict, prove nothing.
fn is_doubtful(expect: &Value) -> bool {
    expect["suspected_handmade"] == true
        || expect["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("AMBIGUOUS"))
}

fn is_refusal(exchange: &Value, got: &str) -> bool {
    let body: Value = exchange["response_body"]
        .as_str()
        .and_then(|body| serde_json::from_str(body).ok())
        .unwrap_or_default();
    let chat = body.pointer("/choices/0/message/refusal");
    let item =
        body["output"].as_array().into_iter().flatten().find_map(|item| item.pointer("/content/0/refusal"));
    chat.or(item).and_then(Value::as_str).is_some_and(|text| got.contains(&Value::from(text).to_string()))
}

fn differences(call: &trackway_core::call::Call, expect: &Value) -> Vec<(&'static str, String)> {
    let Kind::Llm(llm) = &call.kind else { return vec![("kind", "plain".to_owned())] };
    let mut out = Vec::new();
    let mut check = |field: &'static str, got: Value, want: Value| {
        if got != want {
            out.push((field, format!("got {got} want {want}")));
        }
    };
    let filled = |value: &Value| match value {
        Value::String(text) if text.is_empty() => Value::Null,
        other => other.clone(),
    };
    check("request_model", llm.request_model.clone().into(), filled(&expect["request_model"]));
    check("response_model", llm.response_model.clone().into(), filled(&expect["response_model"]));
    check("response_id", llm.response_id.clone().into(), filled(&expect["response_id"]));
    check("input_tokens_total", llm.usage.input.into(), expect["input_tokens_total"].clone());
    check("output_tokens_total", llm.usage.output.into(), expect["output_tokens_total"].clone());
    check("cached_input_tokens", llm.usage.cache_read.into(), expect["cached_input_tokens"].clone());
    check("cache_creation", llm.usage.cache_write.into(), expect["cache_creation_input_tokens"].clone());
    check("reasoning_tokens", llm.usage.reasoning.into(), expect["reasoning_tokens"].clone());
    let reasons: Vec<Value> = expect["finish_reasons"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|reason| !reason.is_null())
        .cloned()
        .collect();
    check("finish_reasons", llm.finish_reasons.clone().into(), reasons.into());
    check("tool_calls", calls(llm), wanted_calls(expect));
    check("output_text", text(llm).into(), expect["output_text"].clone());
    check("stream", llm.stream.into(), expect["stream"].clone());
    check(
        "previous_response_id",
        if llm.operation == "chat" { llm.previous_response_id.clone().into() } else { Value::Null },
        expect["previous_response_id"].clone(),
    );
    let conversation = llm.conversation.as_ref().filter(|known| known.source == "body:conversation");
    check(
        "conversation_id",
        conversation.map(|known| known.id.clone()).into(),
        expect["conversation_id"].clone(),
    );
    check("user", llm.user.clone().into(), expect["user"].clone());
    check("error", llm.error.is_some().into(), (!expect["error"].is_null()).into());
    let queued = llm.finish_reasons.iter().any(|reason| reason == "queued" || reason == "in_progress");
    let complete = call.completion == Completion::Complete && !queued;
    check("complete", complete.into(), expect["complete"].clone());
    let params = &expect["request"];
    check("temperature", llm.params.temperature.into(), params["temperature"].as_f64().into());
    check("max_tokens", llm.params.max_tokens.into(), params["max_tokens"].clone());
    let results: Vec<&str> =
        llm.tool_results().map(|result| result.id.as_deref().unwrap_or_default()).collect();
    let wanted: Vec<&str> = expect["tool_results_in_request"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_str().or(r["tool_call_id"].as_str()).or(r.as_str()).unwrap_or_default())
        .collect();
    check("tool_results", results.into(), wanted.into());
    out
}

fn calls(llm: &Llm) -> Value {
    llm.tool_calls().map(|call| serde_json::json!([call.id, call.name, call.arguments])).collect()
}

fn wanted_calls(expect: &Value) -> Value {
    let list = expect["tool_calls"].as_array().unwrap();
    list.iter()
        .map(|call| {
            let id = call["id"].as_str().filter(|id| !id.is_empty());
            let arguments =
                if call["arguments"].is_null() { &call["arguments_text"] } else { &call["arguments"] };
            serde_json::json!([id, call["name"], arguments])
        })
        .collect()
}

fn text(llm: &Llm) -> String {
    llm.output
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}
