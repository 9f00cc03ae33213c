//! Which processes serve others: one that listens for connections from other machines has many people to answer.

use std::collections::HashSet;
use std::net::IpAddr;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use trackway_core::process::ProcessKey;

use crate::limits::SERVERS;

/// The processes that were looked at.
#[derive(Debug, Default)]
pub(super) struct Servers(HashSet<ProcessKey>);

impl Servers {
    /// Whether a process listens; looked at once, when it first calls a model.
    pub(super) fn look(&mut self, process: ProcessKey) -> bool {
        let new = self.0.len() < SERVERS && self.0.insert(process);
        new && i32::try_from(process.pid).is_ok_and(listens)
    }
}

/// Whether a process listens on an address that is not loopback's. A process that cannot be looked at does not.
fn listens(pid: i32) -> bool {
    let Ok(process) = Process::new(pid) else { return false };
    let Ok(files) = process.fd() else { return false };
    let sockets: HashSet<u64> = files
        .filter_map(|file| match file.ok()?.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let local = |address: IpAddr| address.to_canonical().is_loopback();
    [process.tcp(), process.tcp6()].into_iter().flatten().flatten().any(|entry| {
        entry.state == TcpState::Listen && !local(entry.local_address.ip()) && sockets.contains(&entry.inode)
    })
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
        drop(open);
        assert!(!listens(pid));
        assert!(!listens(0));
    }
}
