//! From the store to the board: only what changed since the last look.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::activity::Activity;
use super::board::{Board, Row};
use super::limits;
use super::opened::Opened;
use crate::store::{Error, Pulse, State, Store};

/// Reads one store.
#[derive(Debug)]
pub struct Feed {
    path: PathBuf,
    open: Option<Open>,
    looks: u32,
}

#[derive(Debug)]
struct Open {
    store: Store,
    file: Option<(u64, u64)>,
    version: Option<i64>,
    known: HashMap<i64, Known>,
}

/// How much of a run was read.
#[derive(Debug)]
struct Known {
    pulse: Pulse,
    read: i64,
    behind: bool,
}

impl Feed {
    /// Reads from that file, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None, looks: 0 }
    }

    /// The file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether spans wait that the last look did not come to.
    pub fn behind(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.known.values().any(|known| known.behind))
    }

    /// Brings the board, and the run that is open, up to date. Says whether anything changed.
    pub fn look(&mut self, board: &mut Board, opened: Option<&mut Opened>) -> Result<bool, Error> {
        self.looks = self.looks.wrapping_add(1);
        let check = self.looks.is_multiple_of(limits::CHECK);
        if check && self.open.as_ref().is_some_and(|open| open.file != self.file()) {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                board.rows.clear();
                let (store, file) = (Store::watch(&self.path)?, self.file());
                self.open.insert(Open { store, file, version: None, known: HashMap::new() })
            }
        };
        open.look(board, opened, check)
    }

    fn file(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()))
    }
}

impl Open {
    fn look(&mut self, board: &mut Board, opened: Option<&mut Opened>, check: bool) -> Result<bool, Error> {
        let version = self.store.version()?;
        let mut changed = false;
        if self.version != Some(version) {
            self.pulses(board)?;
            self.version = Some(version);
            changed = true;
        } else if check {
            changed = self.gone(board)?;
        }
        let mut left = limits::LOOK_SPANS;
        // The newest first: they are what one wants to see.
        let mut waiting: Vec<i64> =
            self.known.iter().filter(|(_, known)| known.behind).map(|(run, _)| *run).collect();
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        for run in waiting {
            let (Some(known), Some(row)) = (self.known.get_mut(&run), board.rows.get_mut(&run)) else {
                continue;
            };
            changed = true;
            let mut read = known.read;
            let given = self.store.spans_after(run, read, left, |fresh| {
                read = fresh.number;
                row.activity.take(&fresh);
            })?;
            known.read = read;
            known.behind = given == left;
            left -= given;
            if left == 0 {
                break;
            }
        }
        if let Some(opened) = opened {
            changed |= opened.read(&self.store)?;
        }
        Ok(changed)
    }

    /// Which runs there are, and which of them changed.
    fn pulses(&mut self, board: &mut Board) -> Result<(), Error> {
        let pulses = self.store.pulses(limits::RUNS)?;
        let there = |run: &i64| pulses.binary_search_by_key(run, |pulse| pulse.run).is_ok();
        board.rows.retain(|run, _| there(run));
        self.known.retain(|run, _| there(run));
        for pulse in &pulses {
            let known = self.known.get(&pulse.run);
            if known.is_some_and(|known| known.pulse == *pulse) {
                continue;
            }
            let Some(run) = self.store.run(pulse.run)? else { continue };
            let read = match known {
                Some(known) => known.read,
                None => {
                    let running = run.state == State::Running;
                    let most = if running { limits::HISTORY } else { limits::ENDED_HISTORY };
                    self.store.before_last(pulse.run, most)?
                }
            };
            self.known.insert(pulse.run, Known { pulse: *pulse, read, behind: true });
            match board.rows.get_mut(&pulse.run) {
                Some(row) => row.run = run,
                None => drop(board.rows.insert(pulse.run, Row { run, activity: Activity::default() })),
            }
        }
        Ok(())
    }

    /// A killed process writes nothing: its runs are looked at anyway.
    fn gone(&self, board: &mut Board) -> Result<bool, Error> {
        let mut changed = false;
        for row in board.rows.values_mut().filter(|row| row.run.state == State::Running) {
            if let Some(run) = self.store.run(row.run.id)?.filter(|run| run.state != State::Running) {
                row.run = run;
                changed = true;
            }
        }
        Ok(changed)
    }
}
