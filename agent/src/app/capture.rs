//! What brings the command's connections to us: the kernel as root, the environment without.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trackway_core::run::{Identity, Run as Recorded};
use trackway_proxy::authority::{Authority, AuthorityError};
use trackway_proxy::tap::{self, Feed, Tap};
use trackway_proxy::{Client, Config, ConfigError, Mode, Proxy, Resolve};

use super::record::Source;
use super::{Error as RunError, Extra, Site};
use crate::cli::Run;
use crate::doctor::brief;
use crate::guard::News;
use crate::kernel::cgroup::{self, Cgroup};
use crate::kernel::{self, Kernel, Wish};
use crate::limits::{DRAIN, TAP_BYTES, TAP_EVENTS, TAP_RING_BYTES, WORKERS};
use crate::settings;
use crate::tap as tapped;
use crate::trust::{self, Anchor, Trust};

/// Why nothing can be captured at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No listener on loopback.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[source] io::Error),
    /// No certificate authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The tap was asked for and cannot be set.
    #[error("cannot read TLS inside processes: {0}; run as root on Linux 5.15 or later, or leave --tap out")]
    Tap(String),
    /// The proxy refused its settings.
    #[error(transparent)]
    Proxy(#[from] ConfigError),
    /// No threads for the proxy.
    #[error("cannot start the proxy's threads: {0}")]
    Runtime(#[source] io::Error),
}

/// Why the kernel does not help. The run goes on without it.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("no root")]
    NoRoot,
    #[error("--explicit")]
    Asked,
    #[error("no cgroup: {0}")]
    Cgroup(#[from] cgroup::Error),
    #[error("{0}")]
    Kernel(#[from] kernel::Error),
    #[error("cannot listen on loopback: {0}")]
    Listen(io::Error),
}

/// The running capture.
#[derive(Debug)]
pub(super) struct Capture {
    notice: Option<String>,
    notes: Vec<String>,
    variables: Vec<(OsString, OsString)>,
    kernel: Option<Arc<Mutex<Kernel>>>,
    feed: Option<Feed>,
    tap: Option<tapped::Tap>,
    serving: Option<Serving>,
    // Goes when it is dropped, if it is empty then.
    _cgroup: Option<Cgroup>,
}

/// The proxy at work.
#[derive(Debug)]
struct Serving {
    runtime: Runtime,
    listeners: Vec<JoinHandle<()>>,
    shutdown: watch::Sender<bool>,
    tap: Tap,
}

/// Listeners and what the kernel side says of their clients.
struct Redirect {
    kernel: Kernel,
    listeners: Vec<TcpListener>,
    cgroup: Cgroup,
}

impl Capture {
    /// Starts it. The guard is told at once of what is made on the host.
    pub(super) fn start(
        options: &Run,
        extra: Extra,
        identity: &Identity,
        site: &mut Site,
    ) -> Result<(Self, Trust), RunError> {
        if options.tap {
            return Ok((Self::tapped(options, site)?, Trust::default()));
        }
        let redirect = redirect(options, site);
        let mut capture = Self::nothing();
        let theirs = settings::PROXIES.into_iter().find(|name| settings::get(name).is_some());
        if let (Err(reason), Some(theirs)) = (&redirect, theirs) {
            let reason = brief(&reason.to_string());
            capture.notice = Some(format!(
                "{reason}, and {theirs} names another proxy: the command runs unobserved; run as root, or unset {theirs}"
            ));
            return Ok((capture, Trust::default()));
        }
        let authority = Authority::new(&[]).map_err(Error::Authority)?;
        let pem = authority.ca_pem();
        let anchor = Anchor { pem: &pem, der: authority.ca_der() };
        let mut trust = trust::lay(anchor, &site.traces.folder, redirect.is_ok())?;
        capture.notes = std::mem::take(&mut trust.notes);

        let (tap, feed) = tap::channel(TAP_EVENTS, TAP_BYTES);
        let mut roots = std::mem::take(&mut trust.roots);
        roots.extend(extra.roots);
        let parent = format!("00-{}-{}-01", identity.trace, Recorded::new(identity.clone()).root());
        let proxy = Proxy::new(Config {
            authority: Some(Arc::new(authority)),
            system_roots: false,
            roots,
            tap: (settings::capture() != settings::Capture::Off).then(|| tap.clone()),
            rewrite: options.rewrite.clone(),
            traceparent: Some(Arc::new(move |_| Some(parent.clone()))),
            lead: extra.lead,
            ..Config::default()
        })
        .map_err(Error::Proxy)?;
        capture.feed = Some(feed);

        let (listeners, mode, resolve): (_, _, Arc<dyn Resolve>) = match redirect {
            Ok(redirect) => {
                let clients = redirect.kernel.clients();
                capture.kernel = Some(Arc::new(Mutex::new(redirect.kernel)));
                capture._cgroup = Some(redirect.cgroup);
                (redirect.listeners, Mode::Redirect, clients)
            }
            Err(reason) => {
                let listener = site.listener.try_clone().map_err(Error::Listen)?;
                let address = listener.local_addr().map_err(Error::Listen)?;
                capture.notice = notice(&reason);
                capture.variables = variables(address);
                tell_java(&mut trust, address);
                site.tell(&News::Told);
                (vec![listener], Mode::Explicit, Arc::new(Unknown))
            }
        };
        capture.serving = Some(Serving::start(&proxy, listeners, mode, &resolve, tap)?);
        Ok((capture, trust))
    }

    fn nothing() -> Self {
        Self {
            notice: None,
            notes: Vec::new(),
            variables: Vec::new(),
            kernel: None,
            feed: None,
            tap: None,
            serving: None,
            _cgroup: None,
        }
    }

    /// Nothing stands in the way: the command's processes are looked into.
    fn tapped(options: &Run, site: &mut Site) -> Result<Self, Error> {
        let failed = |why: &dyn std::fmt::Display| Error::Tap(brief(&why.to_string()));
        tapped::allowed().map_err(|error| failed(&error))?;
        let cgroup = Cgroup::create().map_err(|error| failed(&error))?;
        site.tell(&News::Cgroup(cgroup.path()));
        let wish = Wish {
            cgroup: true,
            clear: true,
            ring_bytes: options.tap_bytes.unwrap_or(TAP_RING_BYTES),
            ..Wish::default()
        };
        let plan = kernel::Plan { cgroup: Some(cgroup.path()), listeners: None, tap: wish };
        let command = options.command.first().and_then(|name| crate::path::find(name));
        let (kernel, tap) =
            tapped::open(&plan, command.into_iter().collect()).map_err(|error| failed(&error))?;
        prepare(&mut kernel.lock().unwrap_or_else(PoisonError::into_inner));
        // The first connection may come at once.
        tap.settle();
        Ok(Self { kernel: Some(kernel), tap: Some(tap), _cgroup: Some(cgroup), ..Self::nothing() })
    }

    /// The line that is said before the command starts.
    pub(super) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// What is said at the end.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The variables that tell the command's programs of us.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        self.variables.clone()
    }

    /// Where the recorder reads. Once.
    pub(super) fn source(&mut self) -> Source {
        let read = settings::capture() == settings::Capture::Read;
        Source { feed: self.feed.take(), tap: self.tap.take(), read, kernel: self.kernel.clone() }
    }

    /// Gives open connections a moment and ends them. What was lost or not seen, line by line.
    pub(super) fn finish(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = self.serving.take().map(Serving::finish).into_iter().flatten().collect();
        if let Some(kernel) = &self.kernel {
            lines.extend(kernel.lock().unwrap_or_else(PoisonError::into_inner).report());
        }
        lines
    }
}

impl Serving {
    fn start(
        proxy: &Proxy,
        listeners: Vec<TcpListener>,
        mode: Mode,
        resolve: &Arc<dyn Resolve>,
        tap: Tap,
    ) -> Result<Self, Error> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("proxy")
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let (shutdown, stop) = watch::channel(false);
        let inside = runtime.enter();
        let listeners = listeners.into_iter().map(|listener| {
            listener.set_nonblocking(true).map_err(Error::Listen)?;
            let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Listen)?;
            let (proxy, resolve, stop) = (proxy.clone(), Arc::clone(resolve), stop.clone());
            Ok(runtime.spawn(async move { proxy.serve(listener, mode, resolve, stop).await }))
        });
        let listeners = listeners.collect::<Result<_, Error>>()?;
        drop(inside);
        Ok(Self { runtime, listeners, shutdown, tap })
    }

    fn finish(self) -> Option<String> {
        self.shutdown.send_replace(true);
        self.runtime.block_on(async {
            let all = async {
                for listener in self.listeners {
                    listener.await.ok();
                }
            };
            tokio::time::timeout(DRAIN, all).await.ok();
        });
        // A look-up of a name that hangs must not hold us.
        self.runtime.shutdown_timeout(Duration::ZERO);
        let losses = self.tap.losses();
        (losses.slices + losses.events > 0).then(|| {
            format!("{} bytes passed unseen: they came faster than they could be read", losses.bytes)
        })
    }
}

