//! The cgroup that a run is put into.
//!
//! It stands below the caller's own, so that limits which hold for the caller hold for the run. No process is
//! ever killed here.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Names that are tried before giving up.
const ATTEMPTS: usize = 8;

/// Why there is no cgroup for the run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cgroup2 filesystem can be seen.
    #[error("no cgroup2 filesystem is mounted; mount one with `mount -t cgroup2 none /sys/fs/cgroup`")]
    NotMounted,
    /// The caller's own cgroup cannot be reached through the mount.
    #[error(
        "the own cgroup {own} is not visible below {mount}, where {root} is mounted; run outside of this container"
    )]
    NotVisible {
        /// The caller's cgroup.
        own: String,
        /// The mount point.
        mount: PathBuf,
        /// What is mounted there.
        root: String,
    },
    /// The mount is read-only.
    #[error("{path} is read-only; remount it with `mount -o remount,rw {path}`")]
    ReadOnly {
        /// Which.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A cgroup of ours. Removed when dropped, if it is empty by then.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one below the caller's own.
    pub fn create() -> Result<Self, Error> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|source| Error::Io { what: "read", path: path.into(), source })
        };
        let parent = own(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)?;
        let random = RandomState::new();
        for attempt in 0..ATTEMPTS {
            let path = parent.join(format!("trackway-{:016x}", random.hash_one(attempt)));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                    return Err(Error::ReadOnly { path: parent });
                }
                Err(source) => return Err(Error::Io { what: "make", path, source }),
            }
        }
        Err(Error::Io { what: "make", path: parent, source: io::ErrorKind::AlreadyExists.into() })
    }

    /// Takes over one that exists, for whoever cleans up after another process.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it; zero is the caller.
    pub fn join(&self, pid: u32) -> Result<(), Error> {
        let path = self.path.join("cgroup.procs");
        fs::write(&path, pid.to_string()).map_err(|source| Error::Io { what: "join", path, source })
    }

    /// The processes in it, without those in cgroups below it.
    pub fn procs(&self) -> Result<Vec<u32>, Error> {
        let text = self.read("cgroup.procs")?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Whether no process is in it or in a cgroup below it (`cgroup-v2.rst`, `cgroup.events`).
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.read("cgroup.events")?.lines().any(|line| line == "populated 0"))
    }

    /// Removes it, and empty cgroups that the run made below it. Fails while a process is in it.
    pub fn remove(self) -> Result<(), Error> {
        remove(&self.path).map_err(|source| Error::Io { what: "remove", path: self.path.clone(), source })
    }

    fn read(&self, file: &str) -> Result<String, Error> {
        let path = self.path.join(file);
        fs::read_to_string(&path).map_err(|source| Error::Io { what: "read", path, source })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Best effort: whoever needs to know calls `remove`.
        let _busy = remove(&self.path);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// The caller's own folder in the cgroup2 hierarchy, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and
/// `/proc/self/cgroup`, whose line for cgroup2 begins with `0::` (cgroups(7)).
fn own(mounts: &str, cgroups: &str) -> Result<PathBuf, Error> {
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::")).ok_or(Error::NotMounted)?;
    let mut hidden = None;
    for line in mounts.lines() {
        let Some((fields, rest)) = line.split_once(" - ") else { continue };
        let mut fields = fields.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
        if rest.split(' ').next() != Some("cgroup2") {
            continue;
        }
        let (root, mount) = (unescape(root), PathBuf::from(unescape(point)));
        // A path with `..` lies outside of the cgroup namespace.
        match Path::new(own).strip_prefix(&root) {
            Ok(below) if !own.split('/').any(|part| part == "..") => return Ok(mount.join(below)),
            _ => hidden = Some((mount, root)),
        }
    }
    let (mount, root) = hidden.ok_or(Error::NotMounted)?;
    Err(Error::NotVisible { own: own.to_owned(), mount, root })
}

/// Space, tab, newline and backslash stand as three octal digits in mountinfo.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_own_folder_is_found() {
        let check = |mounts, cgroups, expect: &str| {
            assert_eq!(own(mounts, cgroups).unwrap(), Path::new(expect), "{mounts}");
        };
        check(UNIFIED, "0::/user.slice/a.scope\n", "/sys/fs/cgroup/user.slice/a.scope");
        check(UNIFIED, "0::/\n", "/sys/fs/cgroup/");
        check(HYBRID, "4:memory:/x\n0::/\n", "/sys/fs/cgroup/unified/");
        let part = "24 1 0:22 /docker/ab /sys/fs/cg\\040roup rw - cgroup2 cgroup rw\n";
        check(part, "0::/docker/ab/c\n", "/sys/fs/cg roup/c");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(matches!(own("", "0::/\n"), Err(Error::NotMounted)));
        assert!(matches!(own(UNIFIED, "4:memory:/x\n"), Err(Error::NotMounted)));
        assert!(matches!(own(UNIFIED, "0::/../other\n"), Err(Error::NotVisible { .. })));
        let part = "24 1 0:22 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert!(matches!(own(part, "0::/docker/x\n"), Err(Error::NotVisible { .. })));
    }
}
