//! The registers of the process that runs, as they were when it entered the kernel: during a system call, its number
//! and its arguments.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};

use crate::stream::Source;
use crate::tap::user;

// `arch/x86/entry/syscalls/syscall_64.tbl`
pub const READ: u64 = 0;
pub const WRITE: u64 = 1;
pub const MMAP: u64 = 9;
pub const READV: u64 = 19;
pub const WRITEV: u64 = 20;
pub const SENDTO: u64 = 44;
pub const RECVFROM: u64 = 45;
pub const SENDMSG: u64 = 46;
pub const RECVMSG: u64 = 47;

/// Words of `struct pt_regs` (`arch/x86/include/asm/ptrace.h`).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Registers(*const u64);

impl Registers {
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helpers have no precondition; the task is the current one, as the second one wants it.
        Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as *const u64)
    }

    #[inline(always)]
    fn word(self, index: usize) -> u64 {
        // SAFETY: `struct pt_regs` is 21 words; the verifier knows the pointer for one.
        unsafe { self.0.add(index).read_volatile() }
    }

    /// The system call.
    #[inline(always)]
    pub fn number(self) -> u64 {
        self.word(15)
    }

    #[inline(always)]
    pub fn first(self) -> u64 {
        self.word(14)
    }

    #[inline(always)]
    pub fn second(self) -> u64 {
        self.word(13)
    }

    #[inline(always)]
    pub fn third(self) -> u64 {
        self.word(12)
    }

    #[inline(always)]
    pub fn fourth(self) -> u64 {
        self.word(7)
    }

    #[inline(always)]
    pub fn fifth(self) -> u64 {
        self.word(9)
    }

    /// The stack pointer.
    #[inline(always)]
    pub fn stack(self) -> u64 {
        self.word(19)
    }

    /// Go keeps its goroutine here.
    #[inline(always)]
    pub fn r14(self) -> u64 {
        self.word(1)
    }

    /// Where the bytes of the system call are; `None` where it is none that moves bytes of one socket or file.
    #[inline(always)]
    pub fn source(self, bytes: u64) -> Option<Source> {
        match self.number() {
            READ | WRITE | SENDTO | RECVFROM => Some(Source::one(self.second(), bytes)),
            READV | WRITEV => Some(Source::vector(self.second(), self.third(), bytes)),
            // `struct user_msghdr`, `include/linux/socket.h`
            SENDMSG | RECVMSG => {
                let header = self.second();
                Some(Source::vector(user::<u64>(header + 16), user::<u64>(header + 24), bytes))
            }
            _ => None,
        }
    }
}
