//! The thread that looks for TLS libraries in processes and puts probes into them.
//!
//! A large executable takes a second to search, so neither the command nor the recording waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use trackway_abi::tap::{self as abi, Site};
use trackway_image::{Kind, Ok as Rule, Place, Tls};

use super::images::{Found, Images};
use super::maps::{self, Code};
use crate::kernel::{Kernel, Probe};
use crate::limits::{IMAGE_IDLE, SCANS};

/// What it is asked.
enum Ask {
    Process(u32),
    Gone(u32),
    Settle(Sender<()>),
    Stop,
}

/// The thread, from outside.
#[derive(Debug)]
pub(super) struct Scan {
    asks: Sender<Ask>,
    /// Requests to look at a process that wait, and those for which there was no room.
    waiting: Arc<AtomicUsize>,
    left: AtomicU64,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Scan {
    pub(super) fn start(
        kernel: Arc<Mutex<Kernel>>,
        images: Arc<Mutex<Images>>,
        files: Vec<PathBuf>,
    ) -> io::Result<Self> {
        let (asks, rest) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let work = Work { kernel, images, waiting: Arc::clone(&waiting), refused: BTreeSet::new() };
        let thread = Builder::new().name("scan".to_owned()).spawn(move || work.run(&rest, &files))?;
        Ok(Self { asks, waiting, left: AtomicU64::new(0), thread: Some(thread) })
    }

    pub(super) fn process(&self, pid: u32) {
        if self.waiting.load(Relaxed) >= SCANS {
            self.left.fetch_add(1, Relaxed);
        } else {
            // Before it is sent: the thread takes it off as soon as it has it.
            self.waiting.fetch_add(1, Relaxed);
            self.asks.send(Ask::Process(pid)).ok();
        }
    }

    pub(super) fn gone(&self, pid: u32) {
        self.asks.send(Ask::Gone(pid)).ok();
    }

    /// Returns when everything that was asked before has been done.
    pub(super) fn settle(&self) {
        let (done, wait) = mpsc::channel();
        if self.asks.send(Ask::Settle(done)).is_ok() {
            wait.recv().ok();
        }
    }

    /// Stops. What could not be done, line by line.
    pub(super) fn finish(&mut self) -> Vec<String> {
        let mut lines = self.stop();
        let left = self.left.load(Relaxed);
        if left > 0 {
            lines.push(format!("the tap was asked {left} times too often at once to look into a process"));
        }
        lines
    }

    fn stop(&mut self) -> Vec<String> {
        self.asks.send(Ask::Stop).ok();
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Scan {
    /// A thread that takes probes away while the process exits is killed over it, and the kernel leaves them standing
    /// ("failed to unregister, leaking uprobe").
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    kernel: Arc<Mutex<Kernel>>,
    images: Arc<Mutex<Images>>,
    waiting: Arc<AtomicUsize>,
    /// Probes that the kernel refused, each reason once.
    refused: BTreeSet<String>,
}

impl Work {
    fn run(mut self, asks: &Receiver<Ask>, files: &[PathBuf]) -> Vec<String> {
        for code in maps::system() {
            self.look(0, &code);
        }
        for code in files.iter().filter_map(|path| Code::open(path).ok()) {
            self.look(0, &code);
        }
        let mut queue = VecDeque::new();
        let mut swept = Instant::now();
        loop {
            match asks.recv_timeout(IMAGE_IDLE) {
                Ok(ask) => queue.push_back(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.lines(),
            }
            // Not only when nobody asks: on a busy machine somebody always does.
            if swept.elapsed() >= IMAGE_IDLE {
                self.sweep();
                swept = Instant::now();
            }
            // A process maps a dozen files when it starts: one look serves all of them.
            queue.extend(asks.try_iter().take(SCANS));
            let processes = queue.iter().filter(|ask| matches!(ask, Ask::Process(_))).count();
            self.waiting.fetch_sub(processes, Relaxed);
            let mut done = BTreeSet::new();
            while let Some(ask) = queue.pop_front() {
                match ask {
                    Ask::Process(pid) if done.insert(pid) => self.process(pid),
                    Ask::Process(_) => {}
                    Ask::Gone(pid) => {
                        done.remove(&pid);
                        self.images().forget(pid);
                    }
                    Ask::Settle(wait) => {
                        wait.send(()).ok();
                    }
                    Ask::Stop => return self.lines(),
                }
            }
        }
    }

    fn images(&self) -> std::sync::MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&mut self, pid: u32) {
        for code in maps::code(pid) {
            self.look(pid, &code);
        }
    }

    /// Looks into a file, once.
    fn look(&mut self, pid: u32, code: &Code) {
        if self.images().uses(pid, code.key) || !self.images().has_room() {
            return;
        }
        let (mut found, mut refused, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        let mut labels = Vec::new();
        match code.look() {
            Ok(image) => {
                refused.extend(image.refused.into_iter().map(|refusal| refusal.reason));
                for tls in image.libraries {
                    let of = self::probes(&tls);
                    let one = Found::of(&tls);
                    labels.extend(of.iter().map(|_| one.label()));
                    found.push(one);
                    probes.extend(of);
                }
            }
            // A script's interpreter is found under its own name; what is no ELF file holds no code.
            Err(why) => refused.push(why),
        }
        let mut standing = None;
        if !probes.is_empty() {
            let path = PathBuf::from(format!("/proc/self/fd/{}", code.file.as_raw_fd()));
            match self.attach(&path, &probes) {
                Ok(stands) => {
                    self.images().stands(stands.sites().iter().copied().zip(labels));
                    standing = Some(stands);
                }
                Err(why) => {
                    self.refused.insert(format!("{}: {why}", code.name.display()));
                    refused.push(why);
                    found.clear();
                }
            }
        }
        tracing::debug!(file = %code.name.display(), ?found, ?refused, executable = code.executable, "looked into");
        let mut images = self.images();
        images.insert(code.key, code.name.clone(), found, refused, standing);
        images.uses(pid, code.key);
    }

    fn attach(&self, path: &Path, probes: &[Probe]) -> Result<crate::kernel::Standing, String> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner).probe(path, probes)
    }

    fn sweep(&self) {
        let idle = self.images().idle();
        for standing in idle {
            self.kernel.lock().unwrap_or_else(PoisonError::into_inner).unprobe(standing);
        }
    }

    fn lines(self) -> Vec<String> {
        let left = self.images().left;
        let mut lines: Vec<String> =
            self.refused.iter().map(|why| format!("the tap could not be set in {why}")).collect();
        if left > 0 {
            lines.push(format!("{left} files and processes were not looked into: the tap has too many"));
        }
        lines
    }
}

/// What was found, as the kernel's side wants it.
fn probes(tls: &Tls) -> Vec<Probe> {
    let enters = |function: &str, kind: Kind| {
        tls.hooks.iter().any(|hook| hook.function == function && hook.site.kind == kind)
    };
    let probe = |hook: &trackway_image::Hook| {
        let site = &hook.site;
        let kind = match site.kind {
            Kind::EnterWrite => abi::site::ENTER_WRITE,
            Kind::EnterRead => abi::site::ENTER_READ,
            Kind::Leave if enters(hook.function, Kind::EnterWrite) => abi::site::LEAVE_WRITE,
            Kind::Leave => abi::site::LEAVE_READ,
            Kind::Free => abi::site::FREE,
            Kind::Received => abi::site::ARRIVED,
        };
        let (rule, ok) = match site.ok {
            Rule::Always => (abi::rule::ALWAYS, Place::None),
            Rule::Positive(at) => (abi::rule::POSITIVE, at),
            Rule::Zero(at) => (abi::rule::ZERO, at),
        };
        let site = Site {
            kind,
            rule,
            vectored: u32::from(site.vectored),
            reserved: 0,
            thread: place(site.thread),
            connection: place(site.connection),
            buffer: place(site.buffer),
            length: place(site.length),
            out: place(site.out),
            ok: place(ok),
            count: place(site.count),
        };
        Probe { offset: hook.offset, returning: hook.returning, site }
    };
    tls.hooks.iter().map(probe).collect()
}

fn place(place: Place) -> abi::Place {
    let at = |kind, register, offset| abi::Place { kind, register, reserved: 0, offset };
    match place {
        Place::None => abi::Place::default(),
        Place::Register32(register) => at(abi::place::REGISTER32, register, 0),
        Place::Register64(register) => at(abi::place::REGISTER64, register, 0),
        Place::Memory32 { register, offset } => at(abi::place::MEMORY32, register, offset.into()),
        Place::Memory64 { register, offset } => at(abi::place::MEMORY64, register, offset.into()),
        Place::Sum { register, offset } => at(abi::place::SUM, register, offset),
        Place::Out32 => at(abi::place::OUT32, 0, 0),
        Place::Out64 => at(abi::place::OUT64, 0, 0),
    }
}
