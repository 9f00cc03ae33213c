//! The accept loop, and what all its connections share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use trackway_core::flow::{FlowId, Plane};

use crate::config::{self, Config, ConfigError, Trusts};
use crate::connection::Connection;
use crate::counters::{Counters, Counts};
use crate::origin::{Origins, Target};
use crate::rewrite::Rewriter;
use crate::standing::Standings;
use crate::stream::Wire;
use crate::tap::{self, Tap};
use crate::terminate::Terminator;
use crate::{Client, Resolve, explicit, limits};

/// How the connections of a listener came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The kernel redirected them; [`Resolve`] knows where they meant to go.
    Redirect,
    /// The clients were told to use a proxy, and say where they mean to go.
    Explicit,
}

/// The proxy. One serves any number of listeners.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) origins: Origins,
    pub(crate) terminator: Option<Terminator>,
    pub(crate) standings: Standings,
    pub(crate) counts: Counts,
    pub(crate) tap: Option<Tap>,
    pub(crate) rewriter: Rewriter,
    pub(crate) sniff: Duration,
    trusts: Option<Trusts>,
    rewrite: Vec<String>,
    flows: AtomicU64,
}

// === impl Proxy ===

impl Proxy {
    /// Reads the roots and prepares TLS.
    pub fn new(config: Config) -> Result<Proxy, ConfigError> {
        let roots = Arc::new(config::roots(&config)?);
        let terminator = match &config.authority {
            Some(authority) => Some(
                Terminator::new(Arc::clone(authority))
                    .map_err(|error| ConfigError::Tls(error.to_string()))?,
            ),
            None => None,
        };
        let shared = Shared {
            origins: Origins::new(roots, config.mark, config.lead.clone()),
            terminator,
            standings: Standings::new(),
            counts: Counts::default(),
            tap: config.tap.clone(),
            sniff: config.sniff,
            trusts: config.trusts.clone(),
            rewrite: config.rewrite.clone(),
            flows: AtomicU64::new(0),
            rewriter: Rewriter::new(&config),
        };
        let permits = Arc::new(Semaphore::new(config.connections.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Proxy { shared: Arc::new(shared), permits })
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.shared.counts.read()
    }

    /// Serves the listener until `shutdown` turns true or its sender is gone, then gives open connections
    /// a moment and closes them.
    pub async fn serve(
        &self,
        listener: TcpListener,
        mode: Mode,
        resolve: Arc<dyn Resolve>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(result) = connections.join_next() => {
                    if let Err(error) = result {
                        tracing::error!(%error, "a connection failed inside the proxy");
                    }
                    continue;
                }
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    let (proxy, resolve) = (self.clone(), Arc::clone(&resolve));
                    let shutdown = shutdown.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        proxy.handle(stream, peer, mode, &*resolve, shutdown).await;
                    });
                }
                Err(error) => {
                    // Out of descriptors or memory, most likely: the backlog holds the clients meanwhile.
                    self.shared.counts.accept_errors.add();
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.shared.rewriter.stop().await;
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(limits::DRAIN, drained).await.is_err() {
            connections.shutdown().await;
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        if self.permits.available_permits() == 0 {
            self.shared.counts.full.add();
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        self.shared.counts.accepted.add();
        Ok((stream, peer, permit))
    }

    async fn handle(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        mode: Mode,
        resolve: &dyn Resolve,
        shutdown: watch::Receiver<bool>,
    ) {
        let ended = Ended(&self.shared.counts);
        let opened = tap::now();
        let wire = Wire::new(stream);
        let Ok(local) = wire.tcp().local_addr() else { return };
        let client = resolve.resolve(peer, local);
        let connection = |plane, target| Connection {
            shared: Arc::clone(&self.shared),
            id: FlowId(self.shared.flows.fetch_add(1, Ordering::Relaxed) + 1),
            client: client.clone(),
            plane,
            opened,
            target,
            shutdown,
        };
        match (mode, client.destination) {
            (Mode::Redirect, Some(address)) => {
                let target = Target { host: String::new(), port: address.port(), address: Some(address) };
                connection(Plane::Redirect, target).run(wire, None).await;
            }
            (Mode::Redirect, None) => {
                self.shared.counts.unresolved.add();
                tracing::warn!(%peer, "no destination is known for a redirected connection");
                wire.reset();
            }
            (Mode::Explicit, _) => {
                let target = Target { host: String::new(), port: 0, address: None };
                explicit::run(connection(Plane::Explicit, target), wire).await;
            }
        }
        drop(ended);
    }
}

/// Counts a connection's end, however it comes.
struct Ended<'a>(&'a Counts);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ended.add();
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn trusts(&self, client: &Client, host: &str) -> bool {
        self.trusts.as_ref().is_none_or(|trusts| trusts(client, host))
    }

    pub(crate) fn rewrites_any(&self) -> bool {
        !self.rewrite.is_empty()
    }

    pub(crate) fn rewrites(&self, host: &str) -> bool {
        config::lists(&self.rewrite, host)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
