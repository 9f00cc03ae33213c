//! The tap's kernel side: which processes are watched, where probes stand, and what they handed over.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, RingBuf};
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope};
use aya::programs::{ProbeKind, ProgramError, UProbe};
use trackway_abi::COMM_BYTES;
use trackway_abi::tap::{self as abi, Chunk as Head, Site, Socket, Watch};
use trackway_core::flow::{Direction, Time};
use trackway_core::process::ProcessKey;

use super::programs::{Kept, PROBE, Plain, reason};
use super::records::Clock;
use super::{Error, failed, take};

/// What the tap looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// TLS libraries and sockets of every process of the cgroup.
    pub cgroup: bool,
    /// The same, of every process of the machine.
    pub all: bool,
    /// Starts and ends of every process of the machine.
    pub lives: bool,
    /// HTTP that is spoken in the clear, too.
    pub clear: bool,
    /// Size of the ring buffer, a power of two; zero for no tap but standard input and output.
    pub ring_bytes: u32,
    /// Sockets are looked at through system calls, as where the kernel has nothing better.
    pub calls: bool,
    /// TLS libraries and sockets of what is executed under one of these names, from then on. Takes `lives`. Empty
    /// ones are none.
    pub names: [[u8; COMM_BYTES]; abi::NAMES as usize],
}

/// The size that serves standard input and output, and the clients that do not trust a proxy.
const LESS_RING_BYTES: u32 = 4 * 1024 * 1024;
/// Streams and sockets that are remembered then.
const LESS_STREAMS: u32 = 4 * 1024;

impl Wish {
    /// Whether TLS libraries are looked at.
    pub fn tap(self) -> bool {
        self.ring_bytes > 0
    }

    pub(super) fn plain(self) -> abi::Tap {
        let bits = |wanted| if wanted { abi::watch::TLS } else { 0 };
        abi::Tap {
            cgroup: bits(self.cgroup),
            all: bits(self.all) | if self.lives { abi::watch::LIFE } else { 0 },
            own: std::process::id(),
            clear: u32::from(self.clear),
            names: self.names().count().try_into().unwrap_or(0),
        }
    }

    /// The same, with names as the kernel cuts them; those that there is no room for are left out.
    pub fn named(mut self, names: &[String]) -> Self {
        for (place, name) in self.names.iter_mut().zip(names) {
            // The last byte is the kernel's NUL.
            for (place, byte) in place.iter_mut().take(COMM_BYTES - 1).zip(name.bytes()) {
                *place = byte;
            }
        }
        self
    }

    fn names(&self) -> impl Iterator<Item = &[u8; COMM_BYTES]> {
        self.names.iter().filter(|name| name[0] != 0)
    }

    /// Sizes of the maps that depend on it.
    pub(super) fn sizes(self) -> [(&'static str, u32); 4] {
        let streams = if self.tap() { abi::STREAMS } else { LESS_STREAMS };
        [
            ("TAP_CHUNKS", if self.tap() { self.ring_bytes } else { LESS_RING_BYTES }),
            ("TAP_STREAMS", streams),
            ("TAP_OPERATIONS", streams),
            ("TAP_SOCKETS", streams.min(abi::SOCKETS)),
        ]
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// When.
    pub time: Time,
    /// Whose.
    pub process: ProcessKey,
    /// The thread.
    pub tid: u32,
    /// What names the connection within the process.
    pub connection: u64,
    /// Which way.
    pub direction: Direction,
    /// The kernel's name for the socket that was used, where it is known.
    pub socket: Option<u64>,
    /// The site of the probe that gave it.
    pub site: Option<u32>,
    /// What it is.
    pub what: What,
}

impl Chunk {
    /// Bytes that it carries.
    pub fn size(&self) -> usize {
        match &self.what {
            What::Text { bytes, .. }
            | What::Stdio { bytes, .. }
            | What::Hello { bytes, .. }
            | What::Clear { bytes, .. } => bytes.len(),
            What::Freed | What::Closed { .. } | What::Mapped => 0,
        }
    }
}

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Plaintext of a TLS library, from this position of its direction on.
    Text { offset: u64, bytes: Vec<u8> },
    /// The library gave the connection's object back.
    Freed,
    /// Standard input (to the process) or output.
    Stdio { offset: u64, bytes: Vec<u8> },
    /// A socket that was met, with its ClientHello where it began with one.
    Hello { socket: Peer, bytes: Vec<u8> },
    /// A socket was closed.
    Closed { socket: Peer },
    /// The process is about to map a file.
    Mapped,
    /// Bytes of a socket in the clear.
    Clear { offset: u64, bytes: Vec<u8> },
}

/// A socket of a watched process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of its other end.
    pub address: Option<SocketAddr>,
    /// Its own address.
    pub local: Option<SocketAddr>,
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that were received.
    pub received: u64,
    /// The connection of a TLS library whose bytes it carries, where it is known.
    pub carries: Option<u64>,
    /// What was sent first, from [`abi::state`].
    pub state: u32,
}

