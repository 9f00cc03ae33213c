//! The tap: plaintext where processes hand it to their TLS libraries, as connections that the core can read.
//!
//! Invariants: nothing stands in the way of the process; what the tap cannot read is reported with its reason;
//! libraries are looked for on a thread of its own, and every table has its bound in `limits.rs`.

pub mod explain;
mod flows;
mod images;
mod maps;
mod missed;
mod order;
mod scan;
mod sockets;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use trackway_abi::tap::state;
use trackway_core::flow::{Close, Time};
use trackway_core::process::ProcessFact;
use trackway_proxy::tap::Event;

use crate::kernel::{self, Chunk, Kernel, Peer, Plan, What};
use crate::servers::Listening;
use flows::Flows;
pub use images::{Found, Images};
use missed::Missed;
use order::Order;
use scan::Scan;
use sockets::Sockets;

/// Whether the tap is what captures, or reads what a proxy had to let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It alone: what it cannot read is unread.
    Alone,
    /// Something else reports what is unread.
    Beside,
}

/// The tap at work.
#[derive(Debug)]
pub struct Tap {
    role: Role,
    kernel: Arc<Mutex<Kernel>>,
    images: Arc<Mutex<Images>>,
    scan: Scan,
    order: Order,
    flows: Flows,
    sockets: Sockets,
    listening: Listening,
    missed: Missed,
}

/// Why processes cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It takes root.
    #[error("no root")]
    NoRoot,
    /// The kernel does not help.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// Another machine than x86-64, or no thread.
    #[error(transparent)]
    Start(#[from] std::io::Error),
}

/// Whether this machine and this user may have a tap; asked before anything is made for one.
pub fn allowed() -> Result<(), Error> {
    kernel::supported()?;
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Error::NoRoot) }
}

/// Loads what the kernel does for the tap alone, and starts it.
pub fn open(plan: &Plan<'_>, files: Vec<PathBuf>) -> Result<(Arc<Mutex<Kernel>>, Tap), Error> {
    allowed()?;
    let kernel = Arc::new(Mutex::new(Kernel::open(plan)?));
    let tap = Tap::start(Arc::clone(&kernel), files, Role::Alone)?;
    Ok((kernel, tap))
}

impl Tap {
    /// Begins, with the libraries of the system and with these files, which are about to be executed.
    pub fn start(kernel: Arc<Mutex<Kernel>>, files: Vec<PathBuf>, role: Role) -> std::io::Result<Self> {
        let images = Arc::new(Mutex::new(Images::default()));
        let scan = Scan::start(Arc::clone(&kernel), Arc::clone(&images), files)?;
        Ok(Self {
            role,
            kernel,
            images,
            scan,
            order: Order::default(),
            flows: Flows::default(),
            sockets: Sockets::default(),
            listening: Listening::default(),
            missed: Missed::default(),
        })
    }

    /// Waits until what was asked for so far has been looked at.
    pub fn settle(&self) {
        self.scan.settle();
    }

    /// Looks at a process that runs already.
    pub fn process(&self, pid: u32) {
        self.scan.process(pid);
    }

    /// Takes a fact about a process.
    pub fn fact(&mut self, fact: &ProcessFact, events: &mut Vec<Event>) {
        match fact {
            ProcessFact::Exec { process, .. } => {
                // The files that it had are those of another program.
                self.scan.gone(process.pid);
                self.scan.process(process.pid);
            }
            ProcessFact::Exit { process, time, .. } => {
                // Nothing of it can come any more.
                for chunk in self.order.of(process.pid) {
                    self.read(chunk, events);
                }
                self.end(process.pid, *time, events);
                self.scan.gone(process.pid);
            }
            _ => {}
        }
    }

    /// Takes what the kernel handed over.
    pub fn chunk(&mut self, chunk: Chunk) {
        match &chunk.what {
            What::Stdio { .. } => return,
            // Now and once more, when what is mapped now must have been mapped.
            What::Mapped => self.scan.process(chunk.process.pid),
            _ => {}
        }
        self.order.push(chunk);
    }

    /// Appends what that meant for connections, as far as its order is certain by now.
    pub fn advance(&mut self, events: &mut Vec<Event>) {
        let now = self.kernel.lock().unwrap_or_else(PoisonError::into_inner).now();
        while let Some(chunk) = self.order.ripe(now) {
            match chunk.what {
                What::Mapped => self.scan.process(chunk.process.pid),
                _ => self.read(chunk, events),
            }
        }
    }

