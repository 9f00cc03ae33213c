//! The provider at the far end: answers chat requests at once, streams them, or holds them open.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::http::Buffer;
use crate::{cpu, pki};

#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    folder: PathBuf,
}

/// Chunks of one streamed answer.
pub(crate) const CHUNKS: usize = 200;
/// Pause between two chunks of a streamed answer.
const GAP: Duration = Duration::from_millis(1);

/// Serves until it is killed. Says its port on the first line of its output.
pub(crate) async fn serve(options: Options) -> Result<()> {
    cpu::pin(cpu::PEER_CORE);
    let acceptor = TlsAcceptor::from(pki::server(&options.folder)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(mut stream) = acceptor.accept(tcp).await
                && let Err(_ended) = exchange(&mut stream).await
            {
                // The client went away in the middle, which is how a round of held streams ends.
            }
        });
    }
}

async fn exchange<S>(stream: &mut S) -> Result<()>
where
    S: tokio::io::AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = Buffer::default();
    let answer = answer();
    while let Some(head) = buffer.head(stream).await? {
        buffer.skip(stream, head.length.unwrap_or(0)).await?;
        match head.second.as_str() {
            "/v1/chat/completions?stream" => {
                begin(stream).await?;
                for number in 0..CHUNKS {
                    send_chunk(stream, &event(number)).await?;
                    tokio::time::sleep(GAP).await;
                }
                stream.write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await?;
            }
            "/v1/chat/completions?hold" => {
                begin(stream).await?;
                send_chunk(stream, &event(0)).await?;
                // Held until the client goes; it sends nothing more.
                buffer.skip(stream, 1).await?;
            }
            _ => stream.write_all(&answer).await?,
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn begin<S: AsyncWrite + Unpin>(stream: &mut S) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    Ok(stream.write_all(head.as_bytes()).await?)
}

async fn send_chunk<S: AsyncWrite + Unpin>(stream: &mut S, event: &str) -> Result<()> {
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    Ok(stream.flush().await?)
}

/// One event, with the moment at which it was sent in its text.
fn event(number: usize) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-2024-08-06\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{} {number} \"}},\"finish_reason\":null}}]}}\n\n",
        cpu::monotonic_ns()
    )
}

/// A whole answer of about 2 KB.
pub(crate) fn answer() -> Vec<u8> {
    let body = format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{{\
         \"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{}\"}},\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":900,\"completion_tokens\":400,\"total_tokens\":1300}}}}",
        "All work and no play. ".repeat(84)
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
