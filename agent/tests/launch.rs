//! The command that is wrapped behaves as it does alone, in both modes, and nothing stays behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

const DEADLINE: Duration = Duration::from_secs(20);

/// Whether the redirecting mode can be tried. Where it cannot, the test says so, and CI does not let it pass.
fn modes() -> Vec<&'static [&'static str]> {
    let mut modes: Vec<&[&str]> = vec![&["--explicit"]];
    if nix::unistd::geteuid().is_root() {
        modes.push(&[]);
    } else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must run these tests as root");
        eprintln!("not root: only the explicit mode is tried");
    }
    modes
}

fn trackway(mode: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackway"));
    // The settings of whoever runs the tests are not part of them.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let ours = ["OTEL_", "_PROXY", "CERT", "CA_BUNDLE", "CAINFO", "SSL_ROOTS", "CAFILE", "JAVA_TOOL"];
        if ours.iter().any(|part| name.to_ascii_uppercase().contains(part)) {
            command.env_remove(&*name);
        }
    }
    command.env("TRACKWAY_STORE", "none").arg("run").args(mode);
    command
}

fn run(mode: &[&str], words: &[&str]) -> Output {
    trackway(mode).arg("--").args(words).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(20));
    }
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("launch-{name}-{}", std::process::id()));
    fs::remove_dir_all(&path).ok();
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn ends_as_the_command_ends() {
    for mode in modes() {
        for code in [0, 1, 37, 255] {
            let output = run(mode, &["sh", "-c", &format!("exit {code}")]);
            assert_eq!(output.status.code(), Some(code), "{mode:?}");
        }
        for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11)] {
            let output = run(mode, &["sh", "-c", &format!("kill -{name} $$")]);
            assert_eq!(output.status.signal(), Some(number), "{mode:?}");
        }
    }
}

