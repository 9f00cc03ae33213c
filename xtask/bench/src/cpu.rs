//! Cores and the time spent on them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::contender::mortal;

/// The core that proxies run on.
pub(crate) const PROXY_CORE: usize = 0;
/// The core that the client and the origin run on.
pub(crate) const PEER_CORE: usize = 1;

/// Binds the calling process to one core (to whatever there is, on a machine with a single one).
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() && sched_setaffinity(Pid::from_raw(0), &set).is_err() {
        eprintln!("cannot bind to core {core}: figures will be noisier");
    }
}

/// Keeps the cores from falling asleep as long as it lives, by processes that run only where nobody else wants to:
/// what it costs to wake a core, and which work that falls to, else differs more than what is measured.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    pub(crate) fn start() -> Self {
        let spin = |core: usize| {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
            mortal(&mut command);
            bound(&mut command, core);
            command.spawn()
        };
        let cores: Result<Vec<Child>, _> = [PROXY_CORE, PEER_CORE].into_iter().map(spin).collect();
        Self(cores.unwrap_or_else(|error| {
            eprintln!("cannot start chrt ({error}): figures will be noisier");
            Vec::new()
        }))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            if child.kill().is_ok() {
                drop(child.wait());
            }
        }
    }
}

/// Puts a command on a core.
pub(crate) fn bound(command: &mut Command, core: usize) {
    // SAFETY: between fork and exec only sched_setaffinity(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            pin(core);
            Ok(())
        });
    }
}

/// Nanoseconds on a CPU so far, over all threads of these processes (`/proc/PID/task/*/schedstat`).
pub(crate) fn spent_ns(pids: &[u32]) -> Result<u64> {
    let mut total = 0;
    for pid in pids {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))?;
        for task in tasks.flatten() {
            let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            total += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(total)
}

/// Resident memory of these processes in KiB (`VmRSS`).
pub(crate) fn resident_kib(pids: &[u32]) -> u64 {
    pids.iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok())
        .filter_map(|status| {
            let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.trim().to_owned();
            line.split(' ').next()?.parse::<u64>().ok()
        })
        .sum()
}

/// `CLOCK_MONOTONIC` in nanoseconds: one clock for all processes of the machine.
pub(crate) fn monotonic_ns() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map(|t| t.tv_sec().unsigned_abs() * 1_000_000_000 + t.tv_nsec().unsigned_abs())
        .unwrap_or_default()
}