impl From<Socket> for Peer {
    fn from(socket: Socket) -> Self {
        Self {
            address: super::clients::address(socket.peer, socket.peer_port),
            local: super::clients::address(socket.local, socket.local_port),
            sent: socket.sent,
            received: socket.received,
            carries: Some(socket.carries).filter(|carries| *carries != 0),
            state: socket.state,
        }
    }
}

/// Where a probe is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Position of the instruction in the file.
    pub offset: u64,
    /// Whether it fires on return of the function that begins there.
    pub returning: bool,
    /// What is where.
    pub site: Site,
}

/// The tap's maps.
pub(super) struct Tap {
    sites: Array<MapData, Plain<Site>>,
    watched: HashMap<MapData, u32, Plain<Watch>>,
    sockets: HashMap<MapData, u64, Plain<Kept>>,
    losses: HashMap<MapData, u32, u64>,
    chunks: RingBuf<MapData>,
    /// The program of probes once more, for where functions return: it is verified once.
    returns: Option<UProbe>,
    /// Sites that are free again.
    free: Vec<u32>,
    next: u32,
}

/// Probes that stand; they go when this value goes.
#[derive(Debug)]
pub struct Standing {
    links: Vec<UProbeLink>,
    sites: Vec<u32>,
}

impl Standing {
    /// The sites of the probes, in their order.
    pub fn sites(&self) -> &[u32] {
        &self.sites
    }
}

impl Tap {
    pub(super) fn new(ebpf: &mut Ebpf, wish: Wish) -> Result<Self, Error> {
        let mut names: Array<MapData, [u8; COMM_BYTES]> = take(ebpf, "TAP_NAMES")?;
        for (index, name) in (0..).zip(wish.names()) {
            names.set(index, name, 0).map_err(|error| failed("TAP_NAMES", reason(&error)))?;
        }
        Ok(Self {
            sites: take(ebpf, "TAP_SITES")?,
            watched: take(ebpf, "TAP_WATCHED")?,
            sockets: take(ebpf, "TAP_SOCKETS")?,
            losses: take(ebpf, "TAP_LOSSES")?,
            chunks: take(ebpf, "TAP_CHUNKS")?,
            returns: None,
            free: Vec::new(),
            next: 0,
        })
    }

    pub(super) fn watch(&mut self, pid: u32, bits: u32) -> Result<(), String> {
        let watch = Plain(Watch { bits, ..self.watch_of(pid) });
        let done = if bits == 0 { self.watched.remove(&pid) } else { self.watched.insert(pid, watch, 0) };
        match done {
            Err(error) if bits != 0 => Err(reason(&error)),
            // That it was not there is as good.
            _ => Ok(()),
        }
    }

    pub(super) fn watched(&self, pid: u32) -> u32 {
        self.watch_of(pid).bits
    }

    fn watch_of(&self, pid: u32) -> Watch {
        self.watched.get(&pid, 0).map(|watch| watch.0).unwrap_or_default()
    }

    pub(super) fn socket(&self, socket: u64) -> Option<Peer> {
        self.sockets.get(&socket, 0).ok().map(|kept| kept.0.socket.into())
    }

    pub(super) fn losses(&self) -> Vec<(u32, u64)> {
        self.losses.iter().flatten().collect()
    }