/// Puts the kernel between the command and its origins, where that is allowed.
fn redirect(options: &Run, site: &mut Site) -> Result<Redirect, Reason> {
    if options.explicit {
        return Err(Reason::Asked);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Reason::NoRoot);
    }
    let v4 = site.listener.try_clone().map_err(Reason::Listen)?;
    let address = v4.local_addr().map_err(Reason::Listen)?;
    // A machine without IPv6 has no connections to redirect there.
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
    let address_v6 = v6.as_ref().and_then(|listener| listener.local_addr().ok());
    let cgroup = Cgroup::create()?;
    site.tell(&News::Cgroup(cgroup.path()));
    let mut kernel = match Kernel::attach(cgroup.path(), address, address_v6) {
        Ok(kernel) => kernel,
        Err(error) => {
            site.traces.cgroup = None;
            return Err(error.into());
        }
    };
    prepare(&mut kernel);
    Ok(Redirect { kernel, listeners: [Some(v4), v6].into_iter().flatten().collect(), cgroup })
}

/// Gets the kernel ready for servers on pipes before the command starts one: nobody waits for the kernel then.
fn prepare(kernel: &mut Kernel) {
    if settings::capture() == settings::Capture::Read {
        // Why it cannot is told by whoever needs it.
        kernel.prepare().ok();
    }
}

