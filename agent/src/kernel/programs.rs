//! The table of programs: what each gives, since which kernel, and whether a run needs it.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use aya::Ebpf;
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::programs::{
    CgroupAttachMode, CgroupSockAddr, Program, ProgramError, RawTracePoint, SockOps, UProbe,
};
use trackway_abi::tap::{self, Site, Tap};
use trackway_abi::{End, Layout, Listen, Origin};

use super::Plan;
use super::tap::SINCE;

/// A record that may be copied to and from the kernel byte by byte.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Plain<T>(pub(super) T);

// SAFETY: `repr(C)`, without padding or pointers (sizes are asserted in trackway-abi), any bytes are a value.
unsafe impl aya::Pod for Plain<Listen> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Layout> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Origin> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<End> {}
// SAFETY: an integer.
unsafe impl aya::Pod for Plain<u64> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Tap> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Site> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<tap::Layout> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<tap::Watch> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Kept> {}

/// What the kernel's side keeps of a socket: the shared record stands first, what follows is its own.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Kept {
    pub(super) socket: tap::Socket,
    _own: [u64; 4],
}

/// How a program is attached.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Address,
    Socket,
    Tracepoint(&'static str),
    /// Attached later, wherever a library is found.
    Probe,
}

/// What a program is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Redirect,
    Processes,
    Tap,
    /// Sockets, as the kernel tells of them (since Linux 6.3).
    Sockets,
    /// Sockets, where the kernel does not tell of them so.
    Calls,
    Pipes,
}

/// When a run cannot do without a program.
#[derive(Clone, Copy, Debug)]
enum Need {
    Always,
    WithV6,
    Never,
}

/// A program of the object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) gives: &'static str,
    part: Part,
    kind: Kind,
    need: Need,
    /// The first kernel that has the hook and every helper that the program calls.
    since: &'static str,
}

/// In the order of attaching: who redirects comes last of its kind, when everything behind it stands.
pub(super) const HOOKS: [Hook; 16] = [
    redirect("established", "naming the client of a connection", Kind::Socket, Need::Always),
    redirect("getpeername4", "getpeername as without us", Kind::Address, Need::Never),
    redirect("getpeername6", "getpeername as without us (IPv6)", Kind::Address, Need::Never),
    redirect("connect4", "redirection", Kind::Address, Need::Always),
    redirect("connect6", "redirection (IPv6)", Kind::Address, Need::WithV6),
    process("process_fork", "who started whom", "sched_process_fork"),
    process("process_exec", "commands of processes", "sched_process_exec"),
    process("process_exit", "ends of processes", "sched_process_exit"),
    PROBE,
    SOCKETS[0],
    SOCKETS[1],
    SOCKETS[2],
    SOCKETS[3],
    SOCKETS[4],
    SOCKETS[5],
    PIPES,
];

/// Attached wherever a library is found.
pub(super) const PROBE: Hook = Hook {
    name: "tap",
    gives: "reading TLS in the process",
    part: Part::Tap,
    kind: Kind::Probe,
    need: Need::Always,
    since: SINCE,
};

/// Attached with the tap, or as soon as anybody's connections are looked at.
pub(super) const SOCKETS: [Hook; 6] = [
    socket("tap_closed", "ends of sockets", "tcp_destroy_sock", Part::Tap),
    socket("tap_closing", "when exactly sockets end", "inet_sock_set_state", Part::Tap),
    socket("tap_mapping", "libraries that are loaded later", "vm_unmapped_area", Part::Tap),
    socket("tap_sent", "what sockets send", "sock_send_length", Part::Sockets),
    socket("tap_received", "what sockets receive", "sock_recv_length", Part::Sockets),
    socket("tap_syscall", "what sockets move, before Linux 6.3", "sys_exit", Part::Calls),
];

/// Attached while anybody needs it.
pub(super) const PIPES: Hook =
    socket("tap_pipes", "MCP over standard input and output", "sys_exit", Part::Pipes);

const fn socket(name: &'static str, gives: &'static str, tracepoint: &'static str, part: Part) -> Hook {
    Hook { name, gives, part, kind: Kind::Tracepoint(tracepoint), need: Need::Never, since: SINCE }
}

const fn redirect(name: &'static str, gives: &'static str, kind: Kind, need: Need) -> Hook {
    Hook { name, gives, part: Part::Redirect, kind, need, since: "5.8" }
}

const fn process(name: &'static str, gives: &'static str, tracepoint: &'static str) -> Hook {
    let kind = Kind::Tracepoint(tracepoint);
    Hook { name, gives, part: Part::Processes, kind, need: Need::Never, since: "5.8" }
}

