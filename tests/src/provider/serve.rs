//! Connections and routes.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::chop::{Chop, Random};
use super::script::{Api, Fault};
use super::{Origin, Plain, Served, Shared, chat, mcp, messages, responses, socket};

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// Asks for the connection to be reset.
type Abort = Arc<Notify>;

/// Accepts until the test's runtime ends.
pub(super) fn listen(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connected();
            let acceptor = acceptor.clone();
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                // A client that goes away is part of many tests; the assertions look elsewhere.
                connection(stream, acceptor, shared).await.ok();
            });
        }
    });
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) -> Result<()> {
    stream.set_nodelay(true)?;
    let raw = stream.into_std()?;
    let socket = raw.try_clone()?;
    let stream = TcpStream::from_std(raw)?;
    let chop = shared.behaviour.chop;
    let abort = Abort::default();
    let asked = Arc::clone(&abort);
    let served = async move {
        let Some(acceptor) = acceptor else {
            return http(Chop::new(stream, chop), false, shared, abort).await;
        };
        let stream = acceptor.accept(stream).await?;
        let second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        http(Chop::new(stream, chop), second, shared, abort).await
    };
    tokio::select! {
        outcome = served => outcome,
        () = asked.notified() => {
            // With a linger of zero the last close sends a reset.
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            Ok(setsockopt(&socket, sockopt::Linger, &linger)?)
        }
    }
}

async fn http<S>(stream: S, second: bool, shared: Arc<Shared>, abort: Abort) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let abort = Arc::clone(&abort);
        async move { Ok::<_, Infallible>(route(request, shared, abort).await) }
    });
    let io = TokioIo::new(stream);
    if second {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(2000)
            .serve_connection(io, service)
            .await?;
    } else {
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(io, service)
            .with_upgrades()
            .await?;
    }
    Ok(())
}

async fn route(request: Request<Incoming>, shared: Arc<Shared>, abort: Abort) -> Response<Body> {
    match answer(request, shared, abort).await {
        Ok(response) => response,
        Err(error) => json_response(400, &json!({ "error": { "message": format!("{error:#}") } })),
    }
}

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>, abort: Abort) -> Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let from = origin(&request);
    let tail = path.rsplit('/').next().unwrap_or_default().to_owned();
    if request.method() == Method::GET && request.headers().contains_key(UPGRADE) && tail == "responses" {
        if !shared.behaviour.socket {
            return Ok(json_response(404, &super::error(404)));
        }
        return socket::upgrade(&mut request, from, shared);
    }
    let api = match (request.method(), tail.as_str()) {
        (&Method::POST, "completions") => Some(Api::Chat),
        (&Method::POST, "responses") => Some(Api::Responses),
        (&Method::POST, "messages") => Some(Api::Messages),
        _ => None,
    };
    let Some(api) = api else {
        return plain(request, from, &shared).await;
    };
    let gzip = shared.behaviour.gzip
        && request
            .headers()
            .get(ACCEPT_ENCODING)
            .is_some_and(|value| value.as_bytes().windows(4).any(|w| w == b"gzip"));
    let bytes = request.into_body().collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&bytes).context("the request is no JSON")?;
    let stream = body["stream"].as_bool().unwrap_or(false);
    let include_usage = body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
    let served = shared.decide(api, &from, stream, body);
    shared.until_served(shared.behaviour.together).await;
    if let Fault::Status(status) = served.answer.fault {
        let error = if api == Api::Messages { messages::error(status) } else { super::error(status) };
        let mut response = json_response(status, &error);
        response.headers_mut().insert("retry-after-ms", HeaderValue::from_static("10"));
        response
            .headers_mut()
            .insert("x-should-retry", HeaderValue::from_static(if status == 429 { "true" } else { "false" }));
        return Ok(response);
    }
    let (id, model) = (&served.id, &served.model);
    let text = match (api, stream) {
        (Api::Chat, false) => chat::body(id, model, &served.answer).to_string(),
        (Api::Chat, true) => chat::events(id, model, &served.answer, include_usage).concat(),
        (Api::Messages, false) => messages::body(id, model, &served.answer).to_string(),
        (Api::Messages, true) => messages::events(id, model, &served.answer).concat(),
        (_, false) => responses::body(id, model, &served.answer).to_string(),
        (_, true) => responses::events(id, model, &served.answer)
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
            .collect(),
    };
    send(text, gzip, &served, abort)
}

