//! What watches the client, from the benchmark's side.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::watch::Totals;
use crate::contender::mortal;
use crate::cpu::{self, bound};

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watching {
    Nobody,
    /// `trackway attach`, another process: probes stand in the library of all, and fire in the client for nobody.
    Another,
    /// `trackway attach`, the client.
    Full,
    /// A watcher that drops what it is handed: `none`, `inside` or `entry`.
    Parts(&'static str),
}

/// How long a watcher may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A watcher at work; it ends with this value.
pub(super) struct Watcher {
    child: Option<Child>,
    totals: Option<(ChildStdin, BufReader<ChildStdout>)>,
    trace: Option<PathBuf>,
    /// The other process.
    other: Option<Child>,
}

impl Watcher {
    pub(super) fn start(watching: Watching, trackway: &Path, folder: &Path, client: u32) -> Result<Self> {
        let mut watcher = Self { child: None, totals: None, trace: None, other: None };
        match watching {
            Watching::Nobody => {}
            Watching::Parts(probes) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["tap-watch", &client.to_string(), probes]);
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                let child = watcher.spawn(command)?;
                let (input, output) = (child.stdin.take(), child.stdout.take());
                let (input, mut output) = input.zip(output).context("no pipes")?;
                wait_for("ready", watching.name(), BufReader::new(&mut output))?;
                watcher.totals = Some((input, BufReader::new(output)));
            }
            Watching::Another => {
                let pid = watcher.other.insert(idle()?).id();
                watcher.attach(trackway, pid, Path::new("/dev/null"))?;
            }
            Watching::Full => {
                let trace = folder.join("trace.jsonl");
                // The file is appended to.
                if trace.exists() {
                    fs::remove_file(&trace)?;
                }
                watcher.attach(trackway, client, &trace)?;
                watcher.trace = Some(trace);
            }
        }
        Ok(watcher)
    }

    fn spawn(&mut self, mut command: Command) -> Result<&mut Child> {
        mortal(&mut command);
        bound(&mut command, cpu::PROXY_CORE);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(self.child.insert(child))
    }

    fn attach(&mut self, trackway: &Path, pid: u32, trace: &Path) -> Result<()> {
        let mut command = Command::new(trackway);
        command
            .args(["attach", "--quiet", "--no-store", "--pid", &pid.to_string(), "--otlp-file"])
            .arg(trace);
        command.env("TRACKWAY_STORE", "none").stdout(Stdio::null()).stderr(Stdio::piped());
        let child = self.spawn(command)?;
        let mut errors = BufReader::new(child.stderr.take().context("no pipe")?);
        wait_for("watching", "trackway attach", &mut errors)?;
        // It may have more to say than a pipe holds.
        std::thread::spawn(move || errors.lines().map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(())
    }

    /// Nanoseconds of CPU that it used so far.
    pub(super) fn spent_ns(&self) -> Result<u64> {
        self.child.as_ref().map_or(Ok(0), |child| cpu::spent_ns(&[child.id()]))
    }

    /// What the kernel's side did so far, where the watcher tells.
    pub(super) fn totals(&mut self) -> Result<Option<Totals>> {
        let Some((input, output)) = &mut self.totals else { return Ok(None) };
        input.write_all(b"\n")?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        Ok(Some(serde_json::from_str(&line).with_context(|| format!("the watcher said {line:?}"))?))
    }

    /// Ends it, while the client goes on. The calls in its trace, where it wrote one.
    pub(super) fn finish(mut self, watching: Watching) -> Result<Option<u64>> {
        let parts = self.totals.take().is_some();
        let Some(child) = &mut self.child else { return Ok(None) };
        if !parts {
            signal::kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
        }
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("{} does not end", watching.name());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if !status.success() {
            bail!("{} ended with {status}", watching.name());
        }
        let Some(trace) = &self.trace else { return Ok(None) };
        let text = fs::read_to_string(trace)?;
        Ok(Some(text.matches(CALL).count() as u64))
    }
}

/// Stands once in the span of each chat.
const CALL: &str = "\"name\":\"chat gpt-4o\"";

impl Watching {
    /// Whether probes stand in the client's library.
    pub(super) fn probes(self) -> bool {
        !matches!(self, Watching::Nobody | Watching::Parts("none"))
    }

    fn name(self) -> &'static str {
        match self {
            Watching::Nobody => "nobody",
            Watching::Another | Watching::Full => "trackway attach",
            Watching::Parts(probes) => probes,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.totals = None;
        for child in [&mut self.child, &mut self.other].into_iter().flatten() {
            if child.kill().is_ok() {
                drop(child.wait());
            }
        }
    }
}

/// A process that has loaded OpenSSL and does nothing until its input ends.
fn idle() -> Result<Child> {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", "import ssl, sys; print('loaded', flush=True); sys.stdin.read()"]);
    mortal(&mut command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no pipe")?;
    wait_for("loaded", "python3", BufReader::new(output))?;
    Ok(child)
}

fn wait_for(word: &str, who: &str, mut from: impl BufRead) -> Result<()> {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            bail!("{who} ended before it watched");
        }
    }
    Ok(())
}
