//! The client: a closed loop of chat requests, timed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::Buffer;
use crate::{cpu, pki};

#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Port to connect to on 127.0.0.1.
    port: u16,
    /// What to send.
    #[arg(value_enum)]
    shape: Shape,
    /// Requests, over all connections.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Connections at a time.
    #[arg(long, default_value_t = 8)]
    lanes: usize,
    /// Processes whose CPU time is measured; none means the parent of this one.
    #[arg(long)]
    proxy: Vec<u32>,
    /// Measure no proxy at all.
    #[arg(long)]
    direct: bool,
    /// Roots to trust.
    #[arg(long, env = "SSL_CERT_FILE")]
    bundle: PathBuf,
}

/// The load's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// 4 KB requests on kept connections.
    Small,
    /// 100 KB requests on kept connections.
    Medium,
    /// 1 MB requests on kept connections.
    Large,
    /// Streamed answers of 200 chunks.
    Stream,
    /// 4 KB requests, each on a connection of its own.
    Connect,
    /// Streams that stay open.
    Hold,
}

/// What one round of load found. Times in nanoseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) requests: usize,
    pub(crate) wall: u64,
    /// CPU of the proxy, per request.
    pub(crate) cpu: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    /// Time to the first byte of the answer, median.
    pub(crate) first: u64,
    /// Delay of a streamed chunk from origin to client, median.
    pub(crate) chunk: u64,
    /// Memory of the proxy per open stream, in bytes.
    pub(crate) stream_bytes: u64,
}

/// Sends the load and prints what it found as one line of JSON.
pub(crate) async fn run(options: Options) -> Result<()> {
    cpu::pin(cpu::PEER_CORE);
    let proxy = match (options.direct, options.proxy.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![std::os::unix::process::parent_id()],
        (false, false) => options.proxy.clone(),
    };
    let target = Target { port: options.port, tls: TlsConnector::from(pki::client(&options.bundle)?) };
    let found = match options.shape {
        Shape::Hold => hold(&target, &options, &proxy).await?,
        _ => closed_loop(target, &options, &proxy).await?,
    };
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

#[derive(Clone)]
struct Target {
    port: u16,
    tls: TlsConnector,
}

impl Target {
    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await?;
        tcp.set_nodelay(true)?;
        self.tls.connect(pki::HOST.try_into()?, tcp).await.context("TLS handshake")
    }
}

async fn closed_loop(target: Target, options: &Options, proxy: &[u32]) -> Result<Found> {
    let request: Arc<[u8]> = request(options.shape).into();
    // One untimed request on each lane: connections, leaf certificates and caches are warm.
    lanes(&target, &request, options, options.lanes).await?;
    let before = cpu::spent_ns(proxy)?;
    let begun = Instant::now();
    let mut samples = lanes(&target, &request, options, options.count).await?;
    let wall = begun.elapsed();
    // Decoding lags behind on purpose; what it spends on these requests belongs to them.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let spent = cpu::spent_ns(proxy)? - before;
    let requests = samples.whole.len().max(1);
    Ok(Found {
        requests,
        wall: nanos(wall),
        cpu: spent / requests as u64,
        p50: quantile(&mut samples.whole, 0.5),
        p99: quantile(&mut samples.whole, 0.99),
        first: quantile(&mut samples.first, 0.5),
        chunk: quantile(&mut samples.chunk, 0.5),
        stream_bytes: 0,
    })
}

#[derive(Default)]
struct Samples {
    whole: Vec<u64>,
    first: Vec<u64>,
    chunk: Vec<u64>,
}

async fn lanes(target: &Target, request: &Arc<[u8]>, options: &Options, count: usize) -> Result<Samples> {
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..options.lanes {
        let share = count / options.lanes + usize::from(lane < count % options.lanes);
        tasks.spawn(work(target.clone(), Arc::clone(request), options.shape, share));
    }
    let mut all = Samples::default();
    while let Some(samples) = tasks.join_next().await {
        let samples = samples??;
        all.whole.extend(samples.whole);
        all.first.extend(samples.first);
        all.chunk.extend(samples.chunk);
    }
    Ok(all)
}

async fn work(target: Target, request: Arc<[u8]>, shape: Shape, count: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    let mut kept = None;
    for _ in 0..count {
        let begun = Instant::now();
        let (mut stream, mut buffer) = match kept.take() {
            Some(connection) => connection,
            None => (target.connect().await?, Buffer::default()),
        };
        stream.write_all(&request).await?;
        stream.flush().await?;
        let head = buffer.head(&mut stream).await?.context("no answer")?;
        samples.first.push(nanos(begun.elapsed()));
        if head.chunked {
            loop {
                let chunk = buffer.chunk(&mut stream).await?;
                if chunk.is_empty() {
                    break;
                }
                samples.chunk.extend(sent_at(&chunk).map(|sent| cpu::monotonic_ns().saturating_sub(sent)));
            }
        } else {
            buffer.skip(&mut stream, head.length.unwrap_or(0)).await?;
        }
        samples.whole.push(nanos(begun.elapsed()));
        if shape != Shape::Connect {
            kept = Some((stream, buffer));
        }
    }
    Ok(samples)
}

async fn hold(target: &Target, options: &Options, proxy: &[u32]) -> Result<Found> {
    let request = request(Shape::Hold);
    let before = cpu::resident_kib(proxy);
    let mut open = Vec::with_capacity(options.count);
    let begun = Instant::now();
    for _ in 0..options.count {
        let (mut stream, mut buffer) = (target.connect().await?, Buffer::default());
        stream.write_all(&request).await?;
        buffer.head(&mut stream).await?.context("no answer")?;
        buffer.chunk(&mut stream).await?;
        open.push(stream);
    }
    let grown = cpu::resident_kib(proxy).saturating_sub(before);
    Ok(Found {
        requests: open.len(),
        wall: nanos(begun.elapsed()),
        stream_bytes: grown * 1024 / open.len().max(1) as u64,
        ..Found::default()
    })
}

/// A chat request whose whole size is about what the shape says.
fn request(shape: Shape) -> Vec<u8> {
    let (size, query) = match shape {
        Shape::Small | Shape::Connect => (4 << 10, ""),
        Shape::Medium => (100 << 10, ""),
        Shape::Large => (1 << 20, ""),
        Shape::Stream => (4 << 10, "?stream"),
        Shape::Hold => (4 << 10, "?hold"),
    };
    let body = body(size);
    format!(
        "POST /v1/chat/completions{query} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        pki::HOST,
        body.len()
    )
    .into_bytes()
}

/// The JSON of a chat request of about this size.
pub(crate) fn body(size: usize) -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(size / 45);
    format!("{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}")
}

/// The moment at which the origin sent this chunk, from its text.
fn sent_at(chunk: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(chunk).ok()?;
    let (_, content) = text.split_once("\"content\":\"")?;
    content.split(' ').next()?.parse().ok()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn quantile(samples: &mut [u64], q: f64) -> u64 {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
    let index = (last as f64 * q).round() as usize;
    samples.get(index).copied().unwrap_or(0)
}
