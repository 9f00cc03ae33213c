//! Which processes of a run are still there.

use std::fs;
use std::path::{Path, PathBuf};

use super::Traces;

/// How to find them.
#[derive(Clone, Debug)]
pub enum Survivors {
    /// By their cgroup: exact.
    Cgroup(PathBuf),
    /// By their environment, which names the run's folder; and the command itself, which may have overwritten it.
    Environment {
        /// The run's folder.
        folder: PathBuf,
        /// The command's process, and when it began.
        command: Option<(u32, u64)>,
    },
}

impl Survivors {
    /// Of a run.
    pub fn of(traces: &Traces, command: Option<u32>) -> Self {
        match &traces.cgroup {
            Some(cgroup) => Survivors::Cgroup(cgroup.clone()),
            None => Survivors::Environment {
                folder: traces.folder.clone(),
                command: command.and_then(|pid| Some((pid, begun(pid)?))),
            },
        }
    }

    /// Whether there is one.
    pub fn any(&self) -> bool {
        match self {
            // cgroup v2 documentation, "cgroup.events": populated counts the descendants, too.
            Survivors::Cgroup(path) => fs::read_to_string(path.join("cgroup.events"))
                .is_ok_and(|events| events.lines().any(|line| line == "populated 1")),
            Survivors::Environment { folder, command } => {
                command.is_some_and(|(pid, start)| begun(pid) == Some(start)) || mentioned(folder)
            }
        }
    }
}

/// Whether any process carries the folder's path in its environment, or in its arguments (our stage, before it
/// becomes the command). Those of other users cannot be read and are passed over.
fn mentioned(folder: &Path) -> bool {
    let needle = folder.as_os_str().as_encoded_bytes();
    let own = std::process::id();
    fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            return false;
        };
        let holds = |file: &str| fs::read(entry.path().join(file)).is_ok_and(|text| contains(&text, needle));
        // Our own arguments and those of the guard name it as well.
        pid != own && (holds("environ") || (holds("cmdline") && !guard(&entry.path())))
    })
}

fn guard(process: &Path) -> bool {
    fs::read(process.join("cmdline"))
        .is_ok_and(|text| text.split(|b| *b == 0).nth(1) == Some(super::VERB.as_bytes()))
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && text.windows(needle.len()).any(|window| window == needle)
}

/// When a process began, in the kernel's ticks; `None` where it is gone or a zombie.
/// proc_pid_stat(5): field 3 is the state and field 22 the start; the name in field 2 may hold anything.
fn begun(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
