//! `trackway attach`: processes that run already, watched until they end or the user has seen enough.
//!
//! Each process that matches is a run of its own, with all that it starts. One thread does the recording; the tap's
//! own looks for libraries.

mod roots;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use trackway_abi::tap::watch;
use trackway_core::flow::{FlowId, Time};
use trackway_core::process::{ProcessFact, ProcessKey};
use trackway_core::run::Identity;
use trackway_core::telemetry::Content;
use trackway_proxy::tap::Event;

use super::ledger::Ledger;
use super::{identity, now, outputs};
use crate::cli::Attach;
use crate::kernel::{Chunk, Kernel, Plan, Wish};
use crate::limits::{
    ATTACHED, CHUNK_BATCH, RECORD_BUSY, RECORD_IDLE, RECORD_PATIENCE, TAP_RING_BYTES, TAPPED,
};
use crate::tap::{self, Tap};
use crate::{prices, say};
use roots::{Command, Roots};

/// Why nothing is watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not help.
    #[error("cannot look into processes: {0}; run as root on Linux 5.15 or later, x86-64")]
    Kernel(String),
    /// A process that was named is not there.
    #[error("there is no process {0}; trackway attach --comm NAME waits for one")]
    Gone(u32),
    /// The operator's prices cannot be read.
    #[error(transparent)]
    Prices(#[from] prices::Error),
    /// An output cannot be used.
    #[error(transparent)]
    Output(#[from] outputs::Error),
    /// Signals or threads cannot be had.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

impl Error {
    /// The exit code.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Output(error) if error.usage() => 2,
            Error::Prices(_) => 2,
            _ => 1,
        }
    }
}

/// Watches until everything that was named has ended, or until the user ends it.
pub fn run(options: &Attach) -> Result<i32, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut watch = Watch::begin(options)?;
    watch.greet();
    let mut quiet_looks = 0;
    while !stop.load(Ordering::Relaxed) && !watch.is_over() {
        quiet_looks = if watch.look()? { 0 } else { quiet_looks + 1 };
        std::thread::sleep(if quiet_looks < RECORD_PATIENCE { RECORD_BUSY } else { RECORD_IDLE });
    }
    watch.finish();
    Ok(0)
}

struct Watch<'a> {
    options: &'a Attach,
    kernel: Arc<Mutex<Kernel>>,
    tap: Tap,
    prices: Arc<trackway_core::price::Book>,
    roots: Roots,
    /// Runs by the process that is their root.
    ledgers: HashMap<u32, Ledger>,
    /// The run of each connection.
    flows: HashMap<FlowId, u32>,
    /// Runs that there was no room for.
    left: u64,
    facts: Vec<ProcessFact>,
    chunks: Vec<Chunk>,
    events: Vec<Event>,
}

impl<'a> Watch<'a> {
    fn begin(options: &'a Attach) -> Result<Self, Error> {
        let prices = Arc::new(prices::book(options.output.prices.as_deref())?);
        let wish = Wish {
            all: options.all,
            lives: !options.comm.is_empty(),
            clear: true,
            ring_bytes: options.tap_bytes.unwrap_or(TAP_RING_BYTES),
            ..Wish::default()
        }
        .named(&options.comm);
        let plan = Plan { tap: wish, ..Plan::default() };
        let (kernel, tap) = tap::open(&plan, Vec::new())
            .map_err(|error| Error::Kernel(crate::doctor::brief(&error.to_string())))?;
        let roots = Roots::new(options);
        let mut watch = Self {
            options,
            kernel,
            tap,
            prices,
            roots,
            ledgers: HashMap::new(),
            flows: HashMap::new(),
            left: 0,
            facts: Vec::new(),
            chunks: Vec::new(),
            events: Vec::new(),
        };
        watch.meet()?;
        watch.tap.settle();
        Ok(watch)
    }

