//! Recorded runs, each cut in two: who sees only the later part of a conversation names it as who saw its beginning.
//!
//! The recordings lie beside the repository, as for `recordings.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/recorded.rs"]
mod recorded;

use std::collections::HashMap;

use recorded::{folder, lines};
use serde_json::Value;
use trackway_core::call::Kind;
use trackway_core::capture::recording;
use trackway_core::lineage::Lineage;

/// The name of a conversation of which one exchange alone is seen.
fn key(line: &[u8]) -> Option<[u8; 16]> {
    let calls = recording::read(line).unwrap().replay();
    let call = calls.first()?;
    let Kind::Llm(llm) = &call.kind else { return None };
    Lineage::default().take(call, llm).key
}

#[test]
fn both_halves_of_a_run_have_one_name() {
    let Some(folder) = folder("runs.jsonl.gz") else { return };
    let runs: Vec<Value> =
        lines(folder.join("runs.jsonl.gz")).map(|line| serde_json::from_slice(&line).unwrap()).collect();
    // What the request continues by the server's memory alone holds no beginning.
    let tied = |link: &Value| matches!(link["type"].as_str(), Some("tool" | "history"));
    let pairs: Vec<(String, String)> = runs
        .iter()
        .filter_map(|run| {
            let first = run["exchange_ids"][0].as_str()?;
            let links = run["links"].as_array()?;
            let next = links.iter().find(|link| link["from"] == first && tied(link))?["to"].as_str()?;
            Some((first.to_owned(), next.to_owned()))
        })
        .collect();
    let mut keys: HashMap<String, Option<[u8; 16]>> = HashMap::new();
    let wanted: HashMap<&str, ()> =
        pairs.iter().flat_map(|(a, b)| [(a.as_str(), ()), (b.as_str(), ())]).collect();
    for line in lines(folder.join("exchanges.jsonl.gz")) {
        let id: Value = serde_json::from_slice(&line).unwrap();
        let id = id["id"].as_str().unwrap();
        if wanted.contains_key(id) {
            keys.insert(id.to_owned(), key(&line));
        }
    }
    let (mut same, mut unnamed, mut other) = (0, 0, Vec::new());
    for (first, next) in &pairs {
        match (keys[first], keys[next]) {
            (Some(a), Some(b)) if a == b => same += 1,
            (Some(_), Some(_)) => other.push(format!("{first} {next}")),
            _ => unnamed += 1,
        }
    }
    println!("{} pairs: {same} of one name, {unnamed} without, {} of two", pairs.len(), other.len());
    // The others' clients send the first answer back changed, or to another provider.
    assert!(same * 100 >= pairs.len() * 97, "{other:?}");
}