impl Hook {
    /// Whether a plan has a use for it.
    pub(super) fn wanted(self, plan: &Plan<'_>) -> bool {
        match self.part {
            Part::Redirect => plan.listeners.is_some(),
            Part::Processes => true,
            Part::Tap | Part::Sockets | Part::Calls => plan.tap.tap() && !self.replaced(plan.tap.calls),
            Part::Pipes => false,
        }
    }

    /// Whether another one gives the same on this kernel: `calls` is whether it tells of sockets by system calls alone.
    pub(super) fn replaced(self, calls: bool) -> bool {
        match self.part {
            Part::Sockets => calls,
            Part::Calls => !calls,
            _ => false,
        }
    }

    /// Whether a run fails without it.
    pub(super) fn required(self, v6: bool) -> bool {
        match self.need {
            Need::Always => true,
            Need::WithV6 => v6,
            Need::Never => false,
        }
    }

    /// What is missing without it, for the operator.
    pub(super) fn missing(self, why: &str) -> String {
        format!("{}: {} is not available: {why}", self.name, self.gives)
    }

    /// Whether it reads the kernel's structs and nothing else.
    pub(super) fn needs_layout(self) -> bool {
        self.part == Part::Processes
    }

    /// Has the kernel verify it.
    pub(super) fn load(self, ebpf: &mut Ebpf) -> Result<(), String> {
        let done = match self.kind {
            Kind::Address => self.program::<CgroupSockAddr>(ebpf)?.load(),
            Kind::Socket => self.program::<SockOps>(ebpf)?.load(),
            Kind::Tracepoint(_) => self.program::<RawTracePoint>(ebpf)?.load(),
            Kind::Probe => self.program::<UProbe>(ebpf)?.load(),
        };
        done.map_err(|error| format!("{} (needs Linux {})", reason(&error), self.since))
    }

    /// Attaches a program of a tracepoint; it goes with the link.
    pub(super) fn link(self, ebpf: &mut Ebpf) -> Result<RawTracePointLink, String> {
        let Kind::Tracepoint(name) = self.kind else { return Err("no tracepoint".to_owned()) };
        let program = self.program::<RawTracePoint>(ebpf)?;
        program.attach(name).and_then(|id| program.take_link(id)).map_err(|error| reason(&error))
    }

    /// Attaches it, beside whatever others have attached there.
    pub(super) fn attach(self, ebpf: &mut Ebpf, cgroup: Option<&File>) -> Result<(), String> {
        // Means no flags: a link always stands beside others (`kernel/bpf/cgroup.c`, cgroup_bpf_link_attach).
        let mode = CgroupAttachMode::Single;
        let done = match self.kind {
            Kind::Address => {
                self.program::<CgroupSockAddr>(ebpf)?.attach(cgroup.ok_or("no cgroup")?, mode).map(drop)
            }
            Kind::Socket => self.program::<SockOps>(ebpf)?.attach(cgroup.ok_or("no cgroup")?, mode).map(drop),
            Kind::Probe => Ok(()),
            Kind::Tracepoint(name) => self.program::<RawTracePoint>(ebpf)?.attach(name).map(drop),
        };
        done.map_err(|error| reason(&error))
    }

    fn program<'a, P>(self, ebpf: &'a mut Ebpf) -> Result<&'a mut P, String>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let program = ebpf.program_mut(self.name).ok_or_else(|| "not in the object".to_owned())?;
        program.try_into().map_err(|error: ProgramError| error.to_string())
    }
}

/// An error with its causes in one line: the loader keeps the kernel's words in the last one.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    // A refused program comes with the verifier's whole walk. Its last steps say why.
    match words.len().checked_sub(VERIFIER_WORDS) {
        Some(from) if from > ERROR_WORDS => {
            format!("{} … {}", words[..ERROR_WORDS].join(" "), words[from..].join(" "))
        }
        _ => words.join(" "),
    }
}

/// Words kept of the beginning of a long error.
const ERROR_WORDS: usize = 12;
/// Words kept of its end.
const VERIFIER_WORDS: usize = 60;

/// Cookie of this network namespace; zero where the kernel cannot say (before Linux 5.14).
pub(super) fn netns_cookie() -> u64 {
    let Ok(socket) = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return 0 };
    let mut cookie = 0_u64;
    let mut length: libc::socklen_t = 8;
    // SAFETY: the socket is open for the length of the call, and the kernel writes `length` bytes at most.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if done == 0 { cookie } else { 0 }
}

/// `include/uapi/asm-generic/socket.h`
const SO_NETNS_COOKIE: libc::c_int = 71;
