//! What `/proc` and its files tell of a process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};
use trackway_core::redact;

use crate::app::resource::container;
use crate::descent;
use crate::limits::DOCTOR_PEERS;
use crate::tap::explain::{self, Candidate, Looked};

/// One process.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) pid: u32,
    /// Its command line, without secrets.
    pub(super) command: Vec<String>,
    pub(super) executable: PathBuf,
    /// Those below it, with their names.
    pub(super) below: Vec<(u32, String)>,
    pub(super) root: Root,
    /// Whether a Java machine runs in it.
    pub(super) java: bool,
    /// What its files hold.
    pub(super) files: Vec<Looked>,
    /// Why they cannot be opened.
    pub(super) closed: Option<Closed>,
    /// Established TCP connections, or nothing where its sockets may not be seen.
    pub(super) peers: Option<Peers>,
}

/// Whose files a process sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Root {
    /// Whether its mounts are others than ours; nothing where that may not be seen.
    pub(super) own: Option<bool>,
    pub(super) container: Option<String>,
    /// What it calls `/`.
    pub(super) path: Option<PathBuf>,
}

/// Why the executable of a process cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It belongs to somebody else.
    NotOurs,
    /// It has none: a thread of the kernel, or a process that has ended and is not yet buried.
    NoImage,
}

/// Connections by where they go: how many to each, the most usual port of TLS first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peers {
    pub(super) to: Vec<(SocketAddr, usize)>,
    /// Those for which there was no room.
    pub(super) more: usize,
}

impl Facts {
    /// Looks. `search` does the long work, and is told what it is.
    pub(super) fn of(pid: u32, search: impl Fn(&str, &Candidate) -> Looked) -> Option<Self> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        process.stat().ok()?;
        let (candidates, closed) = match explain::candidates(pid) {
            Ok(candidates) => (candidates, None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                (Vec::new(), Some(Closed::NotOurs))
            }
            Err(_) => (Vec::new(), Some(Closed::NoImage)),
        };
        let look = |file: &Candidate| {
            let size = file.size() / 1_000_000;
            search(&format!("looking into {} ({size} MB) …", file.path().display()), file)
        };
        let files = candidates.iter().map(look).collect();
        Some(Self {
            pid,
            command: redact::arguments(&process.cmdline().unwrap_or_default()),
            executable: process.exe().unwrap_or_default(),
            below: below(pid),
            root: Root::of(pid),
            java: explain::is_java(pid),
            files,
            closed,
            peers: Peers::of(&process),
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        let program = self.command.first().map_or(self.executable.as_path(), Path::new);
        program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

impl Root {
    fn of(pid: u32) -> Self {
        let mounts = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
        let own = mounts(&pid.to_string()).zip(mounts("self")).map(|(theirs, ours)| theirs != ours);
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let path = fs::read_link(format!("/proc/{pid}/root")).ok();
        Self { own, container: container(&cgroup), path }
    }
}

impl Peers {
    fn of(process: &Process) -> Option<Self> {
        let mut sockets = BTreeSet::new();
        for entry in process.fd().ok()?.flatten() {
            if let FDTarget::Socket(inode) = entry.target {
                sockets.insert(inode);
            }
        }
        let tables = [process.tcp().unwrap_or_default(), process.tcp6().unwrap_or_default()];
        let peers = tables
            .into_iter()
            .flatten()
            .filter(|entry| entry.state == TcpState::Established && sockets.contains(&entry.inode));
        Some(Self::group(peers.map(|entry| entry.remote_address)))
    }

    fn group(peers: impl Iterator<Item = SocketAddr>) -> Self {
        let mut counts: BTreeMap<(bool, u16, IpAddr), usize> = BTreeMap::new();
        for peer in peers {
            let (address, port) = (peer.ip().to_canonical(), peer.port());
            *counts.entry((port != 443, port, address)).or_default() += 1;
        }
        let more = counts.values().skip(DOCTOR_PEERS).sum();
        let to = counts.into_iter().take(DOCTOR_PEERS);
        Self { to: to.map(|((_, port, ip), count)| (SocketAddr::new(ip, port), count)).collect(), more }
    }
}

/// The processes below one, that run still.
fn below(pid: u32) -> Vec<(u32, String)> {
    let all = all_processes().into_iter().flatten().flatten().filter_map(|process| process.stat().ok());
    let mut names = BTreeMap::new();
    let parents: Vec<(u32, u32)> = all
        .filter_map(|stat| {
            let (pid, parent) = (u32::try_from(stat.pid).ok()?, u32::try_from(stat.ppid).ok()?);
            names.insert(pid, stat.comm);
            Some((pid, parent))
        })
        .collect();
    let order = descent::below(parents, pid);
    order.into_iter().filter_map(|pid| Some((pid, names.remove(&pid)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_counted_and_the_port_of_tls_comes_first() {
        let peers = ["[::ffff:10.0.0.1]:443", "127.0.0.1:80", "10.0.0.1:443", "[::1]:9"];
        let peers = Peers::group(peers.iter().map(|peer| peer.parse().unwrap()));
        let to: Vec<String> = peers.to.iter().map(|(peer, count)| format!("{peer} {count}")).collect();
        assert_eq!(to, ["10.0.0.1:443 2", "[::1]:9 1", "127.0.0.1:80 1"]);
        let many = (0..300).map(|port| SocketAddr::from(([127, 0, 0, 1], 1000 + port)));
        let many = Peers::group(many);
        assert_eq!((many.to.len(), many.more), (DOCTOR_PEERS, 300 - DOCTOR_PEERS));
    }
}
