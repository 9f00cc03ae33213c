//! The server's part of TLS towards the client.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerConfig,
};
use rustls::sign::CertifiedKey;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::authority::{Authority, AuthorityError};
use crate::bounded::Bounded;
use crate::limits;
use crate::stream::{Side, Wire};

/// Why the client has no TLS connection with us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TerminateError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("TLS settings: {0}")]
    Settings(#[from] rustls::Error),
    #[error("handshake with the client: {0}")]
    Client(#[from] io::Error),
}

/// Host and application protocol.
type Key = (String, Option<Vec<u8>>);

pub(crate) struct Terminator {
    authority: Arc<Authority>,
    provider: Arc<CryptoProvider>,
    /// Shared, so that a client resumes whichever protocol it negotiated before.
    tickets: Arc<dyn ProducesTickets>,
    settings: Mutex<Bounded<Key, Arc<ServerConfig>>>,
}

impl Terminator {
    pub(crate) fn new(authority: Arc<Authority>) -> Result<Terminator, TerminateError> {
        Ok(Terminator {
            authority,
            provider: Arc::new(ring::default_provider()),
            tickets: ring::Ticketer::new()?,
            settings: Mutex::new(Bounded::new(limits::SETTINGS)),
        })
    }

    /// Completes the handshake as `host`, with exactly the protocol that the origin chose.
    pub(crate) async fn accept(
        &self,
        wire: Wire,
        host: &str,
        alpn: Option<&[u8]>,
    ) -> Result<Side, TerminateError> {
        let settings = self.settings(host, alpn)?;
        let stream = TlsAcceptor::from(settings).accept(wire).await?;
        Ok(Side::Tls(Box::new(TlsStream::Server(stream))))
    }

    fn settings(&self, host: &str, alpn: Option<&[u8]>) -> Result<Arc<ServerConfig>, TerminateError> {
        let key = (host.to_owned(), alpn.map(<[u8]>::to_vec));
        let lock = || self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(settings) = lock().get(&key) {
            return Ok(Arc::clone(settings));
        }
        let leaf = self.authority.leaf(host)?;
        let mut settings = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(One(leaf)));
        settings.alpn_protocols = key.1.iter().cloned().collect();
        settings.ticketer = Arc::clone(&self.tickets);
        settings.send_tls13_tickets = 1;
        settings.session_storage = Arc::new(NoServerSessionStorage {});
        let settings = Arc::new(settings);
        lock().insert(key, Arc::clone(&settings));
        Ok(settings)
    }
}

/// The sign by which the client refused our certificate, if it did.
pub(crate) fn sign(error: &io::Error) -> Option<String> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => {
            Some(format!("alert {}", snake(alert.as_str().unwrap_or("unknown"))))
        }
        // The client spoke a TLS that ours does not: it failed now, and would again.
        Some(error) => Some(format!("handshake failed: {error}")),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof => Some("closed during the handshake".to_owned()),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Some("reset during the handshake".to_owned())
            }
            _ => None,
        },
    }
}

/// `UnknownCA` as RFC 8446 section 6 spells it: `unknown_ca`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    let mut before = true;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !before {
            text.push('_');
        }
        before = letter.is_ascii_uppercase();
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_the_standard_names_them() {
        assert_eq!(snake("UnknownCA"), "unknown_ca");
        assert_eq!(snake("BadCertificate"), "bad_certificate");
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        let error = io::Error::new(io::ErrorKind::InvalidData, alert);
        assert_eq!(sign(&error).as_deref(), Some("alert unknown_ca"));
        assert_eq!(sign(&io::ErrorKind::TimedOut.into()), None);
    }
}
