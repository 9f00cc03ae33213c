//! `trackway run`: the one place that wires the parts together.
//!
//! The way of the data: the kernel (or the command's environment) brings connections to the proxy; its tap and the
//! kernel's process facts go to the recorder, whose thread turns them into spans for the sinks.
//! The calling thread does nothing but watch the command.

pub mod attach;
mod capture;
mod identity;
mod ledger;
mod outputs;
mod record;
pub(crate) mod resource;
mod stdio;
mod takeover;

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use trackway_core::flow::Time;
use trackway_core::run::{Above, Identity};
use trackway_core::telemetry::Content;

use crate::cli::Run;
use crate::guard::{Guard, News, Survivors, Traces};
use crate::launch::{self, Plan, signals};
use crate::{prices, say, settings};
use capture::Capture;

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command could not be started.
    #[error(transparent)]
    Launch(#[from] launch::Error),
    /// The operator's prices cannot be read.
    #[error(transparent)]
    Prices(#[from] prices::Error),
    /// Signals could not be taken over.
    #[error("cannot take over signals: {0}")]
    Signals(#[source] io::Error),
    /// The run's folder could not be made.
    #[error("cannot make a folder under {path}: {source}; set TMPDIR to a folder that can be written")]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The guard could not be started.
    #[error("cannot start the guard process: {0}")]
    Guard(#[source] io::Error),
    /// The proxy could not be started.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// The trust files could not be written.
    #[error(transparent)]
    Trust(#[from] crate::trust::Error),
    /// An output cannot be used.
    #[error(transparent)]
    Output(#[from] outputs::Error),
    /// No listener on loopback.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[source] io::Error),
}

impl Error {
    /// The exit code that `env`, `nohup` and `docker` give.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Launch(error) => error.exit_code(),
            Error::Output(error) if error.usage() => 2,
            Error::Prices(_) => 2,
            _ => 125,
        }
    }
}

/// What the demonstration adds to a run.
#[derive(Clone, Default)]
pub struct Extra {
    /// Certificate authorities of origins, beside those of the system.
    pub roots: Vec<rustls::pki_types::CertificateDer<'static>>,
    /// Where origins are that have no address of their own.
    pub lead: Option<trackway_proxy::Lead>,
    /// Nothing leaves the machine, whatever the environment says of collectors.
    pub local: bool,
}

/// Runs a command and records it. Returns the exit code to end with.
pub fn run(options: &Run, extra: Extra) -> Result<i32, Error> {
    let status = observe(options, extra)?;
    Ok(launch::end_like(status))
}

/// As [`run`], but returns how the command ended.
pub fn observe(options: &Run, extra: Extra) -> Result<Result<i32, i32>, Error> {
    // Before the first thread: threads inherit the mask.
    let (original, pending) = signals::take_over().map_err(Error::Signals)?;
    let prices = prices::book(options.output.prices.as_deref())?;
    let sinks = outputs::open(&options.output, extra.local)?;
    let mut site = Site::make()?;
    let above = settings::get(settings::TRACEPARENT).as_deref().and_then(Above::read);
    let content = sinks.iter().map(|sink| sink.shows()).max().unwrap_or(Content::None);
    let identity = Identity { content, ..identity::of(&options.output, &options.command, above, now()) };
    let started = prepare(options, extra, &identity, &mut site).and_then(|(capture, plan)| {
        let start = now();
        let (child, notes) = launch::spawn(&plan, &original)?;
        Ok((capture, child, Identity { start, ..identity }, notes))
    });
    let (mut capture, child, identity, stage_notes) = match started {
        Ok(started) => started,
        Err(error) => {
            site.clear();
            return Err(error);
        }
    };
    site.tell(&News::Command(child.pid()));
    let mut notes: Vec<String> = capture.notes().iter().cloned().chain(stage_notes).collect();
    let recorder = record::Recorder::start(identity, child.pid(), capture.source(), sinks, prices);

    let status = child.supervise(&pending);

    let end = now();
    pending.release();
    let unseen = capture.finish();
    match recorder {
        Ok(recorder) => {
            let (totals, more) = recorder.finish(status, end);
            notes.extend(more);
            if totals.lost_facts > 0 {
                let count = totals.lost_facts;
                notes.push(format!("{count} facts about processes were lost: the kernel's buffer was full"));
            }
        }
        // The command ran all the same.
        Err(error) => notes.push(format!("nothing was recorded: cannot start a thread: {error}")),
    }
    notes.extend(unseen);
    if !options.output.quiet {
        notes.iter().for_each(|note| say(note));
    }
    site.leave();
    Ok(status)
}

/// Everything that stands before the command starts.
fn prepare(
    options: &Run,
    extra: Extra,
    identity: &Identity,
    site: &mut Site,
) -> Result<(Capture, Plan), Error> {
    let (capture, trust) = Capture::start(options, extra, identity, site)?;
    if let (Some(line), false) = (capture.notice(), options.output.quiet) {
        say(line);
    }
    let mut variables = trust.variables;
    variables.extend(capture.variables());
    let plan = Plan {
        command: options.command.clone(),
        variables,
        cgroup: site.traces.cgroup.clone(),
        overlays: trust.overlays,
        binds: trust.binds,
    };
    Ok((capture, plan))
}

/// What a run makes on the host, with the guard that sees to its end.
struct Site {
    traces: Traces,
    /// On loopback: for redirected connections, or for programs that are told of it.
    listener: TcpListener,
    guard: Guard,
}

impl Site {
    fn make() -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Listen)?;
        let traces = Traces { folder: folder()?, cgroup: None };
        match Guard::start(&traces.folder, &listener) {
            Ok(guard) => Ok(Self { traces, listener, guard }),
            Err(error) => {
                traces.remove();
                Err(Error::Guard(error))
            }
        }
    }

    fn tell(&mut self, news: &News<'_>) {
        if let News::Cgroup(path) = news {
            self.traces.cgroup = Some(path.to_path_buf());
        }
        // A guard that is gone guards nothing, and nothing is lost but that.
        if let Err(error) = self.guard.tell(news) {
            tracing::warn!(%error, "the guard is gone");
        }
    }

    /// The command never ran.
    fn clear(self) {
        self.traces.remove();
        self.guard.dismiss();
    }

    /// The command has ended. What outlives it keeps what it needs.
    fn leave(self) {
        if Survivors::of(&self.traces, None).any() {
            self.guard.take_over();
        } else {
            self.clear();
        }
    }
}

/// Makes the run's folder: under `/run` as root (memory, gone with the next start), else where temporary files go.
fn folder() -> Result<PathBuf, Error> {
    let run = Path::new("/run");
    let root =
        nix::unistd::geteuid().is_root() && nix::unistd::access(run, nix::unistd::AccessFlags::W_OK).is_ok();
    let parent = if root { run.to_path_buf() } else { std::env::temp_dir() };
    let error = |source| Error::Folder { path: parent.clone(), source };
    let mut bytes = [0; 8];
    identity::random(&mut bytes);
    let path = parent.join(format!("trackway-{:016x}", u64::from_be_bytes(bytes)));
    fs::create_dir(&path).map_err(error)?;
    // The command may run as another user.
    fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(error)?;
    Ok(path)
}

/// The time of day.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
