//! Metrics against real receivers on loopback, and in the file.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests; clippy knows only the #[test] functions as such"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

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
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, number_data_point};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::{Request, Response, Status as GrpcStatus};
use trackway::sink::Sink;
use trackway::sink::file::File;
use trackway::sink::otlp::Otlp;
use trackway::sink::otlp::exports::Exports;
use trackway_core::flow::Time;
use trackway_core::names;
use trackway_core::run::Totals;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Content, Resource, Span, SpanId, SpanKind, Status, TraceId,
};

fn plain(key: &'static str, value: AttributeValue) -> Attribute {
    Attribute { key: key.into(), value, class: Class::Plain }
}

fn text(key: &'static str, value: &str) -> Attribute {
    plain(key, AttributeValue::Text(value.to_owned()))
}

/// A chat of 640 ms that used 64 and 7 tokens, and a tool that failed.
fn spans() -> Vec<Span> {
    let resource = Arc::new(Resource { attributes: vec![text(names::SERVICE_NAME, "agent")] });
    let chat = Span {
        trace: TraceId([7; 16]),
        id: SpanId([2; 8]),
        parent: Some(SpanId([1; 8])),
        name: "chat m".to_owned(),
        kind: SpanKind::Client,
        start: Time(1_000_000_000),
        end: Time(1_640_000_000),
        status: Status::Unset,
        attributes: vec![
            text(names::OPERATION_NAME, "chat"),
            text(names::PROVIDER_NAME, "openai"),
            plain(names::INPUT_TOKENS, AttributeValue::Int(64)),
            plain(names::OUTPUT_TOKENS, AttributeValue::Int(7)),
            plain(names::COST, AttributeValue::Double(0.25)),
        ],
        events: Vec::new(),
        links: Vec::new(),
        resource,
    };
    let tool = Span {
        id: SpanId([3; 8]),
        kind: SpanKind::Internal,
        status: Status::Error("no".to_owned()),
        attributes: vec![text(names::OPERATION_NAME, "execute_tool"), text(names::TOOL_NAME, "ls")],
        ..chat.clone()
    };
    vec![chat, tool]
}

enum Got {
    Spans,
    Metrics(ExportMetricsServiceRequest),
}

