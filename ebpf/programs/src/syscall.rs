//! System calls of watched processes, when they return: which socket an operation of a TLS library used, what
//! sockets moved, what was said on standard input and output, and when code was mapped.
//!
//! At the end of a call the registers still hold its arguments (x86-64, `arch/x86/entry/entry_64.S`), so that one
//! program sees both. A raw tracepoint needs no tracefs.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::RawTracePointContext;
use trackway_abi::tap::{Descriptor, RECEIVED, SENT, SOCKETS, STREAMS, Socket, chunk, state, watch};

use crate::connect::MAPPED;
use crate::stream::{self, Source, What};
use crate::tap::{Operation, TAP_OPERATIONS, Thread, user};
use crate::watch::{self as watched, TAP, Watched, now};

/// Sockets of watched processes.
#[map]
pub static TAP_SOCKETS: LruHashMap<Descriptor, Socket> = LruHashMap::with_max_entries(SOCKETS, 0);

const _: () = assert!(SOCKETS <= STREAMS);

// `arch/x86/entry/syscalls/syscall_64.tbl`
const READ: u64 = 0;
const WRITE: u64 = 1;
const CLOSE: u64 = 3;
const MMAP: u64 = 9;
const READV: u64 = 19;
const WRITEV: u64 = 20;
const CONNECT: u64 = 42;
const SENDTO: u64 = 44;
const RECVFROM: u64 = 45;
const SENDMSG: u64 = 46;
const RECVMSG: u64 = 47;

/// What a TLS record adds to its bytes, with room for a second record that goes along.
const OVERHEAD: u64 = 256;

/// `-EINPROGRESS`
const IN_PROGRESS: i64 = -115;
/// `PROT_EXEC`
const EXECUTABLE: u64 = 4;
/// `AF_INET`
const INET: u16 = 2;
/// `AF_INET6`
const INET6: u16 = 10;

/// The saved registers: words of `struct pt_regs`.
#[derive(Clone, Copy)]
struct Registers(u64);

impl Registers {
    #[inline(always)]
    fn word(self, index: u64) -> u64 {
        // SAFETY: the helper checks each access.
        unsafe { bpf_probe_read_kernel((self.0 + index * 8) as *const u64) }.unwrap_or(0)
    }

    #[inline(always)]
    fn number(self) -> u64 {
        self.word(15)
    }

    #[inline(always)]
    fn first(self) -> u64 {
        self.word(14)
    }

    #[inline(always)]
    fn second(self) -> u64 {
        self.word(13)
    }

    #[inline(always)]
    fn third(self) -> u64 {
        self.word(12)
    }

    #[inline(always)]
    fn fifth(self) -> u64 {
        self.word(9)
    }

