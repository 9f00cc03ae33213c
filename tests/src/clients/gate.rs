//! A gate before which a client waits, ready but for its first request.
//!
//! It is a named pipe. A client that opens it for reading waits there until nobody holds it open for writing.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::Client;
use crate::job::{DEADLINE, Job, Running};

/// The gate.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
}

/// A gate that a client has reached. It opens when this is dropped.
#[derive(Debug)]
pub struct Held {
    _writer: File,
}

impl Gate {
    /// A closed gate at `path`.
    pub fn new(path: &Path) -> Result<Self> {
        mkfifo(path, Mode::from_bits_truncate(0o666))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Waits until somebody stands before it.
    pub async fn reached(self, by: &mut Running) -> Result<Held> {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let wait = async {
            loop {
                pause.tick().await;
                // This fails as long as nobody has begun to open the pipe for reading.
                let writer = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(&self.path);
                if let Ok(writer) = writer {
                    return Ok(Held { _writer: writer });
                }
                if by.has_ended()? {
                    bail!("the client ended before it reached its gate");
                }
            }
        };
        tokio::time::timeout(DEADLINE, wait).await?
    }
}

impl Held {
    /// Lets the client go.
    pub fn open(self) {}
}

impl Client {
    /// `job` with a gate before its first request. The scripts wait there with their TLS library loaded, as do
    /// `curl` and `wget`, whose settings name it; Codex and opencode begin only behind it.
    pub(crate) fn gated(self, job: Job) -> Result<(Job, Gate)> {
        let path = job.folder().join("gate");
        let gate = Gate::new(&path)?;
        let home = job.folder().join("home");
        Ok(match self {
            Self::Curl { .. } => {
                fs::write(home.join(".curlrc"), format!("header = \"@{}\"\n", path.display()))?;
                (job, gate)
            }
            Self::Wget => {
                fs::write(home.join(".wgetrc"), format!("load_cookies = {}\n", path.display()))?;
                (job, gate)
            }
            Self::Codex { .. } | Self::Opencode => {
                let wait = "read -r line < \"$GATE\"; exec \"$@\"";
                (job.env("GATE", path).under(["sh", "-c", wait, "sh"]), gate)
            }
            _ => (job.env("GATE", path), gate),
        })
    }
}
