//! Handing bytes over: each stream has an offset, so that what is lost shows as a jump and never as a join.

use core::hint::black_box;
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};
use core::slice;

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_probe_read_user};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap, RingBuf};
use trackway_abi::counter;
use trackway_abi::tap::{
    Chunk, HELLO_BYTES, PIECE_BYTES, PIECES, RECEIVED, SENT, STREAMS, Socket, TAP_RING_BYTES,
};

use crate::maps::add;
use crate::tap::user;
use crate::watch::{Watched, now};

/// `BPF_RB_NO_WAKEUP`: user space polls.
const NO_WAKEUP: u64 = 1;

/// Chunks on their way to user space.
#[map]
pub static TAP_CHUNKS: RingBuf = RingBuf::with_byte_size(TAP_RING_BYTES, 0);

/// Bytes that passed on each stream.
#[map]
static TAP_STREAMS: LruHashMap<Stream, u64> = LruHashMap::with_max_entries(STREAMS, 0);

/// Bytes that were not handed over, by process.
#[map]
static TAP_LOSSES: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);

/// One record for each CPU, which the loader counts: a per-CPU value could not be as large.
#[map]
static TAP_SCRATCH: Array<Record> = Array::with_max_entries(1, 0);

#[derive(Clone, Copy)]
#[repr(C)]
struct Stream {
    connection: u64,
    pid: u32,
    direction: u32,
}

/// How far a hand-over is. It stands in memory, where the verifier forgets what it knew of each number: else no
/// two ways through the loop are alike to it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Work {
    /// Bytes that were not handed over.
    lost: u64,
    /// Bytes that are to come.
    left: u64,
    /// Where the next one is.
    buffer: u64,
    /// Bytes that are to come in this segment.
    segment: u64,
    /// Where the next `struct iovec` stands.
    vector: u64,
    /// How many of them are left.
    segments: u64,
}

#[repr(C)]
struct Record {
    work: Work,
    chunk: Chunk,
    data: [u8; PIECE_BYTES],
}

/// Bytes in the process's memory: one buffer, or the segments of a vectored call.
pub struct Source {
    /// Bytes that moved.
    total: u64,
    buffer: u64,
    /// Bytes left in `buffer`.
    left: u64,
    /// Where the next `struct iovec` stands.
    vector: u64,
    /// How many of them are left.
    segments: u64,
}

impl Source {
    #[inline(always)]
    pub fn one(buffer: u64, total: u64) -> Self {
        Self { total, buffer, left: total, vector: 0, segments: 0 }
    }

    #[inline(always)]
    pub fn vector(vector: u64, segments: u64, total: u64) -> Self {
        Self { total, buffer: 0, left: 0, vector, segments }
    }

    /// Where the first bytes are.
    #[inline(always)]
    pub fn start(&self) -> u64 {
        if self.segments == 0 { self.buffer } else { user::<u64>(self.vector) }
    }
}

/// Whose bytes they are. One value, because a function of a program takes five arguments at most.
pub struct What {
    pub connection: u64,
    pub kind: u32,
    pub direction: u32,
    /// Plus one; zero where it is not known.
    pub descriptor: u32,
    /// Plus one; zero where no probe gave them.
    pub site: u32,
    /// When they passed.
    pub time_ns: u64,
}

