//! MCP servers that the run starts and talks to over their standard input and output.
//!
//! A process whose standard input and output are pipes or sockets is looked at from its exec on, until it has said
//! so much else that it is no such server. Nobody's system calls are looked at before the first such process.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use trackway_abi::tap::watch;
use trackway_core::flow::{Direction, Time};
use trackway_core::observe::{Pipe, PipeCall};
use trackway_core::process::{ProcessFact, ProcessKey};
use trackway_core::run::Run;

use crate::kernel::{Chunk, Kernel, What};
use crate::limits::{PARENTS, PIPES};

/// The processes whose standard input and output are read.
#[derive(Debug, Default)]
pub(super) struct Stdio {
    servers: HashMap<u32, Server>,
    /// Who started whom.
    parents: HashMap<ProcessKey, ProcessKey>,
    calls: Vec<PipeCall>,
    /// Processes that there was no room for, and bytes that did not arrive.
    left: u64,
    lost: u64,
    /// Processes whose parent there was no room to remember.
    orphans: u64,
    /// Why the kernel does not help, once.
    refused: Option<String>,
}

#[derive(Debug)]
struct Server {
    process: ProcessKey,
    client: ProcessKey,
    pipe: Pipe,
    lanes: [Lane; 2],
    lost: u64,
}

/// How far one direction was read.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    offset: u64,
    /// Bytes were lost, and the line that they were in cannot be read.
    skip: bool,
}

impl Stdio {
    /// The run begins: what takes time is done before the first server can be there.
    pub(super) fn prepare(&mut self, kernel: &Mutex<Kernel>) {
        self.refused = kernel.lock().unwrap_or_else(PoisonError::into_inner).prepare().err();
    }

    /// Takes a fact about a process. `root` is the run's own command, whose input and output are the user's.
    pub(super) fn fact(&mut self, fact: &ProcessFact, root: u32, kernel: &Mutex<Kernel>, run: &mut Run) {
        match fact {
            ProcessFact::Fork { parent, child, .. } => {
                if self.parents.len() < PARENTS {
                    self.parents.insert(*child, *parent);
                } else {
                    self.orphans += 1;
                }
            }
            ProcessFact::Exec { process, .. } if process.pid != root => self.look(*process, kernel),
            ProcessFact::Exit { process, .. } => {
                self.parents.remove(process);
                if self.servers.get(&process.pid).is_some_and(|server| server.process == *process) {
                    self.close(process.pid, kernel, run);
                }
            }
            _ => {}
        }
    }

    /// Takes what was read or written; says whether it was a server's.
    pub(super) fn chunk(&mut self, chunk: &Chunk, kernel: &Mutex<Kernel>, run: &mut Run) {
        let What::Stdio { offset, bytes } = &chunk.what else { return };
        let pid = chunk.process.pid;
        let Some(server) = self.servers.get_mut(&pid) else { return };
        // What the server receives was sent to it.
        let direction = match chunk.direction {
            Direction::ToClient => Direction::ToOrigin,
            Direction::ToOrigin => Direction::ToClient,
        };
        self.lost += server.push(direction, *offset, bytes, chunk.time, &mut self.calls);
        server.tell(&mut self.calls, run);
        if server.pipe.is_other() {
            self.close(pid, kernel, run);
        }
    }

    /// The run has ended.
    pub(super) fn finish(&mut self, kernel: &Mutex<Kernel>, run: &mut Run) -> Vec<String> {
        let mut open: Vec<u32> = self.servers.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().for_each(|pid| self.close(pid, kernel, run));
        let mut lines: Vec<String> = self
            .refused
            .take()
            .map(|why| format!("MCP servers on pipes were not read: {why}"))
            .into_iter()
            .collect();
        if self.left > 0 {
            lines.push(format!("{} processes on pipes were not read: too many at once", self.left));
        }
        if self.orphans > 0 {
            let orphans = self.orphans;
            lines
                .push(format!("{orphans} processes could not be MCP servers on pipes: too many run at once"));
        }
        if self.lost > 0 {
            lines.push(format!("{} bytes of MCP servers on pipes were lost", self.lost));
        }
        lines
    }

    fn look(&mut self, process: ProcessKey, kernel: &Mutex<Kernel>) {
        let Some(input) = piped(process.pid) else { return };
        let known = self.servers.get(&process.pid).is_some_and(|server| server.process == process);
        if known || self.refused.is_some() {
            return;
        }
        if self.servers.len() >= PIPES {
            self.left += 1;
            return;
        }
        let Some(client) = self.client(process, &input) else { return };
        let watched = kernel.lock().unwrap_or_else(PoisonError::into_inner).add(process.pid, watch::STDIO);
        match watched {
            Ok(()) => {
                let server =
                    Server { process, client, pipe: Pipe::new(), lanes: Default::default(), lost: 0 };
                self.servers.insert(process.pid, server);
            }
            Err(why) => self.refused = Some(why),
        }
    }

