//! The recorder: one thread between what was captured and the sinks.
//!
//! It is never woken by forwarding: it looks every few milliseconds, takes all that is there, and gives the
//! spans whose place is certain to the sinks.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use trackway_core::flow::{Flow, Time};
use trackway_core::price::Book;
use trackway_core::process::{ProcessFact, ProcessKey};
use trackway_core::run::{Identity, Totals};
use trackway_proxy::tap::{Event, Feed};

use super::ledger::Ledger;
use super::{now, takeover};
use crate::kernel::{Chunk, Kernel};
use crate::limits::{
    CHUNK_BATCH, LAST_FACTS, RECORD_BUSY, RECORD_IDLE, RECORD_PATIENCE, TAP_BATCH, TAP_EVENTS,
};
use crate::sink::Sink;
use crate::tap::Tap;

/// Where facts come from.
#[derive(Debug)]
pub(super) struct Source {
    /// The tap's other end; `None` where nothing is captured.
    pub(super) feed: Option<Feed>,
    /// What looks into processes; `None` where something stands in the way instead.
    pub(super) tap: Option<Tap>,
    /// Whether connections are read; else their bytes are dropped.
    pub(super) read: bool,
    /// The kernel side; `None` without root.
    pub(super) kernel: Option<Arc<Mutex<Kernel>>>,
}

/// The running recorder.
#[derive(Debug)]
pub(super) struct Recorder {
    ended: Sender<(Result<i32, i32>, Time)>,
    thread: JoinHandle<(Totals, Vec<String>)>,
}

impl Recorder {
    /// Starts it. `pid` is the command's process.
    pub(super) fn start(
        identity: Identity,
        pid: u32,
        source: Source,
        sinks: Vec<Box<dyn Sink>>,
        prices: Book,
    ) -> io::Result<Self> {
        let (ended, end) = mpsc::channel();
        let (facts, chunks, events) = (Vec::new(), Vec::new(), Vec::new());
        let state = State { pid, source, identity, ended: false, facts, chunks, events };
        let thread =
            Builder::new().name("record".to_owned()).spawn(move || state.record(sinks, prices, &end))?;
        Ok(Self { ended, thread })
    }

    /// The command has ended: records what is left and closes the sinks. Returns their words for the user.
    pub(super) fn finish(self, status: Result<i32, i32>, time: Time) -> (Totals, Vec<String>) {
        self.ended.send((status, time)).ok();
        self.thread
            .join()
            .unwrap_or_else(|_| (Totals::default(), vec!["the recording thread failed".to_owned()]))
    }
}

struct State {
    pid: u32,
    source: Source,
    identity: Identity,
    /// Whether the kernel has told of the end of the command's process.
    ended: bool,
    // Kept between looks, so that a look allocates nothing.
    facts: Vec<ProcessFact>,
    chunks: Vec<Chunk>,
    events: Vec<Event>,
}

impl State {
    fn record(
        mut self,
        sinks: Vec<Box<dyn Sink>>,
        prices: Book,
        end: &Receiver<(Result<i32, i32>, Time)>,
    ) -> (Totals, Vec<String>) {
        let root = self.root();
        let mut ledger = Ledger::begin(&self.identity, root, sinks, Arc::new(prices));
        if let (Some(kernel), true) = (&self.source.kernel, self.source.read) {
            ledger.prepare(kernel);
        }
        let mut quiet_looks = 0;
        loop {
            quiet_looks = if self.look(&mut ledger) { 0 } else { quiet_looks + 1 };
            let pause = if quiet_looks < RECORD_PATIENCE { RECORD_BUSY } else { RECORD_IDLE };
            match end.recv_timeout(pause) {
                Ok((status, time)) => return self.close(ledger, status, time),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return (Totals::default(), Vec::new()),
            }
        }
    }

    /// Takes what is there. Whether there was anything.
    fn look(&mut self, ledger: &mut Ledger) -> bool {
        // Facts first: a process is known before its calls are.
        self.drain_kernel();
        let mut busy = !self.facts.is_empty() || !self.chunks.is_empty();
        self.take_facts(ledger);
        if let Some(feed) = &mut self.source.feed {
            while feed.drain(&mut self.events, TAP_BATCH) == TAP_BATCH && self.events.len() < TAP_EVENTS {}
        }
        busy |= !self.events.is_empty();
        self.take_events(ledger);
        ledger.settle();
        busy
    }

