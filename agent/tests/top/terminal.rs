//! In a real terminal: tmux draws what trackway writes, and presses keys.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::support::{Tape, asks, busy};

/// Longest that something is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Whether tmux is here. In CI it has to be.
fn tmux_works() -> bool {
    if Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    let why = "needs tmux: cargo xtask setup installs it";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    false
}

/// A terminal of its own, with a shell that starts the view and then waits.
struct Pane {
    folder: tempfile::TempDir,
}

impl Pane {
    fn start(store: &Path, environment: &str) -> Self {
        let pane = Self { folder: tempfile::tempdir().unwrap() };
        let script = format!(
            "{environment} export PS1=; echo before; '{}' top --store '{}'; echo ended $?; stty -a; exec cat",
            env!("CARGO_BIN_EXE_trackway"),
            store.display()
        );
        let made = pane.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "35", &script]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        pane
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        // Its socket lies in the test's own folder.
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").env_remove("NO_COLOR").env("TMUX_TMPDIR", self.folder.path());
        command.env("SHELL", "/bin/sh").env("LC_ALL", "C.UTF-8").arg("-u").args(arguments).output().unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys"];
        arguments.extend(keys);
        assert!(self.tmux(&arguments).status.success());
    }

    fn text(&self, flags: &[&str]) -> String {
        let mut arguments = vec!["capture-pane", "-p"];
        arguments.extend(flags);
        String::from_utf8_lossy(&self.tmux(&arguments).stdout).into_owned()
    }

    fn value(&self, format: &str) -> String {
        String::from_utf8_lossy(&self.tmux(&["display-message", "-p", format]).stdout).trim().to_owned()
    }

    /// Waits until the screen says all of it.
    fn until(&self, words: &[&str]) -> String {
        self.wait(|text| words.iter().all(|words| text.contains(words)), &format!("{words:?}"))
    }

    fn wait(&self, there: impl Fn(&str) -> bool, what: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text(&[]);
            if there(&text) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the shell runs.
    fn child(&self) -> i32 {
        let shell = self.value("#{pane_pid}");
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The terminal is as it was before.
    fn is_clean(&self) {
        let text = self.until(&["before", "ended 0", "icanon"]);
        assert!(!text.contains("doing") && !text.contains("q quit"), "{text}");
        let set = |word: &str| text.split_whitespace().any(|it| it == word);
        assert!(["icanon", "echo", "isig", "opost"].into_iter().all(set), "{text}");
        assert_eq!(self.value("#{alternate_on} #{cursor_flag}"), "0 1");
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn people_look_at_it() {
    if !tmux_works() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut tapes = busy(&path, now());
    let pane = Pane::start(&path, "");
    pane.until(&["3 running · 3 ended", "Bash", "cargo test", "⟳ model", "研究員"]);
    pane.until(&["lost: trackway was killed", "exited with code 1"]);
    assert!(colored(&pane.text(&["-e"])), "there are colours");

    // A run that goes on is seen going on.
    let answer = tapes[0].tool(96, "Bash", "a3", None);
    let call = tapes[0].call(97, 26_000, Some(1_500), &[asks("a4", "Edit", r#"{"path":"src/parser.rs"}"#)]);
    tapes[0].write(&[answer, call]);
    pane.until(&["Edit", "src/parser.rs", "+1.5k"]);

    // Enter opens a run, and it grows.
    pane.keys(&["j", "j", "Enter"]);
    pane.until(&["invoke_agent claude", "no such file", "esc back"]);
    let answer = tapes[0].tool(98, "Edit", "a4", Some("the file is locked"));
    tapes[0].write(&[answer]);
    pane.until(&["the file is locked"]);
    pane.keys(&["Escape"]);
    pane.until(&["sort: time"]);

    // Keys.
    pane.keys(&["s"]);
    pane.until(&["sort: cost"]);
    pane.keys(&["/", "g", "o", "o"]);
    pane.until(&["only “goo”", "nothing runs · 1 ended"]);
    pane.keys(&["Escape"]);
    pane.until(&["3 running"]);

    // Another size.
    assert!(pane.tmux(&["resize-window", "-x", "60", "-y", "15"]).status.success());
    // The columns between have no room.
    let foot = |text: &str, line: usize| text.lines().nth(line).is_some_and(|line| line.contains("quit"));
    pane.wait(|text| foot(text, 14) && text.contains("agent       steps"), "a frame of fifteen lines");
    assert!(pane.tmux(&["resize-window", "-x", "120", "-y", "35"]).status.success());
    pane.wait(|text| foot(text, 34) && text.contains("grown"), "a frame of 35 lines");
    // Keys that come together with a new size are not lost.
    for (width, help) in
        [("100", true), ("110", false), ("90", true), ("120", false)].into_iter().cycle().take(20)
    {
        assert!(
            pane.tmux(&["resize-window", "-x", width, "-y", "35", ";", "send-keys", "?"]).status.success()
        );
        pane.wait(|text| text.contains("any key back") == help, "the help, or the table again");
    }
    pane.keys(&["q"]);
    pane.is_clean();
}

#[test]
fn a_signal_leaves_the_terminal_clean() {
    if !tmux_works() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        // There is no store yet; then there is one.
        std::fs::remove_file(&path).ok();
        let pane = Pane::start(&path, "NO_COLOR=1; export NO_COLOR;");
        pane.until(&["No run to show yet", "trackway demo"]);
        let tape = Tape::begin(&path, 1, "newborn", "m", now());
        pane.until(&["newborn", "no call yet"]);
        let screen = pane.text(&["-e"]);
        assert!(!colored(&screen), "{screen:?}");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pane.child()), signal).unwrap();
        pane.is_clean();
        drop(tape);
    }
}

#[test]
fn a_closed_terminal_ends_it() {
    if !tmux_works() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // With the signal of a closed terminal, and where it is ignored.
    for environment in ["", "trap '' HUP;"] {
        let pane = Pane::start(&folder.path().join("runs.db"), environment);
        pane.until(&["No run to show yet"]);
        let child = pane.child();
        drop(pane);
        let begun = Instant::now();
        let stat = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // Nobody may be there to collect it.
        while !(stat().is_empty() || stat().contains(") Z ")) {
            assert!(begun.elapsed() < PATIENCE, "it goes on without a terminal: {}", stat());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether our own colour is on the screen, in the short or the long form.
fn colored(screen: &str) -> bool {
    screen.contains("\u{1b}[36m") || screen.contains("\u{1b}[38;5;6m")
}

fn trackway(store: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackway"));
    command.args(arguments).arg("--store").arg(store).env("COLUMNS", "120");
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn scripts_get_a_frame_or_objects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (code, out, _) = trackway(&path, &["top", "--once"]);
    assert!(code == Some(0) && out.contains("No run to show yet"), "{out}");
    let _tapes = busy(&path, now());
    let (code, out, said) = trackway(&path, &["top", "--once"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(out.contains("3 running · 3 ended") && out.contains("cargo test"), "{out}");
    assert!(!out.contains('\u{1b}') && !out.contains("quit"), "{out}");
    let (code, out, said) = trackway(&path, &["top"]);
    assert!(code == Some(0) && out.contains("3 running") && said.contains("no terminal"), "{said}");

    let (code, out, _) = trackway(&path, &["top", "--json"]);
    assert_eq!(code, Some(0));
    let runs: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(runs.len(), 6);
    let claude = runs.iter().find(|run| run["agent"] == "claude").unwrap();
    assert_eq!((&claude["doing"], &claude["tool"]), (&"tool".into(), &"Bash".into()));
    assert_eq!((&claude["context_tokens"], &claude["context_growth"]), (&24_500.into(), &3_500.into()));
    let looper = runs.iter().find(|run| run["agent"] == "demo-agent").unwrap();
    assert_eq!((&looper["loops"], &looper["doing"]), (&1.into(), &"model".into()));
    assert_eq!(runs.iter().find(|run| run["agent"] == "goose").unwrap()["status"], "lost");

    let notes = folder.path().join("notes");
    std::fs::write(&notes, "no store ".repeat(200)).unwrap();
    let (code, _, said) = trackway(&notes, &["top", "--once"]);
    assert!(code == Some(1) && said.contains("is no store of Trackway"), "{said}");
}
