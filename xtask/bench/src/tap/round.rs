//! One client of one round, in windows: who watches changes from one to the next while the client stands at a gate.
//!
//! Two processes of one program differ by far more than a probe costs (where their memory lies, what the machine does
//! meanwhile). So a window is held against those right before and right after it, of the same process, in which nobody
//! watched. And what else the machine does comes in bursts and only ever adds: a window is cut into slices, of which
//! the lower quartile counts.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::{Client, Load, Place, Sdk};
use super::server::Server;
use super::standing;
use super::table::Middle;
use super::watcher::{Watcher, Watching};
use crate::cpu;

/// Slices of a window that count, and those that warm up before them.
const SLICES: usize = 20;
const WARM: usize = 2;
/// Lets a client that has come to a gate fall asleep: only then is its time known in full.
const REST: Duration = Duration::from_millis(2);
/// Lets the last records reach the watcher.
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
        let slice = count.div_ceil(SLICES);
        let mut parts = vec![slice * 5];
        for _ in 0..watching.len() * 2 + 1 {
            parts.push(slice * WARM);
            parts.extend([slice; SLICES]);
        }
        let client = Client::start(&self.place, load, sdk, &parts)?;
        self.server.arrival()?;
        self.pass(&client)?;
        let mut before = self.window(&client, Watching::Nobody, slice)?;
        let (mut unwatched, mut watched) = (vec![before], Vec::new());
        for watching in watching {
            let sample = self.window(&client, *watching, slice)?;
            let after = self.window(&client, Watching::Nobody, slice)?;
            watched.push(sample.against(&before, &after));
            unwatched.push(after);
            before = after;
        }
        self.server.open()?;
        client.finish()?;
        Ok((unwatched, watched))
    }

    /// From a gate to a gate.
    fn window(&self, client: &Client, watching: Watching, slice: usize) -> Result<Sample> {
        standing::wait(client.pid(), false)?;
        let mut watcher = Watcher::start(watching, self.trackway, self.place.folder, client.pid())?;
        standing::wait(client.pid(), watching.probes())?;
        self.pass(client)?;
        std::thread::sleep(LAG);
        let (spent, totals) = (watcher.spent_ns()?, watcher.totals()?);
        let (mut walls, mut times) = (Vec::new(), Vec::new());
        for _ in 0..SLICES {
            // Another watcher on the machine may have come meanwhile.
            standing::wait(client.pid(), watching.probes())?;
            let (wall, time) = self.pass(client)?;
            walls.push(wall / slice as f64);
            times.push(time / slice as f64);
        }
        std::thread::sleep(SETTLE);
        let totals = watcher.totals()?.zip(totals);
        std::thread::sleep(LAG);
        let spent = watcher.spent_ns()? - spent;
        let read = watcher.finish(watching)?;
        let each = |value: u64| value as f64 / (slice * SLICES) as f64;
        let used = Middle::of(times).low;
        Ok(Sample {
            wall: Middle::of(walls).low,
            client: used,
            base: used,
            watcher: each(spent) / 1e3,
            fired: totals.map(|(after, before)| each(after.fired - before.fired)),
            bytes: totals.map(|(after, before)| each(after.bytes - before.bytes)),
            lost: totals.map_or(0, |(after, before)| after.lost - before.lost),
            read: read.map(|read| read as f64 / (slice * (WARM + SLICES)) as f64),
        })
    }

    /// Lets the client on to its next gate. Microseconds of wall time and of its own.
    fn pass(&self, client: &Client) -> Result<(f64, f64)> {
        let before = cpu::spent_ns(&[client.pid()])?;
        let begun = Instant::now();
        self.server.open()?;
        let wall = self.server.arrival()?.duration_since(begun);
        std::thread::sleep(REST);
        Ok((wall.as_secs_f64() * 1e6, (cpu::spent_ns(&[client.pid()])? - before) as f64 / 1e3))
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
