//! The eBPF side: redirects a cgroup's connections and reports its processes.
//!
//! Invariants: links are held by file descriptors and never pinned, so that redirection ends with this process;
//! what cannot load is reported and the rest works on; nothing outside the cgroup is redirected or reported.

mod btf;
pub mod cgroup;
mod checks;
mod clients;
mod programs;
mod records;
mod tap;

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use aya::maps::{self, CgroupArray, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::{Ebpf, EbpfLoader};
use trackway_abi::tap::watch;
use trackway_abi::{self as abi, CONNECTIONS, Layout, Listen, VERSION, counter};
use trackway_core::flow::Time;
use trackway_core::process::{ProcessFact, ProcessKey};
use trackway_proxy::Client;

pub use checks::{Check, probe};
pub use clients::Clients;
use programs::{HOOKS, Hook, PIPES, PROBE, Plain, SOCKETS, reason};
use records::Clock;
pub use records::TICK_NS;
pub use tap::{Chunk, Peer, Probe, Standing, What, Wish, supported};

/// Built by `cargo xtask ebpf`. BPF bytecode has no host architecture: only its byte order matters, and this
/// one is little-endian.
#[cfg(target_endian = "little")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../ebpf/prebuilt/trackway.bpf.o");
#[cfg(target_endian = "big")]
compile_error!("the committed eBPF object is little-endian");

/// Why the kernel side is not available.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be loaded or attached.
    #[error("cannot load the eBPF program {program}: {reason}; run `trackway doctor` for the remedy")]
    Load {
        /// Which.
        program: &'static str,
        /// What the kernel said.
        reason: String,
    },
}

/// What is asked of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan<'a> {
    /// Whose processes are reported; none where single processes are watched.
    pub cgroup: Option<&'a Path>,
    /// Where the cgroup's TCP connections go: on 127.0.0.1 and, where there is one, on ::1.
    pub listeners: Option<(SocketAddr, Option<SocketAddr>)>,
    /// What is read without standing in the way.
    pub tap: Wish,
}

/// Loaded and attached programs. They go when this value (or the process) goes: nothing is pinned.
pub struct Kernel {
    // Holds the programs and their links.
    programs: Ebpf,
    // For programs that are loaded later.
    _scope: CgroupArray<MapData>,
    tap: tap::Tap,
    /// The programs that were loaded.
    loaded: HashSet<&'static str>,
    /// Whether the kernel was asked to tell of sockets.
    sockets: bool,
    /// Standard input and output are looked at as long as this is here, and those of these processes.
    pipes: Option<RawTracePointLink>,
    stdio: HashSet<u32>,
    /// Whether system calls are what tells of sockets.
    calls: bool,
    clients: Arc<Clients>,
    records: RingBuf<MapData>,
    counters: PerCpuArray<MapData, u64>,
    clock: Clock,
    lost: u64,
    missing: Vec<String>,
}

impl Kernel {
    /// Attaches to a cgroup: TCP connections from it go to the listeners (`v4` on 127.0.0.1, `v6` on ::1),
    /// and its processes are reported. Must be called before any process of the run enters the cgroup, and in
    /// the network namespace of the listeners.
    pub fn attach(cgroup: &Path, v4: SocketAddr, v6: Option<SocketAddr>) -> Result<Self, Error> {
        Self::open(&Plan { cgroup: Some(cgroup), listeners: Some((v4, v6)), tap: Wish::default() })
    }

