//! The provider at the far end, with gates: a request for one is answered when the benchmark says so. Until then its
//! client waits and uses no CPU, so that what it used before can be read to the nanosecond.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

use crate::http::Buffer;
use crate::{cpu, origin, pki};

/// The path of gates.
pub(super) const GATE: &str = "/gate";
/// How long a client may take from one gate to the next.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server, from outside. Its thread ends with the process.
pub(super) struct Server {
    pub(super) port: u16,
    arrived: Receiver<Instant>,
    open: UnboundedSender<()>,
}

/// What its connections share.
struct Gates {
    arrived: SyncSender<Instant>,
    open: Mutex<UnboundedReceiver<()>>,
}

impl Server {
    /// Starts it on the core that is not the client's.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let acceptor = TlsAcceptor::from(pki::server(folder)?);
        let (arrived, arrivals) = sync_channel(1);
        let (open, opened) = unbounded_channel();
        let gates = Arc::new(Gates { arrived, open: Mutex::new(opened) });
        let (bound, port) = sync_channel(1);
        std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            cpu::pin(cpu::PROXY_CORE);
            crate::single_thread(serve(acceptor, gates, bound))
        })?;
        Ok(Self { port: port.recv().context("the server did not start")?, arrived: arrivals, open })
    }

    /// Waits until the client stands at a gate. When it arrived there.
    pub(super) fn arrival(&self) -> Result<Instant> {
        self.arrived.recv_timeout(PATIENCE).context("the client did not come to its gate")
    }

    /// Lets it on.
    pub(super) fn open(&self) -> Result<()> {
        self.open.send(()).context("the server has ended")
    }
}

async fn serve(acceptor: TlsAcceptor, gates: Arc<Gates>, bound: SyncSender<u16>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    bound.send(listener.local_addr()?.port())?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (acceptor, gates) = (acceptor.clone(), Arc::clone(&gates));
        tokio::spawn(async move {
            if let Ok(mut stream) = acceptor.accept(tcp).await
                && let Err(_ended) = exchange(&mut stream, &gates).await
            {
                // The client went away, as clients do at their end.
            }
        });
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, gates: &Gates) -> Result<()> {
    let mut buffer = Buffer::default();
    let answer = origin::answer();
    while let Some(head) = buffer.head(stream).await? {
        buffer.skip(stream, head.length.unwrap_or(0)).await?;
        if head.second == GATE {
            gates.arrived.try_send(Instant::now())?;
            gates.open.lock().await.recv().await;
        }
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
    Ok(())
}
