//! An origin that gives recorded answers, cut at random places.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::chop::{Chop, Random};
use crate::authority::Authority;

/// A body that comes in pieces.
pub type Body = BoxBody<Bytes, io::Error>;

/// A request that is to come, and the answer to it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Body that the request brings, as it travels.
    pub request: Bytes,
    /// Status of the answer.
    pub status: u16,
    /// Fields of the answer, without those of its framing.
    pub headers: Vec<(String, String)>,
    /// Body of the answer, as it travels.
    pub body: Bytes,
    /// Decides where the answer is cut, and whether its length is told.
    pub seed: u64,
}

/// Serves on loopback until the test's runtime ends: over TLS under every name, in HTTP/2 or HTTP/1.1 as the client
/// prefers. Answers are found by the `traceparent` of the request, which is the one field that every part of
/// the way keeps and tells.
pub async fn serve(authority: Arc<Authority>, recorded: HashMap<String, Recorded>) -> Result<SocketAddr> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(authority);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let recorded = Arc::new(recorded);
    tokio::spawn(async move {
        let mut seed = 0;
        while let Ok((stream, _)) = listener.accept().await {
            seed += 1;
            let (acceptor, recorded) = (acceptor.clone(), Arc::clone(&recorded));
            tokio::spawn(async move {
                if let Err(error) = Box::pin(connection(stream, acceptor, recorded, seed)).await {
                    eprintln!("the recorded origin: {error:#}");
                }
            });
        }
    });
    Ok(address)
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    recorded: Arc<HashMap<String, Recorded>>,
    seed: u64,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await.context("handshake")?;
    let second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(Chop::seeded(stream, seed));
    let service = service_fn(move |request| {
        let recorded = Arc::clone(&recorded);
        async move { Ok::<_, Infallible>(route(request, &recorded).await) }
    });
    if second {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.serve_connection(io, service).await?;
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await?;
    }
    Ok(())
}

async fn route(request: Request<Incoming>, recorded: &HashMap<String, Recorded>) -> Response<Body> {
    answer(request, recorded).await.unwrap_or_else(|error| {
        let text = Full::new(Bytes::from(format!("the recorded origin: {error:#}")));
        let mut response = Response::new(text.map_err(|never| match never {}).boxed());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    })
}

async fn answer(request: Request<Incoming>, recorded: &HashMap<String, Recorded>) -> Result<Response<Body>> {
    let name = request.headers().get("traceparent").context("no traceparent")?.to_str()?;
    let found = recorded.get(name).context("not one of the recordings")?;
    let came = request.into_body().collect().await?.to_bytes();
    ensure!(came == found.request, "got {} bytes of a request of {}", came.len(), found.request.len());
    let mut response = Response::new(body(found.body.clone(), found.seed));
    *response.status_mut() = StatusCode::from_u16(found.status)?;
    *response.headers_mut() = fields(&found.headers)?;
    tell_length(response.headers_mut(), &found.body, found.seed);
    Ok(response)
}

/// Names and values as hyper wants them.
pub fn fields(list: &[(String, String)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        map.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(map)
}

/// A body that is sent in random pieces. An empty one is no body at all.
pub fn body(bytes: Bytes, seed: u64) -> Body {
    if bytes.is_empty() {
        return Full::new(bytes).map_err(|never| match never {}).boxed();
    }
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(4);
    tokio::spawn(async move {
        let mut random = Random::new(seed);
        for piece in random.pieces(&bytes) {
            if sender.send_data(bytes.slice_ref(piece)).await.is_err() {
                return;
            }
            // Lets what was sent leave before more comes.
            tokio::task::yield_now().await;
        }
    });
    body.boxed()
}

/// Every other seed tells how long the body is. HTTP/1.1 sends the others in chunks.
pub fn tell_length(headers: &mut HeaderMap, body: &Bytes, seed: u64) {
    if seed.is_multiple_of(2) && !body.is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
}