    /// Whoever holds the other end: the nearest one above that does not read the same pipe itself. Launchers such
    /// as `npx` stand in between and hand theirs down.
    fn client(&self, process: ProcessKey, input: &PathBuf) -> Option<ProcessKey> {
        let mut above = *self.parents.get(&process)?;
        while piped(above.pid).as_ref() == Some(input) {
            above = *self.parents.get(&above)?;
        }
        Some(above)
    }

    fn close(&mut self, pid: u32, kernel: &Mutex<Kernel>, run: &mut Run) {
        let Some(mut server) = self.servers.remove(&pid) else { return };
        server.pipe.finish(&mut self.calls);
        server.tell(&mut self.calls, run);
        kernel.lock().unwrap_or_else(PoisonError::into_inner).remove(pid, watch::STDIO);
    }
}

impl Server {
    /// Bytes that are missing before these.
    fn push(
        &mut self,
        direction: Direction,
        offset: u64,
        mut bytes: &[u8],
        time: Time,
        calls: &mut Vec<PipeCall>,
    ) -> u64 {
        let lane = &mut self.lanes[usize::from(direction == Direction::ToClient)];
        let gap = offset.saturating_sub(lane.offset);
        lane.offset = offset.saturating_add(bytes.len() as u64);
        if gap > 0 {
            // Ends the line that was cut; what follows up to the next line's start is its rest.
            self.pipe.push(direction, b"\n", time, calls);
            lane.skip = true;
        }
        if lane.skip {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return gap };
            bytes = bytes.get(end + 1..).unwrap_or_default();
            lane.skip = false;
        }
        self.pipe.push(direction, bytes, time, calls);
        gap
    }

    fn tell(&mut self, calls: &mut Vec<PipeCall>, run: &mut Run) {
        for call in calls.drain(..) {
            run.pipe(call, self.client, Some(self.process));
        }
        let lost = self.pipe.lost();
        run.pipe_lost(lost.saturating_sub(self.lost));
        self.lost = lost;
    }
}

/// What stands behind a process's standard input, where that and its output are pipes or sockets.
fn piped(pid: u32) -> Option<PathBuf> {
    let link = |number: u32| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        let text = target.to_string_lossy();
        (text.starts_with("pipe:") || text.starts_with("socket:")).then_some(target)
    };
    link(1)?;
    link(0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio as Io};

    use super::*;

    #[test]
    fn only_both_pipes_make_a_server() {
        let child = |input: Io, output: Io| {
            let mut child = Command::new("cat").stdin(input).stdout(output).spawn().unwrap();
            let found = piped(child.id()).is_some();
            child.kill().unwrap();
            child.wait().unwrap();
            found
        };
        assert!(child(Io::piped(), Io::piped()));
        assert!(!child(Io::null(), Io::piped()));
        assert!(!child(Io::piped(), Io::null()));
    }

    #[test]
    fn a_gap_costs_its_line_and_no_other() {
        let key = ProcessKey { pid: 1, started: Time(1) };
        let mut server =
            Server { process: key, client: key, pipe: Pipe::new(), lanes: Default::default(), lost: 0 };
        let line = |id: u32| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"add\",\"arguments\":{{}}}}}}\n"
            )
        };
        let text = [line(1), line(2), line(3)].concat();
        let size = line(1).len();
        for from in 0..text.len() {
            let mut calls = Vec::new();
            let mut server = Server {
                pipe: Pipe::new(),
                lanes: Default::default(),
                ..Server { process: key, client: key, pipe: Pipe::new(), lanes: Default::default(), lost: 0 }
            };
            let to = (from + 10).min(text.len());
            let time = Time(1);
            server.push(Direction::ToOrigin, 0, &text.as_bytes()[..from], time, &mut calls);
            let lost = server.push(Direction::ToOrigin, to as u64, &text.as_bytes()[to..], time, &mut calls);
            assert_eq!(lost, (to - from) as u64);
            server.pipe.finish(&mut calls);
            // A line that lost its last byte alone is whole.
            let whole = (0..3).filter(|n| (n + 1) * size <= from + 1 || n * size >= to).count();
            // The line that begins right behind the gap may not be known for one.
            assert!(calls.len() == whole || calls.len() + 1 == whole, "{from}: {} of {whole}", calls.len());
        }
        server.pipe.finish(&mut Vec::new());
    }
}
