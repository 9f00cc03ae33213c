//! Interleaved rounds of every load through every contender.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::contender::{ALL, Arena, Contender};
use crate::load::{Found, Shape};
use crate::report;

#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// The program to measure.
    #[arg(long, default_value = "target/release/trackway")]
    trackway: PathBuf,
    /// Rounds of each load; medians are taken over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Fewer requests in each round: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// Print the medians as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only these loads.
    #[arg(long, value_enum)]
    only: Vec<Shape>,
}

/// A load with its size.
struct Plan {
    shape: Shape,
    count: usize,
    lanes: usize,
}

const PLANS: [Plan; 6] = [
    Plan { shape: Shape::Small, count: 4000, lanes: 8 },
    Plan { shape: Shape::Medium, count: 1000, lanes: 8 },
    Plan { shape: Shape::Large, count: 160, lanes: 4 },
    Plan { shape: Shape::Stream, count: 48, lanes: 16 },
    Plan { shape: Shape::Connect, count: 600, lanes: 8 },
    Plan { shape: Shape::Hold, count: 1000, lanes: 1 },
];

/// Medians of one load through one contender.
pub(crate) struct Row {
    pub(crate) contender: Contender,
    pub(crate) found: Found,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.trackway.exists() {
        bail!("{} is not there: run `cargo build --release -p trackway`", options.trackway.display());
    }
    let trackway = options.trackway.canonicalize()?;
    let folder = std::env::temp_dir().join(format!("trackway-bench-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let result = measure(options, &folder, &trackway);
    std::fs::remove_dir_all(&folder).context("temporary folder")?;
    result
}

fn measure(options: &Options, folder: &std::path::Path, trackway: &std::path::Path) -> Result<()> {
    crate::pki::create(folder)?;
    let arena = Arena::open(folder, trackway)?;
    let mut tables = Vec::new();
    for plan in PLANS.iter().filter(|p| options.only.is_empty() || options.only.contains(&p.shape)) {
        let count = if options.quick { (plan.count / 10).max(plan.lanes) } else { plan.count };
        let mut rounds: Vec<(Contender, Vec<Found>)> = ALL.iter().map(|c| (*c, Vec::new())).collect();
        for round in 0..options.rounds {
            eprintln!("{:?}: round {} of {}", plan.shape, round + 1, options.rounds);
            for (contender, found) in &mut rounds {
                found.extend(arena.load(*contender, plan.shape, count, plan.lanes)?);
            }
        }
        let rows = rounds
            .into_iter()
            .filter(|(_, found)| !found.is_empty())
            .map(|(contender, found)| Row { contender, found: median(&found) })
            .collect();
        tables.push((plan.shape, rows));
    }
    let mut startup = (0..options.rounds).map(|_| arena.startup()).collect::<Result<Vec<_>>>()?;
    startup.sort_by_key(|(_, wrapped)| *wrapped);
    report::print(&tables, startup.get(startup.len() / 2).copied(), options.json);
    Ok(())
}

/// Field by field: each figure's own median, but the most memory.
fn median(rounds: &[Found]) -> Found {
    let of = |field: fn(&Found) -> u64| {
        let mut values: Vec<u64> = rounds.iter().map(field).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    Found {
        requests: rounds[0].requests,
        wall: of(|f| f.wall),
        cpu: of(|f| f.cpu),
        p50: of(|f| f.p50),
        p99: of(|f| f.p99),
        first: of(|f| f.first),
        chunk: of(|f| f.chunk),
        // A server that lives through all rounds grows in the first one only.
        stream_bytes: rounds.iter().map(|f| f.stream_bytes).max().unwrap_or(0),
    }
}