/// Sends a text in random pieces, or what the fault leaves of it.
fn send(text: String, gzip: bool, served: &Served, abort: Abort) -> Result<Response<Body>> {
    let mut bytes = text.into_bytes();
    let fault = served.answer.fault.clone();
    if fault == Fault::Cut {
        let middle = bytes.len() / 2;
        let end = bytes[..middle].windows(2).rposition(|pair| pair == b"\n\n").map_or(middle, |at| at + 2);
        bytes.truncate(end);
    }
    if gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes)?;
        bytes = encoder.finish()?;
    }
    let kind = if served.stream { "text/event-stream; charset=utf-8" } else { "application/json" };
    let mut response = Response::builder().header(CONTENT_TYPE, kind).header("x-request-id", "req_mock");
    if gzip {
        response = response.header(CONTENT_ENCODING, "gzip");
    }
    let pace = served.answer.pace;
    if !served.stream && fault == Fault::None {
        return Ok(response.body(whole(bytes))?);
    }
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(4);
    let reset = fault == Fault::Reset;
    tokio::spawn(async move {
        let mut random = Random(0x1234_5678_9abc_def1 ^ bytes.len() as u64);
        let end = if reset { bytes.len() / 2 } else { bytes.len() };
        let mut at = 0;
        while at < end {
            let size = random.size(end - at);
            if sender.send_data(Bytes::copy_from_slice(&bytes[at..at + size])).await.is_err() {
                return;
            }
            at += size;
            match pace {
                Some(pace) => tokio::time::sleep(pace).await,
                None => tokio::task::yield_now().await,
            }
        }
        if reset {
            // What was sent must have left before the reset, or the client sees nothing of it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            abort.notify_one();
            std::future::pending::<()>().await;
        }
    });
    Ok(response.body(body.boxed())?)
}

/// Everything that is no inference: model lists, side traffic, tools' own requests.
async fn plain(request: Request<Incoming>, from: Origin, shared: &Shared) -> Result<Response<Body>> {
    let method = request.method().to_string();
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let version = format!("{:?}", request.version());
    let tail = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let tools = request.method() == Method::POST && request.uri().path() == mcp::PATH;
    let body = request.into_body().collect().await?.to_bytes();
    if tools {
        let answer = mcp::answer(&serde_json::from_slice(&body)?);
        let status = if answer.is_some() { 200 } else { 202 };
        let Origin { host, traceparent } = from;
        shared.plain(Plain { host, method, path, size: body.len(), status, version, traceparent });
        let mut response = Response::builder().status(status).header("mcp-session-id", mcp::SESSION);
        if answer.is_some() {
            response = response.header(CONTENT_TYPE, "application/json");
        }
        return Ok(response.body(whole(answer.map(|answer| answer.to_string()).unwrap_or_default()))?);
    }
    let (status, answer) = match tail.as_str() {
        "mcp" => (405, json!({ "error": { "message": "it sends nothing by itself" } })),
        "models" if path.starts_with("/v1/") => {
            (200, json!({ "object": "list", "data": [{ "id": "gpt-mock", "object": "model" }] }))
        }
        "echo" => {
            (200, json!({ "size": body.len(), "sum": body.iter().map(|byte| u64::from(*byte)).sum::<u64>() }))
        }
        "weather" => (200, json!({ "city": "Ulm", "degrees": 21 })),
        "teapot" => (418, json!({ "error": { "message": "short and stout" } })),
        _ => (404, json!({ "error": { "message": "the mock knows nothing of this" } })),
    };
    let Origin { host, traceparent } = from;
    shared.plain(Plain { host, method, path, size: body.len(), status, version, traceparent });
    Ok(json_response(status, &answer))
}

fn origin(request: &Request<Incoming>) -> Origin {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let named = request.uri().host().map(ToOwned::to_owned);
    Origin { host: named.or_else(|| header("host")).unwrap_or_default(), traceparent: header("traceparent") }
}

pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

fn json_response(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