struct Service(UnboundedSender<Got>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, GrpcStatus> {
        assert!(!request.into_inner().resource_spans.is_empty());
        drop(self.0.send(Got::Spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, GrpcStatus> {
        drop(self.0.send(Got::Metrics(request.into_inner())));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// Answers one request per connection.
async fn http(mut stream: TcpStream, metrics: bool, out: UnboundedSender<Got>) {
    let mut bytes = Vec::new();
    let (head, start, length) = loop {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        break (head.clone(), end + 4, length.parse::<usize>().unwrap());
    };
    while bytes.len() < start + length {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
    let body = &bytes[start..];
    let status = if head.starts_with("post /v1/traces ") {
        assert!(!ExportTraceServiceRequest::decode(body).unwrap().resource_spans.is_empty());
        drop(out.send(Got::Spans));
        "200 OK"
    } else if metrics {
        assert!(head.starts_with("post /v1/metrics "), "{head}");
        drop(out.send(Got::Metrics(ExportMetricsServiceRequest::decode(body).unwrap())));
        "200 OK"
    } else {
        "404 Not Found"
    };
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

struct Receiver {
    address: SocketAddr,
    got: UnboundedReceiver<Got>,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    /// A collector of traces, and with `metrics` of metrics too.
    fn new(protocol: &str, metrics: bool) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (out, got) = unbounded_channel();
        if protocol == "grpc" {
            let mut server = tonic::transport::Server::builder();
            let router = server.add_service(TraceServiceServer::new(Service(out.clone())));
            let router =
                if metrics { router.add_service(MetricsServiceServer::new(Service(out))) } else { router };
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            runtime.spawn(router.serve_with_incoming(incoming));
        } else {
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(http(stream, metrics, out.clone()));
                }
            });
        }
        Self { address, got, _runtime: runtime }
    }

    fn sink(&self, protocol: &str, more: &[(&str, &str)]) -> Otlp {
        let url = format!("http://{}", self.address);
        let exports = Exports::read(Some(&url), Content::Full, |name| {
            let all = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
            all.iter().chain(more).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        Otlp::start(&exports.unwrap().unwrap()).unwrap()
    }

    /// What has come: how many messages with spans, and the metrics.
    fn all(&mut self) -> (usize, Vec<ExportMetricsServiceRequest>) {
        let (mut spans, mut metrics) = (0, Vec::new());
        while let Ok(got) = self.got.try_recv() {
            match got {
                Got::Spans => spans += 1,
                Got::Metrics(request) => metrics.push(request),
            }
        }
        (spans, metrics)
    }
}

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

fn by_name(request: &ExportMetricsServiceRequest) -> BTreeMap<String, Metric> {
    assert_eq!(request.resource_metrics.len(), 1);
    let group = &request.resource_metrics[0];
    assert_eq!(group.schema_url, "https://opentelemetry.io/schemas/1.41.0");
    let keys: Vec<_> = group.resource.as_ref().unwrap().attributes.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["service.name", "service.instance.id"]);
    let metrics = group.scope_metrics[0].metrics.iter();
    metrics.map(|metric| (metric.name.clone(), metric.clone())).collect()
}

fn check(request: &ExportMetricsServiceRequest, temporality: AggregationTemporality) {
    let metrics = by_name(request);
    let Some(Data::Histogram(tokens)) = &metrics["gen_ai.client.token.usage"].data else { panic!() };
    assert_eq!(tokens.aggregation_temporality, temporality as i32);
    assert_eq!(metrics["gen_ai.client.token.usage"].unit, "{token}");
    let kinds: Vec<_> = tokens.data_points.iter().map(|point| (point.count, point.sum)).collect();
    assert_eq!(kinds, [(1, Some(64.0)), (1, Some(7.0))]);
    assert_eq!(tokens.data_points[0].explicit_bounds.len() + 1, tokens.data_points[0].bucket_counts.len());
    assert_eq!(tokens.data_points[0].bucket_counts[3], 1, "a value at a bound is in that bound's bucket");
    let Some(Data::Sum(cost)) = &metrics["agent_token_cost_total"].data else { panic!() };
    assert!(cost.is_monotonic);
    assert_eq!(cost.data_points[0].value, Some(number_data_point::Value::AsDouble(0.25)));
    let Some(Data::Gauge(rate)) = &metrics["agent_tool_error_rate"].data else { panic!() };
    assert_eq!(rate.data_points[0].value, Some(number_data_point::Value::AsDouble(1.0)));
    assert!(rate.data_points[0].time_unix_nano >= rate.data_points[0].start_time_unix_nano);
    let Some(Data::Sum(calls)) = &metrics["agent_tool_calls_total"].data else { panic!() };
    assert_eq!(calls.data_points[0].value, Some(number_data_point::Value::AsInt(1)));
}

#[test]
fn the_last_values_are_sent_at_the_end() {
    use AggregationTemporality::{Cumulative, Delta};
    for protocol in PROTOCOLS {
        for (preference, expect) in [("", Cumulative), ("delta", Delta)] {
            let mut receiver = Receiver::new(protocol, true);
            let set = [("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)];
            let set = if preference.is_empty() { &set[..0] } else { &set[..] };
            let mut sink = receiver.sink(protocol, set);
            sink.write(&spans());
            assert_eq!(sink.finish(&Totals::default()), Vec::<String>::new(), "{protocol}");
            let (spans, metrics) = receiver.all();
            assert_eq!((spans, metrics.len()), (1, 1), "{protocol}");
            check(&metrics[0], expect);
        }
    }
}

#[test]
fn they_are_sent_in_intervals() {
    let mut receiver = Receiver::new("grpc", true);
    let mut sink = receiver.sink("grpc", &[("OTEL_METRIC_EXPORT_INTERVAL", "1")]);
    sink.write(&spans());
    // Two reports before the end: cumulative sums are told again.
    let mut early = Vec::new();
    while early.len() < 2 {
        if let Some(Got::Metrics(request)) = receiver.got.blocking_recv() {
            early.push(request);
        }
    }
    assert_eq!(sink.finish(&Totals::default()), Vec::<String>::new());
    check(&early[0], AggregationTemporality::Cumulative);
    let names = by_name(&early[1]);
    assert!(names.contains_key("gen_ai.client.token.usage"), "{names:?}");
    assert!(!names.contains_key("agent_tool_error_rate"), "no calls in the second interval");
}

#[test]
fn a_collector_without_metrics_is_named_once_and_loses_no_span() {
    for (protocol, reason) in [("grpc", "Unimplemented"), ("http/protobuf", "HTTP 404")] {
        let mut receiver = Receiver::new(protocol, false);
        let mut sink = receiver.sink(protocol, &[("OTEL_METRIC_EXPORT_INTERVAL", "1")]);
        sink.write(&spans());
        let lines = sink.finish(&Totals::default());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("takes no metrics") && lines[0].contains(reason), "{lines:?}");
        assert!(lines[0].contains("OTEL_METRICS_EXPORTER=none"), "{lines:?}");
        assert_eq!(receiver.all().0, 1, "{protocol}");
    }
}

#[test]
fn they_can_be_left_out() {
    let mut receiver = Receiver::new("grpc", true);
    let mut sink = receiver.sink("grpc", &[("OTEL_METRICS_EXPORTER", "none")]);
    sink.write(&spans());
    assert_eq!(sink.finish(&Totals::default()), Vec::<String>::new());
    let (spans, metrics) = receiver.all();
    assert_eq!((spans, metrics.len()), (1, 0));
}

#[test]
fn they_can_go_alone() {
    let mut receiver = Receiver::new("grpc", true);
    let url = format!("http://{}", receiver.address);
    let exports = Exports::read(None, Content::Full, |name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(url.clone()),
        "OTEL_TRACES_EXPORTER" => Some("none".to_owned()),
        _ => None,
    });
    let mut sink = Otlp::start(&exports.unwrap().unwrap()).unwrap();
    assert_eq!(sink.shows(), Content::None, "no message has to be put together for them");
    sink.write(&spans());
    assert_eq!(sink.finish(&Totals::default()), Vec::<String>::new());
    let (spans, metrics) = receiver.all();
    assert_eq!((spans, metrics.len()), (0, 1));
    check(&metrics[0], AggregationTemporality::Cumulative);
}

#[test]
fn a_collector_that_is_down_has_no_metrics_either() {
    // The listener is dropped: nothing listens on its port.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exports = Exports::read(Some(&format!("http://{address}")), Content::Full, |_| None);
    let mut sink = Otlp::start(&exports.unwrap().unwrap()).unwrap();
    sink.write(&spans());
    let lines = sink.finish(&Totals::default());
    assert!(lines[0].starts_with("2 of 2 spans were not delivered"), "{lines:?}");
    assert!(lines[1].starts_with("metrics were not delivered"), "{lines:?}");
}

#[test]
fn the_file_ends_with_them() {
    let folder = tempfile::tempdir().unwrap();
    for (metrics, count) in [(true, 2), (false, 1)] {
        let path = folder.path().join(format!("{metrics}.jsonl"));
        let mut sink = File::open(&path, Content::Full, metrics).unwrap();
        sink.write(&spans());
        assert_eq!(sink.finish(&Totals::default()), Vec::<String>::new());
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), count, "{text}");
        if metrics {
            let request: ExportMetricsServiceRequest = serde_json::from_str(lines[1]).unwrap();
            check(&request, AggregationTemporality::Cumulative);
            assert!(lines[1].starts_with(r#"{"resourceMetrics":[{"resource":"#), "{}", lines[1]);
        }
    }
}
