//! Cores and the time spent on them.

use std::fs;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

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
