//! The processes of a run and their parentage.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::evidence::basename;
use crate::flow::Time;
use crate::limits;
use crate::process::ProcessKey;
use crate::telemetry::SpanId;

/// Longest chain of parents that is followed.
const DEPTH: usize = 512;

/// One image that a process ran.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) filename: String,
    pub(super) argv: Vec<String>,
    pub(super) truncated: bool,
    pub(super) cwd: Option<String>,
    pub(super) time: Time,
}

impl Image {
    /// Name of the executable, low cardinality.
    pub(super) fn name(&self) -> &str {
        let path = if self.filename.is_empty() { self.argv.first() } else { Some(&self.filename) };
        path.map_or("", |path| basename(path))
    }
}

/// One process.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) parent: Option<ProcessKey>,
    /// In order; the last one is what the process is.
    pub(super) images: VecDeque<Image>,
    pub(super) exit: Option<(Result<i32, i32>, Time)>,
    /// The tool under which it was placed by evidence, and by which rule.
    pub(super) tool: Option<SpanId>,
    pub(super) rule: &'static str,
    /// When it first ran an image, which is its place among those that wait for a tool.
    pub(super) since: Time,
    /// Whether it made calls, which then stand under it.
    pub(super) calls: bool,
    /// Whether its span went out.
    pub(super) done: bool,
    /// Whether it no longer waits for a better place.
    pub(super) settled: bool,
}

impl Process {
    /// Whether it has a span of its own: a fork that ran nothing and called nobody has none.
    pub(super) fn spans(&self) -> bool {
        self.calls || !self.images.is_empty()
    }
}

/// Every process of a run that is remembered.
#[derive(Debug, Default)]
pub(super) struct Processes {
    root: Option<ProcessKey>,
    table: HashMap<ProcessKey, Process>,
    exited: VecDeque<ProcessKey>,
    /// Processes that might still be placed under a tool, by the time of their first image.
    pub(super) unplaced: BTreeSet<(Time, ProcessKey)>,
}

impl Processes {
    pub(super) fn new(root: Option<ProcessKey>) -> Self {
        Self { root, ..Self::default() }
    }

    pub(super) fn is_root(&self, key: ProcessKey) -> bool {
        self.root == Some(key)
    }

    pub(super) fn get(&self, key: ProcessKey) -> Option<&Process> {
        self.table.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Process> {
        self.table.get_mut(&key)
    }

    /// The process, remembered from now on.
    pub(super) fn entry(&mut self, key: ProcessKey) -> &mut Process {
        self.table.entry(key).or_default()
    }

    /// A process that must be forgotten to make room: one that has ended, else the oldest.
    pub(super) fn surplus(&mut self) -> Option<ProcessKey> {
        if self.table.len() <= limits::PROCESSES {
            return None;
        }
        let root = self.root;
        let oldest =
            || self.table.keys().filter(|key| Some(**key) != root).min_by_key(|key| key.started).copied();
        self.exited.pop_front().or_else(oldest)
    }

    /// A process that no longer waits for a tool.
    pub(super) fn found(&mut self, key: ProcessKey) {
        if let Some(process) = self.table.get(&key) {
            self.unplaced.remove(&(process.since, key));
        }
    }

    pub(super) fn forget(&mut self, key: ProcessKey) {
        self.found(key);
        self.table.remove(&key);
    }

    /// Adds an image. False if the process is not a child that could be placed.
    pub(super) fn exec(&mut self, key: ProcessKey, image: Image) -> bool {
        let root = self.is_root(key);
        let process = self.entry(key);
        if process.done {
            return false;
        }
        let first = process.images.is_empty();
        let time = image.time;
        process.images.push_back(image);
        if process.images.len() > limits::IMAGES {
            process.images.pop_front();
        }
        if first {
            process.since = time;
        }
        let placeable = !root && process.tool.is_none() && !process.settled;
        if placeable && first {
            self.unplaced.insert((time, key));
        }
        placeable
    }

    pub(super) fn exit(&mut self, key: ProcessKey, status: Result<i32, i32>, time: Time) {
        let root = self.is_root(key);
        if let Some(process) = self.table.get_mut(&key)
            && process.exit.is_none()
        {
            process.exit = Some((status, time));
            if !root {
                self.exited.push_back(key);
            }
        }
    }

    /// Parents, nearest first, up to the agent or to where the knowledge ends.
    pub(super) fn ancestors(&self, key: ProcessKey) -> Vec<ProcessKey> {
        let mut chain = Vec::new();
        let mut at = key;
        while let Some(parent) = self.table.get(&at).and_then(|process| process.parent)
            && chain.len() < DEPTH
        {
            chain.push(parent);
            if self.is_root(parent) {
                break;
            }
            at = parent;
        }
        chain
    }

    /// The nearest ancestor that stands under a tool, as a position in `ancestors`.
    pub(super) fn barrier(&self, ancestors: &[ProcessKey]) -> Option<usize> {
        ancestors.iter().position(|key| self.get(*key).is_some_and(|process| process.tool.is_some()))
    }

    /// Whether an ancestor stands under a tool with nobody in between, or itself, who could call tools.
    pub(super) fn inside_tool(&self, key: ProcessKey) -> bool {
        let chain = self.ancestors(key);
        let nearest = chain.iter().filter_map(|key| self.get(*key)).find(|it| it.tool.is_some() || it.calls);
        nearest.is_some_and(|process| !process.calls)
    }

    /// The nearest ancestor with a span of its own, and whether the chain reaches the agent.
    pub(super) fn home(&self, ancestors: &[ProcessKey]) -> (Option<ProcessKey>, bool) {
        let reaches = ancestors.last().is_some_and(|last| self.is_root(*last));
        let near = ancestors.iter().take_while(|key| !self.is_root(**key));
        let near = near.copied().find(|key| self.get(*key).is_some_and(Process::spans));
        (near, reaches)
    }

    /// Name of what a process runs: its own last image, else the one it was forked from.
    pub(super) fn image_name(&self, key: ProcessKey) -> Option<&str> {
        let own = std::iter::once(key).chain(self.ancestors(key));
        own.filter_map(|key| self.get(key)?.images.back()).map(Image::name).find(|name| !name.is_empty())
    }

    /// Every process with a span that has not gone out, in a stable order.
    pub(super) fn left(&self) -> Vec<ProcessKey> {
        let open = self
            .table
            .iter()
            .filter(|(key, process)| !self.is_root(**key) && process.spans() && !process.done);
        let mut keys: Vec<ProcessKey> = open.map(|(key, _)| *key).collect();
        keys.sort_by_key(|key| (key.started, key.pid));
        keys
    }
}
