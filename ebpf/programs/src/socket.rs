//! TCP sockets of watched processes: which one an operation of a TLS library used, what each moved, and when it was
//! given back.
//!
//! The tracepoints fire for sockets alone and in the process's own context, so that other system calls cost what
//! they cost without us (`net/socket.c`, `net/ipv4/tcp_ipv4.c`). A socket is named by the kernel's own pointer: a
//! descriptor may be one of several, and of several processes.

use aya_ebpf::Global;
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::{Array, LruHashMap};
use aya_ebpf::programs::RawTracePointContext;
use trackway_abi::tap::{Layout, RECEIVED, SENT, SOCKETS, STREAMS, Socket, chunk, state, watch};

use crate::connect::MAPPED;
use crate::maps::entry;
use crate::registers::{MMAP, Registers};
use crate::stream::{self, Source, What};
use crate::tap::{Given, Operation, TAP_OPERATIONS, Thread, user};
use crate::task::Address;
use crate::watch::{self as watched, Owner, TAP, Watched, now};

/// Where fields stand in the kernel's structs.
#[unsafe(no_mangle)]
pub static TAP_LAYOUT: Global<Layout> = Global::new(Layout {
    family: 0,
    protocol: 0,
    peer_port: 0,
    local_port: 0,
    peer_v4: 0,
    local_v4: 0,
    peer_v6: 0,
    local_v6: 0,
    files: 0,
    table: 0,
    descriptors: 0,
    descriptor: 0,
    inode: 0,
    mode: 0,
    private: 0,
    sock: 0,
});

/// The sockets, by the kernel's pointers.
#[map]
pub static TAP_SOCKETS: LruHashMap<u64, Kept> = LruHashMap::with_max_entries(SOCKETS, 0);

/// One of which nothing is known, to make others of.
#[map]
static TAP_KEPT_BLANK: Array<Kept> = Array::with_max_entries(1, 0);

const _: () = assert!(SOCKETS <= STREAMS);

/// A socket, and whose it is: it may be given back when nobody runs, or somebody else.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Kept {
    /// First, so that user space finds it alone.
    pub socket: Socket,
    pub owner: Owner,
    /// When its process began to close it; zero if it did not, or bytes moved since.
    pub closing_ns: u64,
    /// One where nothing is to be learned of it but how much it moves.
    pub settled: u32,
    pub reserved: u32,
}

/// What a TLS record adds to its bytes, with room for a second record that goes along.
const OVERHEAD: u64 = 256;
/// `MSG_PEEK`
pub const PEEK: u64 = 2;
/// `IPPROTO_TCP`
const TCP: u16 = 6;
/// `AF_INET`
const INET: u16 = 2;
/// `AF_INET6`
const INET6: u16 = 10;
/// `TCP_LAST_ACK`, `include/net/tcp_states.h`
const LAST_ACK: i32 = 9;

#[raw_tracepoint(tracepoint = "sock_send_length")]
pub fn tap_sent(ctx: RawTracePointContext) -> i32 {
    transfer(&ctx, SENT);
    0
}

#[raw_tracepoint(tracepoint = "sock_recv_length")]
pub fn tap_received(ctx: RawTracePointContext) -> i32 {
    if u64::from(ctx.arg::<u32>(2)) & PEEK == 0 {
        transfer(&ctx, RECEIVED);
    }
    0
}

#[inline(always)]
fn transfer(ctx: &RawTracePointContext, direction: u32) {
    let bytes = ctx.arg::<i32>(1);
    if bytes > 0 {
        moved(Address(ctx.arg::<u64>(0)), bytes as u64, direction);
    }
}

/// A process began to close a socket whose peer is done already: what it read ends here, not a round trip later.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn tap_closing(ctx: RawTracePointContext) -> i32 {
    if ctx.arg::<i32>(2) == LAST_ACK
        && let Some(kept) = TAP_SOCKETS.get_ptr_mut(&ctx.arg::<u64>(0))
    {
        // SAFETY: the map gave the pointer.
        unsafe { (*kept).closing_ns = now() };
    }
    0
}

