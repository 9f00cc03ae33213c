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

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
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
    /// Starts it, before anything but the folder is made. `listener` is the one that the run's programs may be
    /// told of later.
    pub fn start(folder: &Path, listener: &TcpListener) -> io::Result<Self> {
        let (reader, control) = io::pipe()?;
        inherit(&reader, true)?;
        let listener = listener.try_clone()?;
        inherit(&listener, true)?;
        let child = Command::new("/proc/self/exe")
            .arg0("trackway")
            .arg(VERB)
            .arg(folder)
            .args([reader.as_raw_fd(), listener.as_raw_fd()].map(|fd| fd.to_string()))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, control })
    }

    /// Tells it of what was made, or came to be, since.
    pub fn tell(&mut self, news: &News<'_>) -> io::Result<()> {
        self.control.write_all(&news.encode())
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

/// What the guard is told while the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// A cgroup was made.
    Cgroup(&'a Path),
    /// The run's programs are told of the listener.
    Told,
    /// The command's process.
    Command(u32),
}

impl<'a> News<'a> {
    fn encode(&self) -> Vec<u8> {
        let (sign, value) = match self {
            News::Cgroup(path) => (b'g', path.as_os_str().as_bytes().to_vec()),
            News::Told => (b't', Vec::new()),
            News::Command(pid) => (b'c', pid.to_string().into_bytes()),
        };
        [&[sign], value.as_slice(), &[0]].concat()
    }

    fn decode(record: &'a [u8]) -> Option<Self> {
        match record.split_first()? {
            (b'g', path) => Some(News::Cgroup(Path::new(OsStr::from_bytes(path)))),
            (b't', _) => Some(News::Told),
            (b'c', pid) => std::str::from_utf8(pid).ok()?.parse().ok().map(News::Command),
            _ => None,
        }
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
    let Some(folder) = args.next() else { return 125 };
    let mut numbers = args.map_while(|word| word.to_str()?.parse::<RawFd>().ok());
    let (Some(control), Some(listener)) = (numbers.next(), numbers.next()) else { return 125 };
    close_others(&[control, listener]);
    let (Ok(control), Ok(listener)) = (adopt(control), adopt(listener)) else { return 125 };
    // A process group leader cannot begin a session; a freshly spawned process is none.
    nix::unistd::setsid().ok();

    let mut told = Vec::new();
    // Ends when the last copy of the other end is closed, which only our parent holds.
    fs::File::from(control).read_to_end(&mut told).ok();
    let (mut cgroup, mut command, mut serves) = (None, None, false);
    for news in told.split(|byte| *byte == 0).filter_map(News::decode) {
        match news {
            News::Cgroup(path) => cgroup = Some(path.to_path_buf()),
            News::Command(pid) => command = Some(pid),
            // The kernel did not help after all: the run's processes are in no cgroup of ours.
            News::Told => (serves, cgroup) = (true, None),
        }
    }
    let traces = Traces { folder: folder.into(), cgroup };
    let survivors = Survivors::of(&traces, command);

    if serves {
        let listener = TcpListener::from(listener);
        std::thread::spawn(move || tunnel::serve(listener));
    }
    let (mut pause, longest) = GUARD_LOOK;
    while survivors.any() {
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
    traces.remove();
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_arrive_as_told() {
        let all = [News::Cgroup(Path::new("/sys/fs/cgroup/a\nb")), News::Told, News::Command(4711)];
        let text: Vec<u8> = all.iter().flat_map(News::encode).collect();
        assert!(text.split(|byte| *byte == 0).filter_map(News::decode).eq(all));
        assert_eq!(News::decode(b"c12x"), None);
        assert_eq!(News::decode(b""), None);
    }
}
