//! What the proxy is told at its start.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use trackway_core::flow::Flow;

use crate::authority::Authority;
use crate::origin::Lead;
use crate::tap::Tap;
use crate::{Client, limits};

/// Says whether the client trusts our authority for the host, as far as that can be known beforehand.
pub type Trusts = Arc<dyn Fn(&Client, &str) -> bool + Send + Sync>;

/// Gives the `traceparent` for a request on the connection, if it should have one.
pub type Traceparent = Arc<dyn Fn(&Flow) -> Option<String> + Send + Sync>;

/// How to proxy. [`Config::default`] relays everything and reads only what has no TLS.
#[derive(Clone)]
pub struct Config {
    /// Mints the certificates of intercepted hosts; without it TLS passes unread.
    pub authority: Option<Arc<Authority>>,
    /// Whether origins are verified against the system's roots. `SSL_CERT_FILE` and `SSL_CERT_DIR` in our
    /// own environment replace them, as they do for the client.
    pub system_roots: bool,
    /// More roots.
    pub roots: Vec<CertificateDer<'static>>,
    /// More roots, as PEM.
    pub roots_file: Option<PathBuf>,
    /// Where what passes is handed over; without it nothing is copied.
    pub tap: Option<Tap>,
    /// Whose TLS to intercept; everybody's if absent.
    pub trusts: Option<Trusts>,
    /// Hosts to whose requests `traceparent` is added. `*.example.com` stands for every host below.
    pub rewrite: Vec<String>,
    /// Gives that `traceparent`.
    pub traceparent: Option<Traceparent>,
    /// `SO_MARK` on our connections to origins, by which the kernel side knows them (CAP_NET_ADMIN).
    pub mark: Option<u32>,
    /// Leads connections elsewhere: tests and the demo have their origins on the loopback interface.
    pub lead: Option<Lead>,
    /// Most connections at once.
    pub connections: usize,
    /// How long first bytes may stay undecided.
    pub sniff: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            authority: None,
            system_roots: true,
            roots: Vec::new(),
            roots_file: None,
            tap: None,
            trusts: None,
            rewrite: Vec::new(),
            traceparent: None,
            mark: None,
            lead: None,
            connections: limits::CONNECTIONS,
            sniff: limits::SNIFF,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("authority", &self.authority)
            .field("roots_file", &self.roots_file)
            .field("rewrite", &self.rewrite)
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file with roots cannot be read.
    #[error("cannot read root certificates from {path}: {reason}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The TLS library refused its settings.
    #[error("cannot prepare TLS: {0}")]
    Tls(String),
}

/// The roots against which origins are verified, and their DER forms.
pub(crate) fn roots(config: &Config) -> Result<RootCertStore, ConfigError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(config)? {
        // The client's own library skips what it cannot read, too.
        if let Err(error) = store.add(certificate) {
            tracing::debug!(%error, "skipped a root certificate");
        }
    }
    Ok(store)
}

/// The same roots as they were found.
pub(crate) fn certificates(config: &Config) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let mut certificates = Vec::new();
    if config.system_roots {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "cannot read some of the system's root certificates");
        }
        certificates = found.certs;
    }
    certificates.extend(config.roots.iter().cloned());
    if let Some(path) = &config.roots_file {
        certificates.extend(read(path)?);
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let fault = |error: rustls::pki_types::pem::Error| ConfigError::Roots {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    CertificateDer::pem_file_iter(path).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)
}

/// Whether a list of hosts names this one.
pub(crate) fn lists(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|listed| match listed.strip_prefix("*.") {
        Some(parent) => {
            host.len() > parent.len() + 1
                && host.as_bytes()[host.len() - parent.len() - 1] == b'.'
                && host.as_bytes()[host.len() - parent.len()..].eq_ignore_ascii_case(parent.as_bytes())
        }
        None => listed.eq_ignore_ascii_case(host),
    })
}

#[cfg(test)]
mod tests {
    use super::lists;

    #[test]
    fn hosts_are_listed_by_name_and_below() {
        let hosts = ["api.example.com".to_owned(), "*.example.org".to_owned()];
        for (host, listed) in [
            ("API.example.com", true),
            ("example.com", false),
            ("a.b.example.org", true),
            ("A.EXAMPLE.ORG", true),
            ("example.org", false),
            ("badexample.org", false),
            (".example.org", false),
        ] {
            assert_eq!(lists(&hosts, host), listed, "{host}");
        }
    }
}
