//! What brings the command's connections to us: the kernel as root, the environment without.

mod stand_in;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use trackway_proxy::{Client, Resolve};

use self::stand_in::Authority;
use super::record::Source;
use super::{Error as RunError, Extra};
use crate::cli::Run;
use crate::doctor::brief;
use crate::guard::Traces;
use crate::kernel::cgroup::{self, Cgroup};
use crate::kernel::{self, Kernel};
use crate::settings;
use crate::trust::{self, Anchor, Trust};

/// Why nothing can be captured at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No listener on loopback.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[source] io::Error),
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
    told: Vec<TcpListener>,
    variables: Vec<(OsString, OsString)>,
    kernel: Option<Arc<Mutex<Kernel>>>,
    // Goes when it is dropped, if it is empty then.
    _cgroup: Option<Cgroup>,
}

/// Listeners and what the kernel side says of their clients.
struct Redirect {
    kernel: Kernel,
    listeners: Vec<TcpListener>,
    cgroup: Cgroup,
}

impl Capture {
    /// Starts it. What is made on the host is entered in `traces` at once, so that it goes also where we fail.
    pub(super) fn start(options: &Run, extra: Extra, traces: &mut Traces) -> Result<(Self, Trust), RunError> {
        let authority = Authority::new();
        let anchor = Anchor { pem: authority.ca_pem(), der: authority.ca_der() };
        let redirect = redirect(options);
        if let Ok(redirect) = &redirect {
            traces.cgroup = Some(redirect.cgroup.path().to_path_buf());
        }
        let mut trust = trust::lay(anchor, &traces.folder, redirect.is_ok())?;
        trust.roots.extend(extra.roots);
        let mut capture = Self {
            notice: None,
            notes: std::mem::take(&mut trust.notes),
            told: Vec::new(),
            variables: Vec::new(),
            kernel: None,
            _cgroup: None,
        };
        match redirect {
            Ok(redirect) => {
                let kernel = Arc::new(Mutex::new(redirect.kernel));
                capture.kernel = Some(kernel);
                capture._cgroup = Some(redirect.cgroup);
                let _listeners = redirect.listeners;
            }
            Err(reason) => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Listen)?;
                let address = listener.local_addr().map_err(Error::Listen)?;
                match settings::PROXIES.into_iter().find(|name| settings::get(name).is_some()) {
                    Some(theirs) => {
                        trust = Trust::default();
                        capture.notice = Some(format!(
                            "{}, and {theirs} names another proxy: the command runs unobserved; run as root, or unset {theirs}",
                            brief(&reason.to_string())
                        ));
                    }
                    None => {
                        capture.notice = notice(&reason);
                        capture.variables = variables(address);
                        tell_java(&mut trust, address);
                        capture.told.push(listener);
                    }
                }
            }
        }
        Ok((capture, trust))
    }

    /// The line that is said before the command starts.
    pub(super) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// What is said at the end.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The listeners that the command's programs are told of.
    pub(super) fn told(&self) -> &[TcpListener] {
        &self.told
    }

    /// The variables that tell of them.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        self.variables.clone()
    }

    /// Where the recorder reads.
    pub(super) fn source(&self) -> Source {
        Source { feed: None, kernel: self.kernel.clone() }
    }

    /// Ends it. What was lost, as a line.
    pub(super) fn finish(self) -> Option<String> {
        None
    }
}

/// Puts the kernel between the command and its origins, where that is allowed.
fn redirect(options: &Run) -> Result<Redirect, Reason> {
    if options.explicit {
        return Err(Reason::Asked);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Reason::NoRoot);
    }
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Reason::Listen)?;
    let address = v4.local_addr().map_err(Reason::Listen)?;
    // A machine without IPv6 has no connections to redirect there.
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
    let address_v6 = v6.as_ref().and_then(|listener| listener.local_addr().ok());
    let cgroup = Cgroup::create()?;
    let kernel = Kernel::attach(cgroup.path(), address, address_v6)?;
    Ok(Redirect { kernel, listeners: [Some(v4), v6].into_iter().flatten().collect(), cgroup })
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