    /// Finds what runs already.
    fn meet(&mut self) -> Result<(), Error> {
        let found = roots::running(&self.lock());
        if let Some(pid) = self.options.pid.iter().find(|pid| !found.contains_key(pid)) {
            return Err(Error::Gone(*pid));
        }
        self.roots.meet(&found);
        for root in self.roots.choose(&found) {
            self.enter(root.key, &root.command, now())?;
            for below in roots::below(&found, root.key.pid) {
                self.roots.own(below.key.pid, root.key.pid);
                self.follow(below.key.pid);
                for fact in below.facts(&found) {
                    self.fact(fact)?;
                }
            }
        }
        if self.options.all {
            found.keys().for_each(|pid| self.tap.process(*pid));
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into a process from now on.
    fn follow(&self, pid: u32) {
        if let Err(why) = self.lock().add(pid, watch::TLS) {
            say(&format!("process {pid} cannot be looked into: {why}"));
        }
        self.tap.process(pid);
    }

    /// A process is the root of a run, which begins at `start`.
    fn enter(&mut self, key: ProcessKey, command: &Command, start: Time) -> Result<(), Error> {
        if self.ledgers.len() >= ATTACHED {
            self.left += 1;
            return Ok(());
        }
        // Before what takes time: a client may live for some milliseconds only.
        self.roots.own(key.pid, key.pid);
        if !self.options.all {
            self.follow(key.pid);
        }
        let sinks = outputs::open(&self.options.output, false)?;
        let content = sinks.iter().map(|sink| sink.shows()).max().unwrap_or(Content::None);
        let words: Vec<_> = command.argv.iter().map(Into::into).collect();
        let identity =
            Identity { content, root: Some(key), ..identity::of(&self.options.output, &words, None, start) };
        let mut ledger = Ledger::begin(&identity, key, sinks, Arc::clone(&self.prices));
        ledger.prepare(&self.kernel);
        ledger.fact(command.exec(key, start), None);
        self.ledgers.insert(key.pid, ledger);
        Ok(())
    }

    fn greet(&self) {
        let mut names: Vec<String> =
            self.ledgers.keys().take(NAMED).map(|pid| format!("{pid} ({})", roots::name(*pid))).collect();
        names.sort();
        if self.ledgers.len() > NAMED {
            names.push(format!("and {} more", self.ledgers.len() - NAMED));
        }
        let waits = self.options.comm.join(", ");
        let rest = match (self.options.all, waits.is_empty()) {
            (true, _) => "every process of this machine, from its first TLS connection on".to_owned(),
            (false, false) if names.is_empty() => format!("for processes named {waits}: none yet"),
            _ => names.join(", "),
        };
        say(&format!("watching {rest}; Ctrl-C ends it"));
    }

    /// Whether nothing can come any more.
    fn is_over(&self) -> bool {
        self.ledgers.is_empty() && self.options.comm.is_empty() && !self.options.all
    }

    /// Takes what is there. Whether there was anything.
    fn look(&mut self) -> Result<bool, Error> {
        let (mut facts, mut chunks) = (std::mem::take(&mut self.facts), std::mem::take(&mut self.chunks));
        {
            let mut kernel = self.lock();
            kernel.drain(&mut facts);
            kernel.chunks(CHUNK_BATCH, &mut chunks);
        }
        let busy = !facts.is_empty() || !chunks.is_empty();
        let mut events = std::mem::take(&mut self.events);
        facts.iter_mut().for_each(|fact| self.roots.rename_in(fact));
        for mut chunk in chunks.drain(..) {
            self.roots.rename(&mut chunk.process);
            let owner = self.roots.owner(chunk.process.pid);
            if let Some(ledger) = owner.and_then(|root| self.ledgers.get_mut(&root)) {
                ledger.stdio(&chunk, &self.kernel);
            }
            self.tap.chunk(chunk);
        }
        self.tap.advance(&mut events);
        for event in events.drain(..) {
            self.event(event)?;
        }
        for fact in facts.drain(..) {
            self.tap.fact(&fact, &mut events);
            for event in events.drain(..) {
                self.event(event)?;
            }
            self.fact(fact)?;
        }
        (self.facts, self.chunks, self.events) = (facts, chunks, events);
        self.ledgers.values_mut().for_each(Ledger::settle);
        Ok(busy)
    }

    /// Hands an event to the run whose connection it is. With `--all`, a connection makes its process a root.
    fn event(&mut self, event: Event) -> Result<(), Error> {
        let flow = match &event {
            Event::Opened(flow) => flow,
            Event::Unread(unread) => &unread.flow,
            Event::Data { flow, .. } | Event::Ended { flow, .. } | Event::Closed { flow, .. } => {
                let root = self.flows.get(flow).copied();
                if let (Event::Closed { flow, .. }, Some(_)) = (&event, root) {
                    self.flows.remove(flow);
                }
                if let Some(ledger) = root.and_then(|root| self.ledgers.get_mut(&root)) {
                    ledger.event(event, true);
                }
                return Ok(());
            }
        };
        let Some(key) = flow.process else { return Ok(()) };
        if self.roots.owner(key.pid).is_none() && self.options.all {
            self.enter(key, &self.roots.command(key.pid), flow.opened)?;
        }
        let Some(root) = self.roots.owner(key.pid) else { return Ok(()) };
        if let Event::Opened(flow) = &event {
            self.flows.insert(flow.id, root);
        }
        if let Some(ledger) = self.ledgers.get_mut(&root) {
            ledger.event(event, true);
        }
        Ok(())
    }

    fn fact(&mut self, fact: ProcessFact) -> Result<(), Error> {
        let pid = match &fact {
            ProcessFact::Fork { parent, child, .. } => {
                match self.roots.owner(parent.pid) {
                    Some(root) => self.roots.own(child.pid, root),
                    // The number may have been somebody's whose end was lost.
                    None => self.roots.disown(child.pid),
                }
                self.roots.forked(parent.pid, child.pid);
                child.pid
            }
            ProcessFact::Exec { process, filename, argv, cwd, time, .. } => {
                let command = Command { filename: filename.clone(), argv: argv.clone(), cwd: cwd.clone() };
                self.roots.started(process.pid, &command);
                let named = self.roots.owner(process.pid).is_none()
                    && roots::is_named(&self.options.comm, process.pid, filename, argv);
                if named {
                    self.enter(*process, &command, *time)?;
                    return Ok(());
                }
                if let Some(ledger) = self.ledgers.get_mut(&process.pid) {
                    let words: Vec<_> = argv.iter().map(Into::into).collect();
                    ledger.rename(&identity::of(&self.options.output, &words, None, now()));
                }
                process.pid
            }
            ProcessFact::Exit { process, .. } => process.pid,
            // Whose they were is not known.
            ProcessFact::Lost { .. } => {
                self.ledgers.values_mut().for_each(|ledger| ledger.fact(fact.clone(), None));
                return Ok(());
            }
        };
        let root = self.roots.owner(pid);
        let end = match &fact {
            ProcessFact::Exit { status, time, .. } => {
                self.roots.disown(pid);
                (Some(pid) == root).then_some((*status, *time))
            }
            _ => None,
        };
        let Some(root) = root else { return Ok(()) };
        if let Some(ledger) = self.ledgers.get_mut(&root) {
            ledger.fact(fact, Some(&self.kernel));
        }
        if let (Some((status, time)), Some(ledger)) = (end, end.and_then(|_| self.ledgers.remove(&root))) {
            self.told(&ledger.close(Some(status), time, Some(&self.kernel)).1);
        }
        Ok(())
    }

    fn told(&self, notes: &[String]) {
        if !self.options.output.quiet {
            notes.iter().for_each(|note| say(note));
        }
    }

    fn finish(mut self) {
        // What is on its way belongs to the runs.
        if let Err(error) = self.look() {
            say(&error.to_string());
        }
        let mut events = Vec::new();
        let mut notes = self.tap.finish(now(), &mut events);
        for event in events {
            if let Err(error) = self.event(event) {
                say(&error.to_string());
            }
        }
        let mut open: Vec<Ledger> = std::mem::take(&mut self.ledgers).into_values().collect();
        open.sort_unstable_by_key(|ledger| ledger.root().pid);
        for ledger in open {
            notes.extend(ledger.close(None, now(), Some(&self.kernel)).1);
        }
        notes.extend(self.lock().report());
        if self.roots.left > 0 {
            notes.push(format!("{} processes belong to no run: {TAPPED} are known at once", self.roots.left));
        }
        if self.left > 0 {
            notes.push(format!("{} processes had no room: {ATTACHED} are recorded at once", self.left));
        }
        self.told(&notes);
    }
}

/// Processes that the greeting names.
const NAMED: usize = 5;
