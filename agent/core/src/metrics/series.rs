//! Values by instrument, origin and attributes, bounded in number.

use std::collections::{BTreeMap, HashMap};

use super::instrument::{Instrument, Kind};
use crate::limits::METRIC_SETS;
use crate::names::metrics::OVERFLOW;

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scalar {
    Text(String),
    Int(i64),
    Bool(bool),
}

/// Attributes of one series.
pub(super) type Labels = Vec<(&'static str, Scalar)>;

/// A distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds of all buckets but the last.
    pub bounds: &'static [f64],
    /// One more than the bounds.
    pub buckets: Vec<u64>,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let buckets = vec![0; bounds.len() + 1];
        Self { bounds, buckets, count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    fn record(&mut self, value: f64) {
        // A value that equals a bound belongs to that bound's bucket.
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Sum { total: u64, told: u64 },
    Histogram(Histogram),
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) instrument: &'static Instrument,
    pub(super) data: Data,
    /// Whether anything was recorded since the last report.
    pub(super) fresh: bool,
}

/// Name of the instrument, number of the origin, attributes: in this order points are told.
type Key = (&'static str, usize, Labels);

#[derive(Debug, Default)]
pub(super) struct Store {
    series: BTreeMap<Key, Series>,
    sets: HashMap<&'static str, usize>,
}

impl Store {
    pub(super) fn add(&mut self, instrument: &'static Instrument, origin: usize, labels: Labels, count: u64) {
        let series = self.series(instrument, origin, labels);
        series.fresh = true;
        if let Data::Sum { total, .. } = &mut series.data {
            *total = total.saturating_add(count);
        }
    }

    pub(super) fn record(
        &mut self,
        instrument: &'static Instrument,
        origin: usize,
        labels: Labels,
        value: f64,
    ) {
        let series = self.series(instrument, origin, labels);
        series.fresh = true;
        if let Data::Histogram(histogram) = &mut series.data {
            histogram.record(value);
        }
    }

    fn series(&mut self, instrument: &'static Instrument, origin: usize, labels: Labels) -> &mut Series {
        let mut key = (instrument.name, origin, labels);
        if !self.series.contains_key(&key) {
            let sets = self.sets.entry(instrument.name).or_default();
            if *sets >= METRIC_SETS - 1 {
                key = (instrument.name, origin, vec![(OVERFLOW, Scalar::Bool(true))]);
            } else {
                *sets += 1;
            }
        }
        self.series.entry(key).or_insert_with(|| Series {
            instrument,
            data: match instrument.kind {
                Kind::Histogram(bounds) => Data::Histogram(Histogram::new(bounds)),
                Kind::Counter | Kind::Money | Kind::Gauge => Data::Sum { total: 0, told: 0 },
            },
            fresh: false,
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &Labels, &mut Series)> {
        self.series.iter_mut().map(|((_, origin, labels), series)| (*origin, labels, series))
    }

    /// The sums of one counter: what it counted in all, and of that since the last report.
    pub(super) fn sums(&self, instrument: &Instrument) -> impl Iterator<Item = (usize, &Labels, u64, u64)> {
        let from = (instrument.name, 0, Labels::new());
        let of = self.series.range(from..).take_while(move |((name, ..), _)| *name == instrument.name);
        of.filter_map(|((_, origin, labels), series)| match &series.data {
            Data::Sum { total, told } => Some((*origin, labels, *total, total - told)),
            Data::Histogram(_) => None,
        })
    }

    /// The sum of one counter for these attributes.
    pub(super) fn sum(&self, instrument: &Instrument, origin: usize, labels: &Labels) -> (u64, u64) {
        match self.series.get(&(instrument.name, origin, labels.clone())).map(|series| &series.data) {
            Some(Data::Sum { total, told }) => (*total, total - told),
            _ => (0, 0),
        }
    }
}

impl Series {
    /// Begins a new interval. Told sums are remembered, distributions begin anew where `delta`.
    pub(super) fn told(&mut self, delta: bool) {
        self.fresh = false;
        match &mut self.data {
            Data::Sum { total, told } => *told = *total,
            Data::Histogram(histogram) if delta => *histogram = Histogram::new(histogram.bounds),
            Data::Histogram(_) => {}
        }
    }
}
