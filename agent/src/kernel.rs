//! The eBPF side: redirects a cgroup's connections and reports its processes.
//!
//! Invariants: links are held by file descriptors and never pinned, so that redirection ends with this process;
//! what cannot load is reported and the rest works on; nothing outside the cgroup is redirected or reported.

mod btf;
pub mod cgroup;
mod clients;
mod programs;
mod records;

use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use aya::maps::{CgroupArray, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::{Ebpf, EbpfLoader};
use trackway_abi::{CONNECTIONS, Layout, Listen, VERSION, counter};
use trackway_core::process::ProcessFact;
use trackway_proxy::Client;

pub use clients::Clients;
pub use programs::{Check, probe};
use programs::{HOOKS, Plain, reason};
use records::Clock;

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

/// Loaded and attached programs. They go when this value (or the process) goes: nothing is pinned.
pub struct Kernel {
    // Holds the programs and their links.
    _programs: Ebpf,
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
        let mut missing = Vec::new();
        let layout = btf::layout().unwrap_or_else(|why| {
            missing.push(format!("processes are not known: {why}"));
            Layout::default()
        });
        let listen = Listen {
            netns: programs::netns_cookie(),
            v4: v4.port().into(),
            v6: v6.map_or(0, |v6| v6.port().into()),
        };
        let mut ebpf = load(listen, layout)?;
        let folder = File::open(cgroup)
            .map_err(|error| failed("cgroup", format!("cannot open {}: {error}", cgroup.display())))?;
        // Lives until the programs that use it are loaded; they hold it from then on.
        let mut scope: CgroupArray<MapData> = take(&mut ebpf, "SCOPE")?;
        scope.set(0, folder.as_raw_fd(), 0).map_err(|error| failed("SCOPE", reason(&error)))?;
        for hook in HOOKS {
            if hook.needs_layout() && layout == Layout::default() {
                continue;
            }
            if let Err(why) = hook.load(&mut ebpf).and_then(|()| hook.attach(&mut ebpf, &folder)) {
                if hook.required(v6.is_some()) {
                    return Err(failed(hook.name, why));
                }
                missing.push(format!("{}: {} is not available: {why}", hook.name, hook.gives));
            }
        }
        let clock = Clock::start();
        let clients = Clients::new(take(&mut ebpf, "ORIGINS")?, take(&mut ebpf, "ENDS")?, clock);
        let records = take(&mut ebpf, "RECORDS")?;
        let counters = take(&mut ebpf, "COUNTERS")?;
        Ok(Self { _programs: ebpf, clients: Arc::new(clients), records, counters, clock, lost: 0, missing })
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

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("lost", &self.lost)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

/// Reads the object, sets its globals and makes its maps.
fn load(listen: Listen, layout: Layout) -> Result<Ebpf, Error> {
    EbpfLoader::new()
        .override_global("ABI", &VERSION, true)
        .override_global("LISTEN", &Plain(listen), true)
        .override_global("LAYOUT", &Plain(layout), true)
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
type Table<K, V> = HashMap<MapData, Plain<K>, Plain<V>>;
