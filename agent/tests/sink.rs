//! The sinks against real receivers on loopback.
#![expect(clippy::unwrap_used, reason = "these are tests; clippy knows only the #[test] functions as such")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::{Code, Request, Response, Status as GrpcStatus};
use trackway::sink::Sink;
use trackway::sink::file::{self, File};
use trackway::sink::otlp::Otlp;
use trackway::sink::otlp::exports::Exports;
use trackway::sink::otlp::settings::{Settings, Signal};
use trackway::sink::shape::Shape;
use trackway::sink::translate;
use trackway_core::flow::Time;
use trackway_core::overlay::Overlays;
use trackway_core::run::Totals;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Content, Event, Link, Resource, Span, SpanId, SpanKind, Status, TraceId,
};

fn attribute(key: &'static str, value: AttributeValue, class: Class) -> Attribute {
    Attribute { key: key.into(), value, class }
}

fn resource(name: &str) -> Arc<Resource> {
    let value = AttributeValue::Text(name.to_owned());
    Arc::new(Resource { attributes: vec![attribute("service.name", value, Class::Plain)] })
}

fn span(id: u8, resource: &Arc<Resource>) -> Span {
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    Span {
        trace: TraceId([7; 16]),
        id: SpanId([id; 8]),
        parent: (id > 1).then_some(SpanId([1; 8])),
        name: "chat m".to_owned(),
        kind: SpanKind::Client,
        start: Time(1_700_000_000_000_000_001),
        end: Time(1_700_000_000_000_000_999),
        status: Status::Error("broke".to_owned()),
        attributes: vec![
            attribute("text", text("ü"), Class::Plain),
            attribute("int", AttributeValue::Int(i64::MAX), Class::Plain),
            attribute("double", AttributeValue::Double(0.5), Class::Plain),
            attribute("bool", AttributeValue::Bool(true), Class::Plain),
            attribute("texts", AttributeValue::Texts(vec!["a".to_owned()]), Class::Plain),
            attribute("argv", text("METADATA-ONLY"), Class::Metadata),
            attribute("said", text("CONTENT-ONLY"), Class::Content),
        ],
        links: vec![Link {
            trace: TraceId([8; 16]),
            span: SpanId([9; 8]),
            attributes: vec![attribute("rule", text("history"), Class::Plain)],
        }],
        events: vec![Event {
            name: "event",
            time: Time(5),
            attributes: vec![attribute("said", text("CONTENT-ONLY"), Class::Content)],
        }],
        resource: Arc::clone(resource),
    }
}

fn two_processes() -> Vec<Span> {
    let (a, b) = (resource("a"), resource("b"));
    vec![span(2, &a), span(3, &b), span(4, &a), span(1, &a)]
}

/// What a receiver does with a request.
#[derive(Clone, Copy)]
enum Answer {
    Accept,
    Partial,
    Refuse,
    BusyOnce,
    Hang,
}

fn partial() -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}

type Requests = UnboundedReceiver<ExportTraceServiceRequest>;

struct Grpc {
    answer: Answer,
    seen: std::sync::atomic::AtomicBool,
    out: UnboundedSender<ExportTraceServiceRequest>,
}

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, GrpcStatus> {
        assert_eq!(request.metadata().get("x-key").unwrap(), "a b");
        let first = !self.seen.swap(true, std::sync::atomic::Ordering::SeqCst);
        let answer = match self.answer {
            Answer::Accept => ExportTraceServiceResponse::default(),
            Answer::BusyOnce if first => return Err(GrpcStatus::unavailable("busy")),
            Answer::BusyOnce => ExportTraceServiceResponse::default(),
            Answer::Partial => partial(),
            Answer::Refuse => return Err(GrpcStatus::new(Code::PermissionDenied, "no such key")),
            Answer::Hang => std::future::pending().await,
        };
        drop(self.out.send(request.into_inner()));
        Ok(Response::new(answer))
    }
}

