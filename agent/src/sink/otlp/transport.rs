//! One request to the collector, over gRPC or HTTP, and what its answer means.

use std::error::Error as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use super::settings::{Protocol, Settings};
use crate::sink::limits;

/// Why no connection can even be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate file.
    #[error("cannot use the certificate file {path}: {reason}")]
    Certificate {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// Something else in the settings.
    #[error("cannot use the collector's settings: {0}")]
    Settings(String),
}

/// A request that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Whether the protocol says that it may be tried again.
    pub(super) retry: bool,
    /// Whether nothing listens there, so that trying on is of little use when the run is over.
    pub(super) unreachable: bool,
    /// Whether the collector does not take this kind of message at all.
    pub(super) unknown: bool,
    /// When the collector wants to be asked again.
    pub(super) after: Option<Duration>,
    /// For the user.
    pub(super) reason: String,
}

/// What the collector did with a request that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Spans or points that it did not take.
    pub(super) rejected: u64,
    /// Why.
    pub(super) reason: String,
}

pub(super) enum Transport {
    Grpc { channel: Channel, metadata: MetadataMap, gzip: bool },
    Http { client: reqwest::Client, url: reqwest::Url, headers: HeaderMap, gzip: bool },
}

impl Transport {
    /// Must be called inside the runtime that will drive it. Connects nothing yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        for (key, value) in &settings.headers {
            let bad = |_| Error::Settings(format!("the header `{key}` is not well-formed"));
            let name = HeaderName::from_bytes(key.as_bytes()).map_err(|_| {
                Error::Settings("a header's name in OTEL_EXPORTER_OTLP_HEADERS is not well-formed".to_owned())
            })?;
            headers.insert(name, HeaderValue::from_str(value).map_err(bad)?);
        }
        match settings.protocol {
            Protocol::Grpc => Ok(Self::Grpc {
                channel: channel(settings)?,
                metadata: MetadataMap::from_headers(headers),
                gzip: settings.gzip,
            }),
            Protocol::Http => Ok(Self::Http {
                client: http_client(settings)?,
                url: settings.endpoint.clone(),
                headers,
                gzip: settings.gzip,
            }),
        }
    }

    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Result<Accepted, Failure> {
        let answer = match self {
            Self::Grpc { channel, metadata, gzip } => {
                let mut client =
                    TraceServiceClient::new(channel.clone()).max_decoding_message_size(limits::ANSWER_BYTES);
                if *gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let request = grpc(request.clone(), metadata);
                client.export(request).await.map_err(|status| from_status(&status))?.into_inner()
            }
            Self::Http { .. } => {
                let answer = self.post(request.encode_to_vec()).await?;
                ExportTraceServiceResponse::decode(answer.as_slice()).unwrap_or_default()
            }
        };
        let partial = answer.partial_success.unwrap_or_default();
        Ok(accepted(partial.rejected_spans, &partial.error_message))
    }

    pub(super) async fn send_metrics(
        &self,
        request: &ExportMetricsServiceRequest,
    ) -> Result<Accepted, Failure> {
        let answer = match self {
            Self::Grpc { channel, metadata, gzip } => {
                let mut client = MetricsServiceClient::new(channel.clone())
                    .max_decoding_message_size(limits::ANSWER_BYTES);
                if *gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let request = grpc(request.clone(), metadata);
                client.export(request).await.map_err(|status| from_status(&status))?.into_inner()
            }
            Self::Http { .. } => {
                let answer = self.post(request.encode_to_vec()).await?;
                ExportMetricsServiceResponse::decode(answer.as_slice()).unwrap_or_default()
            }
        };
        let partial = answer.partial_success.unwrap_or_default();
        Ok(accepted(partial.rejected_data_points, &partial.error_message))
    }

    /// One request over HTTP; the body of its answer. Some collectors answer 200 with JSON or nothing: that
    /// is a success all the same.
    async fn post(&self, mut body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let Self::Http { client, url, headers, gzip } = self else { return Ok(Vec::new()) };
        let mut post = client
            .post(url.clone())
            .headers(headers.clone())
            .header("content-type", "application/x-protobuf");
        if *gzip {
            body = compressed(&body).map_err(|error| final_failure(error.to_string()))?;
            post = post.header("content-encoding", "gzip");
        }
        from_response(post.body(body).send().await.map_err(|error| from_error(&error))?).await
    }
}

