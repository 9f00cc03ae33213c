//! Medians with their spread, for a person or for a program.

use serde_json::{Value, json};

use super::Sample;

/// A median between its quartiles.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Middle {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Middle {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| values.get(values.len().saturating_sub(1) * part / 4).copied().unwrap_or(0.0);
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// What is printed of one row.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Microseconds per unit.
    pub(super) wall: Middle,
    pub(super) client: Middle,
    pub(super) watcher: f64,
    /// More than the client takes by itself.
    pub(super) added: Middle,
    /// The same as a part of it.
    pub(super) share: Middle,
    pub(super) fired: Option<f64>,
    pub(super) bytes: Option<f64>,
    pub(super) lost: u64,
    /// Calls in the trace, of those that were made.
    pub(super) read: Option<f64>,
}

/// Of a row, over its rounds.
pub(super) fn line(name: &'static str, samples: &[Sample]) -> Line {
    let middle = |of: fn(&Sample) -> f64| Middle::of(samples.iter().map(of).collect());
    let known = |of: fn(&Sample) -> Option<f64>| {
        let values: Option<Vec<f64>> = samples.iter().map(of).collect();
        values.map(|values| Middle::of(values).median)
    };
    Line {
        name,
        wall: middle(|sample| sample.wall),
        client: middle(|sample| sample.client),
        watcher: middle(|sample| sample.watcher).median,
        added: middle(Sample::added),
        share: middle(Sample::share),
        fired: known(|sample| sample.fired),
        bytes: known(|sample| sample.bytes),
        lost: samples.iter().map(|sample| sample.lost).sum(),
        read: known(|sample| sample.read),
    }
}

pub(super) fn print(title: &str, unit: &str, lines: &[Line]) {
    println!("\n{title}");
    println!(
        "  {:<38} {:>8} {:>9} {:>8} {:>15} {:>8} {:>15} {:>9} {:>6} {:>9} {:>7} {:>6}",
        "",
        "wall us",
        "client us",
        "+us",
        "(quartiles)",
        "+%",
        "(quartiles)",
        "watcher",
        "fired",
        "ns/firing",
        "bytes",
        "read"
    );
    for line in lines {
        let spread = |middle: &Middle| format!("({:.2}..{:.2})", middle.low, middle.high);
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "  {:<38} {:>8.1} {:>9.2} {:>8.2} {:>15} {:>8.2} {:>15} {:>9.1} {:>6} {:>9} {:>7} {:>6}",
            line.name,
            line.wall.median,
            line.client.median,
            line.added.median,
            spread(&line.added),
            line.share.median,
            spread(&line.share),
            line.watcher,
            number(line.fired, 2),
            number(line.per_firing(), 0),
            number(line.bytes, 0),
            number(line.read, 2),
        );
        if line.lost > 0 {
            println!("    {} bytes were lost", line.lost);
        }
    }
    println!(
        "  microseconds of CPU per {unit}; + is against the same process right before and after, while nobody watches \
         it:\n  in the first row it is what this shows where nothing was added"
    );
}

impl Line {
    /// Nanoseconds that one firing of a probe costs the client, its share of everything else included.
    fn per_firing(&self) -> Option<f64> {
        self.fired.filter(|fired| *fired >= 1.0).map(|fired| self.added.median * 1e3 / fired)
    }

    pub(super) fn json(&self) -> Value {
        let of = |middle: &Middle| json!({"low": middle.low, "median": middle.median, "high": middle.high});
        json!({
            "name": self.name,
            "wall_us": of(&self.wall),
            "client_us": of(&self.client),
            "added_us": of(&self.added),
            "added_percent": of(&self.share),
            "watcher_us": self.watcher,
            "fired": self.fired,
            "ns_per_firing": self.per_firing(),
            "bytes": self.bytes,
            "bytes_lost": self.lost,
            "read": self.read,
        })
    }
}
