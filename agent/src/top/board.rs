//! The runs that are shown: their rows, their order, what they come to. Pure.

use std::collections::BTreeMap;

use super::activity::{Activity, Beat, beat};
use super::limits;
use crate::store::{State, Summary};

/// One run.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its row in the store.
    pub run: Summary,
    /// What its spans say.
    pub activity: Activity,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Those that go on, then the newest.
    #[default]
    Time,
    /// The dearest.
    Cost,
    /// The one with the most tokens.
    Tokens,
}

impl Sort {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Sort::Time => Sort::Cost,
            Sort::Cost => Sort::Tokens,
            Sort::Tokens => Sort::Time,
        }
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Time => "time",
            Sort::Cost => "cost",
            Sort::Tokens => "tokens",
        }
    }
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// By their numbers.
    pub rows: BTreeMap<i64, Row>,
    /// Part of the agent's or of a model's name.
    pub filter: String,
    /// Order.
    pub sort: Sort,
    /// The run that is chosen; the first one where none is.
    pub chosen: Option<i64>,
}

/// What the shown runs come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Runs that go on.
    pub running: u64,
    /// Runs that do not.
    pub ended: u64,
    /// Input tokens.
    pub input: u64,
    /// Of these, read from a cache.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
    /// Known cost.
    pub pico: u64,
    /// Calls whose cost is not known.
    pub unpriced: u64,
    /// Calls of models that ended within the last minute.
    pub calls: u64,
    /// The last minutes, the latest last.
    pub graph: Vec<u64>,
}

impl Board {
    /// The rows that the filter leaves, in their order.
    pub fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let fits = |name: &String| name.to_lowercase().contains(&wanted);
        let mut rows: Vec<&Row> = self
            .rows
            .values()
            .filter(|row| fits(&row.run.agent) || row.run.models.iter().any(fits))
            .collect();
        let newest = |row: &&Row| std::cmp::Reverse((row.run.start, row.run.id));
        let tokens = |row: &&Row| row.run.totals.input_tokens.saturating_add(row.run.totals.output_tokens);
        match self.sort {
            Sort::Time => rows.sort_by_key(|row| (row.run.state != State::Running, newest(row))),
            Sort::Cost => {
                rows.sort_by_key(|row| (std::cmp::Reverse(row.run.totals.cost_pico_usd), newest(row)));
            }
            Sort::Tokens => rows.sort_by_key(|row| (std::cmp::Reverse(tokens(row)), newest(row))),
        }
        rows
    }

    /// The place of the chosen run among those shown.
    pub fn place(&self, shown: &[&Row]) -> usize {
        shown.iter().position(|row| Some(row.run.id) == self.chosen).unwrap_or(0)
    }

    /// Chooses the run that stands so many places further down.
    pub fn step(&mut self, by: isize) {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let place = self.place(&shown).saturating_add_signed(by).min(last);
        let chosen = shown.get(place).map(|row| row.run.id);
        // The first place follows whatever comes first.
        self.chosen = chosen.filter(|_| place > 0);
    }

    /// The run that is chosen.
    pub fn current(&self) -> Option<i64> {
        let shown = self.shown();
        shown.get(self.place(&shown)).map(|row| row.run.id)
    }

    /// Whether a run goes on.
    pub fn runs(&self) -> bool {
        self.rows.values().any(|row| row.run.state == State::Running)
    }

    /// What the shown runs come to.
    pub fn sum(&self, shown: &[&Row], now: u64) -> Sum {
        let mut sum = Sum { graph: vec![0; limits::BEATS], ..Sum::default() };
        let latest = beat(now);
        let value = |beat: &Beat| if self.sort == Sort::Cost { beat.pico } else { beat.tokens };
        for row in shown {
            let totals = &row.run.totals;
            let running = row.run.state == State::Running;
            *if running { &mut sum.running } else { &mut sum.ended } += 1;
            sum.input = sum.input.saturating_add(totals.input_tokens);
            sum.cached = sum.cached.saturating_add(totals.cache_read_tokens);
            sum.output = sum.output.saturating_add(totals.output_tokens);
            sum.pico = sum.pico.saturating_add(totals.cost_pico_usd);
            sum.unpriced = sum.unpriced.saturating_add(totals.calls_without_cost);
            for beat in &row.activity.beats {
                let Some(ago) = latest.checked_sub(beat.number) else { continue };
                // The column in hand is not whole; twelve others are a minute.
                if ago < 60 / limits::BEAT.as_secs() {
                    sum.calls += beat.calls;
                }
                let place = usize::try_from(ago).ok().and_then(|ago| (limits::BEATS - 1).checked_sub(ago));
                if let Some(column) = place.and_then(|place| sum.graph.get_mut(place)) {
                    *column = column.saturating_add(value(beat));
                }
            }
        }
        sum
    }
}
