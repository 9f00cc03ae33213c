//! Handing bytes over: each stream has an offset, so that what is lost shows as a jump and never as a join.
//!
//! A probe's program may be preempted by another one on its CPU, so bytes are read straight into the ring buffer: a
//! buffer for each CPU could be written by two at once.

use core::hint::black_box;
use core::ptr::{addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap, RingBuf};
use trackway_abi::counter;
use trackway_abi::tap::{
    Chunk, HELLO_BYTES, PIECE_BYTES, PIECES, RECEIVED, ROOMS, SENT, STREAMS, Socket, TAP_RING_BYTES, WORKERS,
};

use crate::maps::{add, entry};
use crate::tap::user;
use crate::watch::{Owner, now};

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

/// How far each thread is that hands over more than one piece.
#[map]
static TAP_WORK: LruHashMap<u64, Work> = LruHashMap::with_max_entries(WORKERS, 0);

/// One to make others of: the stack is small.
#[map]
static TAP_WORK_BLANK: Array<Work> = Array::with_max_entries(1, 0);

#[derive(Clone, Copy)]
#[repr(C)]
struct Stream {
    connection: u64,
    pid: u32,
    direction: u32,
}

/// How far a hand-over is. It stands in memory, where the verifier forgets what it knew of each number: else no
/// two ways through the loop are alike to it, and the longer it walks, the later a run begins.
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
    /// Bytes of the piece at hand.
    size: u64,
}

/// Reads a field of what the map holds.
#[inline(always)]
fn get(work: *mut Work, field: impl FnOnce(*mut Work) -> *mut u64) -> u64 {
    // SAFETY: the map gave the pointer, and only its thread knows the entry.
    unsafe { read_volatile(field(work)) }
}

/// Writes one.
#[inline(always)]
fn set(work: *mut Work, field: impl FnOnce(*mut Work) -> *mut u64, value: u64) {
    // SAFETY: as above.
    unsafe { write_volatile(field(work), value) }
}

macro_rules! field {
    ($name:ident) => {
        // SAFETY: a place within the value that the pointer is to.
        |work| unsafe { addr_of_mut!((*work).$name) }
    };
}

