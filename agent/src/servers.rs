//! Which processes serve others: one that listens for connections from other machines has many people to answer.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use trackway_core::flow::Time;
use trackway_core::process::ProcessKey;

use crate::limits::{LISTENING_NS, SERVERS};

/// The processes that were looked at.
#[derive(Debug, Default)]
pub struct Servers(HashSet<ProcessKey>);

impl Servers {
    /// Whether a process listens; looked at once, when it first calls a model.
    pub fn look(&mut self, process: ProcessKey) -> bool {
        let new = self.0.len() < SERVERS && self.0.insert(process);
        new && i32::try_from(process.pid).is_ok_and(listens)
    }
}

/// Whether a process listens on an address that is not loopback's. A process that cannot be looked at does not.
fn listens(pid: i32) -> bool {
    listening(pid).into_iter().any(|address| !address.ip().to_canonical().is_loopback())
}

/// Where processes listen, asked once in a while: the kernel's list is long where many connections are.
#[derive(Debug, Default)]
pub struct Listening {
    known: HashMap<u32, (Time, Vec<u16>)>,
    /// How often all was forgotten, because there was no room.
    pub cleared: u64,
}

impl Listening {
    /// Whether a connection with this end came to a process, and not from it: the process listens on the end's port.
    pub fn accepted(&mut self, pid: u32, end: SocketAddr, now: Time) -> bool {
        let asked = self.known.get(&pid).is_some_and(|(asked, _)| now.since(*asked) < LISTENING_NS);
        if !asked {
            if self.known.len() >= SERVERS {
                self.known.clear();
                self.cleared += 1;
            }
            let found = i32::try_from(pid).map(listening).unwrap_or_default();
            self.known.insert(pid, (now, found.iter().map(SocketAddr::port).collect()));
        }
        self.known.get(&pid).is_some_and(|(_, ports)| ports.contains(&end.port()))
    }

    /// A process has ended: its number may be another's soon.
    pub fn forget(&mut self, pid: u32) {
        self.known.remove(&pid);
    }
}

/// Where a process listens.
fn listening(pid: i32) -> Vec<SocketAddr> {
    let Ok(process) = Process::new(pid) else { return Vec::new() };
    let Ok(files) = process.fd() else { return Vec::new() };
    let sockets: HashSet<u64> = files
        .filter_map(|file| match file.ok()?.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let entries = [process.tcp(), process.tcp6()].into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode))
        .map(|entry| entry.local_address)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_who_listens_for_other_machines_serves() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(!listens(pid));
        let _loopback = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!listens(pid));
        let open = TcpListener::bind("0.0.0.0:0").unwrap();
        assert!(listens(pid));
        let (own, end) = (std::process::id(), open.local_addr().unwrap());
        let mut known = Listening::default();
        assert!(known.accepted(own, end, Time(1)));
        drop(open);
        // Asked a moment ago; and then again.
        assert!(known.accepted(own, end, Time(LISTENING_NS)));
        assert!(!known.accepted(own, end, Time(1 + LISTENING_NS)));
        assert!(!listens(pid));
        assert!(!listens(0));
    }
}
