//! Cuts bytes, and what is written to a stream, at random places.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream.
#[derive(Debug)]
pub struct Chop<S> {
    stream: S,
    random: Option<Random>,
}

impl<S> Chop<S> {
    /// Cuts if `chop`.
    pub(crate) fn new(stream: S, chop: bool) -> Self {
        Self { stream, random: chop.then_some(Random(0x9e37_79b9_7f4a_7c15)) }
    }

    /// Cuts at places that the seed decides.
    pub fn seeded(stream: S, seed: u64) -> Self {
        Self { stream, random: Some(Random::new(seed)) }
    }
}

/// xorshift64; tests should fail the same way twice.
#[derive(Debug)]
pub struct Random(pub(crate) u64);

impl Random {
    /// Every seed gives another row of numbers.
    pub fn new(seed: u64) -> Self {
        let state = seed ^ 0x9e37_79b9_7f4a_7c15;
        // Zero would stay zero.
        Self(if state == 0 { 1 } else { state })
    }

    /// Cuts `bytes` into pieces: many of a few bytes, few of many, and not more of them where there is more to cut.
    pub fn pieces<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let scale = 1 + bytes.len() / (32 * 1024);
        let mut rest = bytes;
        let mut out = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((self.size(rest.len()) * scale).min(rest.len()));
            out.push(piece);
            rest = after;
        }
        out
    }

    /// A number in `1..=most`, more often a small one.
    pub fn size(&mut self, most: usize) -> usize {
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