    fn read(&mut self, chunk: Chunk, events: &mut Vec<Event>) {
        match &chunk.what {
            What::Text { .. } | What::Clear { .. } => {
                let socket = chunk.socket.and_then(|socket| self.sockets.get(socket));
                let images = &self.images;
                let probe = |site| images.lock().unwrap_or_else(PoisonError::into_inner).at(site);
                self.flows.bytes(chunk, socket, probe, events);
            }
            What::Freed => self.flows.freed(&chunk, events),
            // Who was asked has no connection of its own to report.
            What::Hello { socket: Peer { state: state::LATE, local: Some(local), .. }, .. }
                if self.listening.accepted(chunk.process.pid, *local, chunk.time) => {}
            What::Hello { .. } => {
                let (kernel, role) = (&self.kernel, self.role);
                let led = |local| match role {
                    Role::Alone => None,
                    Role::Beside => {
                        kernel.lock().unwrap_or_else(PoisonError::into_inner).client(local)?.destination
                    }
                };
                self.sockets.hello(&chunk, led);
            }
            What::Closed { socket } => {
                let read = self.flows.closed(&chunk, socket, events);
                self.closed(&chunk, socket, read, events);
            }
            // Of a process that has ended, or when watching ends: there is nothing to look for any more.
            What::Mapped | What::Stdio { .. } => {}
        }
    }

    /// A socket was closed: reports and remembers it, if it carried TLS that nobody read.
    fn closed(&mut self, chunk: &Chunk, socket: &Peer, read: bool, events: &mut Vec<Event>) {
        let images = &self.images;
        let read = read || self.role == Role::Beside;
        let event = self.sockets.closed(chunk, socket, read, |pid| why(images, pid));
        if let Some(Event::Unread(unread)) = &event {
            self.missed.add(unread, || name(images, chunk.process.pid));
        }
        events.extend(event);
    }

    /// A process has ended: its sockets are closed without a word.
    fn end(&mut self, pid: u32, time: Time, events: &mut Vec<Event>) {
        for (key, chunk) in self.sockets.of(pid, time) {
            let socket = self.kernel.lock().unwrap_or_else(PoisonError::into_inner).socket(key);
            let Some(socket) = socket else { continue };
            let read = self.flows.closed(&chunk, &socket, events);
            self.closed(&chunk, &socket, read, events);
        }
        self.flows.end(pid, Close::Clean, time, events);
        self.listening.forget(pid);
    }

    /// Stops: ends what is open, and says what is to be said.
    pub fn finish(&mut self, time: Time, events: &mut Vec<Event>) -> Vec<String> {
        while let Some(chunk) = self.order.until(Time(u64::MAX)) {
            self.read(chunk, events);
        }
        for pid in self.sockets.processes() {
            self.end(pid, time, events);
        }
        self.flows.finish(time, events);
        let (totals, mut losses) = {
            let kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
            (kernel.tap_totals(), kernel.losses())
        };
        let mut lines = self.missed.lines();
        lines.extend(self.scan.finish());
        let hit = [
            (self.order.hurried, "chunks of the tap could not wait for older ones"),
            (self.flows.evicted, "connections were let go by the tap: it followed too many at once"),
            (self.sockets.left, "sockets were not followed by the tap: too many at once"),
            (self.listening.cleared, "times it was forgotten where processes listen: too many do"),
        ];
        lines.extend(
            hit.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
        );
        if totals.lost > 0 {
            losses.sort_unstable_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
            let named = losses.iter().take(LOSSES_NAMED);
            let of: Vec<String> = named.map(|(pid, bytes)| format!("{bytes} of process {pid}")).collect();
            lines.push(format!(
                "{} bytes passed unseen by the tap, {}: they came faster than they could be read; --tap-bytes gives \
                 them more room",
                totals.lost,
                of.join(", ")
            ));
        }
        lines
    }
}

/// Processes whose losses are named.
const LOSSES_NAMED: usize = 5;

/// Why nothing of a process is read.
fn why(images: &Mutex<Images>, pid: u32) -> String {
    images.lock().unwrap_or_else(PoisonError::into_inner).why(pid)
}

/// What a process is called: as its executable.
fn name(images: &Mutex<Images>, pid: u32) -> String {
    let name = images.lock().unwrap_or_else(PoisonError::into_inner).executable(pid);
    name.unwrap_or_else(|| "a process".to_owned())
}