#[test]
fn what_cannot_start_says_why() {
    for mode in modes() {
        let output = run(mode, &["no-such-command-here"]);
        assert_eq!(output.status.code(), Some(127));
        assert!(text(&output.stderr).contains("no-such-command-here: command not found"), "{output:?}");
        let output = run(mode, &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
        assert_eq!(output.status.code(), Some(126));
        assert!(text(&output.stderr).contains("Permission denied"), "{output:?}");
    }
    let usage = Command::new(env!("CARGO_BIN_EXE_trackway")).args(["run", "--nonsense"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn streams_are_the_commands_own() {
    for mode in modes() {
        let mut child = trackway(mode)
            .args(["--quiet", "--", "sh", "-c", "cat; echo error >&2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
        let mut stdin = child.stdin.take().unwrap();
        let sent = content.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&sent));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.stdout == content, "{mode:?}: {} bytes", output.stdout.len());
        assert!(text(&output.stderr).ends_with("error\n"), "{output:?}");
        let own: Vec<String> = text(&output.stderr).lines().map(str::to_owned).collect();
        assert_eq!(own, ["error"], "quiet");
    }
}

#[test]
fn the_reader_of_a_pipe_does_not_wait_for_the_guard() {
    for mode in modes() {
        let mut child = trackway(mode)
            .args(["--", "sh", "-c", "sleep 30 & echo $!"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let start = Instant::now();
        assert!(child.wait().unwrap().success());
        assert!(start.elapsed() < Duration::from_secs(10), "{mode:?}: waited for what outlives the command");
        kill(Pid::from_raw(line.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}

#[test]
fn arguments_and_folder_arrive_as_given() {
    let folder = folder("odd name\nhere");
    let words = [
        OsStr::new(""),
        OsStr::new("a b"),
        OsStr::new("line\nbreak"),
        OsStr::from_bytes(b"\xff\xfe"),
        OsStr::new("--"),
    ];
    for mode in modes() {
        let output = trackway(mode)
            .args(["--", "sh", "-c", r#"pwd; printf '<%s>' "$@""#, "sh"])
            .args(words)
            .current_dir(&folder)
            .output()
            .unwrap();
        let expect = [folder.as_os_str().as_bytes(), b"\n<><a b><line\nbreak><\xff\xfe><-->"].concat();
        assert_eq!(text(&output.stdout), text(&expect), "{mode:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn environment_differs_by_the_listed_variables_only() {
    const LISTED: [&str; 14] = [
        "NODE_EXTRA_CA_CERTS",
        "DENO_CERT",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "CODEX_CA_CERTIFICATE",
        "JAVA_TOOL_OPTIONS",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "NODE_USE_ENV_PROXY",
    ];
    for mode in modes() {
        let mut command = trackway(mode);
        command.env("ODD", "a\nb=c").env("OTEL_SERVICE_NAME", "mine").env("EMPTY", "");
        let output = command.args(["--", "cat", "/proc/self/environ"]).output().unwrap();
        let entries: Vec<String> = output.stdout.split(|byte| *byte == 0).map(text).collect();
        let listed = |entry: &&String| LISTED.iter().any(|name| entry.split('=').next() == Some(name));
        let kept: Vec<&String> = entries.iter().filter(|entry| !listed(entry) && !entry.is_empty()).collect();

        let mut alone = Command::new("cat");
        alone.arg("/proc/self/environ");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => alone.env(name, value),
                None => alone.env_remove(name),
            };
        }
        let output = alone.output().unwrap();
        let alone: Vec<String> =
            output.stdout.split(|byte| *byte == 0).map(text).filter(|e| !e.is_empty()).collect();
        assert_eq!(kept, alone.iter().collect::<Vec<_>>(), "{mode:?}: same entries in the same order");
        assert!(entries.iter().any(|entry| entry.starts_with("SSL_CERT_FILE=/")), "{mode:?}: {entries:?}");
    }
}

#[test]
fn signal_settings_are_those_we_were_started_with() {
    // Ignored signals are inherited; a shell that ignores SIGHUP, SIGINT and SIGPIPE starts both.
    let look = "trap '' HUP INT PIPE; exec \"$@\"";
    let status = |output: Output| {
        let text = text(&output.stdout);
        let mask = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
            // Signals 32 and 33 belong to the C library, which sets them by its own ways of starting processes.
            u64::from_str_radix(line, 16).unwrap() & !(0b11 << 31)
        };
        (mask("SigBlk:"), mask("SigIgn:"))
    };
    let words = ["cat", "/proc/self/status"];
    let alone = Command::new("sh").args(["-c", look, "sh"]).args(words).output().unwrap();
    let alone = status(alone);
    assert_eq!(alone.1 & 0b1_0000_0000_0011, 0b1_0000_0000_0011);
    for mode in modes() {
        let wrapped = trackway(mode);
        let output = Command::new("sh")
            .args(["-c", look, "sh"])
            .env("TRACKWAY_STORE", "none")
            .arg(wrapped.get_program())
            .args(wrapped.get_args())
            .arg("--")
            .args(words)
            .output()
            .unwrap();
        assert_eq!(status(output), alone, "{mode:?}");
    }
}

#[test]
fn descriptors_are_those_we_were_started_with() {
    // One that the starter left open must reach the command, and nothing of ours may.
    let look = "exec 7</dev/null; exec \"$@\"";
    let words = ["sh", "-c", "ls /proc/$$/fd"];
    let alone = Command::new("sh").args(["-c", look, "sh"]).args(words).output().unwrap();
    assert!(text(&alone.stdout).lines().any(|line| line == "7"));
    for mode in modes() {
        let wrapped = trackway(mode);
        let mut shell = Command::new("sh");
        // The store's file is one of ours too.
        shell.env("TRACKWAY_STORE", folder("descriptors").join("runs.db"));
        shell.args(["-c", look, "sh"]).arg(wrapped.get_program()).args(wrapped.get_args());
        let output = shell.arg("--").args(words).output().unwrap();
        assert_eq!(text(&output.stdout), text(&alone.stdout), "{mode:?}");
    }
}

/// Whoever runs the tests may ignore signals (`nohup`, a job in the background), which a shell that inherits it
/// cannot undo: its traps would wait for ever.
fn heed_signals() -> std::io::Result<()> {
    for number in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        // SAFETY: the default disposition runs none of our code.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Starts a shell script under trackway that says `ready`, and returns it with its output.
fn started(mode: &[&str], script: &str) -> (Started, BufReader<std::process::ChildStdout>, String) {
    let mut command = trackway(mode);
    // SAFETY: between fork and exec only sigaction(2) is called, which is async-signal-safe.
    unsafe { command.pre_exec(heed_signals) };
    let child = command
        .args(["--", "sh", "-c", script])
        // A group whose parent is in another one of the session: in an orphaned group nothing is stopped.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Started(child);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    (child, output, line)
}

/// A run that is ended with its test, also where the test fails.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            kill(pid(&self.0), Signal::SIGTERM).ok();
        }
    }
}

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

#[test]
fn signals_sent_to_us_reach_the_command() {
    for mode in modes() {
        for sent in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGINT] {
            let name = sent.as_str().trim_start_matches("SIG");
            let script = format!("trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.02; done");
            let (mut child, mut output, _) = started(mode, &script);
            kill(pid(&child), sent).unwrap();
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("got\n", Some(9)), "{mode:?} {sent}");
        }
    }
}

fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn stops_and_continues_with_the_command() {
    for mode in modes() {
        let (mut child, _output, line) = started(mode, "echo $$; exec sleep 30");
        let command = Pid::from_raw(line.trim().parse().unwrap());
        // Sent to us, as by a shell's `kill -TSTP`; the command stops, then we do.
        kill(pid(&child), Signal::SIGTSTP).unwrap();
        eventually("the command stops", || state(command) == Some('T'));
        eventually("we stop", || state(pid(&child)) == Some('T'));
        kill(pid(&child), Signal::SIGCONT).unwrap();
        eventually("the command continues", || state(command) == Some('S'));
        eventually("we continue", || state(pid(&child)) == Some('S'));
        // Stopped by itself.
        kill(command, Signal::SIGSTOP).unwrap();
        eventually("we stop, too", || state(pid(&child)) == Some('T'));
        kill(pid(&child), Signal::SIGCONT).unwrap();
        eventually("the command continues again", || state(command) == Some('S'));
        kill(pid(&child), Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15), "{mode:?}");
    }
}

/// What a command finds in its environment under trackway.
fn variable(mode: &[&str], name: &str, value: Option<&Path>, script: &str) -> String {
    let mut command = trackway(mode);
    if let Some(value) = value {
        command.env(name, value);
    }
    text(&command.args(["--quiet", "--", "sh", "-c", script]).output().unwrap().stdout)
}

#[test]
fn bundles_hold_the_defaults_and_ours() {
    let folder = folder("bundle");
    let mine = folder.join("mine.pem");
    fs::write(&mine, include_str!("../src/trust/tests/odd.pem")).unwrap();
    let count = "grep -c BEGIN.CERTIFICATE";
    let system: usize = text(
        &Command::new("sh")
            .args(["-c", &format!("{count} /etc/ssl/certs/ca-certificates.crt")])
            .output()
            .unwrap()
            .stdout,
    )
    .trim()
    .parse()
    .unwrap();
    for mode in modes() {
        let number = |name: &str, value: Option<&Path>| -> usize {
            variable(mode, name, value, &format!("{count} \"${name}\"")).trim().parse().unwrap()
        };
        assert_eq!(number("SSL_CERT_FILE", None), system + 1, "{mode:?}");
        assert_eq!(number("NODE_EXTRA_CA_CERTS", None), 1, "{mode:?}");
        assert_eq!(number("SSL_CERT_FILE", Some(&mine)), 2, "{mode:?}");
        assert_eq!(number("NODE_EXTRA_CA_CERTS", Some(&mine)), 2, "{mode:?}");
        assert_eq!(number("PIP_CERT", Some(&mine)), 2, "{mode:?}");
        let modes =
            variable(mode, "_", None, "stat -c %a \"$SSL_CERT_FILE\" \"$(dirname \"$SSL_CERT_FILE\")\"");
        assert_eq!(modes, "444\n755\n", "readable for whoever the command becomes");
    }
    assert_eq!(fs::metadata(&mine).unwrap().permissions().mode() & 0o777, 0o644);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn as_root_the_systems_store_is_laid_over_for_the_command_alone() {
    if modes().len() < 2 {
        return;
    }
    let store = "/etc/ssl/certs/ca-certificates.crt";
    let before = fs::read(store).unwrap();
    let output = run(&["--quiet"], &["cat", store]);
    assert!(output.stdout.starts_with(&before), "the system's own come first");
    assert!(text(&output.stdout[before.len()..]).contains("BEGIN CERTIFICATE"), "then ours");
    let script = "ls /etc/ssl/certs | wc -l; readlink /proc/self/ns/mnt";
    let (inside, outside) =
        (run(&["--quiet"], &["sh", "-c", script]), Command::new("sh").args(["-c", script]).output());
    let (inside, outside) = (text(&inside.stdout), text(&outside.unwrap().stdout));
    let number = |text: &str| text.lines().next().unwrap().trim().parse::<usize>().unwrap();
    assert_eq!(number(&inside), number(&outside) + 1, "our certificate under its hash");
    assert_ne!(inside.lines().nth(1), outside.lines().nth(1), "a mount namespace of its own");
    assert_eq!(fs::read(store).unwrap(), before);
}

/// What a run leaves on the host while it lives: its folder, and its cgroup as root.
fn traces(bundle: &str, cgroup: &str) -> Vec<PathBuf> {
    let folder = Path::new(bundle.trim()).parent().unwrap().to_path_buf();
    assert!(folder.is_dir(), "{folder:?}");
    let mut traces = vec![folder];
    let relative = cgroup.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    if relative.contains("trackway") {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
        let path = Path::new(mount.split(' ').nth(4).unwrap()).join(relative);
        assert!(path.is_dir(), "{path:?}");
        traces.push(path);
    }
    traces
}

const TELL: &str = r#"echo "$SSL_CERT_FILE $$ $(grep ^0:: /proc/self/cgroup)""#;

fn told(line: &str) -> (Vec<PathBuf>, Pid) {
    let mut words = line.trim().splitn(3, ' ');
    let (bundle, pid, cgroup) =
        (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
    (traces(bundle, cgroup), Pid::from_raw(pid.parse().unwrap()))
}

#[test]
fn nothing_stays_behind() {
    for mode in modes() {
        let folder = folder("nothing");
        let go = folder.join("go");
        let (mut child, _output, line) =
            started(mode, &format!("{TELL}; while [ ! -e {} ]; do sleep 0.02; done", go.display()));
        let (traces, _) = told(&line);
        assert_eq!(traces.len(), 1 + usize::from(mode.is_empty()), "{mode:?}: {traces:?}");
        fs::write(go, "").unwrap();
        child.wait().unwrap();
        fs::remove_dir_all(folder).unwrap();
        for trace in traces {
            assert!(!trace.exists(), "{mode:?}: {trace:?} stayed");
        }
    }
}

#[test]
fn nothing_stays_behind_after_sigkill() {
    for mode in modes() {
        let (mut child, _output, line) = started(mode, &format!("{TELL}; exec sleep 30"));
        let (traces, command) = told(&line);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(state(command).is_some(), "{mode:?}: the command lives on");
        sleep_while_guarded(&traces);
        assert!(traces.iter().all(|trace| trace.exists()), "{mode:?}: still needed by the command");
        kill(command, Signal::SIGKILL).unwrap();
        for trace in traces {
            eventually(&format!("{mode:?}: {trace:?} goes"), || !trace.exists());
        }
    }
}

/// Waits until the guard has had the occasion to look twice. There is no sign to wait for: that nothing happens
/// is the point.
fn sleep_while_guarded(_traces: &[PathBuf]) {
    sleep(Duration::from_millis(400));
}

#[test]
fn after_sigkill_the_told_proxy_still_carries() {
    let (mut child, _output, line) = started(&["--explicit"], "echo $$ $HTTPS_PROXY; exec sleep 30");
    let (command, proxy) = line.trim().split_once(' ').unwrap();
    let proxy = proxy.strip_prefix("http://").unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    // An origin that answers what it was told.
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = origin.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = origin.accept().unwrap();
        let mut word = [0; 5];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
    });
    let mut client = TcpStream::connect(proxy).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(client, "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    client.write_all(b"hello").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    echo.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello"), "{answer:?}");

    kill(Pid::from_raw(command.parse().unwrap()), Signal::SIGKILL).unwrap();
    eventually("the guard ends", || TcpStream::connect(proxy).is_err());
}

#[test]
fn what_outlives_the_command_keeps_its_files_until_it_ends() {
    for mode in modes() {
        let (mut child, _output, line) = started(mode, &format!("sleep 30 & {TELL} | sed \"s/ $$ / $! /\""));
        let (traces, survivor) = told(&line);
        child.wait().unwrap();
        assert!(traces[0].join("roots.pem").exists(), "{mode:?}: the survivor may still verify");
        kill(survivor, Signal::SIGKILL).unwrap();
        for trace in traces {
            eventually(&format!("{mode:?}: {trace:?} goes"), || !trace.exists());
        }
    }
}