async fn http(
    mut stream: TcpStream,
    answer: Answer,
    first: bool,
    out: UnboundedSender<ExportTraceServiceRequest>,
) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        break (head.clone(), (end + 4, length.parse::<usize>().unwrap()));
    };
    while bytes.len() < length.0 + length.1 {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf") && head.contains("x-key: a b"), "{head}");
    let mut body = bytes[length.0..].to_vec();
    if head.contains("content-encoding: gzip") {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body.as_slice()), &mut plain).unwrap();
        body = plain;
    }
    let (status, response) = match answer {
        Answer::BusyOnce if first => ("503 Busy", Vec::new()),
        Answer::Accept | Answer::BusyOnce => ("200 OK", Vec::new()),
        Answer::Partial => ("200 OK", partial().encode_to_vec()),
        Answer::Refuse => ("400 Bad Request", b"no".to_vec()),
        Answer::Hang => std::future::pending().await,
    };
    if status.starts_with("200") {
        drop(out.send(ExportTraceServiceRequest::decode(body.as_slice()).unwrap()));
    }
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", response.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&response).await.unwrap();
}

/// A receiver on a port of its own, in a runtime of its own that goes with the value.
struct Receiver {
    address: SocketAddr,
    requests: Requests,
    _runtime: tokio::runtime::Runtime,
}

fn receiver(protocol: &str, answer: Answer) -> Receiver {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (out, requests) = unbounded_channel();
    if protocol == "grpc" {
        let service = TraceServiceServer::new(Grpc { answer, seen: false.into(), out })
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
    } else {
        runtime.spawn(async move {
            let mut first = true;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(http(stream, answer, first, out.clone()));
                first = false;
            }
        });
    }
    Receiver { address, requests, _runtime: runtime }
}

fn settings(protocol: &str, address: SocketAddr, timeout_ms: u64, gzip: bool) -> Settings {
    let url = format!("http://{address}");
    let lookup = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        "OTEL_EXPORTER_OTLP_TIMEOUT" => Some(timeout_ms.to_string()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("x-key=a%20b".to_owned()),
        "OTEL_EXPORTER_OTLP_COMPRESSION" if gzip => Some("gzip".to_owned()),
        _ => None,
    };
    Settings::read(Signal::Traces, Some(&url), lookup).unwrap().unwrap()
}

fn traces(settings: Settings, policy: Content) -> Exports {
    Exports { traces: Some(settings), metrics: None, policy, shape: Shape::default() }
}

/// Sends the four spans; gives the lines of `finish` and how long it took.
fn send(settings: &Settings, policy: Content) -> (Vec<String>, Duration) {
    let mut sink = Otlp::start(&traces(settings.clone(), policy)).unwrap();
    let begin = Instant::now();
    sink.write(&two_processes());
    assert!(begin.elapsed() < Duration::from_millis(500), "write waited");
    let begin = Instant::now();
    (sink.finish(&Totals::default()), begin.elapsed())
}

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

fn check_fields(request: &ExportTraceServiceRequest, keys: usize) {
    let services: Vec<_> = request
        .resource_spans
        .iter()
        .map(|group| {
            let value = group.resource.as_ref().unwrap().attributes[0].value.clone().unwrap().value;
            assert_eq!(group.schema_url, "https://opentelemetry.io/schemas/1.41.0");
            assert_eq!(group.scope_spans[0].scope.as_ref().unwrap().name, "trackway");
            let ids: Vec<_> = group.scope_spans[0].spans.iter().map(|span| span.span_id[0]).collect();
            (value, ids)
        })
        .collect();
    let name = |name: &str| Some(Value::StringValue(name.to_owned()));
    assert_eq!(services, [(name("a"), vec![2, 4, 1]), (name("b"), vec![3])]);
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let span: &ProtoSpan = &spans[0];
    assert_eq!(
        (&span.trace_id, &span.span_id, &span.parent_span_id),
        (&vec![7; 16], &vec![2; 8], &vec![1; 8])
    );
    assert!(spans[2].parent_span_id.is_empty());
    assert_eq!(span.start_time_unix_nano, 1_700_000_000_000_000_001);
    assert_eq!(span.end_time_unix_nano, 1_700_000_000_000_000_999);
    assert_eq!((span.kind, span.name.as_str()), (3, "chat m"));
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "broke"));
    assert_eq!((span.events[0].name.as_str(), span.events[0].time_unix_nano), ("event", 5));
    let link = &span.links[0];
    assert_eq!((link.trace_id.as_slice(), link.span_id.as_slice()), ([8; 16].as_slice(), [9; 8].as_slice()));
    assert_eq!(link.attributes[0].key, "rule");
    assert_eq!(span.attributes.len(), keys);
    let value = |index: usize| span.attributes[index].value.clone().unwrap().value.unwrap();
    assert_eq!(value(0), Value::StringValue("ü".to_owned()));
    assert_eq!(value(1), Value::IntValue(i64::MAX));
    assert_eq!(value(2), Value::DoubleValue(0.5));
    assert_eq!(value(3), Value::BoolValue(true));
    assert!(matches!(value(4), Value::ArrayValue(list) if list.values.len() == 1));
}

