//! What the tap costs a client of OpenSSL: CPU and wall time of the client's own process, with nobody watching, with
//! another process watched, with all bytes captured, with all calls decoded, with probes set the usual way; and what
//! instrumentation of the SDK costs instead.
//!
//! Every row runs in each round, so that what else the machine does meets all of them, and is held against the first
//! row of its own round. The client has one core, the server and the watcher have the other.

mod client;
mod server;
mod sites;
mod table;
mod venv;
pub(crate) mod watch;
mod watcher;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use crate::{cpu, load, pki};
use client::{Client, Load, Place, Sdk};
use server::Server;
use table::Line;
use watcher::{Watcher, Watching};

/// Arguments of the role.
#[derive(Args)]
pub(crate) struct Options {
    /// The program to measure.
    #[arg(long, default_value = "target/release/trackway")]
    trackway: PathBuf,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Requests of curl in one round; Python writes ten times as many pieces and makes a tenth of the calls.
    #[arg(long, default_value_t = 3000)]
    requests: usize,
    /// Only these loads.
    #[arg(long, value_enum)]
    only: Vec<Load>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is measured.
struct Row {
    name: &'static str,
    load: Load,
    watching: Watching,
    sdk: Sdk,
}

const fn row(name: &'static str, load: Load, watching: Watching) -> Row {
    Row { name, load, watching, sdk: Sdk::Plain }
}

const ROWS: [Row; 15] = [
    row("curl, no tap", Load::Requests, Watching::Nobody),
    row("another process watched", Load::Requests, Watching::Another),
    row("system calls alone", Load::Requests, Watching::Parts("none")),
    row("capture", Load::Requests, Watching::Parts("inside")),
    row("capture and decoding (attach)", Load::Requests, Watching::Full),
    row("capture, entry-and-return probes", Load::Requests, Watching::Parts("entry")),
    row("Python ssl, no tap", Load::Writes, Watching::Nobody),
    row("another process watched", Load::Writes, Watching::Another),
    row("system calls alone", Load::Writes, Watching::Parts("none")),
    row("capture", Load::Writes, Watching::Parts("inside")),
    row("capture, entry-and-return probes", Load::Writes, Watching::Parts("entry")),
    row("openai SDK, no tap", Load::Sdk, Watching::Nobody),
    row("capture and decoding (attach)", Load::Sdk, Watching::Full),
    Row { sdk: Sdk::OpenInference, ..row("openinference", Load::Sdk, Watching::Nobody) },
    Row {
        sdk: Sdk::OpenTelemetry,
        ..row("opentelemetry-instrumentation-openai", Load::Sdk, Watching::Nobody)
    },
];

/// What one row took in one round: microseconds, firings and bytes per unit.
struct Sample {
    wall: f64,
    client: f64,
    watcher: f64,
    fired: Option<f64>,
    bytes: Option<f64>,
    lost: u64,
    read: Option<f64>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("probes need root: run `sudo -E cargo xtask bench tap`");
    }
    if !options.trackway.exists() {
        bail!("{} is not there: run `cargo build --release -p trackway`", options.trackway.display());
    }
    let trackway = options.trackway.canonicalize()?;
    let folder = std::env::temp_dir().join(format!("trackway-tap-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let result = measure(options, &folder, &trackway);
    std::fs::remove_dir_all(&folder).context("temporary folder")?;
    result
}

fn measure(options: &Options, folder: &Path, trackway: &Path) -> Result<()> {
    pki::create(folder)?;
    std::fs::write(folder.join("body.json"), load::body(4 << 10))?;
    let server = Server::start(folder)?;
    let wanted = |load: Load| options.only.is_empty() || options.only.contains(&load);
    let mut place = Place { folder, port: server.port, python: None };
    if wanted(Load::Sdk) {
        match venv::python() {
            Ok(python) => place.python = Some(python),
            Err(why) => eprintln!("the SDK is left out: {why}"),
        }
    }
    let can = |row: &Row| wanted(row.load) && (row.load != Load::Sdk || place.python.is_some());
    let mut rows: Vec<(&Row, Vec<Sample>)> =
        ROWS.iter().filter(|row| can(row)).map(|row| (row, Vec::new())).collect();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for (row, samples) in &mut rows {
            let sample = once(row, &server, &place, trackway, options.requests);
            samples.push(sample.with_context(|| format!("{:?}: {}", row.load, row.name))?);
        }
    }
    report(&rows, options.json);
    Ok(())
}

fn units(load: Load, requests: usize) -> usize {
    match load {
        Load::Requests => requests,
        Load::Writes => requests * 10,
        Load::Sdk => requests.div_ceil(10),
    }
}

/// Lets what was asked for settle while the client stands at a gate.
const SETTLE: Duration = Duration::from_millis(20);
/// Decoding lags behind on purpose; what it spends on these requests belongs to them.
const LAG: Duration = Duration::from_millis(150);

fn once(row: &Row, server: &Server, place: &Place<'_>, trackway: &Path, requests: usize) -> Result<Sample> {
    let count = units(row.load, requests);
    let warm = count.div_ceil(10);
    let client = Client::start(place, row.load, row.sdk, &[warm, count])?;
    server.arrival()?;
    let mut watcher = Watcher::start(row.watching, trackway, place.folder, client.pid())?;
    server.open()?;
    server.arrival()?;
    std::thread::sleep(LAG);
    let spent =
        |watcher: &Watcher| Ok::<_, anyhow::Error>((cpu::spent_ns(&[client.pid()])?, watcher.spent_ns()?));
    let before = (spent(&watcher)?, watcher.totals()?);
    let begun = std::time::Instant::now();
    server.open()?;
    let wall = server.arrival()?.duration_since(begun);
    std::thread::sleep(SETTLE);
    let totals = watcher.totals()?;
    std::thread::sleep(LAG);
    let after = (spent(&watcher)?, totals);
    server.open()?;
    client.finish()?;
    let read = watcher.finish(row.watching)?;
    let each = |value: f64| value / count as f64;
    let micros = |after: u64, before: u64| each((after - before) as f64 / 1e3);
    let totals = after.1.zip(before.1);
    Ok(Sample {
        wall: each(wall.as_secs_f64() * 1e6),
        client: micros(after.0.0, before.0.0),
        watcher: micros(after.0.1, before.0.1),
        fired: totals.map(|(after, before)| each((after.fired - before.fired) as f64)),
        bytes: totals.map(|(after, before)| each((after.bytes - before.bytes) as f64)),
        lost: totals.map_or(0, |(after, before)| after.lost - before.lost),
        read: read.map(|read| read as f64 / (warm + count) as f64),
    })
}

fn report(rows: &[(&Row, Vec<Sample>)], as_json: bool) {
    let table = |load: Load| -> Vec<Line> {
        let mut rows = rows.iter().filter(|(row, _)| row.load == load).peekable();
        let Some((_, base)) = rows.peek() else { return Vec::new() };
        rows.map(|(row, samples)| table::line(row, samples, base)).collect()
    };
    let tables = [
        (Load::Requests, "curl: requests of 4 KB and answers of 2 KB on one connection", "request"),
        (Load::Writes, "Python ssl: SSL_write_ex of 4 KB", "SSL_write"),
        (Load::Sdk, "Python: chat calls of 4 KB by the openai SDK, spans kept in memory", "call"),
    ]
    .map(|(load, title, unit)| (load, title, unit, table(load)));
    if as_json {
        let all: Vec<_> = tables
            .iter()
            .map(|(_, title, unit, lines)| {
                json!({"title": title, "unit": unit, "rows": lines.iter().map(Line::json).collect::<Vec<_>>()})
            })
            .collect();
        println!("{}", json!(all));
        return;
    }
    for (_, title, unit, lines) in tables.iter().filter(|table| !table.3.is_empty()) {
        table::print(title, unit, lines);
    }
    let added = |load: Load, name: &str| {
        let lines = tables.iter().find(|table| table.0 == load).map(|table| &table.3)?;
        lines.iter().find(|line| line.name == name).map(|line| line.added.median)
    };
    let Some(tap) = added(Load::Requests, "capture and decoding (attach)").filter(|tap| *tap > 0.0) else {
        return;
    };
    println!();
    for name in ["openinference", "opentelemetry-instrumentation-openai"] {
        if let Some(other) = added(Load::Sdk, name) {
            println!(
                "  {name} adds {other:.0} us to a call, the tap {tap:.2} us: {:.0} times as much",
                other / tap
            );
        }
    }
}
