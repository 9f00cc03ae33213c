//! The explanation, as lines and as JSON.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::facts::{Closed, Facts, Peers, Root};
use super::verdict::{Answer, Verdict, reason};
use crate::doctor::{Finding, State, brief, checks, lines};
use crate::tap::Found;
use crate::tap::explain::Looked;

/// Things of one kind that a line names, before it counts the rest.
const NAMED: usize = 5;

pub(super) fn text(facts: &Facts, verdict: &Verdict, colour: bool) -> String {
    let mut out = lines(&findings(facts), colour);
    let code = match verdict.tap {
        Answer::Yes => "32",
        Answer::Partly => "33",
        Answer::No => "31",
    };
    let word = verdict.tap.word();
    let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
    out.push_str(&format!("\ntap: {word}: {}\n  → {}\n", verdict.why, verdict.next));
    out.push_str(&format!("proxy: {}\n  → {}\n", verdict.proxy, verdict.proxy_next));
    out
}

fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = vec![
        checks::info("process", format!("{} {}", facts.pid, command(facts))),
        checks::info("files", root(facts.pid, &facts.root)),
        checks::info("has started", below(&facts.below)),
    ];
    if facts.closed.is_none() {
        all.insert(1, checks::info("executable", facts.executable.display().to_string()));
    }
    for file in &facts.files {
        let path = file.path.display();
        let found = |one: &Found| Finding {
            state: State::Good,
            ..checks::info("TLS", format!("{}: {path}", library(one)))
        };
        all.extend(file.found.iter().map(found));
        let refused =
            |why: &String| Finding { state: State::Less, ..checks::info("TLS", reason(&file.path, why)) };
        all.extend(file.refused.iter().map(refused));
    }
    match facts.closed {
        Some(Closed::NotOurs) => all.push(checks::info("TLS", "not known: its files may not be opened")),
        Some(Closed::NoImage) => {}
        None if facts.files.iter().all(|file| file.found.is_empty() && file.refused.is_empty()) => {
            all.push(checks::info("TLS", format!("nothing known in {}", of(facts.files.len(), "file"))));
        }
        None => {}
    }
    if facts.java {
        let why = "a Java machine, which has TLS of its own";
        all.push(Finding { state: State::Less, ..checks::info("TLS", why) });
    }
    all.push(checks::info("connections", connections(facts.peers.as_ref())));
    all
}

/// The command line on one line: others wrote it.
fn command(facts: &Facts) -> String {
    let words = facts.command.join(" ");
    let words: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if words.is_empty() { "without a command line".to_owned() } else { words }
}

fn library(found: &Found) -> String {
    let version = found.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let (probes, cheap) = (of(found.probes, "probe"), found.cheap);
    let method = found.label().method;
    format!("{}{version} by {method}, {probes}, {cheap} of them emulated", found.library)
}

fn root(pid: u32, root: &Root) -> String {
    let chroot = root.path.as_ref().filter(|path| path.as_os_str() != "/");
    let chroot = chroot.map(|path| format!(", below {}", path.display())).unwrap_or_default();
    let container = root
        .container
        .as_ref()
        .map(|id| format!("container {}, ", id.get(..12).unwrap_or(id)))
        .unwrap_or_default();
    match root.own {
        Some(true) => format!("{container}mounts of its own{chroot}: seen through /proc/{pid}/root"),
        Some(false) => format!("{container}the mounts of this shell{chroot}"),
        None => format!("{container}its mounts may not be seen"),
    }
}

fn below(below: &[(u32, String)]) -> String {
    if below.is_empty() {
        return "no process that runs still".to_owned();
    }
    let mut names: Vec<String> =
        below.iter().take(NAMED).map(|(pid, name)| format!("{pid} {name}")).collect();
    if below.len() > NAMED {
        names.push("…".to_owned());
    }
    format!("{} that run still ({}): ask for each by --pid", below.len(), names.join(", "))
}

fn connections(peers: Option<&Peers>) -> String {
    let Some(peers) = peers else { return "not known: its sockets may not be seen".to_owned() };
    let count = |tls: bool| -> usize {
        let those = peers.to.iter().filter(|(peer, _)| (peer.port() == 443) == tls);
        those.map(|(_, count)| *count).sum::<usize>() + if tls { 0 } else { peers.more }
    };
    let mut names: Vec<String> = peers
        .to
        .iter()
        .take(NAMED)
        .map(|(peer, count)| if *count == 1 { peer.to_string() } else { format!("{peer} ({count})") })
        .collect();
    if peers.to.len() > NAMED {
        names.push("…".to_owned());
    }
    let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    format!("{} to port 443, {} to other ports{names}", count(true), count(false))
}

fn of(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn json(facts: &Facts, verdict: &Verdict) -> String {
    let found = |one: &Found| {
        let label = one.label();
        json!({"library": label.library, "version": one.version, "method": label.method,
            "probes": one.probes, "emulated": one.cheap})
    };
    let file = |file: &Looked| {
        let libraries: Vec<Value> = file.found.iter().map(found).collect();
        json!({"path": file.path, "libraries": libraries, "refused": file.refused})
    };
    // What could not be opened is not known, which is not the same as nothing.
    let files: Option<Vec<Value>> = facts.closed.is_none().then(|| facts.files.iter().map(file).collect());
    let peers = facts.peers.as_ref().map(|peers| {
        let one = |(peer, count): &(SocketAddr, usize)| {
            json!({"address": peer.ip(), "port": peer.port(), "count": count})
        };
        peers.to.iter().map(one).collect::<Vec<Value>>()
    });
    let below: Vec<Value> = facts.below.iter().map(|(pid, name)| json!({"pid": pid, "name": name})).collect();
    let told = json!({
        "pid": facts.pid,
        "command": brief(&command(facts)),
        "executable": facts.executable,
        "root": {"own_mounts": facts.root.own, "container": facts.root.container, "path": facts.root.path},
        "started": below,
        "java": facts.java,
        "files": files,
        "connections": peers,
        "connections_left_out": facts.peers.as_ref().map(|peers| peers.more),
        "tap": {"verdict": verdict.tap.word(), "why": verdict.why, "next": verdict.next},
        "proxy": {"verdict": verdict.proxy, "next": verdict.proxy_next},
    });
    format!("{told:#}\n")
}
