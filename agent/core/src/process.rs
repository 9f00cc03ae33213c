//! What the kernel, or `/proc`, says of processes.

use crate::flow::Time;

/// A process, unambiguous across pid reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Thread group id, in the namespace of Trackway.
    pub pid: u32,
    /// When it was forked, in nanoseconds since the Unix epoch. Kernel clock converted; equal for every
    /// fact about one process.
    pub started: Time,
}

/// One fact about a process, in the order in which the kernel gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessFact {
    /// `parent` forked `child`.
    Fork {
        /// Who forked.
        parent: ProcessKey,
        /// The new process.
        child: ProcessKey,
        /// When.
        time: Time,
    },
    /// A process replaced its image.
    Exec {
        /// Who.
        process: ProcessKey,
        /// The file as given to the kernel.
        filename: String,
        /// Arguments, `argv[0]` first; lossy UTF-8.
        argv: Vec<String>,
        /// Whether arguments were cut at the capture limit.
        truncated: bool,
        /// The working directory, where it could be read.
        cwd: Option<String>,
        /// When.
        time: Time,
    },
    /// A process ended.
    Exit {
        /// Who.
        process: ProcessKey,
        /// Exit status: `Ok(code)` or `Err(signal)`.
        status: Result<i32, i32>,
        /// When.
        time: Time,
    },
    /// Facts were lost in the kernel's buffer.
    Lost {
        /// How many since the last report.
        count: u64,
        /// When this was noticed.
        time: Time,
    },
}
