//! One client of one round, in windows: who watches changes from one to the next while the client stands at a gate.
//!
//! Two processes of one program differ by far more than a probe costs (where their memory lies, what the machine does
//! meanwhile). So a window is held against those right before and right after it, of the same process, in which nobody
//! watched.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::{Client, Load, Place, Sdk};
use super::server::Server;
use super::standing;
use super::watcher::{Watcher, Watching};
use crate::cpu;

/// Lets what was asked for settle while the client stands at a gate.
const SETTLE: Duration = Duration::from_millis(20);
/// Decoding lags behind on purpose; what it spends on these requests belongs to them.
const LAG: Duration = Duration::from_millis(150);

/// What one window took: microseconds, firings and bytes per unit.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall: f64,
    pub(super) client: f64,
    /// What the client takes while nobody watches.
    pub(super) base: f64,
    pub(super) watcher: f64,
    pub(super) fired: Option<f64>,
    pub(super) bytes: Option<f64>,
    pub(super) lost: u64,
    pub(super) read: Option<f64>,
}

/// What all rounds share.
pub(super) struct Bench<'a> {
    pub(super) server: Server,
    pub(super) place: Place<'a>,
    pub(super) trackway: &'a Path,
    /// Requests of curl in one window.
    pub(super) requests: usize,
}

/// Units that warm up, and units that count.
type Counts = (usize, usize);

impl Bench<'_> {
    /// Runs a client through a window for each of `watching`, between windows in which nobody watches. Those first,
    /// then the others.
    pub(super) fn client(
        &self,
        load: Load,
        sdk: Sdk,
        watching: &[Watching],
    ) -> Result<(Vec<Sample>, Vec<Sample>)> {
        let count = match load {
            Load::Requests => self.requests,
            Load::Writes => self.requests * 10,
            Load::Sdk => self.requests.div_ceil(10),
        };
        let counts = (count.div_ceil(10), count);
        let mut parts = vec![count.div_ceil(4)];
        for _ in 0..watching.len() * 2 + 1 {
            parts.extend([counts.0, counts.1]);
        }
        let client = Client::start(&self.place, load, sdk, &parts)?;
        self.server.arrival()?;
        self.server.open()?;
        self.server.arrival()?;
        let mut before = self.window(&client, Watching::Nobody, counts)?;
        let (mut unwatched, mut watched) = (vec![before], Vec::new());
        for watching in watching {
            let sample = self.window(&client, *watching, counts)?;
            let after = self.window(&client, Watching::Nobody, counts)?;
            watched.push(sample.against(&before, &after));
            unwatched.push(after);
            before = after;
        }
        self.server.open()?;
        client.finish()?;
        Ok((unwatched, watched))
    }

    /// From a gate to a gate.
    fn window(&self, client: &Client, watching: Watching, (warm, count): Counts) -> Result<Sample> {
        standing::wait(client.pid(), false)?;
        let mut watcher = Watcher::start(watching, self.trackway, self.place.folder, client.pid())?;
        standing::wait(client.pid(), watching.probes())?;
        self.server.open()?;
        self.server.arrival()?;
        std::thread::sleep(LAG);
        let spent = |watcher: &Watcher| {
            Ok::<_, anyhow::Error>((cpu::spent_ns(&[client.pid()])?, watcher.spent_ns()?))
        };
        let before = (spent(&watcher)?, watcher.totals()?);
        let begun = Instant::now();
        self.server.open()?;
        let wall = self.server.arrival()?.duration_since(begun);
        std::thread::sleep(SETTLE);
        let totals = watcher.totals()?;
        std::thread::sleep(LAG);
        let after = (spent(&watcher)?, totals);
        let read = watcher.finish(watching)?;
        let each = |value: f64| value / count as f64;
        let micros = |after: u64, before: u64| each((after - before) as f64 / 1e3);
        let totals = after.1.zip(before.1);
        let used = micros(after.0.0, before.0.0);
        Ok(Sample {
            wall: each(wall.as_secs_f64() * 1e6),
            client: used,
            base: used,
            watcher: micros(after.0.1, before.0.1),
            fired: totals.map(|(after, before)| each((after.fired - before.fired) as f64)),
            bytes: totals.map(|(after, before)| each((after.bytes - before.bytes) as f64)),
            lost: totals.map_or(0, |(after, before)| after.lost - before.lost),
            read: read.map(|read| read as f64 / (warm + count) as f64),
        })
    }
}

impl Sample {
    /// Held against two others.
    pub(super) fn against(self, before: &Sample, after: &Sample) -> Self {
        Self { base: f64::midpoint(before.client, after.client), ..self }
    }

    pub(super) fn added(&self) -> f64 {
        self.client - self.base
    }

    /// In percent.
    pub(super) fn share(&self) -> f64 {
        self.added() / self.base * 100.0
    }
}

/// A window in which nobody watched against its neighbours of the same kind: what is seen where there is nothing.
pub(super) fn nothing(unwatched: &[Sample]) -> Option<Sample> {
    let middle = unwatched.len() / 2;
    let before = unwatched.get(middle.saturating_sub(1))?;
    let after = unwatched.get(middle + 1).unwrap_or(before);
    Some(unwatched.get(middle)?.against(before, after))
}
