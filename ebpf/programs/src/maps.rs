//! Maps and globals.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, CgroupArray, LruHashMap, PerCpuArray, RingBuf};
use trackway_abi::{
    CONNECTIONS, ENDED, End, Ended, Exec, Layout, Listen, Origin, RING_BYTES, VERSION, counter,
};

/// Version of the records, for the loader to compare.
#[unsafe(no_mangle)]
pub static ABI: Global<u32> = Global::new(VERSION);

/// Where connections go.
#[unsafe(no_mangle)]
pub static LISTEN: Global<Listen> = Global::new(Listen { netns: 0, v4: 0, v6: 0 });

/// Where fields stand in the kernel's structs.
#[unsafe(no_mangle)]
pub static LAYOUT: Global<Layout> = Global::new(Layout {
    task_tgid: 0,
    task_pid: 0,
    task_leader: 0,
    task_started: 0,
    task_comm: 0,
    task_mm: 0,
    task_signal: 0,
    task_exit_code: 0,
    signal_live: 0,
    signal_flags: 0,
    signal_exit_code: 0,
    mm_arg_start: 0,
    mm_arg_end: 0,
    binprm_filename: 0,
});

/// The cgroup whose processes are reported, at index 0. The kernel compares ancestors, so that this works
/// inside a container too, where the depth below the real root is not known.
#[map]
pub static SCOPE: CgroupArray = CgroupArray::with_max_entries(1, 0);

/// Socket cookie to original destination. Entries are not removed when a socket closes: a client may connect,
/// write and close before the proxy has accepted.
#[map]
pub static ORIGINS: LruHashMap<u64, Origin> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// The client's end to its socket cookie.
#[map]
pub static ENDS: LruHashMap<End, u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// Processes whose end was reported.
#[map]
pub static GONE: LruHashMap<Ended, u32> = LruHashMap::with_max_entries(ENDED, 0);

/// Process records on their way to user space.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Where an exec record is put together: it is far larger than the stack.
#[map]
pub static SCRATCH: PerCpuArray<Exec> = PerCpuArray::with_max_entries(1, 0);

/// Counters, by [`counter`].
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// Adds one to a counter.
#[inline(always)]
pub fn count(index: u32) {
    add(index, 1);
}

/// Adds to a counter.
#[inline(always)]
pub fn add(index: u32, more: u64) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the map gave the pointer, and it is this CPU's own copy.
        unsafe { *counter = (*counter).wrapping_add(more) };
    }
}

/// The value of a key, made of a blank one where there is none: written where it stands, because the stack is small.
/// `None` where there is no room.
#[inline(always)]
pub fn entry<K, V>(map: &LruHashMap<K, V>, key: &K, blank: &Array<V>) -> Option<*mut V> {
    if let Some(found) = map.get_ptr_mut(key) {
        return Some(found);
    }
    // SAFETY: nobody writes blank values.
    let _full = map.insert(key, unsafe { &*blank.get_ptr(0)? }, 0);
    map.get_ptr_mut(key)
}
