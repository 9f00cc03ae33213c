//! Records that the kernel programs and user space share.
//!
//! Invariants: no logic; no padding that has no name; tags are `u32`; sizes are asserted. Addresses are four
//! words as the kernel holds them (network order in memory), IPv4 in its v4-mapped form (RFC 4291, 2.5.5.2), so
//! that one key fits both families. Times are nanoseconds of the boot clock.
#![no_std]
#![forbid(unsafe_code)]

pub mod tap;

/// Version of these records. The object carries the one that it was built with.
pub const VERSION: u32 = 3;

/// A socket with this mark is never redirected ("trkw").
pub const MARK: u32 = 0x7472_6b77;
/// Length of a task's name with its NUL (`TASK_COMM_LEN`, `include/linux/sched.h`).
pub const COMM_BYTES: usize = 16;
/// Most bytes of a file name that an exec record holds, NUL included (`PATH_MAX`).
pub const FILENAME_BYTES: usize = 4096;
/// Most bytes of arguments that an exec record holds.
/// A per-CPU value may be 32 KiB at most (`PCPU_MIN_UNIT_SIZE`), and the file name needs its part of that.
pub const ARGV_BYTES: usize = 24 * 1024;
/// Size of the ring buffer of process records; a power of two.
pub const RING_BYTES: u32 = 4 * 1024 * 1024;
/// Most connections that are remembered; the least recently used one goes first.
pub const CONNECTIONS: u32 = 16 * 1024;
/// Most ended processes that are remembered in order to report each once.
pub const ENDED: u32 = 4096;

/// Where a redirected socket meant to go, and who opened it. Found by socket cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Origin {
    /// When the process was started; zero where unknown.
    pub started_ns: u64,
    /// When it called `connect`.
    pub time_ns: u64,
    /// Its cgroup.
    pub cgroup: u64,
    /// Thread group id; zero where unknown.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Destination.
    pub address: [u32; 4],
    /// Port, host order.
    pub port: u32,
    /// Zero.
    pub reserved: u32,
    /// Name of the thread.
    pub comm: [u8; COMM_BYTES],
}

/// The client's end of a connection, as the proxy sees it after `accept`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct End {
    /// Address.
    pub address: [u32; 4],
    /// Port, host order.
    pub port: u32,
}

/// A process that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Ended {
    /// When it was started.
    pub started_ns: u64,
    /// Thread group id.
    pub pid: u32,
    /// Zero.
    pub reserved: u32,
}

/// What happened to a process.
pub mod kind {
    /// `parent` forked `pid`.
    pub const FORK: u32 = 1;
    /// `pid` replaced its image; file name and arguments follow.
    pub const EXEC: u32 = 2;
    /// The last thread of `pid` ended.
    pub const EXIT: u32 = 3;
}

/// Start of each record in the ring buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// When this happened.
    pub time_ns: u64,
    /// When `pid` was started.
    pub started_ns: u64,
    /// Fork: when the parent was started.
    pub parent_started_ns: u64,
    /// From [`kind`].
    pub kind: u32,
    /// Thread group id.
    pub pid: u32,
    /// Fork: the parent.
    pub parent: u32,
    /// Exit: the status as `wait(2)` gives it.
    pub status: u32,
    /// Exec: bytes of the file name, NUL included. They follow this head; the arguments follow them.
    pub filename_bytes: u32,
    /// Exec: bytes of arguments, each ended by NUL.
    pub argv_bytes: u32,
    /// Exec: bytes of arguments that there were.
    pub argv_total: u32,
    /// Zero.
    pub reserved: u32,
}

/// An exec record at its largest. What is sent ends with the arguments.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Exec {
    /// What happened.
    pub head: Head,
    /// File name, then arguments.
    pub text: [u8; FILENAME_BYTES + ARGV_BYTES],
}

/// Index of each counter.
pub mod counter {
    /// Connections redirected.
    pub const REDIRECTED: u32 = 0;
    /// Process records that found the ring buffer full.
    pub const LOST_RING: u32 = 1;
    /// Process records that could not be read.
    pub const LOST_READ: u32 = 2;
    /// Connections left alone because they could not be remembered.
    pub const LOST_ORIGIN: u32 = 3;
    /// IPv6 connections left alone because there is no IPv6 listener.
    pub const LEFT_V6: u32 = 4;
    /// Connections left alone because their network namespace has no listener of ours.
    pub const LEFT_NETNS: u32 = 5;
    /// Connections left alone because their socket is bound to a device or to a link's scope.
    pub const LEFT_DEVICE: u32 = 6;
    /// Bytes of the tap that found its ring buffer full.
    pub const TAP_LOST: u32 = 7;
    /// Bytes of the tap that could not be read from the process's memory.
    pub const TAP_UNREADABLE: u32 = 8;
    /// Bytes of the tap beyond what is taken of one operation.
    pub const TAP_OVER: u32 = 9;
    /// Bytes that the tap handed over.
    pub const TAP_BYTES: u32 = 10;
    /// Times that a probe fired in a process that is watched.
    pub const TAP_FIRED: u32 = 11;
    /// How many counters there are.
    pub const COUNT: u32 = 12;
}

/// Where to. Written once, before anything is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Listen {
    /// Cookie of the network namespace of the listeners; zero where the kernel cannot say.
    pub netns: u64,
    /// Port on 127.0.0.1, host order.
    pub v4: u32,
    /// Port on ::1, host order; zero where there is none.
    pub v6: u32,
}

/// Offsets, in bytes, of the fields that are read from the kernel's structs: taken from its BTF.
/// All zero where there is no BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Layout {
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.group_leader`
    pub task_leader: u32,
    /// `task_struct.start_boottime`
    pub task_started: u32,
    /// `task_struct.comm`
    pub task_comm: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `task_struct.exit_code`
    pub task_exit_code: u32,
    /// `signal_struct.live`
    pub signal_live: u32,
    /// `signal_struct.flags`
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`
    pub signal_exit_code: u32,
    /// `mm_struct.arg_start`
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`
    pub mm_arg_end: u32,
    /// `linux_binprm.filename`
    pub binprm_filename: u32,
}

const _: () = assert!(size_of::<Origin>() == 72);
const _: () = assert!(size_of::<End>() == 20);
const _: () = assert!(size_of::<Ended>() == 16);
const _: () = assert!(size_of::<Head>() == 56);
const _: () = assert!(size_of::<Exec>() == 56 + FILENAME_BYTES + ARGV_BYTES);
const _: () = assert!(size_of::<Exec>() <= 32 * 1024);
const _: () = assert!(size_of::<Listen>() == 16);
const _: () = assert!(size_of::<Layout>() == 56);
