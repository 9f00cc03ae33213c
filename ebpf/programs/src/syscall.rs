//! System calls of watched processes, when they return: what was said on standard input and output and, where the
//! kernel has no better place for that (before Linux 6.3), what sockets moved.
//!
//! This makes every system call of the machine dearer, so it is attached only while somebody needs it. A raw
//! tracepoint needs no tracefs. Two programs, because a server on pipes waits for nobody: what it says before the
//! verifier is done is missed.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use trackway_abi::tap::{RECEIVED, SENT, chunk, watch};

use crate::registers::{READ, READV, RECVFROM, RECVMSG, Registers, SENDMSG, SENDTO, WRITE, WRITEV};
use crate::socket::{self, PEEK};
use crate::stream::{self, What};
use crate::task::Address;
use crate::watch::{self as watched, now};

/// Standard input and output.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn tap_pipes(ctx: RawTracePointContext) -> i32 {
    let Some(who) = watched::current(watch::STDIO) else { return 0 };
    if let Some(Moved { regs, number, bytes, direction }) = Moved::of(&ctx)
        // The server's side of a pair of pipes: what it reads was asked, what it writes is the answer.
        && number == (direction ^ RECEIVED)
        && let Some(source) = regs.source(bytes)
    {
        let connection = u64::from(number);
        let what = What { connection, kind: chunk::STDIO, direction, socket: 0, site: 0, time_ns: now() };
        stream::hand_over(&who.owner(), &what, &source);
    }
    0
}

/// Sockets.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn tap_syscall(ctx: RawTracePointContext) -> i32 {
    if watched::current(watch::TLS).is_none() {
        return 0;
    }
    if let Some(Moved { regs, number, bytes, direction }) = Moved::of(&ctx)
        && !peeks(regs)
    {
        let sock = behind(number);
        if sock.0 != 0 {
            socket::moved(sock, bytes, direction);
        }
    }
    0
}

/// A system call that moved bytes.
struct Moved {
    regs: Registers,
    /// The descriptor.
    number: u32,
    bytes: u64,
    direction: u32,
}

impl Moved {
    #[inline(always)]
    fn of(ctx: &RawTracePointContext) -> Option<Self> {
        let result = ctx.arg::<i64>(1);
        if result <= 0 {
            return None;
        }
        let regs = Registers::current();
        let direction = match regs.number() {
            READ | READV | RECVFROM | RECVMSG => RECEIVED,
            WRITE | WRITEV | SENDTO | SENDMSG => SENT,
            _ => return None,
        };
        Some(Self { regs, number: regs.first() as u32, bytes: result as u64, direction })
    }
}

/// Whether the bytes stay where they were.
#[inline(always)]
fn peeks(regs: Registers) -> bool {
    match regs.number() {
        RECVFROM => regs.fourth() & PEEK != 0,
        RECVMSG => regs.third() & PEEK != 0,
        _ => false,
    }
}

/// The kernel's socket behind a descriptor of the current process; none where it is something else.
#[inline(always)]
fn behind(number: u32) -> Address {
    try_behind(number).unwrap_or(Address(0))
}

#[inline(always)]
fn try_behind(number: u32) -> Result<Address, i32> {
    /// The bits of a file's mode that say what it is, and those of a socket.
    const KIND: u16 = 0o170_000;
    const SOCKET: u16 = 0o140_000;
    let layout = socket::TAP_LAYOUT.load();
    let table = Address::current().follow(layout.files)?.follow(layout.table)?;
    if number >= table.read::<u32>(layout.descriptors)? {
        return Err(0);
    }
    let file = table.follow(layout.descriptor)?.follow(number * 8)?;
    if file.follow(layout.inode)?.read::<u16>(layout.mode)? & KIND != SOCKET {
        return Err(0);
    }
    file.follow(layout.private)?.follow(layout.sock)
}
