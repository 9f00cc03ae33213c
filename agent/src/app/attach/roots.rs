//! Which processes are roots of runs, and which run each other process belongs to.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use procfs::process::all_processes;
use trackway_core::flow::Time;
use trackway_core::process::{ProcessFact, ProcessKey};

use crate::app::identity;
use crate::cli::Attach;
use crate::descent;
use crate::kernel::{Kernel, TICK_NS};
use crate::limits::TAPPED;

/// What a process was started as.
#[derive(Clone, Debug, Default)]
pub(super) struct Command {
    pub(super) filename: String,
    pub(super) argv: Vec<String>,
    pub(super) cwd: Option<String>,
}

/// A process that runs already.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) key: ProcessKey,
    pub(super) command: Command,
    parent: u32,
}

/// The run of each process.
#[derive(Debug)]
pub(super) struct Roots {
    pids: Vec<u32>,
    names: Vec<String>,
    owners: HashMap<u32, u32>,
    /// Processes that were there before us, as `/proc` tells of them: in hundredths of a second, where the kernel's
    /// records count nanoseconds.
    met: HashMap<u32, ProcessKey>,
    /// What each process was started as, where any may become a root: it may have ended by then.
    commands: Option<HashMap<u32, Command>>,
    /// Processes that there was no room for.
    pub(super) left: u64,
}

impl Command {
    /// That of a process; empty where it has ended.
    pub(super) fn of(pid: u32) -> Self {
        let text = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let link = |name: &str| {
            let path = fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
            Some(path.to_string_lossy().into_owned())
        };
        let line = text("cmdline");
        let words = line.strip_suffix(&[0]).unwrap_or(&line).split(|byte| *byte == 0);
        let argv: Vec<String> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        Self {
            filename: link("exe").or_else(|| argv.first().cloned()).unwrap_or_default(),
            argv,
            cwd: link("cwd"),
        }
    }

    /// The fact that the kernel would have told.
    pub(super) fn exec(&self, process: ProcessKey, time: Time) -> ProcessFact {
        ProcessFact::Exec {
            process,
            filename: self.filename.clone(),
            argv: self.argv.clone(),
            truncated: false,
            cwd: self.cwd.clone(),
            time,
        }
    }
}

impl Running {
    /// What the kernel would have told of its start.
    pub(super) fn facts(&self, found: &BTreeMap<u32, Running>) -> Vec<ProcessFact> {
        let time = self.key.started;
        let parent = found.get(&self.parent).map(|parent| parent.key);
        let fork = parent.map(|parent| ProcessFact::Fork { parent, child: self.key, time });
        fork.into_iter().chain([self.command.exec(self.key, time)]).collect()
    }
}

impl Roots {
    pub(super) fn new(options: &Attach) -> Self {
        Self {
            pids: options.pid.clone(),
            names: options.comm.clone(),
            owners: HashMap::new(),
            met: HashMap::new(),
            commands: options.all.then(HashMap::new),
            left: 0,
        }
    }

    /// Those of the running processes that are roots: named, and not below another one that is.
    pub(super) fn choose(&self, found: &BTreeMap<u32, Running>) -> Vec<Running> {
        let matches = |running: &Running| {
            let Command { filename, argv, .. } = &running.command;
            self.pids.contains(&running.key.pid) || is_named(&self.names, running.key.pid, filename, argv)
        };
        let own = std::process::id();
        let chosen: Vec<&Running> =
            found.values().filter(|running| running.key.pid != own && matches(running)).collect();
        let above = |running: &Running| {
            let (mut pid, mut steps) = (running.parent, found.len());
            while let Some(parent) = found.get(&pid).filter(|_| steps > 0) {
                if chosen.iter().any(|other| other.key == parent.key) {
                    return true;
                }
                (pid, steps) = (parent.parent, steps - 1);
            }
            false
        };
        chosen.iter().filter(|running| !above(running)).map(|running| (*running).clone()).collect()
    }

    /// Remembers how the processes that are there already are called.
    pub(super) fn meet(&mut self, found: &BTreeMap<u32, Running>) {
        self.met = found.iter().map(|(pid, running)| (*pid, running.key)).collect();
        for (pid, running) in found {
            self.started(*pid, &running.command);
        }
    }

    /// A process was started as `command`, or became it.
    pub(super) fn started(&mut self, pid: u32, command: &Command) {
        let Some(commands) = &mut self.commands else { return };
        if commands.len() < TAPPED || commands.contains_key(&pid) {
            commands.insert(pid, command.clone());
        } else {
            self.left += 1;
        }
    }

    /// A process was forked, and is what its parent is until it says otherwise.
    pub(super) fn forked(&mut self, parent: u32, child: u32) {
        if let Some(command) = self.commands.as_ref().and_then(|commands| commands.get(&parent)).cloned() {
            self.started(child, &command);
        }
    }

