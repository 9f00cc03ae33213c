//! Moves bytes between two connections and changes nothing: not the bytes, not how each direction ends.

mod pump;

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use trackway_core::flow::{Close, Direction};

use crate::stream::Side;
use crate::tap::Probe;
use pump::{Fault, Pump};

/// Relays one connection: a pingora application whose origin is connected already.
pub(crate) struct Relay {
    leg: Mutex<Option<(Side, Probe)>>,
    end: Mutex<Option<(End, Probe)>>,
}

/// How a relayed connection ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) close: Close,
    /// The direction that ended first.
    pub(crate) first: Option<Direction>,
    /// The error that ended it, if one did.
    pub(crate) error: Option<io::Error>,
}

/// Relays until both directions have ended. The connections are closed when this returns; the caller
/// reports the end through the probe.
pub(crate) async fn relay(
    client: Side,
    origin: Side,
    probe: Probe,
    shutdown: &ShutdownWatch,
) -> Option<(End, Probe)> {
    let app = Arc::new(Relay { leg: Mutex::new(Some((origin, probe))), end: Mutex::default() });
    app.process_new(Box::new(client), shutdown).await;
    app.end.lock().unwrap_or_else(PoisonError::into_inner).take()
}

// === impl Relay ===

#[async_trait]
impl ServerApp for Relay {
    async fn process_new(self: &Arc<Self>, client: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        let (mut origin, mut probe) = self.leg.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // The concrete type spares a virtual call for every read and write.
        let mut client = client.into_any().downcast::<Side>().ok()?;
        let mut link = Link::default();
        let end = poll_fn(|cx| link.poll(cx, &mut client, &mut origin, &mut probe)).await;
        if end.close != Close::Clean {
            client.wire().reset();
            origin.wire().reset();
        }
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some((end, probe));
        None
    }
}

/// Both directions of one connection.
struct Link {
    up: Pump,
    down: Pump,
    first: Option<Direction>,
    /// Whose end took no more bytes, and why.
    broken: Option<(Close, io::Error)>,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            up: Pump::new(Direction::ToOrigin),
            down: Pump::new(Direction::ToClient),
            first: None,
            broken: None,
        }
    }
}

impl Link {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Side,
        origin: &mut Side,
        probe: &mut Probe,
    ) -> Poll<End> {
        let up = self.up.poll(cx, client, origin, probe);
        if let Some(end) = self.judge(Direction::ToOrigin, up) {
            return Poll::Ready(end);
        }
        let down = self.down.poll(cx, origin, client, probe);
        if let Some(end) = self.judge(Direction::ToClient, down) {
            return Poll::Ready(end);
        }
        if !(self.up.over() && self.down.over()) {
            return Poll::Pending;
        }
        let (close, error) = match self.broken.take() {
            Some((close, error)) => (close, Some(error)),
            None => (Close::Clean, None),
        };
        Poll::Ready(End { close, first: self.first, error })
    }

    /// An end that cannot be read from is gone, and with it the connection. An end that cannot be written
    /// to may still have said something before it went, so the other direction runs on to its end.
    fn judge(&mut self, direction: Direction, result: Result<(), Fault>) -> Option<End> {
        let pump = match direction {
            Direction::ToOrigin => &self.up,
            Direction::ToClient => &self.down,
        };
        if self.first.is_none() && pump.ending() {
            self.first = Some(direction);
        }
        let (source, sink) = match direction {
            Direction::ToOrigin => (Close::ClientReset, Close::OriginReset),
            Direction::ToClient => (Close::OriginReset, Close::ClientReset),
        };
        match result {
            Ok(()) => None,
            Err(Fault::Source(error)) => {
                self.first.get_or_insert(direction);
                let (close, error) = self.broken.take().unwrap_or((source, error));
                Some(End { close, first: self.first, error: Some(error) })
            }
            Err(Fault::Sink(error)) => {
                self.broken.get_or_insert((sink, error));
                None
            }
        }
    }
}
