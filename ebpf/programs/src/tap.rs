//! Probes in TLS libraries: plaintext as a process hands it over, or gets it.
//!
//! One program for every library: the attach cookie names a [`Site`], which says where the arguments are. What an
//! operation was given is kept from its beginning to its end, because only then is it known how much it moved;
//! an operation that ends where no probe stands is overwritten by the thread's next one.

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{bpf_get_attach_cookie, bpf_probe_read_user};
use aya_ebpf::macros::{map, uprobe};
use aya_ebpf::maps::{Array, LruHashMap};
use aya_ebpf::programs::ProbeContext;
use trackway_abi::counter;
use trackway_abi::tap::{Place, RECEIVED, SENT, SITES, STREAMS, Site, chunk, place, rule, site, watch};

use crate::maps::{count, entry};
use crate::stream::{self, Source, What};
use crate::watch::{self as watched, Watched, now};

/// What each probe finds where.
#[map]
pub static TAP_SITES: Array<Site> = Array::with_max_entries(SITES, 0);

/// Operations that have begun.
#[map]
pub static TAP_OPERATIONS: LruHashMap<Thread, Operation> = LruHashMap::with_max_entries(STREAMS, 0);

/// One that has not begun, to make others of.
#[map]
static TAP_BLANK: Array<Operation> = Array::with_max_entries(1, 0);

/// Who is at work, and on which side: a read may write in between, and the other way round.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Thread {
    /// The kernel's thread, or what the runtime has in its place.
    pub thread: u64,
    pub pid: u32,
    pub direction: u32,
}

/// What an operation was given.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Given {
    pub connection: u64,
    /// Zero where there is no operation, or it has ended.
    pub buffer: u64,
    /// How many segments `buffer` lists; zero where it is the bytes themselves.
    pub segments: u64,
    pub out: u64,
    /// When it began, if it writes.
    pub began_ns: u64,
    /// Where the stack was: the operation goes on as long as that is not left. Zero where stacks move, as Go's do.
    pub stack: u64,
    /// What stood there: it stays as long as the operation goes on, and what comes after writes over it.
    mark: u64,
}

impl Given {
    /// Whether it still goes on; many end where no probe stands, because they moved nothing.
    #[inline(always)]
    fn goes_on(&self) -> bool {
        self.buffer != 0 && self.stack != 0 && user::<u64>(self.stack) == self.mark
    }

    /// Whether this is the operation of a function whose frame is here.
    #[inline(always)]
    fn is_at(&self, stack: u64) -> bool {
        self.stack == 0 || self.stack.wrapping_sub(stack).wrapping_add(FRAME_BYTES) < 2 * FRAME_BYTES
    }
}

/// The most that the stack pointer differs between the places of probes in one function. Stacks are larger.
const FRAME_BYTES: u64 = 16 * 1024;

/// The operation of a thread.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Operation {
    pub given: Given,
    /// The one that it was called from: TLS inside of TLS, as with a proxy that is spoken to so.
    outer: Given,
    /// The socket that it used so far, as the kernel's pointer.
    pub socket: u64,
    /// Bytes that it moved, once it has ended.
    pub moved: u64,
    /// Its buffer, where it ended without moving any: a second try may name none (GnuTLS).
    pub again: u64,
}

/// Also attached where functions return: whether it is, is a matter of attaching alone.
#[uprobe]
pub fn tap(ctx: ProbeContext) -> u32 {
    fire(ctx.regs);
    0
}

/// The saved registers of a probe.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Saved(*mut pt_regs);

/// Words of `struct pt_regs` on x86-64 that values may be in, up to RDI, and the stack pointer's.
const WORDS: usize = 15;
const STACK_WORD: usize = 19;

impl Saved {
    #[inline(always)]
    fn at(self, index: usize) -> u64 {
        // SAFETY: the context is the kernel's, and 21 words long; volatile, so that several make no call of memcpy.
        unsafe { self.0.cast::<u64>().add(index).read_volatile() }
    }

    /// A word that is only known at run time. All are copied, because the verifier takes no computed address into the
    /// context, and a call of a helper costs more.
    #[inline(always)]
    fn word(self, register: u8) -> u64 {
        let mut words = [0; WORDS + 2];
        for (index, word) in words[..WORDS].iter_mut().enumerate() {
            *word = self.at(index);
        }
        words[WORDS] = self.stack();
        let index = if usize::from(register) == STACK_WORD { WORDS } else { usize::from(register) };
        words[index.min(WORDS + 1)]
    }

    #[inline(always)]
    fn stack(self) -> u64 {
        self.at(STACK_WORD)
    }
}

#[inline(always)]
fn fire(regs: *mut pt_regs) {
    let Some(who) = watched::current(watch::TLS) else { return };
    // SAFETY: the context is the kernel's.
    let cookie = unsafe { bpf_get_attach_cookie(regs.cast()) };
    let Some(site) = TAP_SITES.get_ptr(cookie as u32) else { return };
    // SAFETY: the map gave the pointer; its values are written before a probe that names them is attached.
    let site = unsafe { &*site };
    let regs = Saved(regs);
    count(counter::TAP_FIRED);
    match site.kind {
        // One call for both directions: the verifier walks each of them through all that follows.
        site::ENTER_WRITE | site::ENTER_READ => enter(&who, regs, site, site.kind - site::ENTER_WRITE),
        site::LEAVE_WRITE | site::LEAVE_READ => {
            leave(&who, regs, site, site.kind - site::LEAVE_WRITE, cookie as u32 + 1);
        }
        site::ARRIVED => {
            let length = value(regs, site.length, 0);
            if length > 0 {
                let source = Source::one(value(regs, site.buffer, 0) as u64, length as u64);
                let what = What {
                    connection: value(regs, site.connection, 0) as u64,
                    kind: chunk::TEXT,
                    direction: RECEIVED,
                    socket: 0,
                    site: cookie as u32 + 1,
                    time_ns: now(),
                };
                stream::hand_over(&who.owner(), &what, &source);
            }
        }
        site::FREE => {
            let connection = value(regs, site.connection, 0) as u64;
            stream::forget(who.pid, connection);
            stream::mark(&who.owner(), chunk::FREED, connection);
        }
        _ => {}
    }
}

