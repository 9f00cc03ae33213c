//! A connection that begins with a TLS ClientHello: intercepted, or passed on untouched.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{DnsName, ServerName};
use tokio::net::TcpStream;
use trackway_core::flow::{Close, Direction, UnreadReason};

use super::Connection;
use crate::hello::Hello;
use crate::origin::OriginError;
use crate::relay::{End, relay};
use crate::standing::Party;
use crate::stream::{Side, Wire};
use crate::tap::Probe;
use crate::terminate::{TerminateError, sign};
use crate::{limits, rewrite};

/// The sign of clients that verify only after the handshake (Node).
const SILENT: &str = "completed the handshake, then closed without a request";

impl Connection {
    pub(super) async fn tls(self, mut wire: Wire, origin: TcpStream, hello: Hello) {
        let host = hello.server_name.clone();
        let party = match self.leave(&hello) {
            Ok(party) => party,
            Err(reason) => return self.tunnel(wire, origin, host, reason).await,
        };
        // The origin first: the client is to get exactly what the origin chose, and nothing at all from us
        // if the origin is not what the client would have accepted.
        let secured = tokio::select! {
            biased;
            secured = Box::pin(self.shared.origins.secure(origin, &party.host, &hello.alpn)) => secured,
            () = wire.gone(limits::AHEAD_BYTES) => return,
        };
        let origin = match secured {
            Ok(origin) => origin,
            Err(error) => return self.stand_aside(wire, host, error).await,
        };
        let alpn = alpn(&origin);
        let Some(terminator) = &self.shared.terminator else { return };
        let accepted = Box::pin(terminator.accept(wire, &party.host, alpn.as_deref())).await;
        let client = match accepted {
            Ok(client) => client,
            Err(error) => return self.refused(&party, &error),
        };
        if self.shared.rewrites(&party.host) && matches!(alpn.as_deref(), None | Some(b"h2" | b"http/1.1")) {
            drop(origin);
            return rewrite::secured(self, client, party, alpn).await;
        }
        self.shared.counts.intercepted.add();
        let probe = self.watch(&party, alpn.as_deref());
        if let Some((end, probe)) = relay(client, origin, probe, &self.shutdown).await {
            self.conclude(&party, &end, probe);
        }
    }

    /// Decides whether to intercept; the error says why not.
    fn leave(&self, hello: &Hello) -> Result<Party, UnreadReason> {
        if self.shared.terminator.is_none() {
            return Err(UnreadReason::Configured);
        }
        let host = hello.server_name.clone().ok_or(UnreadReason::NoServerName)?;
        // RFC 6066 section 3 forbids addresses here, and what is no name cannot be verified as one.
        if DnsName::try_from(host.as_str()).is_err()
            || !matches!(ServerName::try_from(host.as_str()), Ok(ServerName::DnsName(_)))
        {
            return Err(UnreadReason::NoServerName);
        }
        if !self.shared.trusts(&self.client, &host) {
            return Err(UnreadReason::Configured);
        }
        let party = Party { executable: self.client.executable.clone().unwrap_or_default(), host };
        if self.shared.standings.refuses(&party) {
            return Err(UnreadReason::RefusedBefore);
        }
        if !hello.servable {
            return Err(UnreadReason::ClientRefused("offers no TLS that we speak".to_owned()));
        }
        if self.shared.origins.asks(&party.host, &hello.alpn) {
            return Err(UnreadReason::ClientCertificate);
        }
        Ok(party)
    }

    /// The origin would not have us, or we it. The client's hello is still unanswered, so it goes to a new
    /// connection as it came: the client meets the origin itself and judges by its own rules.
    async fn stand_aside(self, wire: Wire, host: Option<String>, error: OriginError) {
        let reason = match error {
            OriginError::Untrusted(text) => UnreadReason::OriginUntrusted(text),
            OriginError::Failed(text) => UnreadReason::OriginFailed(text),
            OriginError::Certificate => UnreadReason::ClientCertificate,
            OriginError::Name(_) => UnreadReason::NoServerName,
        };
        match self.shared.origins.dial(&self.target).await {
            Ok(origin) => self.tunnel(wire, origin, host, reason).await,
            Err(error) => self.unreachable(&wire, host, &error),
        }
    }

    /// The client did not complete the handshake with us.
    fn refused(&self, party: &Party, error: &TerminateError) {
        let sign = match error {
            TerminateError::Client(error) => sign(error),
            _ => None,
        };
        tracing::debug!(host = party.host, %error, "no handshake with the client");
        let (reason, close) = match sign {
            Some(sign) => {
                self.shared.standings.refused(party);
                self.shared.counts.refused.add();
                (UnreadReason::ClientRefused(sign), Close::ClientReset)
            }
            None => (UnreadReason::Limit(error.to_string()), Close::Proxy),
        };
        self.report(Some(party.host.clone()), true, reason, close);
    }

    /// A probe that takes note when the client first uses the connection.
    pub(crate) fn watch(&self, party: &Party, alpn: Option<&[u8]>) -> Probe {
        let flow = self.flow(Some(party.host.clone()), true, alpn);
        let (shared, party) = (Arc::clone(&self.shared), party.clone());
        Probe::read(self.shared.tap.as_ref(), flow).on_first(move || shared.standings.trusted(&party))
    }

    /// Reports the end, and a refusal if the client never used the connection.
    fn conclude(&self, party: &Party, end: &End, mut probe: Probe) {
        let client_left = end.first == Some(Direction::ToOrigin) || end.close == Close::ClientReset;
        if probe.passed(Direction::ToOrigin) == 0 && client_left {
            if let Some(alert) = end.error.as_ref().and_then(alert) {
                self.shared.standings.refused(party);
                self.shared.counts.refused.add();
                probe.refuse(UnreadReason::ClientRefused(alert));
            } else if let Some(reason) = self.silent(party) {
                probe.refuse(reason);
            }
        }
        probe.finish(end.close);
    }

    /// The client left without a byte; the reason to report, unless it has used such connections before.
    pub(crate) fn silent(&self, party: &Party) -> Option<UnreadReason> {
        self.shared.standings.silent(party).then(|| {
            self.shared.counts.refused.add();
            UnreadReason::ClientRefused(SILENT.to_owned())
        })
    }
}

fn alpn(side: &Side) -> Option<Vec<u8>> {
    match side {
        Side::Plain(_) => None,
        Side::Tls(tls) => tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec),
    }
}

/// The alert that ended the connection, if one did.
fn alert(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(inner, rustls::Error::AlertReceived(_)).then(|| sign(error)).flatten()
}