/// The kernel gives a socket back: the next one may have its address.
#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
pub fn tap_closed(ctx: RawTracePointContext) -> i32 {
    let sock = ctx.arg::<u64>(0);
    let Some(kept) = TAP_SOCKETS.get_ptr(&sock) else { return 0 };
    // SAFETY: the map gave the pointer.
    let Kept { socket, owner, closing_ns, .. } = unsafe { &*kept };
    let what = What {
        time_ns: if *closing_ns == 0 { now() } else { *closing_ns },
        ..of(socket, sock, chunk::CLOSED, SENT)
    };
    stream::socket(owner, &what, socket, 0, 0);
    stream::forget(owner.pid, socket.time_ns);
    let _absent = TAP_SOCKETS.remove(&sock);
    0
}

/// A file is about to be mapped. What maps code then maps it over that, at a place that it has chosen itself.
#[raw_tracepoint(tracepoint = "vm_unmapped_area")]
pub fn tap_mapping(_: RawTracePointContext) -> i32 {
    let Some(who) = watched::current(watch::TLS) else { return 0 };
    let regs = Registers::current();
    if regs.number() == MMAP && regs.fifth() as i32 >= 0 {
        stream::mark(&who.owner(), chunk::MAPPED, 0);
    }
    0
}

/// Bytes went through a socket.
#[inline(always)]
pub fn moved(sock: Address, bytes: u64, direction: u32) {
    // Most of what moves does so on a socket of which all is known.
    if let Some(kept) = TAP_SOCKETS.get_ptr_mut(&sock.0) {
        // SAFETY: the map gave the pointer.
        let kept = unsafe { &mut *kept };
        if kept.settled != 0 {
            kept.tally(bytes, direction);
            return;
        }
    }
    if let Some(who) = watched::current(watch::TLS) {
        learn(&who, Registers::current(), sock, bytes, direction);
    }
}

/// Finds out what a socket is used for.
///
/// Its symbol is named here, because a mangled one depends on where the sources lie, and the object must not.
#[unsafe(export_name = "tap_learn")]
#[inline(never)]
extern "C" fn learn(who: &Watched, regs: Registers, sock: Address, bytes: u64, direction: u32) {
    let used = operation(who, regs, sock, bytes, direction);
    let found = match TAP_SOCKETS.get_ptr_mut(&sock.0) {
        None if direction == SENT || used.connection != 0 => {
            open(who, sock);
            TAP_SOCKETS.get_ptr_mut(&sock.0)
        }
        found => found,
    };
    let Some(found) = found else { return };
    // SAFETY: the map gave the pointer.
    let kept = unsafe { &mut *found };
    kept.tally(bytes, direction);
    let socket = &mut kept.socket;
    if used.connection != 0 {
        socket.carries = used.connection;
    }
    if socket.state != state::NEW && socket.state != state::HTTP {
        // What its bytes were tied by alone may be another's next time.
        kept.settled = u32::from(used.within);
        return;
    }
    let Some(source) = regs.source(bytes) else { return };
    if socket.state == state::NEW && direction == SENT {
        begin(&kept.owner, &source, socket, sock, bytes, used.began_ns);
    }
    if socket.state == state::HTTP {
        stream::hand_over(&kept.owner, &of(socket, sock.0, chunk::CLEAR, direction), &source);
    }
}

impl Kept {
    /// Counts. Sums that two threads change at once are off by one of them.
    #[inline(always)]
    fn tally(&mut self, bytes: u64, direction: u32) {
        self.closing_ns = 0;
        let sum = if direction == SENT { &mut self.socket.sent } else { &mut self.socket.received };
        *sum = sum.wrapping_add(bytes);
    }
}