    /// Go keeps its goroutine here.
    #[inline(always)]
    fn r14(self) -> u64 {
        self.word(1)
    }
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn tap_syscall(ctx: RawTracePointContext) -> i32 {
    let Some(who) = watched::current(watch::TLS | watch::STDIO) else { return 0 };
    let regs = Registers(ctx.arg::<u64>(0));
    let result = ctx.arg::<i64>(1);
    let number = regs.number();
    let direction = match number {
        READ | READV | RECVFROM | RECVMSG => RECEIVED,
        WRITE | WRITEV | SENDTO | SENDMSG => SENT,
        _ => {
            if who.bits & watch::TLS != 0 {
                other(&who, regs, number, result);
            }
            return 0;
        }
    };
    if result > 0 {
        moved(&who, regs, number, result as u64, direction);
    }
    0
}

/// What moves no bytes.
#[inline(always)]
fn other(who: &Watched, regs: Registers, number: u64, result: i64) {
    match number {
        CLOSE if result == 0 => close(who, regs.first() as u32),
        CONNECT if result == 0 || result == IN_PROGRESS => connect(who, regs),
        MMAP if result > 0 && regs.third() & EXECUTABLE != 0 && regs.fifth() as i32 >= 0 => {
            stream::mark(who, chunk::MAPPED, 0, 0);
        }
        _ => {}
    }
}

#[inline(always)]
fn connect(who: &Watched, regs: Registers) {
    let at = regs.second();
    let port = u32::from(u16::from_be(user::<u16>(at + 2)));
    let address = match user::<u16>(at) {
        INET => [0, 0, MAPPED, user::<u32>(at + 4)],
        INET6 => [user::<u32>(at + 8), user::<u32>(at + 12), user::<u32>(at + 16), user::<u32>(at + 20)],
        _ => return,
    };
    let socket =
        Socket { sent: 0, received: 0, time_ns: now(), carries: 0, address, port, state: state::NEW };
    let key = Descriptor { pid: who.pid, number: regs.first() as u32 };
    let _full = TAP_SOCKETS.insert(&key, &socket, 0);
}

#[inline(always)]
fn close(who: &Watched, number: u32) {
    let key = Descriptor { pid: who.pid, number };
    let Some(socket) = TAP_SOCKETS.get_ptr(&key) else { return };
    // SAFETY: the map gave the pointer.
    let socket = unsafe { *socket };
    stream::socket(who, &of(&socket, chunk::CLOSED, SENT, number), &socket, 0, 0);
    let _absent = TAP_SOCKETS.remove(&key);
    stream::forget(who, socket.time_ns);
}

/// Bytes went through a descriptor.
#[inline(always)]
fn moved(who: &Watched, regs: Registers, call: u64, bytes: u64, direction: u32) {
    let number = regs.first() as u32;
    let source = source(regs, call, bytes);
    // The server's side of a pair of pipes: what it reads was asked, what it writes is the answer.
    let stdio = who.bits & watch::STDIO != 0 && number == (direction ^ RECEIVED);
    let what = if stdio {
        Some(What { connection: u64::from(number), kind: chunk::STDIO, direction, descriptor: number + 1, site: 0, time_ns: now() })
    } else if who.bits & watch::TLS != 0 {
        socket(who, regs, &source, bytes, number, direction)
    } else {
        None
    };
    if let Some(what) = what {
        stream::hand_over(who, &what, &source);
    }
}

/// Bytes went through what may be a socket; what to hand over, if they are in the clear.
#[inline(always)]
fn socket(
    who: &Watched,
    regs: Registers,
    source: &Source,
    bytes: u64,
    number: u32,
    direction: u32,
) -> Option<What> {
    let carried = operation(who, regs, bytes, number, direction);
    let key = Descriptor { pid: who.pid, number };
    let Some(found) = TAP_SOCKETS.get_ptr_mut(&key) else {
        if carried != 0 {
            // It was there before us.
            let mut socket =
                Socket { time_ns: now(), carries: carried, state: state::OTHER, ..Socket::default() };
            tally(&mut socket, direction, bytes);
            let _full = TAP_SOCKETS.insert(&key, &socket, 0);
        }
        return None;
    };
    // SAFETY: the map gave the pointer; sums that two threads change at once are off by one of them.
    let socket = unsafe { &mut *found };
    tally(socket, direction, bytes);
    if carried != 0 {
        socket.carries = carried;
    }
    if socket.state == state::NEW && direction == SENT {
        begin(who, source, socket, number, bytes);
    }
    (socket.state == state::HTTP).then(|| of(socket, chunk::CLEAR, direction, number))
}

/// A socket's own connection is named by when it was connected.
#[inline(always)]
fn of(socket: &Socket, kind: u32, direction: u32, number: u32) -> What {
    What { connection: socket.time_ns, kind, direction, descriptor: number + 1, site: 0, time_ns: now() }
}

#[inline(always)]
fn tally(socket: &mut Socket, direction: u32, bytes: u64) {
    let sum = if direction == SENT { &mut socket.sent } else { &mut socket.received };
    *sum = sum.wrapping_add(bytes);
}

/// The first bytes of a client tell what it speaks.
#[inline(always)]
fn begin(who: &Watched, source: &Source, socket: &mut Socket, number: u32, bytes: u64) {
    let at = source.start();
    let first = user::<u32>(at).to_be();
    // A handshake record that holds a ClientHello (RFC 8446, sections 4 and 5.1).
    let hello = first >> 16 == 0x1603 && user::<u8>(at + 5) == 1;
    let http = TAP.load().clear != 0 && is_http(first);
    socket.state = match (hello, http) {
        (true, _) => state::TLS,
        (_, true) => state::HTTP,
        _ => state::OTHER,
    };
    if hello || http {
        let length = if hello { bytes } else { 0 };
        stream::socket(who, &of(socket, chunk::HELLO, SENT, number), socket, at, length);
    }
}

/// Whether four bytes begin a request, or the preface of HTTP/2.
#[inline(always)]
fn is_http(first: u32) -> bool {
    const STARTS: [&[u8; 4]; 8] =
        [b"POST", b"GET ", b"PUT ", b"HEAD", b"DELE", b"PATC", b"OPTI", b"PRI "];
    let mut found = false;
    for start in STARTS {
        found |= first == u32::from_be_bytes(*start);
    }
    found
}

/// Where the bytes of the call are.
#[inline(always)]
fn source(regs: Registers, call: u64, bytes: u64) -> Source {
    match call {
        READV | WRITEV => Source::vector(regs.second(), regs.third(), bytes),
        // `struct user_msghdr`, `include/linux/socket.h`
        SENDMSG | RECVMSG => {
            let header = regs.second();
            Source::vector(user::<u64>(header + 16), user::<u64>(header + 24), bytes)
        }
        _ => Source::one(regs.second(), bytes),
    }
}

/// Tells the operation of a TLS library that this thread is in which descriptor it uses. Libraries that leave the
/// socket to their caller have ended the operation by then: what is sent next, if it is a little more than what was
/// given to the library, is that. The connection, or zero.
#[inline(always)]
fn operation(who: &Watched, regs: Registers, bytes: u64, number: u32, direction: u32) -> u64 {
    let mut key = Thread { thread: u64::from(who.tid), pid: who.pid, direction };
    let mut found = TAP_OPERATIONS.get_ptr_mut(&key);
    if found.is_none() {
        key.thread = regs.r14();
        found = TAP_OPERATIONS.get_ptr_mut(&key);
    }
    let Some(operation) = found else { return 0 };
    // SAFETY: the map gave the pointer, and only this thread of execution writes its own entry.
    unsafe {
        let Operation { connection, buffer, moved, .. } = *operation;
        if buffer != 0 {
            (*operation).descriptor = u64::from(number) + 1;
            return connection;
        }
        (*operation).moved = 0;
        let fits = moved != 0 && bytes > moved && bytes - moved < OVERHEAD + moved / 16;
        if direction == SENT && fits { connection } else { 0 }
    }
}