    fn take_events(&mut self, ledger: &mut Ledger) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            if let Event::Unread(unread) = &event
                && let Some((flow, host)) = takeover::refused(unread)
            {
                self.take_over(flow, host, ledger);
            }
            ledger.event(event, self.source.read);
        }
        self.events = events;
    }

    /// A client refused the proxy's certificate: its process is looked into from now on.
    fn take_over(&mut self, flow: &Flow, host: &str, ledger: &mut Ledger) {
        let (Some(kernel), Some(process), true) = (&self.source.kernel, flow.process, self.source.read)
        else {
            return;
        };
        ledger.refuse(host);
        if let Err(why) = takeover::begin(&mut self.source.tap, kernel, process.pid) {
            // The connection is reported as unread, which says all that the user can act on.
            tracing::warn!(pid = process.pid, why, "the tap does not read what the proxy could not");
        }
    }

    /// Gives the run what the kernel told.
    fn take_facts(&mut self, ledger: &mut Ledger) {
        // What a process said comes before its end.
        for chunk in self.chunks.drain(..) {
            if let Some(kernel) = &self.source.kernel {
                ledger.stdio(&chunk, kernel);
            }
            if let Some(tap) = &mut self.source.tap {
                tap.chunk(chunk);
            }
        }
        if let Some(tap) = &mut self.source.tap {
            tap.advance(&mut self.events);
        }
        let kernel = self.source.kernel.as_deref().filter(|_| self.source.read);
        for fact in self.facts.drain(..) {
            if let Some(tap) = &mut self.source.tap {
                tap.fact(&fact, &mut self.events);
            }
            ledger.fact(fact, kernel);
        }
    }

    fn close(mut self, mut ledger: Ledger, status: Result<i32, i32>, time: Time) -> (Totals, Vec<String>) {
        if self.source.kernel.is_some() {
            self.await_exit(&mut ledger);
        } else {
            ledger.fact(ProcessFact::Exit { process: ledger.root(), status, time }, None);
        }
        self.look(&mut ledger);
        let tap = self.source.tap.as_mut().map(|tap| tap.finish(now(), &mut self.events));
        self.take_events(&mut ledger);
        let (totals, mut notes) = ledger.close(Some(status), time, self.source.kernel.as_deref());
        notes.extend(tap.into_iter().flatten());
        (totals, notes)
    }

    /// The kernel's facts arrive a little after what they tell of: waits for the end of the command's process.
    fn await_exit(&mut self, ledger: &mut Ledger) {
        let deadline = Instant::now() + LAST_FACTS;
        loop {
            self.drain_kernel();
            self.take_facts(ledger);
            if self.ended || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(RECORD_BUSY / 5);
        }
    }

    /// The command's process as the kernel names it. Without the kernel's word we say ourselves what we know.
    fn root(&mut self) -> ProcessKey {
        let pid = self.pid;
        let deadline = Instant::now() + LAST_FACTS;
        while self.source.kernel.is_some() && Instant::now() < deadline {
            self.drain_kernel();
            let named = self.facts.iter().find_map(|fact| match fact {
                ProcessFact::Exec { process, .. } if process.pid == pid => Some(*process),
                _ => None,
            });
            if let Some(root) = named {
                return root;
            }
            std::thread::sleep(RECORD_BUSY / 5);
        }
        let root = ProcessKey { pid, started: self.identity.start };
        let argv = self.identity.command.clone();
        let filename = argv.first().map(|name| {
            crate::path::find(name.as_ref())
                .map_or_else(|| name.clone(), |path| path.to_string_lossy().into_owned())
        });
        self.facts.push(ProcessFact::Exec {
            process: root,
            filename: filename.unwrap_or_default(),
            argv,
            truncated: false,
            cwd: std::env::current_dir().ok().map(|path| path.to_string_lossy().into_owned()),
            time: self.identity.start,
        });
        root
    }

    fn drain_kernel(&mut self) {
        if let Some(kernel) = &self.source.kernel {
            let before = self.facts.len();
            let mut kernel = kernel.lock().unwrap_or_else(PoisonError::into_inner);
            kernel.drain(&mut self.facts);
            kernel.chunks(CHUNK_BATCH, &mut self.chunks);
            self.ended |= self
                .facts
                .iter()
                .skip(before)
                .any(|fact| matches!(fact, ProcessFact::Exit { process, .. } if process.pid == self.pid));
        }
    }
}
