//! What reading costs: megabytes a second on one core, of requests, of streamed answers, and of connections
//! that only HTTP is known of, next to what
//! general parsers need for the same bytes in the same interleaved rounds.
//!
//! The parsers do less than Trackway (they parse the JSON and throw it away); they show what there is to gain
//! or lose by the choice of one.

mod corpus;
mod http;
mod parsers;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::json;

/// Arguments of the role.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Milliseconds that one contender runs in one round.
    #[arg(long, default_value_t = 60)]
    millis: u64,
    /// Only corpora whose title holds this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Only rows whose name holds this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    row: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// One row: what is done with the bytes, and how much of it fits in a second.
struct Row {
    name: &'static str,
    bytes_per_second: Vec<f64>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut tables = Vec::new();
    for (title, request) in corpus::requests().into_iter().filter(|it| it.0.contains(&options.only)) {
        tables.push((title, request.len(), measure(&request, parsers::REQUEST, options)));
    }
    for (title, path, stream) in corpus::streams().into_iter().filter(|it| it.0.contains(&options.only)) {
        let list = if path == corpus::CHAT { parsers::CHAT_STREAM } else { parsers::OTHER_STREAM };
        tables.push((title, stream.len(), measure(&stream, list, options)));
    }
    for (title, bytes, list) in http::corpora().into_iter().filter(|it| it.0.contains(&options.only)) {
        tables.push((title, bytes.len(), measure(&bytes, list, options)));
    }
    if options.json {
        let rows = |rows: &[Row]| -> serde_json::Value {
            rows.iter().map(|row| json!({"name": row.name, "mb_per_s": row.median() / 1e6})).collect()
        };
        let all: Vec<_> = tables
            .iter()
            .map(|(title, bytes, list)| json!({"corpus": title, "bytes": bytes, "rows": rows(list)}))
            .collect();
        println!("{}", json!(all));
        return Ok(());
    }
    for (title, bytes, rows) in &tables {
        println!("\n{title} ({bytes} bytes)");
        println!("  {:<44} {:>9} {:>10}", "", "MB/s", "/trackway");
        let own = rows.first().map_or(1.0, Row::median);
        for row in rows {
            println!("  {:<44} {:>9.0} {:>10.2}", row.name, row.median() / 1e6, row.median() / own);
        }
    }
    Ok(())
}

impl Row {
    fn median(&self) -> f64 {
        let mut sorted = self.bytes_per_second.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }
}

fn measure(bytes: &[u8], contenders: &[(&'static str, parsers::Work)], options: &Options) -> Vec<Row> {
    let contenders: Vec<_> = contenders.iter().filter(|it| it.0.contains(&options.row)).collect();
    let mut rows: Vec<Row> =
        contenders.iter().map(|(name, _)| Row { name, bytes_per_second: Vec::new() }).collect();
    for _ in 0..options.rounds {
        for (row, (_, work)) in rows.iter_mut().zip(&contenders) {
            let (begun, mut done) = (Instant::now(), 0usize);
            while begun.elapsed() < Duration::from_millis(options.millis) {
                black_box(work(black_box(bytes)));
                done += bytes.len();
            }
            row.bytes_per_second.push(done as f64 / begun.elapsed().as_secs_f64());
        }
    }
    rows
}
