//! A collector that takes OTLP over gRPC and over HTTP.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;

use crate::namespace::Namespace;
use crate::spans::Spans;

/// The two encodings of OTLP that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

impl Protocol {
    /// The value of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// How the collector treats those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes everything.
    Open,
    /// Accepts connections and never answers.
    Hanging,
    /// Answers every request with 503, or `UNAVAILABLE`.
    Refusing,
}

#[derive(Default)]
struct Inbox {
    requests: Mutex<Vec<ExportTraceServiceRequest>>,
    metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
    changed: watch::Sender<u64>,
}

impl Inbox {
    fn take(&self, request: ExportTraceServiceRequest) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.changed.send_modify(|count| *count += 1);
    }

    fn take_metrics(&self, request: ExportMetricsServiceRequest) {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
}

/// The collector.
pub struct Collector {
    inbox: Arc<Inbox>,
    address: SocketAddr,
    protocol: Protocol,
}

impl Collector {
    /// Listens on a free port of the loopback inside `namespace`.
    pub async fn new(namespace: &Namespace, protocol: Protocol, mood: Mood) -> Result<Self> {
        let listener = namespace.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?;
        let inbox = Arc::new(Inbox::default());
        match (mood, protocol) {
            (Mood::Hanging, _) => hang(listener),
            (_, Protocol::Grpc) => grpc(listener, Arc::clone(&inbox), mood),
            (_, Protocol::Http) => http(listener, Arc::clone(&inbox), mood),
        }
        Ok(Self { inbox, address, protocol })
    }

    /// What `--otlp` takes.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Which of the two it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Everything that arrived, as it was decoded.
    pub fn spans(&self) -> Spans {
        Spans::new(&self.inbox.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The metrics that arrived, by report. They are all there when the run has ended.
    pub fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.inbox.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every byte that arrived, for a search of secrets.
    pub fn bytes(&self) -> Vec<u8> {
        let requests = self.inbox.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = requests.iter().flat_map(|request| format!("{request:?}").into_bytes());
        spans.chain(format!("{:?}", self.metrics()).into_bytes()).collect()
    }

    /// Waits until `ready` says yes.
    pub async fn wait_for(&self, deadline: Duration, ready: impl Fn(&Spans) -> bool) -> Result<Spans> {
        let mut changes = self.inbox.changed.subscribe();
        let wait = async {
            loop {
                let spans = self.spans();
                if ready(&spans) || changes.changed().await.is_err() {
                    return spans;
                }
            }
        };
        match tokio::time::timeout(deadline, wait).await {
            Ok(spans) => Ok(spans),
            Err(_) => bail!("not within {deadline:?}; the collector has\n{}", self.spans()),
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("address", &self.address).finish_non_exhaustive()
    }
}

fn hang(listener: TcpListener) {
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
}

struct Service {
    inbox: Arc<Inbox>,
    mood: Mood,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        if self.mood == Mood::Refusing {
            return Err(tonic::Status::unavailable("refused on purpose"));
        }
        self.inbox.take(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        if self.mood == Mood::Refusing {
            return Err(tonic::Status::unavailable("refused on purpose"));
        }
        self.inbox.take_metrics(request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn grpc(listener: TcpListener, inbox: Arc<Inbox>, mood: Mood) {
    let traces = TraceServiceServer::new(Service { inbox: Arc::clone(&inbox), mood })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(64 << 20);
    let metrics = MetricsServiceServer::new(Service { inbox, mood })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(64 << 20);
    let server = tonic::transport::Server::builder().add_service(traces).add_service(metrics);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
}

fn http(listener: TcpListener, inbox: Arc<Inbox>, mood: Mood) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let inbox = Arc::clone(&inbox);
            let service = service_fn(move |request| export(request, Arc::clone(&inbox), mood));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
}

async fn export(
    request: Request<Incoming>,
    inbox: Arc<Inbox>,
    mood: Mood,
) -> Result<Response<Full<bytes::Bytes>>, hyper::Error> {
    let answer = |status: u16, body: Vec<u8>| {
        let mut response = Response::new(Full::new(bytes::Bytes::from(body)));
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
        response
    };
    let metrics = request.uri().path() == "/v1/metrics";
    let known = (metrics || request.uri().path() == "/v1/traces")
        && request.headers().get("content-type").is_some_and(|kind| kind == "application/x-protobuf");
    let packed = request.headers().get("content-encoding").is_some_and(|coding| coding == "gzip");
    let mut body = request.into_body().collect().await?.to_bytes().to_vec();
    if packed {
        let mut plain = Vec::new();
        if std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).is_err() {
            return Ok(answer(400, Vec::new()));
        }
        body = plain;
    }
    if mood == Mood::Refusing {
        return Ok(answer(503, Vec::new()));
    }
    if metrics {
        return Ok(match ExportMetricsServiceRequest::decode(&body[..]) {
            Ok(request) if known => {
                inbox.take_metrics(request);
                answer(200, ExportMetricsServiceResponse::default().encode_to_vec())
            }
            _ => answer(400, Vec::new()),
        });
    }
    match ExportTraceServiceRequest::decode(&body[..]) {
        Ok(request) if known => {
            inbox.take(request);
            Ok(answer(200, ExportTraceServiceResponse::default().encode_to_vec()))
        }
        _ => Ok(answer(400, Vec::new())),
    }
}
