//! The result, for a person or for a program.

use std::time::Duration;

use serde_json::json;

use crate::contender::Contender;
use crate::load::{Found, Shape};
use crate::suite::Row;

pub(crate) fn print(tables: &[(Shape, Vec<Row>)], startup: Option<(Duration, Duration)>, as_json: bool) {
    if as_json {
        let loads: Vec<_> = tables
            .iter()
            .flat_map(|(shape, rows)| rows.iter().map(move |row| (shape, row)))
            .map(
                |(shape, row)| json!({"load": shape, "contender": row.contender.name(), "median": row.found}),
            )
            .collect();
        let startup =
            startup.map(|(alone, run)| json!({"true_us": micros(alone), "run_true_us": micros(run)}));
        println!("{}", json!({"loads": loads, "startup": startup}));
        return;
    }
    for (shape, rows) in tables {
        println!("\n{}", title(*shape));
        let column = |found: &Found| if *shape == Shape::Hold { found.stream_bytes } else { found.cpu };
        let of = |contender| rows.iter().find(|row| row.contender == contender).map(|row| column(&row.found));
        let (nginx, relay, direct) = (
            of(Contender::Nginx),
            of(Contender::Relay),
            rows.iter().find(|row| row.contender == Contender::Direct),
        );
        match shape {
            Shape::Hold => println!("  {:<28} {:>14} {:>9} {:>9}", "", "KiB/stream", "/nginx", "/relay"),
            _ => println!(
                "  {:<28} {:>9} {:>11} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}",
                "", "req/s", "CPU us/req", "/nginx", "/relay", "+p50 us", "+p99 us", "+first us", "chunk us"
            ),
        }
        for row in rows {
            let found = &row.found;
            let (to_nginx, to_relay) = (ratio(column(found), nginx), ratio(column(found), relay));
            if *shape == Shape::Hold {
                let kib = found.stream_bytes as f64 / 1024.0;
                println!("  {:<28} {kib:>14.1} {to_nginx:>9} {to_relay:>9}", row.contender.name());
                continue;
            }
            let added = |field: fn(&Found) -> u64| {
                let base = direct.map_or(0, |d| field(&d.found));
                (field(found) as f64 - base as f64) / 1000.0
            };
            println!(
                "  {:<28} {:>9.0} {:>11.1} {to_nginx:>8} {to_relay:>8} {:>10.0} {:>10.0} {:>10.0} {:>10.0}",
                row.contender.name(),
                found.requests as f64 / (found.wall as f64 / 1e9),
                found.cpu as f64 / 1000.0,
                added(|f| f.p50),
                added(|f| f.p99),
                added(|f| f.first),
                found.chunk as f64 / 1000.0,
            );
        }
    }
    if let Some((alone, wrapped)) = startup {
        println!(
            "\n`true` takes {:.1} ms, `trackway run -- true` {:.1} ms",
            alone.as_secs_f64() * 1e3,
            wrapped.as_secs_f64() * 1e3
        );
    }
}

fn title(shape: Shape) -> &'static str {
    match shape {
        Shape::Small => "4 KB requests, kept connections",
        Shape::Medium => "100 KB requests, kept connections",
        Shape::Large => "1 MB requests, kept connections",
        Shape::Stream => "streamed answers of 200 chunks",
        Shape::Connect => "4 KB requests, a new connection each",
        Shape::Hold => "1,000 open streams",
    }
}

fn ratio(value: u64, base: Option<u64>) -> String {
    match base {
        Some(base) if base > 0 && value > 0 => format!("{:.2}", value as f64 / base as f64),
        _ => "-".to_owned(),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
