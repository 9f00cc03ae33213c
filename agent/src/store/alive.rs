//! Whether the process that writes a run is still there: by pid, start and boot, in one space of pids.

use std::fs;

/// A process that writes a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: i64,
    /// In ticks since the boot: a pid is used again, a pair of both is not.
    pub(super) born: i64,
    /// The boot's id, and the space of pids.
    pub(super) boot: String,
}

impl Owner {
    /// Ourselves.
    pub(super) fn me() -> Self {
        let pid = std::process::id().into();
        Self { pid, born: born(pid).unwrap_or(0), boot: boot() }
    }

    /// False where it is certainly gone. In another space of pids nothing can be said.
    pub(super) fn may_live(&self, here: &str) -> bool {
        let (boot, space) = self.boot.split_once(' ').unwrap_or((&self.boot, ""));
        let (our_boot, our_space) = here.split_once(' ').unwrap_or((here, ""));
        if boot != our_boot {
            return false;
        }
        space != our_space || born(self.pid) == Some(self.born)
    }
}

/// This boot and this space of pids.
pub(super) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", id.trim(), space.display())
}

/// Field 22 of proc_pid_stat(5). The command's name before it may hold anything, also parentheses.
fn born(pid: i64) -> Option<i64> {
    field(pid, 19)?.parse().ok()
}

/// The parent of a process.
pub(super) fn parent(pid: i64) -> Option<i64> {
    field(pid, 1)?.parse().ok().filter(|parent| *parent > 0)
}

/// A field of the process's line, counted from the state, which is 0.
fn field(pid: i64, place: usize) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(") ")?;
    rest.split(' ').nth(place).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_number() {
        let (me, here) = (Owner::me(), boot());
        assert!(me.may_live(&here));
        assert!(!Owner { born: me.born + 1, ..me.clone() }.may_live(&here));
        assert!(!Owner { boot: "other".to_owned(), ..me.clone() }.may_live(&here));
        let elsewhere = here.split(' ').next().unwrap().to_owned() + " pid:[1]";
        assert!(Owner { boot: elsewhere, born: 1, ..me }.may_live(&here), "nothing is known of that space");
    }
}
