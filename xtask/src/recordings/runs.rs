//! `--runs`: what `trackway decode --runs` ties together when the exchanges of all recorded runs come at
//! random, as if one process had sent them, against the links that other programs found run by run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::lines;
use crate::shell::target;

/// Least share of the expected tool links that are found.
const RECALL: f64 = 0.99;
/// Orders, each keeping the order inside a run.
const ORDERS: u64 = 6;

/// One result that reached a later request: producer, consumer, id, name.
type Tie = (String, String, Option<String>, String);

/// Compares, prints a line for each order; fails under the thresholds.
pub(super) fn run_all(folder: &Path) -> Result<()> {
    let runs: Vec<Value> = lines(&folder.join("runs.jsonl.gz"))?.collect::<Result<_>>()?;
    let exchanges = exchanges(folder)?;
    let mut failures = Vec::new();
    for order in 1..=ORDERS {
        let found = decode(&mixed(&runs, order), &exchanges)?;
        let score = Score::new(&runs, &found);
        println(&format!("order {order}: {}", score.text()))?;
        failures.extend(score.failures().into_iter().map(|failure| format!("order {order}: {failure}")));
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    Ok(())
}

fn println(line: &str) -> Result<()> {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).context("printing")
}

/// Every exchange as it stands in its file, by id.
fn exchanges(folder: &Path) -> Result<HashMap<String, String>> {
    let mut exchanges = HashMap::new();
    for file in ["exchanges.jsonl.gz", "mcp-local.jsonl.gz", "a2a-local.jsonl.gz"] {
        for exchange in lines(&folder.join(file))? {
            let exchange = exchange?;
            exchanges.insert(text(&exchange["id"]), exchange.to_string());
        }
    }
    Ok(exchanges)
}

/// The exchanges of all runs, mixed; the same number gives the same order.
fn mixed(runs: &[Value], order: u64) -> Vec<String> {
    let mut random = order;
    let mut left: Vec<Vec<String>> = runs.iter().map(|run| texts(&run["exchange_ids"])).collect();
    left.iter_mut().for_each(|ids| ids.reverse());
    left.retain(|ids| !ids.is_empty());
    let mut out = Vec::new();
    while !left.is_empty() {
        // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = usize::try_from((z ^ (z >> 31)) % left.len() as u64).unwrap_or_default();
        out.extend(left[place].pop());
        if left[place].is_empty() {
            left.swap_remove(place);
        }
    }
    out
}

/// What the real binary says of them.
fn decode(order: &[String], exchanges: &HashMap<String, String>) -> Result<Vec<Value>> {
    let mut child = Command::new(target().join("release/trackway"))
        .args(["decode", "--runs", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting trackway decode")?;
    let mut input = child.stdin.take().context("no input")?;
    for id in order {
        let exchange = exchanges.get(id).with_context(|| format!("no exchange {id}"))?;
        input.write_all(exchange.as_bytes()).and_then(|()| input.write_all(b"\n")).context("writing")?;
    }
    // It answers when it has read everything.
    drop(input);
    let output = BufReader::new(child.stdout.take().context("no output")?);
    let found = output.lines().map(|line| serde_json::from_str(&line?).context("a run is no JSON"));
    let found = found.collect::<Result<_>>()?;
    let status = child.wait()?;
    ensure!(status.success(), "trackway decode --runs: {status}");
    Ok(found)
}

/// Counts of one order.
struct Score {
    wanted: BTreeSet<Tie>,
    found: BTreeSet<Tie>,
    /// By kind of link: how many are expected, and how many are there.
    links: BTreeMap<String, (usize, usize)>,
    /// Found runs that hold exchanges of recorded runs which share no first exchange.
    merged: Vec<String>,
    runs: usize,
}

impl Score {
    fn new(runs: &[Value], found: &[Value]) -> Self {
        let mut links: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let there: BTreeSet<(String, String)> = found.iter().flat_map(pairs).map(|it| (it.0, it.1)).collect();
        let expected: BTreeSet<(String, String, String)> = runs.iter().flat_map(pairs).collect();
        for (from, to, kind) in expected {
            let count = links.entry(kind).or_default();
            count.0 += 1;
            count.1 += usize::from(there.contains(&(from, to)));
        }
        Self {
            wanted: runs.iter().flat_map(ties).collect(),
            found: found.iter().flat_map(ties).collect(),
            links,
            merged: merged(runs, found),
            runs: found.len(),
        }
    }

    fn text(&self) -> String {
        let equal = self.wanted.intersection(&self.found).count();
        let links: Vec<String> =
            self.links.iter().map(|(kind, (wanted, there))| format!("{kind} {there}/{wanted}")).collect();
        format!(
            "{} runs; tool calls answered: {equal} of {} found, {} wrong; links: {}; {} wrongly merged",
            self.runs,
            self.wanted.len(),
            self.found.difference(&self.wanted).count(),
            links.join(", "),
            self.merged.len(),
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if let Some(wrong) = self.found.difference(&self.wanted).next() {
            failures.push(format!("a tool call was tied wrongly: {wrong:?}"));
        }
        let equal = self.wanted.intersection(&self.found).count();
        if (equal as f64) < RECALL * self.wanted.len() as f64 {
            let missing = self.wanted.difference(&self.found).next();
            failures.push(format!("too few tool calls were tied, {missing:?} is missing"));
        }
        failures.extend(self.merged.first().map(|run| format!("{run} holds exchanges of strangers")));
        failures
    }
}

fn ties(run: &Value) -> Vec<Tie> {
    let calls = run["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tie = |call: &Value| {
        let consumer = call["consumed_by"].as_str()?.to_owned();
        let id = call["tool_call_id"].as_str().map(str::to_owned);
        Some((text(&call["produced_by"]), consumer, id, text(&call["name"])))
    };
    calls.iter().filter_map(tie).collect()
}

/// The links: from, to, and what the expected answers call the kind.
fn pairs(run: &Value) -> Vec<(String, String, String)> {
    let links = run["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    links.iter().map(|link| (text(&link["from"]), text(&link["to"]), text(&link["type"]))).collect()
}

/// Found runs whose exchanges are of recorded runs that have no first exchange in common.
fn merged(runs: &[Value], found: &[Value]) -> Vec<String> {
    // Runs that begin with the same exchange cannot be told apart by it.
    let mut owners: HashMap<String, BTreeSet<String>> = HashMap::new();
    for run in runs {
        let ids = texts(&run["exchange_ids"]);
        for id in &ids {
            owners.entry(id.clone()).or_default().extend(ids.first().cloned());
        }
    }
    let strangers = |run: &&Value| {
        let ids = texts(&run["exchange_ids"]);
        let mut sets = ids.iter().filter_map(|id| owners.get(id));
        let Some(first) = sets.next() else { return false };
        sets.fold(first.clone(), |common, set| &common & set).is_empty()
    };
    found.iter().filter(strangers).map(|run| text(&run["run_id"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().map(|list| list.iter().map(text).collect()).unwrap_or_default()
}