/// A record with room for so many bytes.
#[repr(C)]
struct Record<const ROOM: usize> {
    chunk: Chunk,
    data: [u8; ROOM],
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

/// What the bytes are. One value, because a function of a program takes five arguments at most.
pub struct What {
    pub connection: u64,
    pub kind: u32,
    pub direction: u32,
    /// Zero where it is not known.
    pub socket: u64,
    /// Plus one; zero where no probe gave them.
    pub site: u32,
    /// When they passed.
    pub time_ns: u64,
}

impl What {
    #[inline(always)]
    fn chunk(&self, owner: &Owner, offset: u64, bytes: u64) -> Chunk {
        Chunk {
            time_ns: self.time_ns,
            started_ns: owner.started_ns,
            connection: self.connection,
            offset,
            socket: self.socket,
            kind: self.kind,
            pid: owner.pid,
            tid: owner.tid,
            direction: self.direction,
            bytes: bytes as u32,
            site: self.site,
        }
    }
}

/// Hands over what a source holds.
#[unsafe(export_name = "tap_hand_over")]
#[inline(never)]
pub extern "C" fn hand_over(owner: &Owner, what: &What, source: &Source) {
    let total = source.total;
    let stream = Stream { connection: what.connection, pid: owner.pid, direction: what.direction };
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
    let mut chunk = what.chunk(owner, offset, 0);
    let whole = source.segments == 0 && total <= PIECE_BYTES as u64;
    let (lost, left) = if whole {
        (if piece(&mut chunk, source.buffer, total) { 0 } else { total }, 0)
    } else {
        pieces(&mut chunk, source)
    };
    add(counter::TAP_BYTES, total - lost - left);
    if lost + left > 0 {
        add(counter::TAP_OVER, left);
        lose(owner.pid, lost + left);
    }
}

/// Hands over piece by piece: how many bytes were lost, and how many are left over.
#[inline(always)]
fn pieces(chunk: &mut Chunk, source: &Source) -> (u64, u64) {
    let Source { total, buffer, left: segment, vector, segments } = *source;
    let key = bpf_get_current_pid_tgid();
    let Some(work) = entry(&TAP_WORK, &key, &TAP_WORK_BLANK) else { return (total, 0) };
    set(work, field!(lost), 0);
    set(work, field!(left), total);
    set(work, field!(buffer), buffer);
    set(work, field!(segment), segment);
    set(work, field!(vector), vector);
    set(work, field!(segments), segments);
    for _ in 0..PIECES {
        if get(work, field!(segment)) == 0 {
            if get(work, field!(segments)) == 0 {
                break;
            }
            let vector = get(work, field!(vector));
            set(work, field!(buffer), user::<u64>(vector));
            set(work, field!(segment), user::<u64>(vector + 8));
            set(work, field!(vector), vector + 16);
            set(work, field!(segments), get(work, field!(segments)) - 1);
        }
        set(
            work,
            field!(size),
            get(work, field!(segment)).min(get(work, field!(left))).min(PIECE_BYTES as u64),
        );
        // Two sizes of records alone: the verifier walks through each of them for each piece.
        let (buffer, size) = (get(work, field!(buffer)), get(work, field!(size)));
        chunk.bytes = size as u32;
        let put = if size <= ROOMS[2] as u64 {
            put::<{ ROOMS[2] }>(chunk, None, buffer, size)
        } else {
            put::<{ ROOMS[4] }>(chunk, None, buffer, size)
        };
        if !put {
            set(work, field!(lost), get(work, field!(lost)) + get(work, field!(size)));
        }
        let size = get(work, field!(size));
        chunk.offset += size;
        set(work, field!(buffer), get(work, field!(buffer)) + size);
        set(work, field!(segment), get(work, field!(segment)) - size);
        set(work, field!(left), get(work, field!(left)) - size);
        if get(work, field!(left)) == 0 {
            break;
        }
    }
    (get(work, field!(lost)), get(work, field!(left)))
}

/// Hands over one piece; whether it could.
#[unsafe(export_name = "tap_piece")]
#[inline(never)]
extern "C" fn piece(chunk: &mut Chunk, buffer: u64, size: u64) -> bool {
    chunk.bytes = size as u32;
    let [first, second, third, fourth, _] = ROOMS;
    if size <= first as u64 {
        put::<{ ROOMS[0] }>(chunk, None, buffer, size)
    } else if size <= second as u64 {
        put::<{ ROOMS[1] }>(chunk, None, buffer, size)
    } else if size <= third as u64 {
        put::<{ ROOMS[2] }>(chunk, None, buffer, size)
    } else if size <= fourth as u64 {
        put::<{ ROOMS[3] }>(chunk, None, buffer, size)
    } else {
        put::<{ ROOMS[4] }>(chunk, None, buffer, size)
    }
}

/// Writes a record: the socket, where there is one, and then so many bytes of the process.
#[inline(always)]
fn put<const ROOM: usize>(chunk: &Chunk, socket: Option<&Socket>, buffer: u64, size: u64) -> bool {
    let Some(record) = TAP_CHUNKS.reserve::<Record<ROOM>>(0) else { return false };
    let mut record = record;
    let at = record.as_mut_ptr();
    let before = if socket.is_some() { size_of::<Socket>() } else { 0 };
    // The bound is hidden from the compiler and then said again: the verifier must see the comparison.
    let size = black_box(size);
    let fits = size <= (ROOM - before) as u64;
    // SAFETY: the ring buffer gave the room, and what is read into it fits.
    let read = fits
        && unsafe {
            addr_of_mut!((*at).chunk).write(*chunk);
            let data = addr_of_mut!((*at).data).cast::<u8>();
            if let Some(socket) = socket {
                data.cast::<Socket>().write(*socket);
            }
            size == 0 || bpf_probe_read_user(data.add(before).cast(), size as u32, buffer as *const _) == 0
        };
    if read {
        record.submit(NO_WAKEUP);
    } else {
        record.discard(NO_WAKEUP);
        add(counter::TAP_UNREADABLE, size);
    }
    read
}

/// Counts bytes of a process that are not handed over.
#[inline(always)]
pub fn lose(pid: u32, bytes: u64) {
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
pub fn forget(pid: u32, connection: u64) {
    for direction in [SENT, RECEIVED] {
        // That there was nothing to forget is no matter.
        let _absent = TAP_STREAMS.remove(&Stream { connection, pid, direction });
    }
}

/// Hands over that something happened.
#[inline(always)]
pub fn mark(owner: &Owner, kind: u32, connection: u64) {
    let what = What { connection, kind, direction: SENT, socket: 0, site: 0, time_ns: now() };
    if TAP_CHUNKS.output::<Chunk>(&what.chunk(owner, 0, 0), NO_WAKEUP).is_err() {
        lose(owner.pid, 1);
    }
}

/// Hands over a socket, and the first bytes that were sent on it.
#[unsafe(export_name = "tap_socket")]
#[inline(never)]
pub extern "C" fn socket(owner: &Owner, what: &What, socket: &Socket, buffer: u64, length: u64) {
    let size = length.min(HELLO_BYTES as u64);
    let chunk = what.chunk(owner, 0, size_of::<Socket>() as u64 + size);
    let put = if size == 0 {
        put::<{ ROOMS[0] }>(&chunk, Some(socket), 0, 0)
    } else {
        put::<{ ROOMS[2] }>(&chunk, Some(socket), buffer, size)
    };
    if !put {
        lose(owner.pid, size + 1);
    }
}
