//! One client's connection: what is spoken on it, whether it is read, where it goes.

mod tls;

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use pingora_core::server::ShutdownWatch;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use trackway_core::flow::{Close, Flow, FlowId, Plane, Start, Time, UnreadReason};

use crate::origin::Target;
use crate::relay::relay;
use crate::sniff::{Speech, speech};
use crate::stream::{Side, Wire};
use crate::tap::Probe;
use crate::{Client, Shared, limits, rewrite};

/// A connection on its way through the proxy.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: FlowId,
    pub(crate) client: Client,
    pub(crate) plane: Plane,
    pub(crate) opened: Time,
    pub(crate) target: Target,
    pub(crate) shutdown: ShutdownWatch,
}

/// How the wait for first bytes ended without an answer.
enum Silence {
    Client(io::Error),
    Origin(io::Error),
}

impl Connection {
    /// Takes the connection from its first byte to its end. `origin` is there if it is connected already.
    pub(crate) async fn run(self, mut wire: Wire, origin: Option<TcpStream>) {
        // Boxed, like every stage below: a connection keeps only what its present stage needs.
        match Box::pin(self.listen(&mut wire, origin)).await {
            Ok((Speech::Tls(hello), origin)) => Box::pin(self.tls(wire, origin, *hello)).await,
            Ok((Speech::Opaque, origin)) => self.tunnel(wire, origin, None, UnreadReason::Opaque).await,
            Ok((speech, origin)) => self.cleartext(wire, origin, speech).await,
            Err(Silence::Client(error)) => tracing::debug!(%error, "the client left before it spoke"),
            Err(Silence::Origin(error)) => {
                let host = self.asked(&mut wire).await;
                self.unreachable(&wire, host, &error);
            }
        }
    }

    /// Waits for the client's first bytes while it connects to the origin, because in some protocols the
    /// origin speaks first.
    async fn listen(
        &self,
        wire: &mut Wire,
        mut origin: Option<TcpStream>,
    ) -> Result<(Speech, TcpStream), Silence> {
        let mut dialling = pin!(self.shared.origins.dial(&self.target));
        let mut deadline: Option<Instant> = None;
        let mut ended = false;
        let speech = loop {
            if let Some(speech) = speech(wire.ahead()) {
                break speech;
            }
            if ended {
                break Speech::Opaque;
            }
            if deadline.is_none() && !wire.ahead().is_empty() {
                deadline = Some(Instant::now() + self.shared.sniff);
            }
            tokio::select! {
                biased;
                read = wire.fill() => ended = read.map_err(Silence::Client)? == 0,
                dialled = &mut dialling, if origin.is_none() => {
                    origin = Some(dialled.map_err(Silence::Origin)?);
                }
                () = speaks(origin.as_ref()) => break Speech::Opaque,
                () = passed(deadline) => break Speech::Opaque,
            }
        };
        let origin = match origin {
            Some(origin) => origin,
            None => dialling.await.map_err(Silence::Origin)?,
        };
        Ok((speech, origin))
    }

    /// The name that a client asks for although its origin cannot be reached: its ClientHello may be under way.
    async fn asked(&self, wire: &mut Wire) -> Option<String> {
        let deadline = Instant::now() + limits::LAST_WORDS;
        loop {
            match speech(wire.ahead()) {
                Some(Speech::Tls(hello)) => return hello.server_name,
                Some(_) => return None,
                None => {}
            }
            match timeout_at(deadline, wire.fill()).await {
                Ok(Ok(1..)) => {}
                _ => return None,
            }
        }
    }

    /// HTTP without TLS.
    async fn cleartext(self, mut wire: Wire, origin: TcpStream, speech: Speech) {
        let http2 = speech == Speech::Http2;
        if let Some(host) = rewrite::wanted(&self, &mut wire, http2).await {
            drop(origin);
            return rewrite::cleartext(self, wire, host, http2).await;
        }
        self.shared.counts.cleartext.add();
        let probe = Probe::read(self.shared.tap.as_ref(), self.flow(None, false, None));
        let (client, origin) = (Side::Plain(wire), Side::Plain(Wire::new(origin)));
        if let Some((end, mut probe)) = relay(client, origin, probe, &self.shutdown).await {
            probe.finish(end.close);
        }
    }

    /// Passes the connection on untouched and reports it as not read.
    pub(crate) async fn tunnel(
        self,
        wire: Wire,
        origin: TcpStream,
        host: Option<String>,
        reason: UnreadReason,
    ) {
        self.shared.counts.tunnelled.add();
        let tls = reason != UnreadReason::Opaque;
        let probe = Probe::unread(self.shared.tap.as_ref(), self.flow(host, tls, None), reason);
        let (client, origin) = (Side::Plain(wire), Side::Plain(Wire::new(origin)));
        if let Some((end, mut probe)) = relay(client, origin, probe, &self.shutdown).await {
            probe.finish(end.close);
        }
    }

    /// The origin cannot be reached: a reset is the nearest to the refusal that the client would have seen.
    pub(crate) fn unreachable(&self, wire: &Wire, host: Option<String>, error: &io::Error) {
        self.shared.counts.unreachable.add();
        let tls = host.is_some();
        self.report(host, tls, UnreadReason::OriginFailed(error.to_string()), Close::OriginReset);
        wire.reset();
    }

    /// Reports a connection on which no byte was relayed.
    pub(crate) fn report(&self, host: Option<String>, tls: bool, reason: UnreadReason, close: Close) {
        Probe::unread(self.shared.tap.as_ref(), self.flow(host, tls, None), reason).finish(close);
    }

    /// The connection as it is told of. Without `host` it has the name by which the client asked for it.
    pub(crate) fn flow(&self, host: Option<String>, tls: bool, alpn: Option<&[u8]>) -> Flow {
        let named = (!self.target.host.is_empty()).then(|| self.target.host.clone());
        Flow {
            id: self.id,
            process: self.client.process,
            plane: self.plane,
            start: Start::Seen,
            host: host.or(named),
            destination: self.client.destination,
            port: self.target.port,
            tls,
            alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
            opened: self.opened,
        }
    }
}

/// Completes when the origin has something to say, be it its end.
async fn speaks(origin: Option<&TcpStream>) {
    match origin {
        // Looked at, not just waited for: readiness may be spurious, and to take it at its word would leave
        // the connection unread. An error shows again, and better, when the relay reads.
        Some(origin) => drop(origin.peek(&mut [0]).await),
        None => pending().await,
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
