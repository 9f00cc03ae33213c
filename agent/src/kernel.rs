//! The eBPF side: redirects a cgroup's connections and reports its processes.

use std::net::SocketAddr;
use std::path::Path;

use trackway_core::process::ProcessFact;
use trackway_proxy::Client;

/// Why the kernel side is not available.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be loaded or attached.
    #[error("cannot load the eBPF program {program}: {reason}; run `trackway doctor` for the remedy")]
    Load {
        /// Which.
        program: &'static str,
        /// What the kernel said.
        reason: String,
    },
}

/// Loaded and attached programs. They go when this value (or the process) goes: nothing is pinned.
#[derive(Debug)]
pub struct Kernel {}

impl Kernel {
    /// Attaches to a cgroup: TCP connections from it go to the listeners (`v4` on 127.0.0.1, `v6` on ::1),
    /// and its processes are reported. Must be called before any process of the run enters the cgroup.
    pub fn attach(cgroup: &Path, v4: SocketAddr, v6: Option<SocketAddr>) -> Result<Self, Error> {
        let _unused = (cgroup, v4, v6);
        Err(Error::Load { program: "connect4", reason: "not built in".to_owned() })
    }

    /// Who opened the connection whose client end is `peer`, and where it meant to go.
    pub fn client(&self, peer: SocketAddr) -> Option<Client> {
        let _unused = peer;
        None
    }

    /// Appends the process facts that arrived since the last time. Polled; never blocks.
    pub fn drain(&mut self, out: &mut Vec<ProcessFact>) {
        let _unused = out;
    }
}