    pub(super) fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        file: &Path,
        probes: &[Probe],
    ) -> Result<Standing, String> {
        let mut standing = Standing { links: Vec::new(), sites: Vec::new() };
        let done = probes.iter().try_for_each(|probe| {
            let index = match self.free.pop() {
                Some(index) => index,
                None if self.next < abi::SITES => {
                    self.next += 1;
                    self.next - 1
                }
                None => return Err(format!("there are {} probes already", abi::SITES)),
            };
            standing.sites.push(index);
            self.sites.set(index, Plain(probe.site), 0).map_err(|error| reason(&error))?;
            let program = ebpf.program_mut(PROBE.name).ok_or("not in the object")?;
            let mut program: &mut UProbe = program.try_into().map_err(|error| reason(&error))?;
            if probe.returning {
                program = match &mut self.returns {
                    Some(returns) => returns,
                    none => none.insert(returning(program).map_err(|error| reason(&error))?),
                };
            }
            let point = UProbeAttachPoint {
                location: UProbeAttachLocation::AbsoluteOffset(probe.offset),
                cookie: Some(index.into()),
            };
            let link = program
                .attach(point, file, UProbeScope::AllProcesses)
                .and_then(|id| program.take_link(id))
                .map_err(|error| reason(&error))?;
            standing.links.push(link);
            Ok(())
        });
        match done {
            Ok(()) => Ok(standing),
            Err(why) => {
                self.detach(standing);
                Err(why)
            }
        }
    }

    pub(super) fn detach(&mut self, standing: Standing) {
        drop(standing.links);
        self.free.extend(standing.sites);
    }

    pub(super) fn drain(&mut self, clock: Clock, most: usize, out: &mut Vec<Chunk>) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(record) = self.chunks.next()
        {
            taken += record.len();
            out.extend(chunk(&record, clock));
        }
        taken
    }
}

/// A loaded program of probes, as one that is attached where functions return.
fn returning(program: &UProbe) -> Result<UProbe, ProgramError> {
    let info = program.info()?;
    // SAFETY: the program is one of probes, and the kernel has no other type for those of returns
    // (`kernel/trace/trace_uprobe.c`, uprobe_perf_func and uretprobe_perf_func).
    unsafe { UProbe::from_program_info(info, PROBE.name.into(), ProbeKind::Return) }
}

/// Reads one record; `None` where it is not one of ours.
fn chunk(record: &[u8], clock: Clock) -> Option<Chunk> {
    let (head, payload) = record.split_at_checked(size_of::<Head>())?;
    let long = |at: usize| Some(u64::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    let (time, started, connection, offset) = (long(0)?, long(8)?, long(16)?, long(24)?);
    let socket_used = long(32)?;
    let (kind, pid, tid, direction) = (word(40)?, word(44)?, word(48)?, word(52)?);
    let (bytes, site) = (word(56)?, word(60)?);
    let payload = payload.get(..usize::try_from(bytes).ok()?)?;
    let what = match kind {
        abi::chunk::TEXT => What::Text { offset, bytes: payload.to_vec() },
        abi::chunk::FREED => What::Freed,
        abi::chunk::STDIO => What::Stdio { offset, bytes: payload.to_vec() },
        abi::chunk::CLEAR => What::Clear { offset, bytes: payload.to_vec() },
        abi::chunk::HELLO => {
            let (socket, bytes) = socket(payload)?;
            What::Hello { socket, bytes: bytes.to_vec() }
        }
        abi::chunk::CLOSED => What::Closed { socket: socket(payload)?.0 },
        abi::chunk::MAPPED => What::Mapped,
        _ => return None,
    };
    Some(Chunk {
        time: clock.wall(time),
        process: clock.process(pid, started),
        tid,
        connection,
        direction: if direction == abi::SENT { Direction::ToOrigin } else { Direction::ToClient },
        socket: Some(socket_used).filter(|socket| *socket != 0),
        site: site.checked_sub(1),
        what,
    })
}

fn socket(payload: &[u8]) -> Option<(Peer, &[u8])> {
    let (head, rest) = payload.split_at_checked(size_of::<Socket>())?;
    let long = |at: usize| Some(u64::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    let address = |at: usize| Some([word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?]);
    let socket = Socket {
        sent: long(0)?,
        received: long(8)?,
        time_ns: long(16)?,
        carries: long(24)?,
        peer: address(32)?,
        local: address(48)?,
        peer_port: word(64)?,
        local_port: word(68)?,
        state: word(72)?,
        reserved: word(76)?,
    };
    Some((socket.into(), rest))
}

/// The first kernel with uprobes that have cookies, and with every helper that the tap's programs call.
pub(super) const SINCE: &str = "5.15";

/// The machine's words are those of x86-64: another one has other registers and other numbers of system calls.
pub fn supported() -> Result<(), io::Error> {
    if cfg!(target_arch = "x86_64") {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the tap knows x86-64 alone; use the proxy"))
    }
}
