//! As much HTTP/1.1 as a load generator needs: heads, lengths and chunks.

use anyhow::{Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes read ahead from a stream.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<()> {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        if stream.read_buf(&mut self.bytes).await? == 0 {
            bail!("connection ended in the middle of a message");
        }
        Ok(())
    }

    fn held(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Reads a head up to its empty line; `None` where the connection ended before one began.
    pub(crate) async fn head<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<Option<Head>> {
        loop {
            if let Some(end) = find(self.held(), b"\r\n\r\n") {
                let head = Head::parse(&String::from_utf8_lossy(&self.held()[..end]));
                self.start += end + 4;
                return Ok(Some(head));
            }
            if self.held().is_empty() {
                self.bytes.clear();
                self.start = 0;
                if stream.read_buf(&mut self.bytes).await? == 0 {
                    return Ok(None);
                }
            } else {
                self.fill(stream).await?;
            }
        }
    }

    /// Reads and drops `length` bytes.
    pub(crate) async fn skip<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        mut length: usize,
    ) -> Result<()> {
        loop {
            let take = self.held().len().min(length);
            self.start += take;
            length -= take;
            if length == 0 {
                return Ok(());
            }
            self.fill(stream).await?;
        }
    }

    /// Reads one chunk of a chunked body; empty at its end.
    pub(crate) async fn chunk<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<Vec<u8>> {
        let line = loop {
            if let Some(end) = find(self.held(), b"\r\n") {
                let line = String::from_utf8_lossy(&self.held()[..end]).into_owned();
                self.start += end + 2;
                break line;
            }
            self.fill(stream).await?;
        };
        let length = usize::from_str_radix(line.trim(), 16)?;
        while self.held().len() < length + 2 {
            self.fill(stream).await?;
        }
        let chunk = self.held()[..length].to_vec();
        self.start += length + 2;
        Ok(chunk)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What a load generator wants to know of a head.
pub(crate) struct Head {
    /// Request target, or the status.
    pub(crate) second: String,
    /// `content-length`.
    pub(crate) length: Option<usize>,
    /// `transfer-encoding: chunked`.
    pub(crate) chunked: bool,
}

impl Head {
    fn parse(text: &str) -> Self {
        let second = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let field = |name: &str| {
            text.lines().skip(1).find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length = field("content-length").and_then(|v| v.parse().ok());
        let chunked = field("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        Self { second, length, chunked }
    }
}
