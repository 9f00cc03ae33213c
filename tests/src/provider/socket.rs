//! The WebSocket transport of Responses (RFC 6455), with permessage-deflate (RFC 7692) where it is offered.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::script::{Api, Fault};
use super::serve::{Body, whole};
use super::{Origin, Shared, responses};

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Answers the handshake; the conversation goes on in a task.
pub(super) fn upgrade(
    request: &mut Request<Incoming>,
    from: Origin,
    shared: Arc<Shared>,
) -> Result<Response<Body>> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).context("no key")?.to_str()?;
    let accept = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
    let deflate = Deflate::offered(request.headers());
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(deflate) = &deflate {
        response = response.header(SEC_WEBSOCKET_EXTENSIONS, deflate.agreed);
    }
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            let socket = Socket { stream: TokioIo::new(stream), deflate };
            if let Err(error) = converse(socket, &from, &shared).await {
                eprintln!("the provider's socket: {error:#}");
            }
        }
    });
    Ok(response.body(whole(""))?)
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: Socket<S>,
    from: &Origin,
    shared: &Shared,
) -> Result<()> {
    while let Some(message) = socket.receive().await? {
        let body: Value = serde_json::from_slice(&message)?;
        if body["type"] != "response.create" {
            continue;
        }
        if body["generate"] == json!(false) {
            let id = shared.prewarmed(&body);
            let model = body["model"].as_str().unwrap_or_default();
            for event in responses::events(&id, model, &Default::default()) {
                socket.send(TEXT, event.to_string().as_bytes()).await?;
            }
            continue;
        }
        let served = shared.decide(Api::ResponsesSocket, from, true, body);
        if let Fault::Status(status) = served.answer.fault {
            let mut error = super::error(status);
            error["type"] = "error".into();
            error["status"] = status.into();
            socket.send(TEXT, error.to_string().as_bytes()).await?;
            continue;
        }
        for event in responses::events(&served.id, &served.model, &served.answer) {
            socket.send(TEXT, event.to_string().as_bytes()).await?;
        }
    }
    Ok(())
}

struct Deflate {
    agreed: &'static str,
    keep_ours: bool,
    keep_theirs: bool,
    outgoing: Compress,
    incoming: Decompress,
}

impl Deflate {
    fn offered(headers: &HeaderMap) -> Option<Self> {
        let mut offers =
            headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|value| value.to_str().ok());
        let offer = offers.find(|offer| offer.contains("permessage-deflate"))?;
        let keep_ours = !offer.contains("server_no_context_takeover");
        let keep_theirs = !offer.contains("client_no_context_takeover");
        let agreed = match (keep_ours, keep_theirs) {
            (true, true) => "permessage-deflate",
            (false, true) => "permessage-deflate; server_no_context_takeover",
            (true, false) => "permessage-deflate; client_no_context_takeover",
            (false, false) => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        };
        Some(Self {
            agreed,
            keep_ours,
            keep_theirs,
            outgoing: Compress::new(Compression::fast(), false),
            incoming: Decompress::new(false),
        })
    }

    fn pack(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        if !self.keep_ours {
            self.outgoing.reset();
        }
        let mut packed = Vec::with_capacity(payload.len() + 64);
        let before = self.outgoing.total_in();
        loop {
            packed.reserve(256);
            let read = usize::try_from(self.outgoing.total_in() - before)?;
            self.outgoing.compress_vec(&payload[read..], &mut packed, FlushCompress::Sync)?;
            let done = usize::try_from(self.outgoing.total_in() - before)? == payload.len();
            if done && packed.len() < packed.capacity() {
                break;
            }
        }
        // RFC 7692, section 7.2.1: the empty block at the end is left out.
        if packed.ends_with(&[0, 0, 0xff, 0xff]) {
            packed.truncate(packed.len() - 4);
        }
        Ok(packed)
    }

    fn unpack(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        if !self.keep_theirs {
            self.incoming.reset(false);
        }
        let input = [payload, &[0, 0, 0xff, 0xff]].concat();
        let mut plain = Vec::with_capacity(4 * payload.len() + 1024);
        let before = self.incoming.total_in();
        loop {
            plain.reserve(4096);
            let read = usize::try_from(self.incoming.total_in() - before)?;
            self.incoming.decompress_vec(&input[read..], &mut plain, FlushDecompress::Sync)?;
            let done = usize::try_from(self.incoming.total_in() - before)? == input.len();
            if done && plain.len() < plain.capacity() {
                return Ok(plain);
            }
        }
    }
}

struct Socket<S> {
    stream: S,
    deflate: Option<Deflate>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The next text message; `None` after a close.
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        let mut packed = false;
        loop {
            let mut head = [0; 2];
            if self.stream.read_exact(&mut head).await.is_err() {
                return Ok(None);
            }
            let (last, opcode) = (head[0] & 0x80 != 0, head[0] & 0x0f);
            let length = match head[1] & 0x7f {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            if head[1] & 0x80 == 0 {
                bail!("a client must mask");
            }
            let mut mask = [0; 4];
            self.stream.read_exact(&mut mask).await?;
            let mut payload = vec![0; usize::try_from(length)?];
            self.stream.read_exact(&mut payload).await?;
            for (index, byte) in payload.iter_mut().enumerate() {
                *byte ^= mask[index % 4];
            }
            match opcode {
                PING => self.send(PONG, &payload).await?,
                PONG => {}
                CLOSE => {
                    self.send(CLOSE, &payload).await?;
                    return Ok(None);
                }
                _ => {
                    packed |= head[0] & 0x40 != 0;
                    message.extend_from_slice(&payload);
                    if last {
                        let Some(deflate) = self.deflate.as_mut().filter(|_| packed) else {
                            return Ok(Some(message));
                        };
                        return Ok(Some(deflate.unpack(&message)?));
                    }
                }
            }
        }
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        let mut first = 0x80 | opcode;
        let packed;
        let payload = match &mut self.deflate {
            Some(deflate) if opcode == TEXT => {
                first |= 0x40;
                packed = deflate.pack(payload)?;
                &packed
            }
            _ => payload,
        };
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(u8::try_from(length)?),
            length @ 126..65536 => {
                frame.push(126);
                frame.extend_from_slice(&u16::try_from(length)?.to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await?;
        Ok(self.stream.flush().await?)
    }
}
