//! What the tap costs a client of OpenSSL: CPU and wall time of the client's own process, with nobody watching, with
//! another process watched, with all bytes captured, with all calls decoded, with probes set the usual way; and what
//! instrumentation of the SDK costs instead.
//!
//! Every row runs in each round, so that what else the machine does meets all of them. Who watches is held against
//! nobody within one process (`round.rs`); what instruments the SDK cannot be switched off, and is held against a
//! process without it, of the same round. The client has one core, the server and the watcher have the other.

mod client;
mod round;
mod server;
mod sites;
mod standing;
mod table;
mod venv;
pub(crate) mod watch;
mod watcher;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use crate::{cpu, load, pki};
use client::{Load, Place, Sdk};
use round::{Bench, Sample, nothing};
use server::Server;
use table::Line;
use watcher::Watching;

/// Arguments of the role.
#[derive(Args)]
pub(crate) struct Options {
    /// The program to measure.
    #[arg(long, default_value = "target/release/trackway")]
    trackway: PathBuf,
    /// Rounds, of which the median counts; eleven take about seven minutes on a machine that does nothing else.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Requests of curl in one window; Python writes ten times as many pieces and makes a tenth of the calls.
    #[arg(long, default_value_t = 2000)]
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

/// What a user runs.
const ATTACH: &str = "capture and decoding (attach)";
/// What it may add to a client's CPU, in percent.
const TARGET: f64 = 3.0;

const LOADS: [(Load, &str, &str); 3] = [
    (Load::Requests, "curl: requests of 4 KB and answers of 2 KB on one connection", "request"),
    (Load::Writes, "Python ssl: SSL_write_ex of 4 KB", "SSL_write"),
    (Load::Sdk, "Python: chat calls of 4 KB by the openai SDK, spans kept in memory", "call"),
];

/// The first of each load is its client as it is.
const ROWS: [Row; 15] = [
    row("curl, no tap", Load::Requests, Watching::Nobody),
    row("probes that fire for nobody", Load::Requests, Watching::Another),
    row("system calls alone", Load::Requests, Watching::Parts("none")),
    row("capture", Load::Requests, Watching::Parts("inside")),
    row(ATTACH, Load::Requests, Watching::Full),
    row("capture, entry-and-return probes", Load::Requests, Watching::Parts("entry")),
    row("Python ssl, no tap", Load::Writes, Watching::Nobody),
    row("probes that fire for nobody", Load::Writes, Watching::Another),
    row("system calls alone", Load::Writes, Watching::Parts("none")),
    row("capture", Load::Writes, Watching::Parts("inside")),
    row("capture, entry-and-return probes", Load::Writes, Watching::Parts("entry")),
    row("openai SDK, no tap", Load::Sdk, Watching::Nobody),
    row(ATTACH, Load::Sdk, Watching::Full),
    Row { sdk: Sdk::OpenInference, ..row("openinference", Load::Sdk, Watching::Nobody) },
    Row {
        sdk: Sdk::OpenTelemetry,
        ..row("opentelemetry-instrumentation-openai", Load::Sdk, Watching::Nobody)
    },
];

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
    let wanted = |load: Load| options.only.is_empty() || options.only.contains(&load);
    let server = Server::start(folder)?;
    let mut place = Place { folder, port: server.port, python: None };
    if wanted(Load::Sdk) {
        match venv::python() {
            Ok(python) => place.python = Some(python),
            Err(why) => eprintln!("the SDK is left out: {why}"),
        }
    }
    let can = |load: Load| wanted(load) && (load != Load::Sdk || place.python.is_some());
    let loads: Vec<Load> = LOADS.iter().map(|load| load.0).filter(|load| can(*load)).collect();
    let bench = Bench { server, place, trackway, requests: options.requests };
    let mut samples = ROWS.map(|_| Vec::new());
    let _awake = cpu::Awake::start();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for load in &loads {
            once(&bench, *load, round, &mut samples).with_context(|| format!("{load:?}"))?;
        }
    }
    report(&samples, options.json);
    Ok(())
}

/// All rows of a load, once.
fn once(bench: &Bench<'_>, load: Load, round: usize, samples: &mut [Vec<Sample>; ROWS.len()]) -> Result<()> {
    let of = |wanted: fn(&Row) -> bool| -> Vec<usize> {
        (0..ROWS.len()).filter(|at| ROWS[*at].load == load && wanted(&ROWS[*at])).collect()
    };
    let mut watched = of(|row| row.watching != Watching::Nobody);
    // No row comes always after the same one.
    let turn = round % watched.len();
    watched.rotate_left(turn);
    let watching: Vec<Watching> = watched.iter().map(|at| ROWS[*at].watching).collect();
    let (unwatched, taken) = bench.client(load, Sdk::Plain, &watching)?;
    for (at, sample) in watched.into_iter().zip(taken) {
        samples[at].push(sample);
    }
    for at in of(|row| row.watching == Watching::Nobody) {
        samples[at].extend(match ROWS[at].sdk {
            Sdk::Plain => nothing(&unwatched),
            sdk => {
                let (alone, _) = bench.client(load, sdk, &[])?;
                alone
                    .first()
                    .zip(unwatched.first())
                    .zip(unwatched.last())
                    .map(|((one, first), last)| one.against(first, last))
            }
        });
    }
    Ok(())
}

fn report(samples: &[Vec<Sample>; ROWS.len()], as_json: bool) {
    let tables = LOADS.map(|(load, title, unit)| {
        let rows = ROWS.iter().zip(samples).filter(|(row, samples)| row.load == load && !samples.is_empty());
        (load, title, unit, rows.map(|(row, samples)| table::line(row.name, samples)).collect::<Vec<_>>())
    });
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
    println!();
    let line = |load: Load, name: &str| {
        tables.iter().find(|table| table.0 == load)?.3.iter().find(|line| line.name == name)
    };
    for (load, _, unit, _) in &tables {
        let Some(tap) = line(*load, ATTACH) else { continue };
        let verdict = if tap.share.median < TARGET { "met" } else { "missed" };
        println!(
            "  the tap adds {:.2} us to a {unit}, {:.2} % of its CPU (target: under {TARGET} %): {verdict}",
            tap.added.median, tap.share.median
        );
    }
    let Some(tap) = line(Load::Requests, ATTACH).map(|tap| tap.added.median).filter(|tap| *tap > 0.0) else {
        return;
    };
    for name in ["openinference", "opentelemetry-instrumentation-openai"] {
        if let Some(other) = line(Load::Sdk, name).map(|line| line.added.median) {
            println!(
                "  {name} adds {other:.0} us to a call, the tap {tap:.2} us: {:.0} times as much",
                other / tap
            );
        }
    }
}