    /// Loads and attaches what a plan needs.
    pub fn open(plan: &Plan<'_>) -> Result<Self, Error> {
        let mut missing = Vec::new();
        let known = btf::read();
        let layout = known.processes.unwrap_or_else(|why| {
            missing.push(format!("processes are not known: {why}"));
            Layout::default()
        });
        let sockets = known.sockets.unwrap_or_else(|why| {
            missing.extend(plan.tap.tap().then(|| format!("sockets are not known: {why}")));
            abi::tap::Layout::default()
        });
        let calls = plan.tap.calls || !known.moves;
        let plan = &Plan { tap: Wish { calls, ..plan.tap }, ..*plan };
        let (v4, v6) = plan.listeners.map_or((None, None), |(v4, v6)| (Some(v4), v6));
        let listen = Listen {
            netns: programs::netns_cookie(),
            v4: v4.map_or(0, |v4| v4.port().into()),
            v6: v6.map_or(0, |v6| v6.port().into()),
        };
        let mut ebpf = load(listen, (layout, sockets), plan.tap)?;
        let folder = plan.cgroup.map(|cgroup| {
            File::open(cgroup)
                .map_err(|error| failed("cgroup", format!("cannot open {}: {error}", cgroup.display())))
        });
        let folder = folder.transpose()?;
        let mut scope: CgroupArray<MapData> = take(&mut ebpf, "SCOPE")?;
        if let Some(folder) = &folder {
            scope.set(0, folder.as_raw_fd(), 0).map_err(|error| failed("SCOPE", reason(&error)))?;
        }
        let mut loaded = HashSet::new();
        for hook in HOOKS {
            if !hook.wanted(plan) || (hook.needs_layout() && layout == Layout::default()) {
                continue;
            }
            match hook.load(&mut ebpf).and_then(|()| hook.attach(&mut ebpf, folder.as_ref())) {
                Ok(()) => drop(loaded.insert(hook.name)),
                Err(why) if hook.required(v6.is_some()) => return Err(failed(hook.name, why)),
                Err(why) => missing.push(hook.missing(&why)),
            }
        }
        let clock = Clock::start();
        let clients = Clients::new(take(&mut ebpf, "ORIGINS")?, take(&mut ebpf, "ENDS")?, clock);
        let records = take(&mut ebpf, "RECORDS")?;
        let counters = take(&mut ebpf, "COUNTERS")?;
        let tap = tap::Tap::new(&mut ebpf, plan.tap)?;
        Ok(Self {
            programs: ebpf,
            _scope: scope,
            tap,
            loaded,
            sockets: plan.tap.tap(),
            pipes: None,
            stdio: HashSet::new(),
            calls,
            clients: Arc::new(clients),
            records,
            counters,
            clock,
            lost: 0,
            missing,
        })
    }

    /// The key of a process that runs, from its start in ticks of `/proc/PID/stat`: up to one of them too early.
    pub fn key(&self, pid: u32, start_ticks: u64) -> ProcessKey {
        self.clock.process(pid, start_ticks.saturating_mul(records::TICK_NS))
    }

    /// Has the kernel verify what looks at standard input and output, which takes it some milliseconds, so that
    /// [`Kernel::add`] is quick.
    pub fn prepare(&mut self) -> Result<(), String> {
        self.load(PIPES)
    }

    /// Looks at more of a process: bits of [`trackway_abi::tap::watch`].
    pub fn add(&mut self, pid: u32, bits: u32) -> Result<(), String> {
        if bits & watch::TLS != 0 {
            self.sockets();
        }
        if bits & watch::STDIO != 0 && self.pipes.is_none() {
            self.prepare()?;
            // Only now: while nobody needs it, system calls cost nothing.
            self.pipes = Some(PIPES.link(&mut self.programs)?);
        }
        if bits & watch::STDIO != 0 {
            self.stdio.insert(pid);
        }
        self.tap.watch(pid, self.tap.watched(pid) | bits)
    }

    /// Looks at less of a process.
    pub fn remove(&mut self, pid: u32, bits: u32) {
        // That it was not looked at is as good.
        self.tap.watch(pid, self.tap.watched(pid) & !bits).ok();
        if bits & watch::STDIO != 0 && self.stdio.remove(&pid) && self.stdio.is_empty() {
            self.pipes = None;
        }
    }

    /// Has the kernel tell of sockets, once. What it cannot tell is reported.
    fn sockets(&mut self) {
        if std::mem::replace(&mut self.sockets, true) {
            return;
        }
        let calls = self.calls;
        for hook in SOCKETS.into_iter().filter(|hook| !hook.replaced(calls)) {
            let done = self.load(hook).and_then(|()| hook.attach(&mut self.programs, None));
            self.missing.extend(done.err().map(|why| hook.missing(&why)));
        }
    }

    /// Has the kernel verify a program, once.
    fn load(&mut self, hook: Hook) -> Result<(), String> {
        if !self.loaded.contains(hook.name) {
            hook.load(&mut self.programs)?;
            self.loaded.insert(hook.name);
        }
        Ok(())
    }

    /// A socket of a watched process, by the kernel's name for it.
    pub fn socket(&self, socket: u64) -> Option<Peer> {
        self.tap.socket(socket)
    }

    /// Bytes that were not handed over, by process.
    pub fn losses(&self) -> Vec<(u32, u64)> {
        self.tap.losses()
    }

    /// Puts probes into a file: all of them, or none.
    pub fn probe(&mut self, file: &Path, probes: &[Probe]) -> Result<Standing, String> {
        self.load(PROBE)?;
        self.tap.attach(&mut self.programs, file, probes)
    }

