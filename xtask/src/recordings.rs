//! `cargo xtask recordings`: what `trackway decode --json` says of recorded traffic, against answers that other
//! programs computed from the same bytes.

mod compare;
mod runs;
mod score;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::shell::{cargo, root, run, say, target};
use score::Score;

/// Names another folder, and demands that it is there.
const FOLDER: &str = "TRACKWAY_RECORDINGS";
/// Least share of exchanges that are equal in every compared field.
const SHARE: f64 = 0.998;

/// Arguments of the verb.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the recordings [default: $TRACKWAY_RECORDINGS, else ../shared/recordings beside the project]
    folder: Option<PathBuf>,
    /// How many differing exchanges are named for each API and field
    #[arg(long, value_name = "N", default_value_t = 3)]
    show: usize,
    /// Only what the expected answers call so, e.g. gemini.generate; repeatable
    #[arg(long, value_name = "NAME")]
    api: Vec<String>,
    /// The counts as JSON
    #[arg(long)]
    json: bool,
    /// Only what belongs together: the exchanges of all recorded runs, mixed
    #[arg(long, conflicts_with_all = ["api", "json"])]
    runs: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { folder: None, show: 3, api: Vec::new(), json: false, runs: false }
    }
}

/// Decodes, compares, prints; fails under the thresholds.
pub(crate) fn run_all(options: &Options) -> Result<()> {
    let Some(folder) = folder(options)? else { return Ok(()) };
    run(cargo().args(["build", "--release", "--locked", "--package", "trackway"]))?;
    if options.runs {
        return runs::run_all(&folder);
    }
    let mut score = Score::default();
    for (file, expected) in [
        ("exchanges.jsonl.gz", "expected.jsonl.gz"),
        ("mcp-local.jsonl.gz", "mcp-local-expected.jsonl.gz"),
        ("a2a-local.jsonl.gz", "a2a-local-expected.jsonl.gz"),
    ] {
        let mut answers = answers(&folder.join(file))?;
        let local = expected.contains("-local");
        for want in lines(&folder.join(expected))? {
            let want = want?;
            let api = want["api_format"].as_str().context("an expected answer names no API")?;
            let got = answers.remove(want["id"].as_str().context("an expected answer has no id")?);
            if options.api.is_empty() || options.api.iter().any(|name| name == api) {
                score.add(&want, got.as_ref(), local);
            }
        }
        ensure!(answers.is_empty(), "{file}: {} answers that nobody expects", answers.len());
    }
    if options.api.is_empty() {
        for (id, answer) in answers(&folder.join("negatives.jsonl.gz"))? {
            score.negative(id, answer["kind"] == "none");
        }
    }
    let text = if options.json { format!("{:#}\n", score.json()) } else { score.text(options.show) };
    std::io::stdout().write_all(text.as_bytes()).context("printing")?;
    let failures = score.failures(SHARE);
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    if options.api.is_empty() && !options.json { runs::run_all(&folder) } else { Ok(()) }
}

/// The folder of the recordings; `None` where there is none and nobody demands it.
fn folder(options: &Options) -> Result<Option<PathBuf>> {
    let asked = options.folder.clone().or_else(|| std::env::var_os(FOLDER).map(PathBuf::from));
    let required = asked.is_some() || std::env::var_os("CI").is_some();
    let folder = asked.unwrap_or_else(|| root().join("../shared/recordings"));
    if folder.join("exchanges.jsonl.gz").exists() {
        return Ok(Some(folder));
    }
    if required {
        bail!("no recordings in {}", folder.display());
    }
    say(&format!("skipped: no recordings in {} ({FOLDER} names another folder)", folder.display()));
    Ok(None)
}

/// What the real binary says of a file, by id.
fn answers(file: &Path) -> Result<HashMap<String, Value>> {
    let mut command = Command::new(target().join("release/trackway"));
    let mut child = command
        .args(["decode", "--json"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting trackway decode")?;
    let mut answers = HashMap::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let answer: Value = serde_json::from_str(&line?).context("an answer is no JSON")?;
        let id = answer["id"].as_str().context("an answer has no id")?.to_owned();
        ensure!(answers.insert(id.clone(), answer).is_none(), "two answers for {id}");
    }
    let status = child.wait()?;
    ensure!(status.success(), "trackway decode {}: {status}", file.display());
    Ok(answers)
}

fn lines(path: &Path) -> Result<impl Iterator<Item = Result<Value>>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    Ok(lines.map(|line| serde_json::from_str(&line?).context("an expected answer is no JSON")))
}
