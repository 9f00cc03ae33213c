//! Which processes are looked at.

use aya_ebpf::Global;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use trackway_abi::tap::{Tap, WATCHED};

use crate::maps::{LAYOUT, SCOPE};
use crate::task::{self, Address};

/// What is looked at besides single processes.
#[unsafe(no_mangle)]
pub static TAP: Global<Tap> = Global::new(Tap { cgroup: 0, all: 0, own: 0, clear: 0 });

/// Bits of `watch` by process. Children get their parent's.
#[map]
pub static TAP_WATCHED: HashMap<u32, u32> = HashMap::with_max_entries(WATCHED, 0);

/// The thread that runs, of a process that is looked at.
pub struct Watched {
    pub pid: u32,
    pub tid: u32,
    pub bits: u32,
}

impl Watched {
    /// When the process was started; zero where the kernel's structs are not known.
    #[inline(always)]
    pub fn started_ns(&self) -> u64 {
        let layout = LAYOUT.load();
        if layout.task_tgid == 0 {
            return 0;
        }
        task::process(Address::current(), &layout).map_or(0, |process| process.started_ns)
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
    let mut found = tap.all | of(pid);
    if tap.cgroup & bits & !found != 0 && SCOPE.current_task_under_cgroup(0) == Ok(true) {
        found |= tap.cgroup;
    }
    if found & bits == 0 { None } else { Some(Watched { pid, tid, bits: found }) }
}

/// What is looked at in a process by its number.
#[inline(always)]
pub fn of(pid: u32) -> u32 {
    // SAFETY: a number that changes meanwhile is as good as the one before.
    unsafe { TAP_WATCHED.get(&pid) }.copied().unwrap_or(0)
}

#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_boot_ns() }
}