/// This CPU's own record. Programs like these are not preempted, so nobody else writes it meanwhile.
#[inline(always)]
fn scratch() -> Option<*mut Record> {
    // SAFETY: the helper has no precondition.
    TAP_SCRATCH.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// Hands over what a source holds.
#[unsafe(export_name = "tap_hand_over")]
#[inline(never)]
pub extern "C" fn hand_over(who: &Watched, what: &What, source: &Source) {
    let What { connection, kind, direction, descriptor, site, time_ns } = *what;
    let stream = Stream { connection, pid: who.pid, direction };
    let total = source.total;
    let offset = match TAP_STREAMS.get_ptr_mut(&stream) {
        // SAFETY: the map gave the pointer; a connection has one writer and one reader at a time.
        Some(at) => unsafe {
            let offset = *at;
            *at = offset.wrapping_add(total);
            offset
        },
        None => {
            let _full = TAP_STREAMS.insert(&stream, &total, 0);
            0
        }
    };
    let Some(record) = scratch() else { return };
    let head = Chunk {
        time_ns,
        started_ns: who.started_ns(),
        connection,
        offset,
        kind,
        pid: who.pid,
        tid: who.tid,
        direction,
        descriptor,
        bytes: 0,
        site,
        reserved: 0,
    };
    // SAFETY: the map gave the pointer, to this CPU's own record.
    let work = unsafe {
        (*record).chunk = head;
        let work = addr_of_mut!((*record).work);
        let Source { buffer, left: segment, vector, segments, .. } = *source;
        write_volatile(work, Work { lost: 0, left: total, buffer, segment, vector, segments });
        work
    };
    for _ in 0..PIECES {
        // SAFETY: as above.
        let Work { mut lost, left, mut buffer, mut segment, mut vector, mut segments } =
            unsafe { read_volatile(work) };
        if segment == 0 {
            if segments == 0 {
                break;
            }
            segments -= 1;
            (buffer, segment) = (user::<u64>(vector), user::<u64>(vector + 8));
            vector += 16;
        }
        // The bound is hidden from the compiler and then said again: the verifier must see the comparison.
        let size = black_box(segment.min(left).min(PIECE_BYTES as u64));
        if size > PIECE_BYTES as u64 {
            break;
        }
        // SAFETY: `size` is at most the length of `data`; the slice ends where what was read does.
        unsafe {
            (*record).chunk.bytes = size as u32;
            let data = addr_of_mut!((*record).data).cast::<u8>();
            if bpf_probe_read_user(data.cast(), size as u32, buffer as *const _) != 0 {
                (*record).chunk.kind = 0;
            }
            let start = addr_of!((*record).chunk).cast::<u8>();
            let bytes = slice::from_raw_parts(start, size_of::<Chunk>() + size as usize);
            if (*record).chunk.kind == 0 || TAP_CHUNKS.output::<[u8]>(bytes, NO_WAKEUP).is_err() {
                lost += size;
            }
            (*record).chunk.kind = kind;
            (*record).chunk.offset += size;
            let (rest, buffer, segment) = (left - size, buffer + size, segment - size);
            write_volatile(work, Work { lost, left: rest, buffer, segment, vector, segments });
            if rest == 0 {
                break;
            }
        }
    }
    // SAFETY: as above.
    let Work { lost, left, .. } = unsafe { read_volatile(work) };
    add(counter::TAP_BYTES, total - lost - left);
    add(counter::TAP_OVER, left);
    if lost + left > 0 {
        lose(who.pid, lost + left);
    }
}

#[inline(always)]
fn lose(pid: u32, bytes: u64) {
    add(counter::TAP_LOST, bytes);
    match TAP_LOSSES.get_ptr_mut(&pid) {
        // SAFETY: the map gave the pointer; a sum that two threads change at once is off by one of them.
        Some(sum) => unsafe { *sum = (*sum).wrapping_add(bytes) },
        None => {
            let _full = TAP_LOSSES.insert(&pid, &bytes, 0);
        }
    }
}

/// A connection's object is given back: the next one at its address begins anew.
#[inline(always)]
pub fn forget(who: &Watched, connection: u64) {
    for direction in [SENT, RECEIVED] {
        // That there was nothing to forget is no matter.
        let _absent = TAP_STREAMS.remove(&Stream { connection, pid: who.pid, direction });
    }
}

/// Hands over that something happened.
#[inline(always)]
pub fn mark(who: &Watched, kind: u32, connection: u64, descriptor: u32) {
    let chunk = Chunk {
        time_ns: now(),
        started_ns: who.started_ns(),
        connection,
        kind,
        pid: who.pid,
        tid: who.tid,
        descriptor,
        ..Chunk::default()
    };
    if TAP_CHUNKS.output::<Chunk>(&chunk, NO_WAKEUP).is_err() {
        lose(who.pid, 1);
    }
}

/// Hands over a socket, and the first bytes that were sent on it.
#[unsafe(export_name = "tap_socket")]
#[inline(never)]
pub extern "C" fn socket(who: &Watched, what: &What, socket: &Socket, buffer: u64, length: u64) {
    let Some(record) = scratch() else { return };
    let size = black_box(if length > HELLO_BYTES as u64 { HELLO_BYTES as u64 } else { length });
    if size > HELLO_BYTES as u64 {
        return;
    }
    const SOCKET: usize = size_of::<Socket>();
    // SAFETY: as in `hand_over`; the socket and the longest hello fit into `data` together.
    unsafe {
        (*record).chunk = Chunk {
            time_ns: what.time_ns,
            started_ns: who.started_ns(),
            connection: what.connection,
            offset: 0,
            kind: what.kind,
            pid: who.pid,
            tid: who.tid,
            direction: what.direction,
            descriptor: what.descriptor,
            bytes: (SOCKET as u64 + size) as u32,
            site: what.site,
            reserved: 0,
        };
        let data = addr_of_mut!((*record).data).cast::<u8>();
        data.cast::<Socket>().write_unaligned(*socket);
        if size > 0 && bpf_probe_read_user(data.add(SOCKET).cast(), size as u32, buffer as *const _) != 0 {
            add(counter::TAP_UNREADABLE, size);
            return;
        }
        let start = addr_of!((*record).chunk).cast::<u8>();
        let bytes = slice::from_raw_parts(start, size_of::<Chunk>() + SOCKET + size as usize);
        if TAP_CHUNKS.output::<[u8]>(bytes, NO_WAKEUP).is_err() {
            lose(who.pid, size + 1);
        }
    }
}
