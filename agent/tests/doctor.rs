//! `trackway doctor --pid`, asked about real processes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "these are tests; clippy knows only the #[test] functions as such"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

fn doctor(pid: u32, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackway"));
    command.args(["doctor", "--pid", &pid.to_string()]).args(more).stdin(Stdio::null()).output().unwrap()
}

fn json(pid: u32) -> Value {
    let output = doctor(pid, &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A process that has said that it is ready, and waits on its standard input.
struct Ready(Child);

impl Ready {
    /// Nothing, said aloud, where this machine has no such program or it does not come so far.
    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            eprintln!("skipped: there is no {program}");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = Self(child);
        if line.trim() != "ready" {
            eprintln!("skipped: {program} said {line:?}");
            return None;
        }
        Some(ready)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Every library that was found, with the file's name.
fn libraries(told: &Value) -> Vec<(String, Value)> {
    let files = told["files"].as_array().unwrap();
    let of = |file: &Value| {
        let path = file["path"].as_str().unwrap().to_owned();
        let libraries = file["libraries"].as_array().unwrap().clone();
        libraries.into_iter().map(move |library| (path.clone(), library)).collect::<Vec<_>>()
    };
    files.iter().flat_map(of).collect()
}

/// Whether this machine lets the tap be set at all.
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_process_that_is_not_there_is_one_line() {
    // Above the largest number that the kernel gives.
    let output = doctor(u32::MAX >> 2, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("trackway: there is no process ") && said.lines().count() == 1, "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn the_own_process_with_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let (server, _) = listener.accept().unwrap();
    let told = json(std::process::id());
    drop((client, server));
    assert_eq!(told["pid"], json!(std::process::id()));
    let own = std::env::current_exe().unwrap();
    assert_eq!(told["executable"], json!(own));
    assert_eq!(told["root"]["own_mounts"], json!(false));
    assert_eq!(told["root"]["path"], json!("/"));
    let peers = told["connections"].as_array().unwrap();
    let peer = json!({"address": "127.0.0.1", "port": address.port(), "count": 1});
    assert!(peers.contains(&peer), "{peers:?}");
    // Trackway itself is below the test while it looks.
    let below = told["started"].as_array().unwrap();
    assert!(below.iter().any(|child| child["name"] == "trackway"), "{below:?}");
    // All members, so that nobody's jq breaks unseen.
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&told),
        [
            "command",
            "connections",
            "connections_left_out",
            "executable",
            "files",
            "java",
            "pid",
            "proxy",
            "root",
            "started",
            "tap"
        ]
    );
    assert_eq!(names(&told["tap"]), ["next", "verdict", "why"]);
    assert_eq!(names(&told["proxy"]), ["next", "verdict"]);
    assert_eq!(names(&told["files"][0]), ["libraries", "path", "refused"]);
}

#[test]
fn python_by_its_shared_library() {
    let script = "import ssl; print('ready', flush=True); input()";
    let Some(mut python) = Ready::start("python3", &["-c", script]) else { return };
    let told = json(python.0.id());
    let found = libraries(&told);
    let (path, library) = found.iter().find(|(_, library)| library["library"] == "openssl").unwrap();
    assert!(path.contains("ssl") || path.contains("python"), "{path}");
    let (probes, emulated) = (library["probes"].as_u64().unwrap(), library["emulated"].as_u64().unwrap());
    assert!(probes >= 4 && emulated <= probes, "{library}");
    assert!(["dynsym", "symtab"].contains(&library["method"].as_str().unwrap()), "{library}");
    assert_eq!(told["tap"]["verdict"], json!(if is_root() { "yes" } else { "no" }), "{told:#}");
    assert!(told["tap"]["next"].as_str().unwrap().contains("trackway attach --pid"), "{told:#}");
    // The words say the same as the JSON.
    let text = String::from_utf8(doctor(python.0.id(), &[]).stdout).unwrap();
    assert!(text.contains(&format!("{probes} probes, {emulated} of them emulated: {path}")), "{text}");
    let last: Vec<&str> = text.lines().rev().take(4).collect();
    assert!(last[3].starts_with("tap: ") && last[1].starts_with("proxy: "), "{text}");
    python.0.stdin.take().unwrap().write_all(b"\n").unwrap();
    // It lives on, as if nobody had looked.
    assert!(python.0.wait().unwrap().success());
}

#[test]
fn node_by_what_is_linked_into_it() {
    let script = "require('tls'); console.log('ready'); process.stdin.resume()";
    let Some(node) = Ready::start("node", &["-e", script]) else { return };
    let told = json(node.0.id());
    let found = libraries(&told);
    assert!(found.iter().any(|(_, library)| library["probes"].as_u64().unwrap() >= 4), "{told:#}");
    assert_eq!(told["tap"]["verdict"], json!(if is_root() { "yes" } else { "no" }), "{told:#}");
}

#[test]
fn java_is_sent_to_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("Wait.java");
    let text = "public class Wait { public static void main(String[] a) throws Exception {
        System.out.println(\"ready\"); System.in.read(); } }";
    std::fs::write(&source, text).unwrap();
    let Some(java) = Ready::start("java", &[source.to_str().unwrap()]) else { return };
    let told = json(java.0.id());
    assert_eq!(told["java"], json!(true));
    assert_eq!(told["tap"]["verdict"], json!("no"), "{told:#}");
    assert!(told["tap"]["why"].as_str().unwrap().contains("the JVM speaks TLS itself"), "{told:#}");
    let next = told["tap"]["next"].as_str().unwrap();
    assert!(next.starts_with("use trackway run: sudo trackway run -- java"), "{next}");
}
