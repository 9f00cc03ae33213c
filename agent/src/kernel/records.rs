//! The kernel's process records, as facts.

use std::fs;

use nix::time::{ClockId, clock_gettime};
use trackway_abi::{Head, kind};
use trackway_core::flow::Time;
use trackway_core::process::{ProcessFact, ProcessKey};

/// Converts the boot clock to the wall clock, by one offset for the whole run: equal moments stay equal, and
/// the key of a process is the same in each fact about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset_ns: u64,
}

impl Clock {
    /// Reads both clocks. Of a few readings the one with the least time between counts.
    pub(super) fn start() -> Self {
        let reading = || {
            let before = read(ClockId::CLOCK_BOOTTIME);
            let wall = read(ClockId::CLOCK_REALTIME);
            let width = read(ClockId::CLOCK_BOOTTIME).saturating_sub(before);
            (width, wall.saturating_sub(before + width / 2))
        };
        let best = (0..5).map(|_| reading()).min().unwrap_or_default();
        Self { offset_ns: best.1 }
    }

    /// A moment of the boot clock.
    pub(super) fn wall(self, boot_ns: u64) -> Time {
        Time(self.offset_ns.saturating_add(boot_ns))
    }

    /// This moment.
    pub(super) fn now(self) -> Time {
        self.wall(read(ClockId::CLOCK_BOOTTIME))
    }

    /// A process's key.
    pub(super) fn process(self, pid: u32, started_ns: u64) -> ProcessKey {
        ProcessKey { pid, started: self.wall(started_ns) }
    }
}

/// A tick of the clock in `/proc/PID/stat` (`USER_HZ`, `include/asm-generic/param.h`).
pub const TICK_NS: u64 = 10_000_000;

fn read(clock: ClockId) -> u64 {
    let nanos = |t: nix::sys::time::TimeSpec| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
    };
    clock_gettime(clock).map_or(0, nanos)
}

/// Reads one record; `None` where it is not one of ours.
pub(super) fn fact(record: &[u8], clock: Clock) -> Option<ProcessFact> {
    let (head, text) = record.split_at_checked(size_of::<Head>())?;
    let head = parse(head)?;
    let process = clock.process(head.pid, head.started_ns);
    let time = clock.wall(head.time_ns);
    match head.kind {
        kind::FORK => {
            let parent = clock.process(head.parent, head.parent_started_ns);
            Some(ProcessFact::Fork { parent, child: process, time })
        }
        kind::EXEC => {
            let (filename, rest) = text.split_at_checked(usize::try_from(head.filename_bytes).ok()?)?;
            let argv = rest.get(..usize::try_from(head.argv_bytes).ok()?)?;
            Some(ProcessFact::Exec {
                process,
                filename: strings(filename).next().unwrap_or_default(),
                argv: strings(argv).collect(),
                truncated: head.argv_bytes < head.argv_total,
                cwd: cwd(head.pid),
                time,
            })
        }
        kind::EXIT => Some(ProcessFact::Exit { process, status: status(head.status), time }),
        _ => None,
    }
}

/// Field by field, in the order of [`Head`]: a record may stand anywhere, so nothing is said of its alignment.
fn parse(bytes: &[u8]) -> Option<Head> {
    let (longs, words) = bytes.split_at_checked(24)?;
    let [time_ns, started_ns, parent_started_ns] = longs.as_chunks::<8>().0 else { return None };
    let [kind, pid, parent, status, filename, argv, total, reserved] = words.as_chunks::<4>().0 else {
        return None;
    };
    Some(Head {
        time_ns: u64::from_ne_bytes(*time_ns),
        started_ns: u64::from_ne_bytes(*started_ns),
        parent_started_ns: u64::from_ne_bytes(*parent_started_ns),
        kind: u32::from_ne_bytes(*kind),
        pid: u32::from_ne_bytes(*pid),
        parent: u32::from_ne_bytes(*parent),
        status: u32::from_ne_bytes(*status),
        filename_bytes: u32::from_ne_bytes(*filename),
        argv_bytes: u32::from_ne_bytes(*argv),
        argv_total: u32::from_ne_bytes(*total),
        reserved: u32::from_ne_bytes(*reserved),
    })
}

/// Strings that each end in NUL. The last one may have lost its end, and an empty one is a string too.
fn strings(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes
        .split_inclusive(|byte| *byte == 0)
        .map(|string| String::from_utf8_lossy(string.strip_suffix(&[0]).unwrap_or(string)).into_owned())
}

/// As `wait(2)` gives it: the signal in the low seven bits (0x80 says that a core was written), else the code.
fn status(status: u32) -> Result<i32, i32> {
    let low = |value: u32| i32::from(u8::try_from(value & 0xff).unwrap_or_default());
    match low(status & 0x7f) {
        0 => Ok(low(status >> 8)),
        signal => Err(signal),
    }
}

/// Where the process is now, a poll's interval after the exec; `None` where it has ended.
fn cwd(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
