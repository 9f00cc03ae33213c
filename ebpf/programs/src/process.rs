//! Fork, exec and exit of processes in scope, from the scheduler's raw tracepoints.
//!
//! Their arguments are pointers to the kernel's structs (`include/trace/events/sched.h`). Outside the scope
//! each program costs one comparison of cgroups.

use core::hint::black_box;
use core::ptr::addr_of_mut;
use core::slice;

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use trackway_abi::tap::Watch;
use trackway_abi::{ARGV_BYTES, Ended, Exec, FILENAME_BYTES, Head, counter, kind};

use crate::maps::{GONE, LAYOUT, RECORDS, SCOPE, SCRATCH, count};
use crate::task::{self, Address};
use crate::watch;

/// `BPF_RB_NO_WAKEUP`: user space polls, which costs a quarter of waking it.
const NO_WAKEUP: u64 = 1;
/// `BPF_NOEXIST`
const NOT_YET: u64 = 1;
/// `SIGNAL_GROUP_EXIT`: the whole process ends, and `group_exit_code` is what its parent will see.
const GROUP_EXIT: u32 = 4;
/// What is looked at in a process is looked at in its children; standard input and output are a matter of one.
const BITS_OF_CHILDREN: u32 = trackway_abi::tap::watch::TLS;
/// Arguments are read in pieces, so that a page which is not in memory costs what follows and not everything.
const PIECE: usize = 1024;

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(ctx: RawTracePointContext) -> i32 {
    if in_scope() && try_fork(&ctx).is_err() {
        count(counter::LOST_READ);
    }
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(ctx: RawTracePointContext) -> i32 {
    if in_scope() && try_exec(&ctx).is_err() {
        count(counter::LOST_READ);
    }
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exit(ctx: RawTracePointContext) -> i32 {
    if in_scope() && try_exit(&ctx).is_err() {
        count(counter::LOST_READ);
    }
    0
}

#[inline(always)]
fn in_scope() -> bool {
    SCOPE.current_task_under_cgroup(0) == Ok(true) || watch::current(u32::MAX).is_some()
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_boot_ns() }
}

#[inline(always)]
fn send(record: &[u8]) {
    if RECORDS.output::<[u8]>(record, NO_WAKEUP).is_err() {
        count(counter::LOST_RING);
    }
}

#[inline(always)]
fn send_head(head: &Head) {
    if RECORDS.output::<Head>(head, NO_WAKEUP).is_err() {
        count(counter::LOST_RING);
    }
}

/// Arguments: parent, child.
#[inline(always)]
fn try_fork(ctx: &RawTracePointContext) -> Result<(), i32> {
    let layout = LAYOUT.load();
    let child = Address(ctx.arg::<u64>(1));
    let process = task::process(child, &layout)?;
    if child.read::<u32>(layout.task_pid)? != process.pid {
        return Ok(()); // a thread
    }
    let parent = task::process(Address(ctx.arg::<u64>(0)), &layout)?;
    let bits = watch::of(parent.pid).bits & BITS_OF_CHILDREN;
    if bits != 0 {
        let watch = Watch { started_ns: process.started_ns, bits, reserved: 0 };
        // A child without room is reported all the same, and its connections are not read.
        let _full = watch::TAP_WATCHED.insert(&process.pid, &watch, 0);
    }
    send_head(&Head {
        time_ns: now(),
        started_ns: process.started_ns,
        parent_started_ns: parent.started_ns,
        kind: kind::FORK,
        pid: process.pid,
        parent: parent.pid,
        ..Head::default()
    });
    Ok(())
}

/// Arguments: task, its former pid, `linux_binprm`. The memory is the new image's by now.
#[inline(always)]
fn try_exec(ctx: &RawTracePointContext) -> Result<(), i32> {
    let layout = LAYOUT.load();
    let task = Address(ctx.arg::<u64>(0));
    let process = task::process(task, &layout)?;
    watch::named(process.pid, process.started_ns, task::comm(task, &layout)?);
    let filename = Address(ctx.arg::<u64>(2)).follow(layout.binprm_filename)?;
    let mm = task.follow(layout.task_mm)?;
    let start = mm.read::<u64>(layout.mm_arg_start)?;
    let total = mm.read::<u64>(layout.mm_arg_end)?.saturating_sub(start);
    let record = SCRATCH.get_ptr_mut(0).ok_or(-1)?;

    // SAFETY: the map gave the pointer, to this CPU's own record; every offset below is within `text`, which the
    // verifier checks once more.
    let (text, name_bytes) = unsafe {
        let text = addr_of_mut!((*record).text).cast::<u8>();
        let length = bpf_probe_read_kernel_str(text.cast(), FILENAME_BYTES as u32, filename.0 as *const _);
        (text, black_box(length))
    };
    // The bounds are hidden from the compiler and then said again, because the verifier must see the comparison.
    if !(0..=FILENAME_BYTES as i64).contains(&name_bytes) {
        return Err(-1);
    }
    let name_bytes = name_bytes as usize;

    let mut held = 0_usize;
    for piece in 0..ARGV_BYTES / PIECE {
        let at = piece * PIECE;
        let left = black_box(total.saturating_sub(at as u64));
        if left == 0 {
            break;
        }
        // Bounds are said again where they are used: older verifiers forget them on the way (seen on Linux 6.1).
        let name_bytes = black_box(name_bytes);
        if name_bytes > FILENAME_BYTES {
            break;
        }
        let size = black_box(left.min(PIECE as u64));
        if size > PIECE as u64 {
            break;
        }
        // SAFETY: `name_bytes + at + size` is at most the length of `text`.
        let read = unsafe {
            bpf_probe_read_user(
                text.add(name_bytes).add(at).cast(),
                size as u32,
                (start + at as u64) as *const _,
            )
        };
        if read != 0 {
            break;
        }
        held = at + size as usize;
    }
    let held = black_box(held);
    if held > ARGV_BYTES {
        return Err(-1);
    }
    // SAFETY: as above.
    unsafe {
        (*record).head = Head {
            time_ns: now(),
            started_ns: process.started_ns,
            kind: kind::EXEC,
            pid: process.pid,
            filename_bytes: name_bytes as u32,
            argv_bytes: held as u32,
            argv_total: if total > u64::from(u32::MAX) { u32::MAX } else { total as u32 },
            ..Head::default()
        };
    }
    let length = black_box(size_of::<Head>() + name_bytes + held);
    if length > size_of::<Exec>() {
        return Err(-1);
    }
    // SAFETY: the record is as long as that at least.
    send(unsafe { slice::from_raw_parts(record.cast::<u8>(), length) });
    Ok(())
}

/// Arguments: task. Every thread comes here; `live` has been counted down by then (`kernel/exit.c`, `do_exit`).
#[inline(always)]
fn try_exit(ctx: &RawTracePointContext) -> Result<(), i32> {
    let layout = LAYOUT.load();
    let task = Address(ctx.arg::<u64>(0));
    let signal = task.follow(layout.task_signal)?;
    if signal.read::<u32>(layout.signal_live)? != 0 {
        return Ok(());
    }
    let process = task::process(task, &layout)?;
    // Two threads that end together both see zero: the first one reports.
    let ended = Ended { started_ns: process.started_ns, pid: process.pid, reserved: 0 };
    if GONE.insert(&ended, &0, NOT_YET).is_err() {
        return Ok(());
    }
    let _absent = watch::TAP_WATCHED.remove(&process.pid);
    let status = if signal.read::<u32>(layout.signal_flags)? & GROUP_EXIT != 0 {
        signal.read::<u32>(layout.signal_exit_code)?
    } else {
        task.follow(layout.task_leader)?.read::<u32>(layout.task_exit_code)?
    };
    send_head(&Head {
        time_ns: now(),
        started_ns: process.started_ns,
        kind: kind::EXIT,
        pid: process.pid,
        status,
        ..Head::default()
    });
    Ok(())
}
