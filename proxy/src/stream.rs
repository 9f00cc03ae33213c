//! The two kinds of connection that bytes are relayed between: plain and under TLS.

mod face;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A TCP connection whose first bytes may have been read already; they are read again by whoever comes next.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    ahead: Vec<u8>,
    taken: usize,
}

/// One end of a relayed connection, as far as its plaintext goes.
#[derive(Debug)]
pub(crate) enum Side {
    /// No TLS, or TLS that we do not look into.
    Plain(Wire),
    /// TLS that ends here.
    Tls(Box<TlsStream<Wire>>),
}

// === impl Wire ===

impl Wire {
    /// Small writes go out at once: we add no delay to what either side meant to send.
    pub(crate) fn new(tcp: TcpStream) -> Wire {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
        Wire { tcp, ahead: Vec::new(), taken: 0 }
    }

    /// What was read ahead and not taken again.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead[self.taken..]
    }

    /// Takes `count` of the bytes that were read ahead out of the stream for good.
    pub(crate) fn skip(&mut self, count: usize) {
        self.taken = (self.taken + count).min(self.ahead.len());
        self.release();
    }

    /// Gives the buffer back when all of it was taken; most connections never need it again.
    fn release(&mut self) {
        if self.taken == self.ahead.len() {
            self.ahead = Vec::new();
            self.taken = 0;
        }
    }

    /// Reads more ahead; zero bytes mean that the peer sends no more.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        loop {
            self.tcp.readable().await?;
            // A ClientHello with a post-quantum key share has about 1,800 bytes.
            self.ahead.reserve(4096);
            match self.tcp.try_read_buf(&mut self.ahead) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Waits until the peer has gone, and keeps what it still sends, up to `limit` bytes.
    pub(crate) async fn gone(&mut self, limit: usize) {
        while self.ahead.len() < limit {
            if matches!(self.fill().await, Ok(0) | Err(_)) {
                return;
            }
        }
        std::future::pending().await
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Makes the coming close a reset.
    pub(crate) fn reset(&self) {
        if let Err(error) = self.tcp.set_zero_linger() {
            tracing::debug!(%error, "cannot turn a close into a reset");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.taken < this.ahead.len() {
            let ahead = &this.ahead[this.taken..];
            let count = ahead.len().min(buffer.remaining());
            buffer.put_slice(&ahead[..count]);
            this.taken += count;
            this.release();
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

// === impl Side ===

impl Side {
    pub(crate) fn wire(&self) -> &Wire {
        match self {
            Side::Plain(wire) => wire,
            Side::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Ends our direction as the other side ended its own: `clean` sends a TLS close_notify before the
    /// FIN, and a FIN without one is passed on as such, so that a truncation stays visible.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>, clean: bool) -> Poll<io::Result<()>> {
        match self {
            Side::Tls(tls) if !clean => {
                ready!(Pin::new(&mut **tls).poll_flush(cx))?;
                Pin::new(tls.get_mut().0).poll_shutdown(cx)
            }
            side => Pin::new(side).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Side {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Side::Plain(wire) => Pin::new(wire).poll_read(cx, buffer),
            Side::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Side {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Side::Plain(wire) => Pin::new(wire).poll_write(cx, bytes),
            Side::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Side::Plain(wire) => Pin::new(wire).poll_flush(cx),
            Side::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Side::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Side::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