/// A socket is met for the first time. It is described where it stands, and in a function of its own, because the
/// stack is small.
#[unsafe(export_name = "tap_open")]
#[inline(never)]
extern "C" fn open(who: &Watched, sock: Address) {
    let layout = TAP_LAYOUT.load();
    let protocol = sock.read::<u16>(layout.protocol).unwrap_or(0);
    let family = sock.read::<u16>(layout.family).unwrap_or(0);
    if protocol != TCP || (family != INET && family != INET6) {
        return;
    }
    let Some(kept) = entry(&TAP_SOCKETS, &sock.0, &TAP_KEPT_BLANK) else { return };
    // SAFETY: the map gave the pointer.
    let kept = unsafe { &mut *kept };
    kept.owner = who.owner();
    let socket = &mut kept.socket;
    socket.time_ns = now();
    socket.peer_port = u16::from_be(sock.read(layout.peer_port).unwrap_or(0)).into();
    socket.local_port = sock.read::<u16>(layout.local_port).unwrap_or(0).into();
    if family == INET {
        socket.peer = [0, 0, MAPPED, sock.read(layout.peer_v4).unwrap_or(0)];
        socket.local = [0, 0, MAPPED, sock.read(layout.local_v4).unwrap_or(0)];
    } else {
        socket.peer = sock.read(layout.peer_v6).unwrap_or_default();
        socket.local = sock.read(layout.local_v6).unwrap_or_default();
    }
}

/// A socket's own connection is named by when it was first seen.
#[inline(always)]
fn of(socket: &Socket, sock: u64, kind: u32, direction: u32) -> What {
    What { connection: socket.time_ns, kind, direction, socket: sock, site: 0, time_ns: now() }
}

/// The first bytes of a client tell what it speaks; `began_ns` is when the operation began that sent them, if any.
#[inline(always)]
fn begin(owner: &Owner, source: &Source, socket: &mut Socket, sock: Address, bytes: u64, began_ns: u64) {
    let at = source.start();
    let first = user::<u32>(at).to_be();
    // A handshake record that holds a ClientHello (RFC 8446, sections 4 and 5.1).
    let hello = first >> 16 == 0x1603 && user::<u8>(at + 5) == 1;
    socket.state = if hello {
        state::TLS
    } else if first >> 8 == 0x17_0303 {
        // A record of application data: the connection was there before us.
        state::LATE
    } else if TAP.load().clear != 0 && is_http(first) {
        state::HTTP
    } else {
        state::OTHER
    };
    if socket.state == state::OTHER {
        return;
    }
    // What the operation wrote counts from when it began, and the socket is to be known before.
    let time_ns = if began_ns == 0 { now() } else { began_ns - 1 };
    let what = What { time_ns, ..of(socket, sock.0, chunk::HELLO, SENT) };
    stream::socket(owner, &what, socket, at, if hello { bytes } else { 0 });
}

/// Whether four bytes begin a request, or the preface of HTTP/2.
#[inline(always)]
fn is_http(first: u32) -> bool {
    const STARTS: [&[u8; 4]; 8] = [b"POST", b"GET ", b"PUT ", b"HEAD", b"DELE", b"PATC", b"OPTI", b"PRI "];
    let mut found = false;
    for start in STARTS {
        found |= first == u32::from_be_bytes(*start);
    }
    found
}

/// An operation that used a socket.
struct Used {
    connection: u64,
    began_ns: u64,
    /// Whether it did so before it ended.
    within: bool,
}

/// Tells the operation of a TLS library that this thread is in which socket it uses. Libraries that leave the
/// socket to their caller have ended the operation by then: what is sent next, if it is a little more than what was
/// given to the library, is that. Zeros where there is none.
#[inline(always)]
fn operation(who: &Watched, regs: Registers, sock: Address, bytes: u64, direction: u32) -> Used {
    const NONE: Used = Used { connection: 0, began_ns: 0, within: false };
    let mut key = Thread { thread: u64::from(who.tid), pid: who.pid, direction };
    let mut found = TAP_OPERATIONS.get_ptr_mut(&key);
    if found.is_none() {
        key.thread = regs.r14();
        found = TAP_OPERATIONS.get_ptr_mut(&key);
    }
    let Some(operation) = found else { return NONE };
    // SAFETY: the map gave the pointer, and only this thread of execution writes its own entry.
    unsafe {
        let Operation { given: Given { connection, buffer, began_ns, stack, .. }, moved, .. } = *operation;
        if buffer != 0 {
            if stack != 0 && regs.stack() > stack {
                // It has ended where no probe stands.
                return NONE;
            }
            (*operation).socket = sock.0;
            return Used { connection, began_ns, within: true };
        }
        (*operation).moved = 0;
        let fits = moved != 0 && bytes > moved && bytes - moved < OVERHEAD + moved / 16;
        if direction == SENT && fits { Used { connection, began_ns, within: false } } else { NONE }
    }
}
