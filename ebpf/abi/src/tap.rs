//! Records of the tap: plaintext as a process hands it to its TLS library, and what its sockets did meanwhile.

/// Most bytes of one record's payload.
pub const PIECE_BYTES: usize = 64 * 1024;
/// Room that records have for their payload, one of these each: the kernel reserves sizes that it knows beforehand.
pub const ROOMS: [usize; 5] = [512, 1536, 4608, 16 * 1024, PIECE_BYTES];
/// Most pieces of one operation of a library or one system call. What is longer shows as a jump of the offset.
pub const PIECES: u32 = 32;
/// Most threads that hand over several pieces at once; the least recently used go first.
pub const WORKERS: u32 = 1024;
/// Size of the ring buffer of chunks unless the operator says otherwise; a power of two.
pub const TAP_RING_BYTES: u32 = 32 * 1024 * 1024;
/// Most probe sites.
pub const SITES: u32 = 4096;
/// Most operations under way, and most streams whose offset is remembered; the least recently used go first.
pub const STREAMS: u32 = 32 * 1024;
/// Most sockets that are followed.
pub const SOCKETS: u32 = 16 * 1024;
/// Most processes that are watched by their number.
pub const WATCHED: u32 = 16 * 1024;
/// Most names by which processes are looked at.
pub const NAMES: u32 = 8;
/// Longest ClientHello that is handed over.
pub const HELLO_BYTES: usize = 4096;

/// Where a value is when a probe fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Place {
    /// From [`place`].
    pub kind: u8,
    /// Index of the 8-byte word in `struct pt_regs`.
    pub register: u8,
    /// Zero.
    pub reserved: u16,
    /// Bytes from where the register points.
    pub offset: i32,
}

/// Kinds of [`Place`].
pub mod place {
    /// There is no such value.
    pub const NONE: u8 = 0;
    /// The low half of a register, as a signed number.
    pub const REGISTER32: u8 = 1;
    /// A register.
    pub const REGISTER64: u8 = 2;
    /// Four bytes of memory, as a signed number.
    pub const MEMORY32: u8 = 3;
    /// Eight bytes of memory.
    pub const MEMORY64: u8 = 4;
    /// Four bytes where the operation's `out` points.
    pub const OUT32: u8 = 5;
    /// Eight bytes where the operation's `out` points.
    pub const OUT64: u8 = 6;
    /// A register and the offset, added.
    pub const SUM: u8 = 7;
}

/// Kinds of [`Site`].
pub mod site {
    /// An operation that writes begins.
    pub const ENTER_WRITE: u32 = 1;
    /// An operation that reads begins.
    pub const ENTER_READ: u32 = 2;
    /// An operation that writes ends.
    pub const LEAVE_WRITE: u32 = 3;
    /// An operation that reads ends.
    pub const LEAVE_READ: u32 = 4;
    /// A connection's object is given back.
    pub const FREE: u32 = 5;
    /// Bytes that were read lie in the buffer, all of its length.
    pub const ARRIVED: u32 = 6;
}

/// When an operation that ends has moved bytes.
pub mod rule {
    /// When the count is positive.
    pub const ALWAYS: u32 = 0;
    /// When `ok` is positive too.
    pub const POSITIVE: u32 = 1;
    /// When `ok` is zero.
    pub const ZERO: u32 = 2;
}

/// One place in the code of a TLS library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Site {
    /// From [`site`].
    pub kind: u32,
    /// From [`rule`].
    pub rule: u32,
    /// One where `buffer` points to `length` pairs of address and length instead.
    pub vectored: u32,
    /// Zero.
    pub reserved: u32,
    /// What names the thread of execution where that is not the kernel's thread.
    pub thread: Place,
    /// What names the connection.
    pub connection: Place,
    /// The bytes.
    pub buffer: Place,
    /// How many there are, or may be.
    pub length: Place,
    /// Where the operation will write its count.
    pub out: Place,
    /// Whether it worked.
    pub ok: Place,
    /// How many bytes it moved.
    pub count: Place,
}

/// What a chunk is.
pub mod chunk {
    /// Plaintext.
    pub const TEXT: u32 = 1;
    /// A connection's object was given back.
    pub const FREED: u32 = 2;
    /// Bytes of a process's standard input or output.
    pub const STDIO: u32 = 3;
    /// The first bytes of a socket that were seen: a [`super::Socket`], then a ClientHello if they are one.
    pub const HELLO: u32 = 4;
    /// A socket was closed: a [`super::Socket`].
    pub const CLOSED: u32 = 5;
    /// A process is about to map a file into its memory.
    pub const MAPPED: u32 = 6;
    /// Bytes of a socket on which HTTP is spoken in the clear. The first of them come after a `HELLO`.
    pub const CLEAR: u32 = 7;
}

