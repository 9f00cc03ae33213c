//! TLS that nobody read, told at the end: one line for each process, with the way that would read it.

use std::collections::BTreeMap;

use trackway_core::flow::{Unread, UnreadReason};

use crate::limits::{MISSED, MISSED_HOSTS};

/// What was not read, by process. More processes than [`MISSED`] are only counted.
#[derive(Debug, Default)]
pub(super) struct Missed {
    processes: BTreeMap<u32, Process>,
    more: u64,
}

#[derive(Debug)]
struct Process {
    name: String,
    connections: u64,
    /// Where they went; a few of them.
    hosts: Vec<String>,
    other_hosts: bool,
    why: String,
}

impl Missed {
    /// A connection of a process was not read.
    pub(super) fn add(&mut self, unread: &Unread, name: impl FnOnce() -> String) {
        let (Some(process), UnreadReason::NoProbe(why)) = (unread.flow.process, &unread.reason) else {
            return;
        };
        if self.processes.len() >= MISSED && !self.processes.contains_key(&process.pid) {
            self.more += 1;
            return;
        }
        let entry = self.processes.entry(process.pid).or_insert_with(|| Process {
            name: name(),
            connections: 0,
            hosts: Vec::new(),
            other_hosts: false,
            why: why.clone(),
        });
        entry.connections += 1;
        let address = || unread.flow.destination.map(|address| address.ip().to_canonical().to_string());
        let host = unread.flow.host.clone().or_else(address).unwrap_or_else(|| "unknown hosts".to_owned());
        if entry.hosts.contains(&host) {
            return;
        }
        if entry.hosts.len() < MISSED_HOSTS {
            entry.hosts.push(host);
        } else {
            entry.other_hosts = true;
        }
    }

    /// The lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.processes.iter().map(|(pid, process)| process.line(*pid)).collect();
        if self.more > 0 {
            lines.push(format!("{} connections of further processes were not read", self.more));
        }
        lines
    }
}

impl Process {
    fn line(&self, pid: u32) -> String {
        let Self { name, connections, hosts, .. } = self;
        let were = if *connections == 1 { "connection to" } else { "connections to" };
        let was = if *connections == 1 { "was" } else { "were" };
        let others = if self.other_hosts { " and others" } else { "" };
        let why = self.why.strip_suffix("; use the proxy").unwrap_or(&self.why);
        format!(
            "{name} (pid {pid}): {connections} {were} {}{others} {was} not read: {why}; trackway run reads it as a proxy",
            hosts.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use trackway_core::flow::{Close, Flow, FlowId, Plane, Start, Time};
    use trackway_core::process::ProcessKey;

    use super::*;

    fn unread(pid: u32, host: &str, why: &str) -> Unread {
        let flow = Flow {
            id: FlowId(1),
            process: Some(ProcessKey { pid, started: Time(1) }),
            plane: Plane::Tap(None),
            start: Start::Seen,
            host: (!host.is_empty()).then(|| host.to_owned()),
            destination: Some(([10, 0, 0, 1], 443).into()),
            port: 443,
            tls: true,
            alpn: None,
            opened: Time(2),
        };
        Unread {
            flow,
            reason: UnreadReason::NoProbe(why.to_owned()),
            bytes_to_origin: 1,
            bytes_to_client: 1,
            closed: Time(3),
            close: Close::Clean,
        }
    }

    #[test]
    fn a_process_has_one_line_with_the_advice() {
        let mut missed = Missed::default();
        let why = "no TLS function is known in /usr/bin/java";
        for _ in 0..3 {
            missed.add(&unread(12, "api.openai.com", why), || "java".to_owned());
        }
        missed.add(&unread(13, "", "/x: rustls 1 is linked in without symbols; use the proxy"), || {
            "x".to_owned()
        });
        assert_eq!(
            missed.lines(),
            [
                "java (pid 12): 3 connections to api.openai.com were not read: no TLS function is known in \
                 /usr/bin/java; trackway run reads it as a proxy",
                "x (pid 13): 1 connection to 10.0.0.1 was not read: /x: rustls 1 is linked in without symbols; \
                 trackway run reads it as a proxy",
            ]
        );
    }

    #[test]
    fn the_lines_are_bounded() {
        let mut missed = Missed::default();
        for pid in 0..100 {
            for host in 0..9 {
                missed.add(&unread(pid, &format!("h{host}"), "why"), || "p".to_owned());
            }
        }
        let lines = missed.lines();
        assert_eq!(lines.len(), MISSED + 1);
        assert_eq!(
            lines[0],
            "p (pid 0): 9 connections to h0, h1, h2 and others were not read: why; trackway run reads it as a proxy"
        );
        let more = (100 - MISSED) * 9;
        assert_eq!(lines[MISSED], format!("{more} connections of further processes were not read"));
    }
}
