//! Metrics, counted from finished spans, so that each metric equals the spans that it sums up.
//!
//! Pure: times come in. Bounded: a metric has at most [`METRIC_SETS`](crate::limits::METRIC_SETS) attribute
//! sets; what comes after goes to one set that says so (`otel.metric.overflow`).

mod count;
mod instrument;
mod origin;
mod series;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use self::origin::Origins;
use self::series::{Data, Labels, Scalar, Store};
use crate::flow::Time;
use crate::limits::METRIC_TRACES;
use crate::names::metrics::RUN_STATUS;
use crate::telemetry::{Attribute, AttributeValue, Class, Resource, TraceId};

pub use self::instrument::{Instrument, Kind};
pub use self::series::Histogram;

/// Which names the metrics of models have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Those of the conventions up to v1.41, which backends read.
    #[default]
    Compat,
    /// Those of the GenAI conventions v0.1.0.
    Genai01,
}

/// Whether a report says what was counted since the beginning or since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// Since the beginning.
    #[default]
    Cumulative,
    /// Since the last report.
    Delta,
}

/// One value of one metric.
#[derive(Clone, Debug)]
pub struct Point {
    /// Of what.
    pub instrument: &'static Instrument,
    /// Of which service.
    pub resource: Arc<Resource>,
    /// Attributes.
    pub attributes: Vec<Attribute>,
    /// Since when.
    pub start: Time,
    /// When it was told.
    pub time: Time,
    /// The value.
    pub value: Value,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge, or of a counter of money.
    Number(f64),
    /// Of a histogram.
    Histogram(Histogram),
}

/// Counts spans and tells what it counted.
#[derive(Debug)]
pub struct Metrics {
    naming: Naming,
    temporality: Temporality,
    start: Time,
    last: Time,
    store: Store,
    origins: Origins,
    /// Tools that agents ran themselves, by the trace that has not ended yet.
    tools: HashMap<TraceId, u64>,
    /// A trace found no place there: later ones could be counted in part only, and so are not counted.
    tools_full: bool,
}

impl Metrics {
    /// Begins to count.
    pub fn new(start: Time, naming: Naming, temporality: Temporality) -> Self {
        Self {
            naming,
            temporality,
            start,
            last: start,
            store: Store::default(),
            origins: Origins::default(),
            tools: HashMap::new(),
            tools_full: false,
        }
    }

    /// How sums are told.
    pub fn temporality(&self) -> Temporality {
        self.temporality
    }

    /// Everything that there is to report, by metric; ends the reporting interval.
    pub fn report(&mut self, now: Time) -> Vec<Point> {
        let delta = self.temporality == Temporality::Delta;
        let (since, last) = if delta { (self.last, self.last) } else { (self.start, self.last) };
        let mut points = Vec::new();
        // Of what was counted before the interval ends.
        self.rates(last, now, &mut points);
        for (origin, labels, series) in self.store.iter_mut() {
            if !delta || series.fresh {
                let value = match &series.data {
                    Data::Histogram(histogram) => Value::Histogram(histogram.clone()),
                    Data::Sum { total, told } => {
                        let count = if delta { total - told } else { *total };
                        match series.instrument.kind {
                            Kind::Money => Value::Number(dollars(count)),
                            _ => Value::Count(count),
                        }
                    }
                };
                points.push(Point {
                    instrument: series.instrument,
                    resource: self.origins.resource(origin),
                    attributes: attributes(labels),
                    start: since,
                    time: now,
                    value,
                });
            }
            series.told(delta);
        }
        self.last = now;
        points
    }

    fn rates(&self, last: Time, now: Time, points: &mut Vec<Point>) {
        let mut tell = |instrument, origin, labels: &Labels, start, (part, all): (u64, u64)| {
            if all > 0 {
                points.push(Point {
                    instrument,
                    resource: self.origins.resource(origin),
                    attributes: attributes(labels),
                    start,
                    time: now,
                    value: Value::Number(ratio(part, all)),
                });
            }
        };
        for (origin, labels, _, calls) in self.store.sums(&instrument::TOOL_CALLS) {
            let (_, errors) = self.store.sum(&instrument::TOOL_ERRORS, origin, labels);
            tell(&instrument::TOOL_ERROR_RATE, origin, labels, last, (errors, calls));
        }
        let ok = Scalar::Text("ok".to_owned());
        for (origin, labels, good, _) in self.store.sums(&instrument::RUNS) {
            let Some((place, _)) = labels.iter().enumerate().find(|(_, it)| **it == (RUN_STATUS, ok.clone()))
            else {
                continue;
            };
            let mut name = labels.clone();
            name.remove(place);
            let mut failed = name.clone();
            failed.push((RUN_STATUS, Scalar::Text("error".to_owned())));
            let (bad, _) = self.store.sum(&instrument::RUNS, origin, &failed);
            tell(&instrument::COMPLETION_RATE, origin, &name, self.start, (good, good + bad));
        }
    }

    fn own_tool(&mut self, trace: TraceId) {
        let room = self.tools.len() < METRIC_TRACES && !self.tools_full;
        match self.tools.get_mut(&trace) {
            Some(count) => *count += 1,
            None if room => {
                self.tools.insert(trace, 1);
            }
            None => self.tools_full = true,
        }
    }

    /// The tools of a trace that ended, where all were counted.
    fn own_tools(&mut self, trace: TraceId) -> Option<u64> {
        match self.tools.remove(&trace) {
            None if self.tools_full => None,
            count => Some(count.unwrap_or(0)),
        }
    }
}

fn attributes(labels: &Labels) -> Vec<Attribute> {
    let one = |(key, value): &(&'static str, Scalar)| Attribute {
        key: (*key).into(),
        value: match value {
            Scalar::Text(text) => AttributeValue::Text(text.clone()),
            Scalar::Int(value) => AttributeValue::Int(*value),
            Scalar::Bool(value) => AttributeValue::Bool(*value),
        },
        class: Class::Plain,
    };
    labels.iter().map(one).collect()
}

#[expect(clippy::cast_precision_loss, reason = "dollars to twelve places")]
fn dollars(pico: u64) -> f64 {
    pico as f64 / 1e12
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all as f64
}
