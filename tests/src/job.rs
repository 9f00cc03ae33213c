//! A command inside the namespace, with a scrubbed environment and a deadline.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::namespace::Namespace;

/// Longest time that any command of the tests may take.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A command to be started.
#[derive(Clone, Debug)]
pub struct Job {
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    input: Option<Vec<u8>>,
    deadline: Duration,
}

/// What became of a command.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit code, or the signal that ended it.
    pub status: Result<i32, i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub time: Duration,
}

impl Outcome {
    /// Fails with everything the command said unless it exited with 0.
    pub fn success(self) -> Result<Self> {
        if self.status == Ok(0) {
            return Ok(self);
        }
        bail!("ended with {:?}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

impl Job {
    /// A command that runs in `folder` and sees nothing of the test's own environment.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>, folder: &Path) -> Self {
        let home = folder.join("home");
        let environment = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("TRACKWAY_STORE", home.join("runs.db").into_os_string()),
            ("HOME", home.into_os_string()),
            ("LANG", "C.UTF-8".into()),
            ("TMPDIR", folder.join("tmp").into_os_string()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ];
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: environment.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            folder: folder.to_owned(),
            input: None,
            deadline: DEADLINE,
        }
    }

    /// The same with words before it: a wrapper.
    pub fn under(mut self, wrapper: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.splice(0..0, wrapper.into_iter().map(Into::into));
        self
    }

    /// The same with another word in the place of each `word`.
    pub fn with(mut self, word: &str, other: impl Into<OsString>) -> Self {
        let other = other.into();
        self.arguments.iter_mut().filter(|it| *it == word).for_each(|it| it.clone_from(&other));
        self
    }

    /// One more variable.
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(key.into(), value.into());
        self
    }

    /// Text for its standard input.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.as_bytes().to_vec());
        self
    }

    /// Another deadline.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Where it runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it.
    pub async fn start(self, namespace: &Namespace) -> Result<Running> {
        let (program, arguments) = self.arguments.split_first().context("an empty command")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.folder)
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let started = Instant::now();
        let mut child = namespace
            .inside(move || command.spawn())
            .await?
            .with_context(|| format!("starting {program:?}"))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), self.input) {
            tokio::spawn(async move { stdin.write_all(&input).await });
        }
        let stdout = tokio::spawn(read(child.stdout.take(), watch::Sender::default()));
        let (telling, told) = watch::channel(Vec::new());
        let stderr = tokio::spawn(read(child.stderr.take(), telling));
        Ok(Running { child, stdout, stderr, told, started, deadline: self.deadline })
    }

    /// Starts it and waits for its end.
    pub async fn run(self, namespace: &Namespace) -> Result<Outcome> {
        self.start(namespace).await?.end().await
    }
}

/// A command that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: tokio::task::JoinHandle<String>,
    stderr: tokio::task::JoinHandle<String>,
    told: watch::Receiver<Vec<u8>>,
    started: Instant,
    deadline: Duration,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> Result<nix::unistd::Pid> {
        let pid = self.child.id().context("it has ended")?;
        Ok(nix::unistd::Pid::from_raw(i32::try_from(pid)?))
    }

    /// Sends a signal to that process alone.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        Ok(nix::sys::signal::kill(self.pid()?, signal)?)
    }

    /// Asks it to end, as `kill` does, and waits until it has done so well.
    pub async fn stop(self) -> Result<Outcome> {
        self.signal(nix::sys::signal::Signal::SIGTERM)?;
        self.end().await?.success()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until its standard error holds `mark`.
    pub async fn until_told(&mut self, mark: &str) -> Result<()> {
        let holds = |bytes: &Vec<u8>| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
        let said =
            tokio::time::timeout(self.deadline, self.told.wait_for(holds)).await.map(|told| told.is_ok());
        if said == Ok(true) {
            return Ok(());
        }
        bail!("it never said `{mark}`, but\n{}", String::from_utf8_lossy(&self.told.borrow()))
    }

    /// Waits for its end and for the end of its output.
    pub async fn end(mut self) -> Result<Outcome> {
        let Ok(status) = tokio::time::timeout(self.deadline, self.child.wait()).await else {
            self.child.start_kill()?;
            let stdout = said(self.stdout).await;
            let stderr = said(self.stderr).await;
            bail!("not within {:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.deadline);
        };
        let status = status?;
        let time = self.started.elapsed();
        let status = status.code().map_or_else(|| Err(status.signal().unwrap_or_default()), Ok);
        Ok(Outcome { status, stdout: said(self.stdout).await, stderr: said(self.stderr).await, time })
    }
}

/// A process that was left behind keeps the pipe open: that must not hold the test.
async fn said(reader: tokio::task::JoinHandle<String>) -> String {
    match tokio::time::timeout(Duration::from_secs(20), reader).await {
        Ok(Ok(text)) => text,
        _ => "(the output did not end: a process that was left behind holds it)".to_owned(),
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>, telling: watch::Sender<Vec<u8>>) -> String {
    if let Some(mut stream) = stream {
        let mut piece = [0; 4096];
        // What was read before an error is kept.
        while let Ok(size @ 1..) = stream.read(&mut piece).await {
            telling.send_modify(|bytes| bytes.extend_from_slice(&piece[..size]));
        }
    }
    String::from_utf8_lossy(&telling.borrow()).into_owned()
}
