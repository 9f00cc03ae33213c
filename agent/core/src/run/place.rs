//! Where processes stand: under the tool whose arguments name their command, or under their parents.

use super::Run;
use super::evidence::Needle;
use crate::flow::Time;
use crate::limits;
use crate::process::ProcessKey;
use crate::telemetry::SpanId;

impl Run {
    pub(super) fn make_room(&mut self) {
        while let Some(key) = self.processes.surplus() {
            self.hits.processes += 1;
            self.process_span(key);
            self.processes.forget(key);
        }
        while self.processes.unplaced.len() > limits::HELD_SPANS {
            self.hits.spans += 1;
            let Some((_, key)) = self.processes.unplaced.pop_first() else { return };
            if let Some(process) = self.processes.get_mut(key) {
                process.settled = true;
            }
            self.settle(key);
        }
    }

    /// Looks for the tool whose arguments name a process's command. Only tools of the nearest caller above
    /// the process count: what a tool's own process starts belongs to that process.
    pub(super) fn attach(&mut self, key: ProcessKey, needle: &Needle, time: Time, strict: bool) {
        let ancestors = self.processes.ancestors(key);
        let barrier = self.processes.barrier(&ancestors);
        let producer = |producer: Option<ProcessKey>| match producer {
            None => barrier.is_none(),
            Some(producer) => {
                let above = ancestors.iter().position(|ancestor| *ancestor == producer);
                above.is_some_and(|above| barrier.is_none_or(|barrier| above <= barrier))
            }
        };
        let Some(tool) = self.tools.named(needle, time, strict, producer) else { return };
        if let Some(process) = self.processes.get_mut(key) {
            (process.tool, process.rule) = (Some(tool), "command_in_arguments");
        }
        self.process_trace(key);
        self.processes.found(key);
        self.moved = true;
        self.settle(key);
    }

    /// Clients may start a tool while the answer still streams: processes that began since then are looked
    /// at once more when the answer is whole.
    pub(super) fn attach_earlier(&mut self, since: Time) {
        let since = Time(since.0.saturating_sub(limits::SKEW_NANOS));
        let first = ProcessKey { pid: 0, started: Time(0) };
        let again: Vec<(Time, ProcessKey)> =
            self.processes.unplaced.range((since, first)..).copied().collect();
        for (time, key) in again {
            let image = self.processes.get(key).and_then(|process| process.images.back());
            if let Some(needle) = image.and_then(|image| Needle::new(&image.argv)) {
                self.attach(key, &needle, time, false);
            }
        }
    }

    /// A tool server that stays did something while one call alone was open: the processes that it began then stand
    /// under the call.
    pub(super) fn attach_served(&mut self, server: ProcessKey, call: SpanId, times: (Time, Time)) {
        let (first, last) = (
            (times.0, ProcessKey { pid: 0, started: Time(0) }),
            (times.1, ProcessKey { pid: u32::MAX, started: Time(u64::MAX) }),
        );
        let began: Vec<ProcessKey> =
            self.processes.unplaced.range(first..=last).map(|(_, key)| *key).collect();
        for key in began {
            let ancestors = self.processes.ancestors(key);
            if self.processes.home(&ancestors).0 != Some(server) {
                continue;
            }
            if let Some(process) = self.processes.get_mut(key).filter(|process| process.tool.is_none()) {
                (process.tool, process.rule) = (Some(call), "window");
                self.processes.found(key);
                self.moved = true;
                self.settle(key);
            }
        }
    }

    /// Lets the waiting processes go whose ancestor has found its tool.
    pub(super) fn sweep(&mut self) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let waiting: Vec<ProcessKey> = self.processes.unplaced.iter().map(|(_, key)| *key).collect();
        for key in waiting {
            self.settle(key);
        }
    }

    /// Emits a process that has ended if nothing can change its place any more.
    pub(super) fn settle(&mut self, key: ProcessKey) {
        let Some(process) = self.processes.get(key) else { return };
        if process.exit.is_none() || process.done {
            return;
        }
        let certain = process.tool.is_some() || process.settled || process.images.is_empty();
        if certain || self.processes.inside_tool(key) {
            self.process_span(key);
        }
    }

    /// The span under which the calls of a process stand, and the rule.
    pub(super) fn caller(&mut self, process: Option<ProcessKey>) -> (SpanId, &'static str) {
        let Some(key) = process else { return (self.base.root, "run") };
        if self.processes.is_root(key) {
            return (self.base.root, "process");
        }
        let Some(process) = self.processes.get_mut(key) else { return (self.base.root, "run") };
        process.calls = true;
        self.process_trace(key);
        // A fork that ended before its calls were known has no span yet.
        self.settle(key);
        (self.process_id(key), "process")
    }
}
