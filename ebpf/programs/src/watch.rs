//! Which processes are looked at.

use aya_ebpf::Global;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use trackway_abi::COMM_BYTES;
use trackway_abi::tap::{NAMES, Tap, WATCHED, Watch, watch};

use crate::maps::{LAYOUT, SCOPE};
use crate::task::{self, Address};

/// What is looked at besides single processes.
#[unsafe(no_mangle)]
pub static TAP: Global<Tap> = Global::new(Tap { cgroup: 0, all: 0, own: 0, clear: 0, names: 0 });

/// Processes that are looked at, until they end. Children get their parent's bits.
#[map]
pub static TAP_WATCHED: HashMap<u32, Watch> = HashMap::with_max_entries(WATCHED, 0);

/// Names of threads, as the kernel cuts them and with zeros behind.
#[map]
static TAP_NAMES: Array<[u8; COMM_BYTES]> = Array::with_max_entries(NAMES, 0);

/// The thread that runs, of a process that is looked at.
pub struct Watched {
    pub pid: u32,
    pub tid: u32,
    pub bits: u32,
    /// Zero where it was not asked yet.
    started_ns: u64,
}

/// Whose a record is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Owner {
    /// When the process was started; zero where the kernel's structs are not known.
    pub started_ns: u64,
    pub pid: u32,
    pub tid: u32,
}

impl Watched {
    #[inline(always)]
    pub fn owner(&self) -> Owner {
        let started_ns = if self.started_ns == 0 { self.ask() } else { self.started_ns };
        Owner { started_ns, pid: self.pid, tid: self.tid }
    }

    /// When the process was started; remembered, because the answer costs more than all else that a probe asks.
    #[inline(always)]
    fn ask(&self) -> u64 {
        let layout = LAYOUT.load();
        if layout.task_tgid == 0 {
            return 0;
        }
        let started_ns = task::started_ns(Address::current(), &layout).unwrap_or(0);
        // Without room it is asked again.
        let _full = TAP_WATCHED.insert(&self.pid, &Watch { started_ns, bits: self.bits, reserved: 0 }, 0);
        started_ns
    }
}

/// The current thread, where its process is looked at for any of `bits`.
#[inline(always)]
pub fn current(bits: u32) -> Option<Watched> {
    let both = bpf_get_current_pid_tgid();
    let (pid, tid) = ((both >> 32) as u32, both as u32);
    let tap = TAP.load();
    if pid == tap.own {
        return None;
    }
    let watch = of(pid);
    let mut found = tap.all | watch.bits;
    if tap.cgroup & bits & !found != 0 && SCOPE.current_task_under_cgroup(0) == Ok(true) {
        found |= tap.cgroup;
    }
    if found & bits == 0 {
        return None;
    }
    Some(Watched { pid, tid, bits: found, started_ns: watch.started_ns })
}

/// A process is executed under a name: it is looked at from now on, if that is one of those that are.
#[inline(always)]
pub fn named(pid: u32, started_ns: u64, comm: [u8; COMM_BYTES]) {
    let names = TAP.load().names;
    let mut found = false;
    for index in 0..NAMES {
        if index < names
            && let Some(name) = TAP_NAMES.get(index)
        {
            found |= u128::from_ne_bytes(*name) == u128::from_ne_bytes(comm);
        }
    }
    if found {
        let bits = of(pid).bits | watch::TLS;
        // One without room is told all the same, and looked at when user space has room for it.
        let _full = TAP_WATCHED.insert(&pid, &Watch { started_ns, bits, reserved: 0 }, 0);
    }
}

/// What is looked at in a process by its number.
#[inline(always)]
pub fn of(pid: u32) -> Watch {
    // SAFETY: a value that changes meanwhile is as good as the one before.
    unsafe { TAP_WATCHED.get(&pid) }.copied().unwrap_or_default()
}

#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_boot_ns() }
}