#[inline(always)]
fn thread(who: &Watched, regs: Saved, place: Place, direction: u32) -> Thread {
    let thread = if place.kind == place::NONE { u64::from(who.tid) } else { value(regs, place, 0) as u64 };
    Thread { thread, pid: who.pid, direction }
}

#[inline(always)]
fn enter(who: &Watched, regs: Saved, site: &Site, direction: u32) {
    let key = thread(who, regs, site.thread, direction);
    let Some(operation) = entry(&TAP_OPERATIONS, &key, &TAP_BLANK) else {
        // Where there is no room the end of the operation finds nothing, and the next offset shows no gap: the table
        // drops the least recently used, so that this takes more operations at once than it holds.
        return;
    };
    // SAFETY: the map gave the pointer, and only this thread of execution writes its own entry.
    let operation = unsafe { &mut *operation };
    let stack = if site.thread.kind == place::NONE { regs.stack() } else { 0 };
    let connection = value(regs, site.connection, 0) as u64;
    let other = operation.given.connection != connection && operation.given.stack != stack;
    if other && operation.given.goes_on() {
        operation.outer = operation.given;
    } else {
        operation.outer.buffer = 0;
    }
    let buffer = value(regs, site.buffer, 0) as u64;
    let given = &mut operation.given;
    given.connection = connection;
    given.buffer = if buffer == 0 { operation.again } else { buffer };
    given.segments = if site.vectored == 0 { 0 } else { value(regs, site.length, 0) as u64 };
    given.out = value(regs, site.out, 0) as u64;
    // What is read counts from its end.
    given.began_ns = if direction == SENT { now() } else { 0 };
    given.stack = stack;
    given.mark = user(stack);
    operation.again = 0;
    operation.moved = 0;
    operation.socket = 0;
}

#[inline(always)]
fn leave(who: &Watched, regs: Saved, site: &Site, direction: u32, number: u32) {
    let Some(found) = TAP_OPERATIONS.get_ptr_mut(&thread(who, regs, site.thread, direction)) else { return };
    // SAFETY: the map gave the pointer, and only this thread of execution writes its own entry.
    let operation = unsafe { &mut *found };
    if operation.given.buffer == 0 {
        return;
    }
    let worked = |out| match site.rule {
        rule::POSITIVE => value(regs, site.ok, out) > 0,
        rule::ZERO => value(regs, site.ok, out) == 0,
        _ => true,
    };
    let stack = regs.stack();
    let (own, outer) = (&mut operation.given, &mut operation.outer);
    // A thread may have more stacks than one, and have been on another one meanwhile.
    let inner = own.is_at(stack);
    if !inner && (outer.buffer == 0 || !outer.is_at(stack)) {
        // So it was, and they are too many: whose bytes these are, and how many, is not known.
        if worked(0) {
            stream::lose(who.pid, 1);
        }
        return;
    }
    let ended = if inner { &*own } else { &*outer };
    let (connection, buffer, segments) = (ended.connection, ended.buffer, ended.segments);
    let (out, began_ns) = (ended.out, ended.began_ns);
    if inner {
        // The one that it was called from goes on. Without one, what was given says whose bytes are sent next.
        if outer.goes_on() {
            *own = *outer;
        } else {
            own.buffer = 0;
        }
    }
    outer.buffer = 0;
    if !worked(out) {
        return;
    }
    let moved = value(regs, site.count, out);
    if moved <= 0 {
        operation.again = buffer;
        return;
    }
    operation.moved = moved as u64;
    let source = match segments {
        0 => Source::one(buffer, moved as u64),
        segments => Source::vector(buffer, segments, moved as u64),
    };
    let socket = operation.socket;
    // The answer may be read by another thread before this one is here: a write counts from where it began.
    let time_ns = if direction == SENT { began_ns } else { now() };
    let what = What { connection, kind: chunk::TEXT, direction, socket, site: number, time_ns };
    stream::hand_over(&who.owner(), &what, &source);
}

/// A value at a probe. What cannot be read is zero, which stands for nothing at each of its uses.
///
/// Its symbol is named here, because a mangled one depends on where the sources lie, and the object must not.
#[unsafe(export_name = "tap_value")]
#[inline(never)]
extern "C" fn value(regs: Saved, place: Place, out: u64) -> i64 {
    let address = match place.kind {
        place::NONE => return 0,
        place::OUT32 | place::OUT64 => out,
        _ => regs.word(place.register).wrapping_add(place.offset as i64 as u64),
    };
    match place.kind {
        place::REGISTER32 => i64::from(address as i32),
        place::REGISTER64 | place::SUM => address as i64,
        place::MEMORY32 | place::OUT32 => i64::from(user::<i32>(address)),
        place::MEMORY64 | place::OUT64 => user::<i64>(address),
        _ => 0,
    }
}

/// A value in the process's memory; zero where it cannot be read.
#[inline(always)]
pub fn user<T: Default>(address: u64) -> T {
    let mut value = T::default();
    // SAFETY: the helper checks each access, and writes zeros where it fails; integers alone are read.
    let _failed =
        unsafe { bpf_probe_read_user((&raw mut value).cast(), size_of::<T>() as u32, address as *const _) };
    value
}