#[test]
fn every_field_arrives() {
    for protocol in PROTOCOLS {
        for (policy, keys, gzip) in
            [(Content::None, 5, false), (Content::Metadata, 6, true), (Content::Full, 7, true)]
        {
            let mut receiver = receiver(protocol, Answer::Accept);
            let (lines, _) = send(&settings(protocol, receiver.address, 10_000, gzip), policy);
            assert_eq!(lines, Vec::<String>::new(), "{protocol}");
            let request = receiver.requests.try_recv().unwrap();
            check_fields(&request, keys);
            let text = format!("{request:?}");
            assert_eq!(text.contains("CONTENT-ONLY"), policy == Content::Full);
            assert_eq!(text.contains("METADATA-ONLY"), policy != Content::None);
        }
    }
}

#[test]
fn overlays_and_limits_follow_the_content_policy() {
    let messages = r#"[{"role":"user","parts":[{"type":"text","content":"CONTENT-ONLY"}]}]"#;
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let chat = Span {
        attributes: vec![
            attribute("gen_ai.operation.name", text("chat"), Class::Plain),
            attribute("gen_ai.provider.name", text("openai"), Class::Plain),
            attribute("gen_ai.input.messages", text(messages), Class::Content),
            attribute("long", text(&"x".repeat(200)), Class::Plain),
        ],
        ..span(2, &resource("a"))
    };
    let overlays = Overlays { genai_01: true, openinference: true, legacy: true };
    for policy in [Content::Metadata, Content::Full] {
        let mut receiver = receiver("grpc", Answer::Accept);
        let settings = settings("grpc", receiver.address, 10_000, false);
        let shape = Shape { overlays, attribute_bytes: Some(64) };
        let mut sink = Otlp::start(&Exports { shape, ..traces(settings, policy) }).unwrap();
        sink.write(std::slice::from_ref(&chat));
        assert_eq!(sink.finish(&Totals::default()), Vec::<String>::new());
        let request = receiver.requests.try_recv().unwrap();
        assert_eq!(request.resource_spans[0].schema_url, "");
        let sent = &request.resource_spans[0].scope_spans[0].spans[0];
        let keys: Vec<&str> = sent.attributes.iter().map(|it| it.key.as_str()).collect();
        let shows = policy == Content::Full;
        assert_eq!(format!("{request:?}").contains("CONTENT-ONLY"), shows);
        assert_eq!(keys.contains(&"llm.input_messages.0.message.content"), shows);
        assert!(keys.contains(&"openinference.span.kind") && keys.contains(&"gen_ai.system"), "{keys:?}");
        let cut = &sent.attributes.iter().find(|it| it.key == "trackway.truncated").unwrap().value;
        assert!(format!("{cut:?}").contains("\"long\""), "{cut:?}");
    }
}

#[test]
fn a_busy_collector_is_asked_again() {
    for protocol in PROTOCOLS {
        let mut receiver = receiver(protocol, Answer::BusyOnce);
        let (lines, _) = send(&settings(protocol, receiver.address, 10_000, false), Content::Full);
        assert_eq!(lines, Vec::<String>::new(), "{protocol}");
        check_fields(&receiver.requests.try_recv().unwrap(), 7);
    }
}