/// The variables of explicit proxying. `NO_PROXY` stays as the user has it.
fn variables(address: SocketAddr) -> Vec<(OsString, OsString)> {
    let proxy = format!("http://{address}");
    let mut out: Vec<(OsString, OsString)> =
        settings::PROXIES.into_iter().map(|name| (name.into(), proxy.clone().into())).collect();
    if settings::get(settings::NODE_PROXY).is_none() {
        out.push((settings::NODE_PROXY.into(), "1".into()));
    }
    out
}

/// Java knows no `HTTPS_PROXY`. Where its options are set anyhow, they name the proxy as well, unless the user has
/// exceptions, which Java writes differently, or a proxy of their own.
fn tell_java(trust: &mut Trust, address: SocketAddr) {
    let exceptions = settings::NO_PROXIES.into_iter().any(|name| settings::get(name).is_some());
    for (_, value) in trust.variables.iter_mut().filter(|(name, _)| name == trust::java::VARIABLE) {
        if !exceptions && !value.to_string_lossy().contains(".proxyHost=") {
            for scheme in ["https", "http"] {
                value.push(format!(
                    " -D{scheme}.proxyHost={} -D{scheme}.proxyPort={}",
                    address.ip(),
                    address.port()
                ));
            }
        }
    }
}

fn notice(reason: &Reason) -> Option<String> {
    match reason {
        // Who asks for it knows what it is.
        Reason::Asked => None,
        reason => Some(format!(
            "{}; explicit proxying: child processes and programs that ignore HTTPS_PROXY (fetch of Node before \
             22.21) are not seen",
            brief(&reason.to_string())
        )),
    }
}

/// The client itself says where it wants to go, and nobody says who it is.
#[derive(Debug)]
struct Unknown;

impl Resolve for Unknown {
    fn resolve(&self, _peer: SocketAddr, _local: SocketAddr) -> Client {
        Client::default()
    }
}
