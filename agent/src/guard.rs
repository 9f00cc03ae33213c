//! The guard: a small process that outlives us, so that nothing stays behind, however we end.
//!
//! It sleeps on a pipe whose other end only we hold. When that end closes without our having dismissed it (we were
//! killed, or processes of the run outlive the command), it waits until the run's last process is gone and
//! removes what the run had made. Without root it also carries on the listener that the run's programs were told
//! of, as a proxy that reads nothing, so that their next connections go through and still verify.
//!
//! It has a session of its own (no signal of the terminal reaches it) and holds none of our standard streams
//! (no pipeline waits for it).

mod survivors;
mod tunnel;

use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::descriptor::{adopt, close_others, inherit};
use crate::limits::GUARD_LOOK;

pub use survivors::Survivors;

/// The hidden verb.
pub const VERB: &str = "__guard";

/// Our side of it.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    control: PipeWriter,
}

/// What a run has made on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Its folder of files.
    pub folder: PathBuf,
    /// Its cgroup.
    pub cgroup: Option<PathBuf>,
}

impl Guard {
    /// Starts it. `listeners` are those that the run's programs were told of by their environment.
    pub fn start(traces: &Traces, listeners: &[TcpListener]) -> io::Result<Self> {
        let (reader, control) = io::pipe()?;
        inherit(&reader, true)?;
        let mut kept: Vec<OwnedFd> = vec![reader.into()];
        for listener in listeners {
            let copy = listener.try_clone()?;
            inherit(&copy, true)?;
            kept.push(copy.into());
        }
        let child = Command::new("/proc/self/exe")
            .arg0("trackway")
            .arg(VERB)
            .arg(&traces.folder)
            .arg(traces.cgroup.as_deref().unwrap_or(Path::new("")))
            .args(kept.iter().map(|fd| fd.as_raw_fd().to_string()))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, control })
    }

    /// Tells it of the command's process.
    pub fn watch(&mut self, pid: u32) -> io::Result<()> {
        writeln!(self.control, "{pid}")
    }

    /// Nothing is left for it to do.
    pub fn dismiss(mut self) {
        // It does nothing yet, and nothing at its end: the quickest way is the best.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Leaves the rest to it.
    pub fn take_over(self) {
        drop(self.control);
    }
}

impl Traces {
    /// Removes everything.
    pub fn remove(&self) {
        if let Some(cgroup) = &self.cgroup {
            remove_cgroup(cgroup);
        }
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Removes a cgroup and those that the run's own programs made below it. Only empty ones can be removed.
fn remove_cgroup(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    fs::remove_dir(path).ok();
}

/// The guard's own `main`.
pub fn run(mut args: impl Iterator<Item = OsString>) -> i32 {
    let (Some(folder), Some(cgroup)) = (args.next(), args.next()) else { return 125 };
    let traces = Traces {
        folder: folder.into(),
        cgroup: Some(cgroup.into()).filter(|p: &PathBuf| *p != Path::new("")),
    };
    let numbers: Vec<RawFd> =
        args.map_while(|word| word.to_str().and_then(|text| text.parse().ok())).collect();
    close_others(&numbers);
    let mut numbers = numbers.into_iter();
    let Some(Ok(control)) = numbers.next().map(adopt) else { return 125 };
    let listeners: Vec<TcpListener> =
        numbers.filter_map(|number| adopt(number).ok()).map(TcpListener::from).collect();
    // A process group leader cannot begin a session; a freshly spawned process is none.
    nix::unistd::setsid().ok();

    let mut told = String::new();
    // Ends when the last copy of the other end is closed, which only our parent holds.
    fs::File::from(control).read_to_string(&mut told).ok();
    let command = told.lines().find_map(|line| line.parse().ok());
    let survivors = Survivors::of(&traces, command);

    if !listeners.is_empty() {
        std::thread::spawn(move || tunnel::serve(listeners));
    }
    let (mut pause, longest) = GUARD_LOOK;
    while survivors.any() {
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
    traces.remove();
    0
}
