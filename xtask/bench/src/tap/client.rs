//! Clients of OpenSSL, each a process of its own that comes to a gate before anything and after each part of its work.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use super::server::GATE;
use crate::contender::mortal;
use crate::cpu::{self, bound};
use crate::pki;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Load {
    /// curl: chat requests of 4 KB on one connection
    Requests,
    /// Python's ssl: writes of 4 KB and nothing else
    Writes,
    /// The openai SDK of Python: chat calls of 4 KB
    Sdk,
}

/// What instruments the SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    Plain,
    OpenInference,
    OpenTelemetry,
}

/// Where clients find what they need.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) port: u16,
    /// The Python with the SDK.
    pub(super) python: Option<PathBuf>,
}

/// A client that runs; it ends with this value.
pub(super) struct Client {
    child: Child,
}

impl Client {
    /// Starts one that does so many units in each part.
    pub(super) fn start(place: &Place<'_>, load: Load, sdk: Sdk, parts: &[usize]) -> Result<Self> {
        let mut command = match load {
            Load::Requests => curl(place, parts),
            Load::Writes => writes(place, parts)?,
            Load::Sdk => chat(place, sdk, parts)?,
        };
        command.env("SSL_CERT_FILE", place.folder.join("ca.pem")).stdin(Stdio::null()).stdout(Stdio::null());
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        mortal(&mut command);
        bound(&mut command, cpu::PEER_CORE);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, which it has been let go to.
    pub(super) fn finish(mut self) -> Result<()> {
        let status: ExitStatus = self.child.wait()?;
        if !status.success() {
            bail!("the client ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // One that has ended is no fault.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// curl counts through a URL by itself; what it counts stands in the fragment, which is not sent.
fn curl(place: &Place<'_>, parts: &[usize]) -> Command {
    let base = format!("https://{}:{}", pki::HOST, place.port);
    let gate = format!("{base}{GATE}");
    let chats = |count| format!("{base}/v1/chat/completions#[1-{count}]");
    let mut command = Command::new("curl");
    command.args([
        "-q",
        "-sS",
        "--fail",
        "--http1.1",
        "--noproxy",
        "*",
        "-H",
        "content-type: application/json",
    ]);
    command.arg("--resolve").arg(format!("{}:{}:127.0.0.1", pki::HOST, place.port));
    command.arg("--cacert").arg(place.folder.join("ca.pem"));
    command.arg("--data-binary").arg(format!("@{}", place.folder.join("body.json").display()));
    let mut fetch = |url: &str| {
        command.args(["-o", "/dev/null", url]);
    };
    fetch(&gate);
    for count in parts {
        fetch(&chats(*count));
        fetch(&gate);
    }
    command
}

fn writes(place: &Place<'_>, parts: &[usize]) -> Result<Command> {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script(place, "writes.py", include_str!("writes.py"))?).arg(place.port.to_string());
    command.arg(place.folder.join("ca.pem")).args(parts.iter().map(usize::to_string));
    Ok(command)
}

fn chat(place: &Place<'_>, sdk: Sdk, parts: &[usize]) -> Result<Command> {
    let mut command = Command::new(place.python.as_deref().context("no Python with the SDK")?);
    command.arg(script(place, "chat.py", include_str!("chat.py"))?).arg(place.port.to_string());
    command.arg(place.folder.join("body.json")).arg(match sdk {
        Sdk::Plain => "none",
        Sdk::OpenInference => "openinference",
        Sdk::OpenTelemetry => "opentelemetry",
    });
    command.args(parts.iter().map(usize::to_string));
    Ok(command)
}

fn script(place: &Place<'_>, name: &str, text: &str) -> Result<PathBuf> {
    let path = place.folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}