#[test]
fn what_is_refused_is_counted() {
    for protocol in PROTOCOLS {
        let receiver_partial = receiver(protocol, Answer::Partial);
        let (lines, _) = send(&settings(protocol, receiver_partial.address, 10_000, false), Content::Full);
        assert!(lines[0].starts_with("3 of 4 spans were not delivered to http://127.0.0.1:"), "{lines:?}");
        assert!(lines[0].contains("too old"), "{lines:?}");
        let refusing = receiver(protocol, Answer::Refuse);
        let (lines, _) = send(&settings(protocol, refusing.address, 10_000, false), Content::Full);
        let reason = if protocol == "grpc" { "PermissionDenied: no such key" } else { "HTTP 400" };
        assert!(lines[0].starts_with("4 of 4") && lines[0].contains(reason), "{lines:?}");
    }
}

#[test]
fn a_collector_that_is_down_costs_little() {
    for protocol in PROTOCOLS {
        // The listener is dropped: nothing listens on its port.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (lines, time) = send(&settings(protocol, address, 30_000, false), Content::Full);
        assert!(lines[0].contains("4 of 4") && lines[0].contains("connection refused"), "{lines:?}");
        assert!(time < Duration::from_secs(10), "{time:?}");
    }
}

#[test]
fn a_collector_that_hangs_is_left_behind() {
    for protocol in PROTOCOLS {
        let receiver = receiver(protocol, Answer::Hang);
        let (lines, time) = send(&settings(protocol, receiver.address, 700, false), Content::Full);
        assert!(lines[0].contains("4 of 4") && lines[0].contains("no answer within 700ms"), "{lines:?}");
        assert!(time < Duration::from_secs(5), "{time:?}");
    }
}

#[test]
fn what_the_queue_does_not_take_is_counted() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut sink = Otlp::start(&traces(settings("grpc", address, 2_000, false), Content::Full)).unwrap();
    let resource = resource("a");
    let spans: Vec<Span> = (0..40_000).map(|_| span(2, &resource)).collect();
    sink.write(&spans);
    let lines = sink.finish(&Totals::default());
    assert!(lines[0].starts_with("40000 of 40000"), "{lines:?}");
}

#[test]
fn file_lines_parse_back() {
    let path = std::env::temp_dir().join(format!("trackway-sink-{}.jsonl", std::process::id()));
    drop(std::fs::remove_file(&path));
    for policy in [Content::Full, Content::None] {
        let mut sink = File::open(&path, policy, true).unwrap();
        sink.write(&two_processes());
        sink.write(&[]);
        // Before `finish`: a killed process has written this much.
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
        assert!(sink.finish(&Totals::default()).is_empty());
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(!lines[1].contains("CONTENT-ONLY") && !lines[1].contains("METADATA-ONLY"));
    let request: ExportTraceServiceRequest = serde_json::from_str(lines[0]).unwrap();
    check_fields(&request, 7);
    let spans = two_processes().iter().map(|span| translate::span(span, Content::Full)).collect();
    assert_eq!(request, translate::request(spans, Content::Full, translate::SCHEMA_URL));
    let json: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "07".repeat(16));
    assert_eq!(span["startTimeUnixNano"], "1700000000000000001");
    assert_eq!(span["kind"], 3);
    assert_eq!(span["attributes"][1]["value"]["intValue"], i64::MAX.to_string());
}

#[test]
fn a_file_that_cannot_be() {
    assert!(matches!(File::open("-".as_ref(), Content::Full, true), Err(file::Error::Stdout)));
    let error = File::open("/nowhere/at/all".as_ref(), Content::Full, true).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    let mut full = File::open("/dev/full".as_ref(), Content::Full, true).unwrap();
    full.write(&two_processes());
    let lines = full.finish(&Totals::default());
    assert!(lines[0].starts_with("4 of 4 spans were not written to /dev/full"), "{lines:?}");
}