/// To the peer.
pub const SENT: u32 = 0;
/// From the peer.
pub const RECEIVED: u32 = 1;

/// Start of each record in the tap's ring buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Chunk {
    /// When an operation that reads ended, one that writes began.
    pub time_ns: u64,
    /// When the process was started.
    pub started_ns: u64,
    /// What names the connection within the process.
    pub connection: u64,
    /// Position of the first byte in its direction, from where watching began.
    pub offset: u64,
    /// What names the socket that the operation used; zero where it used none.
    pub socket: u64,
    /// From [`chunk`].
    pub kind: u32,
    /// Thread group id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// [`SENT`] or [`RECEIVED`].
    pub direction: u32,
    /// Bytes that follow.
    pub bytes: u32,
    /// The probe's site, plus one; zero where there was none.
    pub site: u32,
}

/// A TCP socket of a watched process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Socket {
    /// Bytes that were sent since it is followed.
    pub sent: u64,
    /// Bytes that were received.
    pub received: u64,
    /// When it was first seen.
    pub time_ns: u64,
    /// The connection of a TLS library whose bytes it carries: one whose operation used it, or one whose last
    /// operation of the same thread gave about as many bytes as were then sent. Zero where there was none.
    pub carries: u64,
    /// The peer's address, as [`crate::Origin`] holds one.
    pub peer: [u32; 4],
    /// Its own address.
    pub local: [u32; 4],
    /// The peer's port, host order.
    pub peer_port: u32,
    /// Its own port, host order.
    pub local_port: u32,
    /// From [`state`].
    pub state: u32,
    /// Zero.
    pub reserved: u32,
}

/// What a socket was found to carry.
pub mod state {
    /// Nothing was sent yet.
    pub const NEW: u32 = 0;
    /// TLS.
    pub const TLS: u32 = 1;
    /// HTTP in the clear.
    pub const HTTP: u32 = 2;
    /// Something else.
    pub const OTHER: u32 = 3;
    /// TLS that was met in its middle.
    pub const LATE: u32 = 4;
}

/// What to look at in a process, as bits.
pub mod watch {
    /// TLS libraries and sockets.
    pub const TLS: u32 = 1;
    /// Standard input and output.
    pub const STDIO: u32 = 2;
    /// Its start, its children and its end, and nothing else.
    pub const LIFE: u32 = 4;
}

/// A process that is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Watch {
    /// When it was started, once that was asked; zero before.
    pub started_ns: u64,
    /// Bits of [`watch`].
    pub bits: u32,
    /// Zero.
    pub reserved: u32,
}

/// What the tap looks at. Written once, before anything is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tap {
    /// Bits of [`watch`] for each process of the cgroup.
    pub cgroup: u32,
    /// Bits of [`watch`] for every process of the machine.
    pub all: u32,
    /// Trackway itself, which is never looked at.
    pub own: u32,
    /// Whether sockets in the clear are read too.
    pub clear: u32,
    /// How many names there are of which what is executed under one is looked at from then on, before user space has
    /// heard of it.
    pub names: u32,
}

/// Offsets, in bytes, of the fields of the kernel's structs that lead to a socket and describe it: taken from its
/// BTF. All zero where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Layout {
    /// `sock_common.skc_family`
    pub family: u32,
    /// `sock.sk_protocol`
    pub protocol: u32,
    /// `sock_common.skc_dport`
    pub peer_port: u32,
    /// `sock_common.skc_num`
    pub local_port: u32,
    /// `sock_common.skc_daddr`
    pub peer_v4: u32,
    /// `sock_common.skc_rcv_saddr`
    pub local_v4: u32,
    /// `sock_common.skc_v6_daddr`
    pub peer_v6: u32,
    /// `sock_common.skc_v6_rcv_saddr`
    pub local_v6: u32,
    /// `task_struct.files`
    pub files: u32,
    /// `files_struct.fdt`
    pub table: u32,
    /// `fdtable.max_fds`
    pub descriptors: u32,
    /// `fdtable.fd`
    pub descriptor: u32,
    /// `file.f_inode`
    pub inode: u32,
    /// `inode.i_mode`
    pub mode: u32,
    /// `file.private_data`
    pub private: u32,
    /// `socket.sk`
    pub sock: u32,
}

const _: () = assert!(size_of::<Place>() == 8);
const _: () = assert!(size_of::<Site>() == 72);
const _: () = assert!(size_of::<Chunk>() == 64);
const _: () = assert!(size_of::<Socket>() == 80);
const _: () = assert!(size_of::<Watch>() == 16);
const _: () = assert!(size_of::<Tap>() == 20);
const _: () = assert!(size_of::<Layout>() == 64);
const _: () = assert!(size_of::<Socket>() + HELLO_BYTES <= ROOMS[2]);