    /// What a process was started as.
    pub(super) fn command(&self, pid: u32) -> Command {
        let known = self.commands.as_ref().and_then(|commands| commands.get(&pid));
        known.cloned().unwrap_or_else(|| Command::of(pid))
    }

    /// Calls a process in a record of the kernel as it was called first.
    pub(super) fn rename(&self, key: &mut ProcessKey) {
        if let Some(met) = self.met.get(&key.pid)
            && key.started.since(met.started) < TICK_NS
            && key.started >= met.started
        {
            *key = *met;
        }
    }

    /// The same for a fact.
    pub(super) fn rename_in(&self, fact: &mut ProcessFact) {
        match fact {
            ProcessFact::Fork { parent, child, .. } => {
                self.rename(parent);
                self.rename(child);
            }
            ProcessFact::Exec { process, .. } | ProcessFact::Exit { process, .. } => self.rename(process),
            ProcessFact::Lost { .. } => {}
        }
    }

    /// The root of the run that a process belongs to.
    pub(super) fn owner(&self, pid: u32) -> Option<u32> {
        self.owners.get(&pid).copied()
    }

    pub(super) fn own(&mut self, pid: u32, root: u32) {
        if self.owners.len() < TAPPED || self.owners.contains_key(&pid) {
            self.owners.insert(pid, root);
        } else {
            self.left += 1;
        }
    }

    pub(super) fn disown(&mut self, pid: u32) {
        self.owners.remove(&pid);
        self.met.remove(&pid);
        if let Some(commands) = &mut self.commands {
            commands.remove(&pid);
        }
    }
}

/// Every process of the machine. Those that end meanwhile are left out, and so are the kernel's own threads.
pub(super) fn running(kernel: &Kernel) -> BTreeMap<u32, Running> {
    let all = all_processes().into_iter().flatten().flatten();
    let running = all.filter_map(|process| {
        let stat = process.stat().ok()?;
        let pid = u32::try_from(stat.pid).ok()?;
        let command = Command::of(pid);
        if command.argv.is_empty() || command.argv == [""] {
            return None;
        }
        let parent = u32::try_from(stat.ppid).ok()?;
        Some((pid, Running { key: kernel.key(pid, stat.starttime), command, parent }))
    });
    running.collect()
}

/// All that stands below a process, parents first.
pub(super) fn below(found: &BTreeMap<u32, Running>, root: u32) -> Vec<Running> {
    let all = found.iter().map(|(pid, running)| (*pid, running.parent));
    descent::below(all, root).iter().filter_map(|pid| found.get(pid).cloned()).collect()
}

/// Whether a process has one of the names: its program's, its thread's, or that of its script.
pub(super) fn is_named(names: &[String], pid: u32, filename: &str, argv: &[String]) -> bool {
    if names.is_empty() {
        return false;
    }
    let program = Path::new(filename).file_name().map(|name| name.to_string_lossy().into_owned());
    let words: Vec<_> = argv.iter().map(Into::into).collect();
    let thread = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let own = identity::name(&words);
    names.iter().any(|name| Some(name) == program.as_ref() || *name == own || *name == thread.trim_end())
}

/// What a process is called.
pub(super) fn name(pid: u32) -> String {
    let words: Vec<_> = Command::of(pid).argv.iter().map(Into::into).collect();
    identity::name(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(pid: u32, parent: u32, name: &str) -> (u32, Running) {
        let command =
            Command { filename: format!("/usr/bin/{name}"), argv: vec![name.to_owned()], cwd: None };
        (pid, Running { key: ProcessKey { pid, started: Time(u64::from(pid)) }, command, parent })
    }

    #[test]
    fn a_root_is_not_below_another() {
        let first = u32::MAX - 10;
        let found: BTreeMap<u32, Running> = [
            running(first, 1, "agent"),
            running(first + 1, first, "sh"),
            running(first + 2, first + 1, "agent"),
            running(first + 3, 1, "agent"),
            running(first + 4, 1, "other"),
        ]
        .into();
        let roots = Roots::new(&Attach { comm: vec!["agent".to_owned()], ..Attach::default() });
        let pids: Vec<u32> = roots.choose(&found).iter().map(|root| root.key.pid).collect();
        assert_eq!(pids, [first, first + 3]);
        let below: Vec<u32> = below(&found, first).iter().map(|root| root.key.pid).collect();
        assert_eq!(below, [first + 1, first + 2]);
        let facts = found[&(first + 1)].facts(&found);
        assert!(
            matches!(&facts[..], [ProcessFact::Fork { parent, .. }, ProcessFact::Exec { .. }] if parent.pid == first)
        );
    }

    #[test]
    fn a_script_is_known_by_its_own_name() {
        let names = ["agent.py".to_owned()];
        let argv = ["python3", "/srv/agent.py", "--fast"].map(str::to_owned);
        assert!(is_named(&names, u32::MAX, "/usr/bin/python3.11", &argv));
        assert!(!is_named(&names, u32::MAX, "/usr/bin/python3.11", &argv[..1]));
    }
}
