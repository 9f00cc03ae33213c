//! The command that is run: started exactly as it would start without us, and waited for.
//!
//! Invariants: its standard streams, terminal, working directory, arguments, signal mask and ignored signals
//! are those that we were started with; its environment differs only by the variables of the [`Plan`].
//! It stays in our process group, so the terminal's signals reach it as they would without us.

pub mod signals;
pub mod stage;

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::descriptor::inherit;
use signals::{Original, Pending};

/// What stands between us and the command's own image: see [`stage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// Variables that are set, or replaced, in its environment.
    pub variables: Vec<(OsString, OsString)>,
    /// The cgroup that it joins.
    pub cgroup: Option<PathBuf>,
    /// Directories whose files appear in other directories, for its eyes alone: `(files, directory)`.
    pub overlays: Vec<(PathBuf, PathBuf)>,
    /// Files that appear in place of others, for its eyes alone: `(file, in place of)`.
    pub binds: Vec<(PathBuf, PathBuf)>,
}

/// Why the command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command does not exist.
    #[error("{command}: command not found")]
    NotFound {
        /// As given.
        command: String,
    },
    /// The command exists and cannot be executed.
    #[error("{command}: {reason}")]
    NotExecutable {
        /// As given.
        command: String,
        /// What the kernel said.
        reason: io::Error,
    },
    /// We could not start a process at all.
    #[error("cannot start a process: {0}")]
    Spawn(#[source] io::Error),
}

impl Error {
    /// The exit code that `env`, `nohup` and the shells give.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::NotFound { .. } => 127,
            Error::NotExecutable { .. } => 126,
            Error::Spawn(_) => 125,
        }
    }
}

/// The running command.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
}

/// Starts the command. Returns once its own image has replaced ours, with what the stage could not do.
pub fn spawn(plan: &Plan, original: &Original) -> Result<(Child, Vec<String>), Error> {
    let (mut reports, report) = io::pipe().map_err(Error::Spawn)?;
    inherit(&report, true).map_err(Error::Spawn)?;
    // The stage is this very binary, also where its file was replaced or removed meanwhile.
    let stage = Command::new("/proc/self/exe")
        .arg0("trackway")
        .args(stage::arguments(plan, report.as_raw_fd(), original))
        .spawn()
        .map_err(Error::Spawn)?;
    drop(report);
    let child = Child { pid: Pid::from_raw(stage.id().cast_signed()) };

    let mut text = String::new();
    reports.read_to_string(&mut text).map_err(Error::Spawn)?;
    let mut notes = Vec::new();
    for line in text.lines() {
        match stage::Report::parse(line) {
            Some(stage::Report::Note(note)) => notes.push(note.to_owned()),
            Some(stage::Report::Exec(errno)) => {
                child.reap();
                return Err(refusal(plan, errno));
            }
            None => {}
        }
    }
    Ok((child, notes))
}

impl Child {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Waits for its end while passing on what is sent to us; stops when it stops, continues it when we are
    /// continued.
    pub fn supervise(&self, pending: &Pending) -> Result<i32, i32> {
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Err(signal as i32),
                Ok(WaitStatus::Stopped(..)) => {
                    self.stop();
                    continue;
                }
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => continue,
                // Someone else took its status (SIGCHLD was ignored when we were started): it has ended.
                Err(_) => return Ok(0),
            }
            let Some(signal) = pending.next() else { continue };
            if signal.kind != Signal::SIGCHLD && signal.addressed_to_us {
                // The command may have ended in between: then there is nobody to tell.
                kill(self.pid, signal.kind).ok();
            }
        }
    }

    /// Stops us as the command was stopped, so that the shell sees its job stop. Returns when we are
    /// continued; a command that was not continued along with us (same process group) is continued then.
    fn stop(&self) {
        raise(Signal::SIGSTOP).ok();
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WCONTINUED)) {
            Ok(WaitStatus::Continued(_)) => {}
            _ => {
                kill(self.pid, Signal::SIGCONT).ok();
            }
        }
    }

    fn reap(&self) {
        while waitpid(self.pid, None) == Err(nix::errno::Errno::EINTR) {}
    }
}

/// Ends this process as the command ended: with its code, or by its signal.
pub fn end_like(status: Result<i32, i32>) -> i32 {
    match status {
        Ok(code) => code,
        Err(number) => {
            signals::die_by(number);
            // Only reached where the signal does not end a process.
            128 + number
        }
    }
}

fn refusal(plan: &Plan, errno: i32) -> Error {
    let command = plan.command.first().map(|c| c.to_string_lossy().into_owned()).unwrap_or_default();
    let reason = io::Error::from_raw_os_error(errno);
    if reason.kind() == io::ErrorKind::NotFound {
        Error::NotFound { command }
    } else {
        Error::NotExecutable { command, reason }
    }
}