fn grpc<M>(message: M, metadata: &MetadataMap) -> Request<M> {
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata.clone();
    request
}

fn accepted(rejected: i64, reason: &str) -> Accepted {
    Accepted { rejected: u64::try_from(rejected).unwrap_or(0), reason: shortened(reason) }
}

fn channel(settings: &Settings) -> Result<Channel, Error> {
    let bad = |error: tonic::transport::Error| Error::Settings(cause(&error));
    let mut url = settings.endpoint.clone();
    url.set_path("");
    url.set_query(None);
    let mut endpoint = Endpoint::from_shared(url.to_string())
        .map_err(bad)?
        .user_agent(concat!("trackway/", env!("CARGO_PKG_VERSION")))
        .map_err(bad)?
        .connect_timeout(settings.timeout);
    if url.scheme() == "https" {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(path) = &settings.certificate {
            tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
        }
        if let Some((certificate, key)) = &settings.identity {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint = endpoint.tls_config(tls).map_err(bad)?;
    }
    Ok(endpoint.connect_lazy())
}

fn http_client(settings: &Settings) -> Result<reqwest::Client, Error> {
    let bad = |error: rustls::Error| Error::Settings(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &settings.certificate {
        let (added, _) = roots.add_parsable_certificates(certificates(path)?);
        if added == 0 {
            return Err(certificate_error(path, "it holds no certificate"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .with_root_certificates(roots);
    let tls = match &settings.identity {
        Some((certificate, key)) => {
            let der = PrivateKeyDer::from_pem_file(key).map_err(|error| certificate_error(key, error))?;
            builder.with_client_auth_cert(certificates(certificate)?, der).map_err(bad)?
        }
        None => builder.with_no_client_auth(),
    };
    reqwest::Client::builder()
        .user_agent(concat!("trackway/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        // A redirect would carry the headers, credentials among them, to another place.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::Settings(cause(&error)))
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = CertificateDer::pem_file_iter(path).map_err(|error| certificate_error(path, error))?;
    all.collect::<Result<_, _>>().map_err(|error| certificate_error(path, error))
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| certificate_error(path, error))
}

fn certificate_error(path: &std::path::Path, reason: impl ToString) -> Error {
    Error::Certificate { path: path.display().to_string(), reason: reason.to_string() }
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// What may be tried again is OTLP's own list (specification, "Failures" of OTLP/gRPC).
fn from_status(status: &Status) -> Failure {
    let retry = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Only with RetryInfo, which is the one thing that collectors put into the details here.
        Code::ResourceExhausted => !status.details().is_empty(),
        _ => false,
    };
    let source = status.source();
    let reason = match source {
        Some(source) => cause(source),
        None => format!("{:?}: {}", status.code(), status.message()),
    };
    let unreachable = status.code() == Code::Unavailable && source.is_some();
    let unknown = status.code() == Code::Unimplemented;
    Failure { retry, unreachable, unknown, after: None, reason: shortened(&reason) }
}

fn from_error(error: &reqwest::Error) -> Failure {
    Failure {
        retry: true,
        unreachable: error.is_connect(),
        unknown: false,
        after: None,
        reason: shortened(&cause(error)),
    }
}

async fn from_response(mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    while body.len() < limits::ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    if status.is_success() {
        return Ok(body);
    }
    Err(Failure {
        retry: matches!(status.as_u16(), 429 | 502 | 503 | 504),
        unreachable: false,
        unknown: matches!(status.as_u16(), 404 | 405 | 501),
        after: after.map(Duration::from_secs),
        reason: format!("HTTP {status}"),
    })
}

fn final_failure(reason: String) -> Failure {
    Failure { retry: false, unreachable: false, unknown: false, after: None, reason }
}

impl Failure {
    /// Nobody answered in time.
    pub(super) fn late(limit: Duration) -> Self {
        Self {
            retry: true,
            unreachable: false,
            unknown: false,
            after: None,
            reason: format!("no answer within {limit:?}"),
        }
    }
}

/// The innermost error: the outer ones say only that something failed.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    match inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        _ => text,
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(limits::REASON_CHARS).collect()
}
