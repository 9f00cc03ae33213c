//! What `doctor` looks at.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::{Finding, Report, State};
use crate::kernel::cgroup::Cgroup;
use crate::kernel::{self, Kernel};
use crate::limits::DOCTOR_CONNECT;
use crate::settings;
use crate::trust::system::Store;

/// Oldest kernel that the programs are written for.
const OLDEST: (u32, u32) = (5, 15);

/// Agents and runtimes worth naming.
const KNOWN: [&str; 14] = [
    "claude",
    "codex",
    "gemini",
    "opencode",
    "aider",
    "goose",
    "cursor-agent",
    "copilot",
    "crush",
    "amp",
    "qwen",
    "python3",
    "node",
    "java",
];

/// What `run` needs for the kernel's help, as bits of `CapEff` (linux/capability.h).
const CAPABILITIES: [(&str, u32); 3] = [("CAP_SYS_ADMIN", 21), ("CAP_BPF", 39), ("CAP_NET_ADMIN", 12)];

const AS_ROOT: &str = "run trackway as root (sudo), to see child processes and what ignores HTTPS_PROXY";

pub(super) fn report() -> Report {
    let (privileges, privileged) = privileges();
    let (redirection, redirects) = redirection();
    let (loopback, listens) = loopback();
    let (folder, writes) = folder();
    let mut findings = vec![release(), privileges];
    findings.extend(programs());
    findings.extend([redirection, namespace(), loopback, folder, trust(), agents(), proxy(), collector()]);
    Report { findings, kernel: privileged && redirects, works: listens && writes }
}

fn good(name: &str, detail: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), state: State::Good, detail: detail.into(), remedy: None }
}

fn less(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), state: State::Less, detail: detail.into(), remedy: Some(remedy.into()) }
}

pub(super) fn info(name: &str, detail: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), state: State::Info, detail: detail.into(), remedy: None }
}

pub(super) fn release() -> Finding {
    let name = "kernel";
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let text = format!("Linux {release}");
    if version >= OLDEST { good(name, text) } else { less(name, text, "Linux 5.15 or later is needed") }
}

pub(super) fn privileges() -> (Finding, bool) {
    let name = "privileges";
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(_, bit)| mask & 1 << bit == 0)
        .map(|(capability, _)| *capability)
        .collect();
    let root = nix::unistd::geteuid().is_root();
    let finding = match (root, missing.is_empty()) {
        (true, true) => good(name, "root with all capabilities that are needed"),
        (true, false) => less(
            name,
            format!("root without {}", missing.join(", ")),
            "give the container these capabilities, or run on the host",
        ),
        (false, _) => less(name, "an ordinary user", AS_ROOT),
    };
    (finding, root && missing.is_empty())
}

/// What the kernel side says of itself.
fn programs() -> Vec<Finding> {
    kernel::probe()
        .into_iter()
        .map(|check| match check.outcome {
            Ok(()) => good(&check.name, "works"),
            Err(why) => less(&check.name, why, check.remedy),
        })
        .collect()
}

/// Whether all that a run needs of the kernel can be had together: attaches to an empty cgroup, and lets go.
fn attaches() -> Result<(), String> {
    let cgroup = Cgroup::create().map_err(|error| error.to_string())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Kernel::attach(cgroup.path(), address, None).map(drop).map_err(|error| error.to_string())
}

/// Whether a run gets the kernel's help.
fn redirection() -> (Finding, bool) {
    let name = "redirection";
    match attaches() {
        Ok(()) => (good(name, "attaches to a cgroup of a run"), true),
        Err(why) => (less(name, why, AS_ROOT), false),
    }
}

fn namespace() -> Finding {
    let name = "mount namespace";
    // In a thread of its own, whose view of the file system goes with it.
    let tried = std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNS)).join();
    match tried {
        Ok(Ok(())) => good(name, "the command can get its own view of the certificate stores"),
        _ => less(name, "not allowed: the certificate is told by environment variables alone", AS_ROOT),
    }
}

fn loopback() -> (Finding, bool) {
    let name = "loopback";
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => (good(name, "listens on 127.0.0.1"), true),
        Err(error) => {
            (less(name, error.to_string(), "bring the loopback interface up: ip link set lo up"), false)
        }
    }
}

fn folder() -> (Finding, bool) {
    let name = "temporary folder";
    let path = std::env::temp_dir();
    let probe = path.join(format!("trackway-doctor-{}", std::process::id()));
    match fs::create_dir(&probe) {
        Ok(()) => {
            fs::remove_dir(&probe).ok();
            (good(name, path.display().to_string()), true)
        }
        Err(error) => (
            less(name, format!("{}: {error}", path.display()), "set TMPDIR to a folder that can be written"),
            false,
        ),
    }
}

fn trust() -> Finding {
    let name = "certificates";
    let store = Store::find();
    let count = store.bundle().certificates.len();
    if count == 0 {
        return less(
            name,
            "no system store found: HTTPS cannot be read",
            "install the package ca-certificates",
        );
    }
    let places: Vec<String> =
        store.files.iter().chain(&store.hashed).map(|path| path.display().to_string()).collect();
    good(name, format!("{count} roots in {}", places.join(", ")))
}

fn agents() -> Finding {
    let found: Vec<&str> =
        KNOWN.into_iter().filter(|name| crate::path::find(OsStr::new(name)).is_some()).collect();
    info("known programs", if found.is_empty() { "none on PATH".to_owned() } else { found.join(", ") })
}

fn proxy() -> Finding {
    let name = "proxy variables";
    let set = settings::PROXIES.into_iter().find(|name| settings::get(name).is_some());
    match set {
        None => good(name, "none set"),
        Some(variable) => less(
            name,
            format!("{variable} is set: without root, the command would pass by Trackway"),
            format!("run as root, or unset {variable}"),
        ),
    }
}

fn collector() -> Finding {
    let name = "collector";
    let set = settings::ENDPOINTS.into_iter().find_map(settings::get);
    let Some(endpoint) = set else {
        return info(name, "none set; give --otlp URL or OTEL_EXPORTER_OTLP_ENDPOINT");
    };
    match reach(&endpoint, DOCTOR_CONNECT) {
        Ok(()) => good(name, format!("{} accepts connections", shown(&endpoint))),
        Err(reason) => less(
            name,
            format!("{}: {reason}", shown(&endpoint)),
            "start the collector, or correct the address",
        ),
    }
}

/// An address without what may be secret in it.
fn shown(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
}

fn reach(endpoint: &str, patience: Duration) -> Result<(), String> {
    let shown = shown(endpoint);
    let (scheme, rest) = shown.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let port = if scheme == "https" { 443 } else { 80 };
    let addresses = authority.to_socket_addrs().or_else(|_| (authority, port).to_socket_addrs());
    let mut last = "no address".to_owned();
    for address in addresses.map_err(|error| error.to_string())? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}
