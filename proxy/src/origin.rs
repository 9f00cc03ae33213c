//! The client's part towards the origin: finding it, connecting to it, verifying it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::{setsockopt, sockopt};
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::bounded::Bounded;
use crate::limits;
use crate::stream::{Side, Wire};

/// Leads a connection elsewhere: host, port and the address that the client meant, where it meant one.
pub type Lead = Arc<dyn Fn(&str, u16, Option<SocketAddr>) -> Option<SocketAddr> + Send + Sync>;

/// Why there is no TLS connection with the origin that the client could have had through us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OriginError {
    #[error("{0}")]
    Untrusted(String),
    #[error("{0}")]
    Failed(String),
    #[error("the origin asks for a client certificate")]
    Certificate,
    #[error("'{0}' is not a DNS name")]
    Name(String),
}

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Empty where only the address is known.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) address: Option<SocketAddr>,
}

/// Host and application protocols offered.
type Key = (String, Vec<Vec<u8>>);

pub(crate) struct Origins {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    mark: Option<u32>,
    lead: Option<Lead>,
    settings: Mutex<Bounded<Key, Settings>>,
}

#[derive(Clone)]
struct Settings {
    config: Arc<ClientConfig>,
    asked: Arc<Asked>,
}

impl Origins {
    pub(crate) fn new(roots: Arc<RootCertStore>, mark: Option<u32>, lead: Option<Lead>) -> Origins {
        Origins {
            roots,
            provider: Arc::new(ring::default_provider()),
            mark,
            lead,
            settings: Mutex::new(Bounded::new(limits::SETTINGS)),
        }
    }

    pub(crate) fn mark(&self) -> Option<u32> {
        self.mark
    }

    /// The addresses to try, in order.
    pub(crate) async fn find(&self, target: &Target) -> io::Result<Vec<SocketAddr>> {
        if let Some(lead) = &self.lead
            && let Some(address) = lead(&target.host, target.port, target.address)
        {
            return Ok(vec![address]);
        }
        if let Some(address) = target.address {
            return Ok(vec![address]);
        }
        Ok(tokio::net::lookup_host((target.host.as_str(), target.port)).await?.collect())
    }

    /// Connects to the target. An address that the client chose gets the kernel's own patience; several
    /// addresses of a name share ours.
    pub(crate) async fn dial(&self, target: &Target) -> io::Result<TcpStream> {
        let addresses = self.find(target).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for (index, address) in addresses.iter().enumerate() {
            let attempt = self.connect(*address);
            let result = if index + 1 < addresses.len() {
                match tokio::time::timeout(limits::ADDRESS, attempt).await {
                    Ok(result) => result,
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            } else {
                attempt.await
            };
            match result {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        // A client's IPv6 socket may mean an IPv4 address, also where we have no IPv6.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(mark) = self.mark {
            setsockopt(&socket, sockopt::Mark, &mark)?;
        }
        socket.connect(address).await
    }

    /// Completes the TLS handshake as the client would have: for its server name, with its offer of
    /// protocols, against the roots.
    pub(crate) async fn secure(
        &self,
        tcp: TcpStream,
        host: &str,
        alpn: &[Vec<u8>],
    ) -> Result<Side, OriginError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| OriginError::Name(host.to_owned()))?;
        let settings = self.settings(host, alpn)?;
        let result = TlsConnector::from(settings.config).connect(name, Wire::new(tcp)).await;
        if settings.asked.0.load(Ordering::Relaxed) {
            return Err(OriginError::Certificate);
        }
        match result {
            Ok(stream) => Ok(Side::Tls(Box::new(TlsStream::Client(stream)))),
            Err(error) => Err(classify(&error)),
        }
    }

    /// Whether this origin has asked for a client certificate before.
    pub(crate) fn asks(&self, host: &str, alpn: &[Vec<u8>]) -> bool {
        let key = (host.to_owned(), alpn.to_vec());
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.get(&key).is_some_and(|settings| settings.asked.0.load(Ordering::Relaxed))
    }

    fn settings(&self, host: &str, alpn: &[Vec<u8>]) -> Result<Settings, OriginError> {
        let key = (host.to_owned(), alpn.to_vec());
        let lock = || self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(settings) = lock().get(&key) {
            return Ok(settings.clone());
        }
        let asked = Arc::new(Asked::default());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| OriginError::Failed(error.to_string()))?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_cert_resolver(Arc::clone(&asked) as Arc<dyn ResolvesClientCert>);
        config.alpn_protocols.clone_from(&key.1);
        // One host per configuration, so a few sessions are all that it can use.
        config.resumption = Resumption::in_memory_sessions(4);
        let settings = Settings { config: Arc::new(config), asked };
        lock().insert(key, settings.clone());
        Ok(settings)
    }
}

fn classify(error: &io::Error) -> OriginError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(reason)) => OriginError::Untrusted(reason.to_string()),
        Some(error) => OriginError::Failed(error.to_string()),
        None => OriginError::Failed(error.to_string()),
    }
}

/// Has no certificate, and remembers that one was asked for.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
