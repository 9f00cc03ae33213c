//! A client's stream with the tap around it, as pingora takes it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use trackway_core::flow::{Close, Direction};

use super::Route;
use crate::stream::Side;
use crate::tap::Probe;

pub(super) struct Tapped {
    side: Side,
    probe: Probe,
    http2: bool,
    digest: Option<Arc<ProxyDigest>>,
    close: Close,
}

impl Tapped {
    pub(super) fn new(side: Side, probe: Probe, route: Arc<Route>) -> Tapped {
        let http2 = route.http2;
        // The one place on a stream where pingora carries data of ours to the request.
        let digest = ResponseHeader::build(200, Some(0))
            .ok()
            .map(|response| Arc::new(ProxyDigest::new(Box::new(response), Some(Box::new(route)))));
        Tapped { side, probe, http2, digest, close: Close::Clean }
    }

    fn fail<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.close = Close::ClientReset;
        }
        result
    }
}

/// pingora answers what it cannot parse in its own name. The client did not ask pingora anything.
fn own_answer(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let has = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    (head.starts_with(b"HTTP/1.1 4") || head.starts_with(b"HTTP/1.1 5"))
        && has(b"\r\nServer: Pingora\r\n")
        && has(b"\r\nCache-Control: private, no-store\r\n")
}

impl AsyncRead for Tapped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut this.side).poll_read(cx, buffer));
        match &result {
            Ok(()) if buffer.filled().len() > before => {
                this.probe.pass(Direction::ToOrigin, &buffer.filled()[before..]);
            }
            Ok(()) => this.probe.ended(Direction::ToOrigin),
            Err(_) => {}
        }
        Poll::Ready(this.fail(result))
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.http2 && own_answer(bytes) {
            this.close = Close::Proxy;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = ready!(Pin::new(&mut this.side).poll_write(cx, bytes));
        if let Ok(count) = result {
            this.probe.pass(Direction::ToClient, &bytes[..count]);
        }
        Poll::Ready(this.fail(result))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().side).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().side).poll_shutdown(cx)
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.probe.finish(self.close);
    }
}

#[async_trait]
impl Shutdown for Tapped {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::trace!(%error, "shutdown");
        }
    }
}

impl UniqueID for Tapped {
    fn id(&self) -> UniqueIDType {
        self.side.id()
    }
}

impl Ssl for Tapped {
    /// pingora would find out HTTP/2 without TLS by waiting for 24 bytes, which a short request never
    /// sends. We know already.
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.http2.then_some(ALPN::H2)
    }
}

impl Peek for Tapped {}

impl GetTimingDigest for Tapped {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Tapped {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.digest.clone()
    }
}

impl GetSocketDigest for Tapped {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl fmt::Debug for Tapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tapped").field("probe", &self.probe).finish_non_exhaustive()
    }
}
