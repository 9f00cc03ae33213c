//! A stream that cuts what is written at random places.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream.
#[derive(Debug)]
pub(crate) struct Chop<S> {
    stream: S,
    random: Option<Random>,
}

impl<S> Chop<S> {
    /// Cuts if `chop`.
    pub(crate) fn new(stream: S, chop: bool) -> Self {
        Self { stream, random: chop.then_some(Random(0x9e37_79b9_7f4a_7c15)) }
    }
}

/// xorshift64; tests should fail the same way twice.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number in `1..=most`, more often a small one.
    pub(crate) fn size(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bits = (self.0 >> 32) % 13;
        let bound = 1_usize << bits;
        let size = 1 + (self.0 as usize) % bound;
        size.min(most.max(1))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Chop<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Chop<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let size = match &mut self.random {
            // Large bodies are cut in larger pieces, or they would take for ever.
            Some(random) if buf.len() < 64 * 1024 => random.size(buf.len()),
            _ => buf.len(),
        };
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &buf[..size]))?;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