    /// Takes probes away.
    pub fn unprobe(&mut self, standing: Standing) {
        self.tap.detach(standing);
    }

    /// This moment, on the clock of all that the kernel tells: the time of day may be set meanwhile.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Appends what the tap handed over since the last time, about `most` bytes at once. Polled; never blocks.
    /// How many bytes of records were taken.
    pub fn chunks(&mut self, most: usize, out: &mut Vec<Chunk>) -> usize {
        self.tap.drain(self.clock, most, out)
    }

    /// What the tap did so far.
    pub fn tap_totals(&self) -> TapTotals {
        TapTotals {
            bytes: self.counter(counter::TAP_BYTES),
            lost: self.counter(counter::TAP_LOST),
            unreadable: self.counter(counter::TAP_UNREADABLE),
            over: self.counter(counter::TAP_OVER),
            fired: self.counter(counter::TAP_FIRED),
        }
    }

    /// Who opened the connection whose client end is `peer`, and where it meant to go.
    pub fn client(&self, peer: SocketAddr) -> Option<Client> {
        self.clients.client(peer)
    }

    /// A handle for the proxy, which looks clients up while another thread drains.
    pub fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients)
    }

    /// Appends the process facts that arrived since the last time. Polled; never blocks.
    pub fn drain(&mut self, out: &mut Vec<ProcessFact>) {
        // Read before the records: what is lost from here on is told next time, after the facts before it.
        let lost = self.counter(counter::LOST_RING) + self.counter(counter::LOST_READ);
        let mut unreadable = 0;
        while let Some(record) = self.records.next() {
            match records::fact(&record, self.clock) {
                Some(fact) => out.push(fact),
                None => unreadable += 1,
            }
        }
        let count = lost.saturating_sub(self.lost) + unreadable;
        self.lost = self.lost.max(lost);
        if count > 0 {
            out.push(ProcessFact::Lost { count, time: self.clock.now() });
        }
    }

    /// One line for each thing that does not work or was left alone, for the operator.
    pub fn report(&self) -> Vec<String> {
        let mut lines = self.missing.clone();
        let left = [
            (counter::LOST_ORIGIN, "the table of connections had no room"),
            (counter::LEFT_V6, "there is no listener on ::1"),
            (counter::LEFT_NETNS, "they were made in another network namespace"),
            (counter::LEFT_DEVICE, "their socket belongs to one network device"),
        ];
        for (index, why) in left {
            let count = self.counter(index);
            if count > 0 {
                lines.push(format!("{count} connections went their own way, unseen: {why}"));
            }
        }
        let redirected = self.counter(counter::REDIRECTED);
        if redirected > u64::from(CONNECTIONS) {
            lines.push(format!(
                "{redirected} connections were redirected and {CONNECTIONS} are remembered: getpeername on the oldest may name the proxy"
            ));
        }
        lines
    }

    fn counter(&self, index: u32) -> u64 {
        self.counters.get(&index, 0).map_or(0, |values| values.iter().sum())
    }
}

/// What the tap did since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapTotals {
    /// Bytes that it handed over.
    pub bytes: u64,
    /// Bytes that it did not, for any reason.
    pub lost: u64,
    /// Those of them that could not be read from the process's memory.
    pub unreadable: u64,
    /// Those of them that were too many for one operation.
    pub over: u64,
    /// Times that a probe fired in a watched process.
    pub fired: u64,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("lost", &self.lost)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

/// Reads the object, sets its globals and makes its maps.
fn load(listen: Listen, layouts: (Layout, abi::tap::Layout), tap: Wish) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    for (map, size) in tap.sizes() {
        loader.map_max_entries(map, size);
    }
    loader
        .override_global("ABI", &VERSION, true)
        .override_global("LISTEN", &Plain(listen), true)
        .override_global("LAYOUT", &Plain(layouts.0), true)
        .override_global("TAP_LAYOUT", &Plain(layouts.1), true)
        .override_global("TAP", &Plain(tap.plain()), true)
        .load(OBJECT)
        .map_err(|error| failed("maps", reason(&error)))
}

fn take<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, Error> {
    let map = ebpf.take_map(name).ok_or_else(|| failed(name, "not in the object".to_owned()))?;
    M::try_from(map).map_err(|error| failed(name, reason(&error)))
}

fn failed(program: &'static str, reason: String) -> Error {
    Error::Load { program, reason }
}

/// A hash map of plain values.
type Table<K, V> = maps::HashMap<MapData, Plain<K>, Plain<V>>;
