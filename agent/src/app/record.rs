//! The recorder: one thread between what was captured and the sinks.
//!
//! It is never woken by forwarding: it looks every few milliseconds, takes all that is there, and gives the
//! spans whose place is certain to the sinks.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use trackway_core::call::{Call, Kind};
use trackway_core::flow::{Close, FlowId, Time};
use trackway_core::observe::Observer;
use trackway_core::price::Book;
use trackway_core::process::{ProcessFact, ProcessKey};
use trackway_core::run::{Identity, Run, Totals};
use trackway_core::telemetry::Span;
use trackway_proxy::tap::{Event, Feed};

use super::now;
use super::servers::Servers;
use super::stdio::Stdio;
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
        let state = State::new(identity, pid, source, sinks, prices);
        let thread = Builder::new().name("record".to_owned()).spawn(move || state.record(&end))?;
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
    sinks: Vec<Box<dyn Sink>>,
    identity: Identity,
    prices: Book,
    observers: HashMap<FlowId, Observer>,
    servers: Servers,
    stdio: Stdio,
    /// Whether the kernel has told of the end of the command's process.
    ended: bool,
    // Kept between looks, so that a look allocates nothing.
    facts: Vec<ProcessFact>,
    chunks: Vec<Chunk>,
    events: Vec<Event>,
    calls: Vec<Call>,
    spans: Vec<Span>,
}

impl State {
    fn new(identity: Identity, pid: u32, source: Source, sinks: Vec<Box<dyn Sink>>, prices: Book) -> Self {
        Self {
            pid,
            source,
            sinks,
            identity,
            prices,
            observers: HashMap::new(),
            servers: Servers::default(),
            stdio: Stdio::default(),
            ended: false,
            facts: Vec::new(),
            chunks: Vec::new(),
            events: Vec::new(),
            calls: Vec::new(),
            spans: Vec::new(),
        }
    }

    fn record(mut self, end: &Receiver<(Result<i32, i32>, Time)>) -> (Totals, Vec<String>) {
        if let (Some(kernel), true) = (&self.source.kernel, self.source.read) {
            self.stdio.prepare(kernel);
        }
        let root = self.root();
        let mut run = Run::new(Identity { root: Some(root), ..self.identity.clone() });
        self.sinks.iter_mut().for_each(|sink| sink.begin(&self.identity));
        let mut quiet_looks = 0;
        loop {
            quiet_looks = if self.look(&mut run) { 0 } else { quiet_looks + 1 };
            let pause = if quiet_looks < RECORD_PATIENCE { RECORD_BUSY } else { RECORD_IDLE };
            match end.recv_timeout(pause) {
                Ok((status, time)) => return self.close(run, root, status, time),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return (Totals::default(), Vec::new()),
            }
        }
    }

    /// Takes what is there. Whether there was anything.
    fn look(&mut self, run: &mut Run) -> bool {
        // Facts first: a process is known before its calls are.
        self.drain_kernel();
        let mut busy = !self.facts.is_empty() || !self.chunks.is_empty();
        self.take_facts(run);
        if let Some(feed) = &mut self.source.feed {
            while feed.drain(&mut self.events, TAP_BATCH) == TAP_BATCH && self.events.len() < TAP_EVENTS {}
        }
        busy |= !self.events.is_empty();
        self.take_events(run);
        self.hand_on(run);
        run.drain(now(), &mut self.spans);
        self.deliver();
        busy
    }

    /// Reads what passed on connections.
    fn take_events(&mut self, run: &mut Run) {
        for event in self.events.drain(..) {
            match event {
                Event::Opened(flow) if self.source.read => {
                    self.observers.insert(flow.id, Observer::new(flow));
                }
                Event::Opened(_) => {}
                Event::Data { flow, slice } => {
                    if let Some(observer) = self.observers.get_mut(&flow) {
                        observer.push(slice, &mut self.calls);
                    }
                }
                Event::Ended { flow, direction, time } => {
                    if let Some(observer) = self.observers.get_mut(&flow) {
                        observer.end(direction, time, &mut self.calls);
                    }
                }
                Event::Closed { flow, close, time } => {
                    if let Some(mut observer) = self.observers.remove(&flow) {
                        observer.close(close, time, &mut self.calls);
                    }
                }
                Event::Unread(unread) => run.unread(*unread),
            }
        }
    }

    /// Gives the run what the kernel told.
    fn take_facts(&mut self, run: &mut Run) {
        let Some(kernel) = &self.source.kernel else {
            return self.facts.drain(..).for_each(|fact| run.process(fact));
        };
        // What a process said comes before its end.
        for chunk in self.chunks.drain(..) {
            self.stdio.chunk(&chunk, kernel, run);
            if let Some(tap) = &mut self.source.tap {
                tap.chunk(chunk, &mut self.events);
            }
        }
        for fact in self.facts.drain(..) {
            if self.source.read {
                self.stdio.fact(&fact, self.pid, kernel, run);
            }
            if let Some(tap) = &mut self.source.tap {
                tap.fact(&fact, &mut self.events);
            }
            run.process(fact);
        }
    }

    /// Gives the calls to the run, priced.
    fn hand_on(&mut self, run: &mut Run) {
        for mut call in self.calls.drain(..) {
            self.prices.apply(&mut call);
            if let (Kind::Llm(_), Some(process)) = (&call.kind, call.process)
                && self.servers.look(process)
            {
                run.listens();
            }
            run.call(call);
        }
    }

    fn deliver(&mut self) {
        if !self.spans.is_empty() {
            self.sinks.iter_mut().for_each(|sink| sink.write(&self.spans));
            self.spans.clear();
        }
    }

    fn close(
        mut self,
        mut run: Run,
        root: ProcessKey,
        status: Result<i32, i32>,
        time: Time,
    ) -> (Totals, Vec<String>) {
        if self.source.kernel.is_some() {
            self.await_exit(&mut run);
        } else {
            run.process(ProcessFact::Exit { process: root, status, time });
        }
        self.look(&mut run);
        let tap = self.source.tap.as_mut().map(|tap| tap.finish(now(), &mut self.events));
        self.take_events(&mut run);
        let kernel = self.source.kernel.clone();
        let mut notes = kernel.map_or_else(Vec::new, |kernel| self.stdio.finish(&kernel, &mut run));
        notes.extend(tap.into_iter().flatten());
        // The order of connections decides over ids: the same run gives the same tree.
        let mut open: Vec<_> = std::mem::take(&mut self.observers).into_iter().collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        for (_, mut observer) in open {
            observer.close(Close::Proxy, now(), &mut self.calls);
        }
        self.hand_on(&mut run);
        let totals = run.finish(status, time, &mut self.spans);
        self.deliver();
        notes.extend(self.sinks.iter_mut().flat_map(|sink| sink.finish(&totals)));
        (totals, notes)
    }

    /// The kernel's facts arrive a little after what they tell of: waits for the end of the command's process.
    fn await_exit(&mut self, run: &mut Run) {
        let deadline = Instant::now() + LAST_FACTS;
        loop {
            self.drain_kernel();
            self.take_facts(run);
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
