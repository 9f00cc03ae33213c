//! Reading the kernel's own structs at offsets that user space took from BTF.

use aya_ebpf::helpers::{bpf_get_current_task, bpf_probe_read_kernel};
use trackway_abi::{COMM_BYTES, Layout};

/// A pointer into kernel memory that only the probing helper may follow.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Address(pub u64);

impl Address {
    /// The task that runs this program.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper has no precondition.
        Self(unsafe { bpf_get_current_task() })
    }

    /// Copies a field.
    #[inline(always)]
    pub fn read<T>(self, offset: u32) -> Result<T, i32> {
        // SAFETY: the helper checks each access; a bad address is an error and not a fault.
        unsafe { bpf_probe_read_kernel((self.0 + u64::from(offset)) as *const T) }
    }

    /// Follows a pointer.
    #[inline(always)]
    pub fn follow(self, offset: u32) -> Result<Self, i32> {
        self.read::<u64>(offset).map(Self)
    }
}

/// A process, as [`trackway_abi::Head`] names it.
pub struct Process {
    pub pid: u32,
    pub started_ns: u64,
}

/// The process that a task belongs to. Each of its threads gives the same answer: the start is the leader's.
#[inline(always)]
pub fn process(task: Address, layout: &Layout) -> Result<Process, i32> {
    Ok(Process { pid: task.read(layout.task_tgid)?, started_ns: started_ns(task, layout)? })
}

/// When the process of a task was started.
#[inline(always)]
pub fn started_ns(task: Address, layout: &Layout) -> Result<u64, i32> {
    task.follow(layout.task_leader)?.read(layout.task_started)
}

/// The name of a task.
#[inline(always)]
pub fn comm(task: Address, layout: &Layout) -> Result<[u8; COMM_BYTES], i32> {
    task.read(layout.task_comm)
}
