//! The names of the environment variables that Trackway reads or sets beside those of [`crate::trust`].

/// Filter of our own diagnostics, in the words of `tracing-subscriber`.
pub const LOG: &str = "TRACKWAY_LOG";
/// A file with the operator's prices.
pub const PRICES: &str = "TRACKWAY_PRICES";
/// Whether TLS is read inside processes.
pub const TAP: &str = "TRACKWAY_TAP";
/// Bytes that the kernel may hold for the tap.
pub const TAP_BYTES: &str = "TRACKWAY_TAP_BYTES";
/// What makes one trace.
pub const SCOPE: &str = "TRACKWAY_SCOPE";
/// The span under which a run stands, as W3C Trace Context writes it: set by who starts the command.
pub const TRACEPARENT: &str = "TRACEPARENT";
/// The local store's file, or `none`.
pub const STORE: &str = "TRACKWAY_STORE";
/// Days for which the local store keeps a run.
pub const STORE_DAYS: &str = "TRACKWAY_STORE_DAYS";
/// Bytes that the local store may take.
pub const STORE_BYTES: &str = "TRACKWAY_STORE_BYTES";
/// What is done with the bytes that pass, for measuring: see [`Capture`].
pub const CAPTURE: &str = "TRACKWAY_CAPTURE";
/// OpenTelemetry's variable for the content of messages.
pub const CAPTURE_CONTENT: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
/// Name of the service in telemetry.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// Attributes of every resource, as `key=value,key=value`.
pub const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// The collector, for traces alone and for all signals.
pub const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// `none` keeps spans from the collector that the environment names.
pub const TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// `none` leaves metrics out everywhere.
pub const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
/// How often metrics are reported, in milliseconds.
pub const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// Whether sums are told since the beginning or since the last report.
pub const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
/// Names in which spans go to a collector.
pub const SEMCONV: &str = "TRACKWAY_SEMCONV";
/// Longest value of an attribute, the stronger one first.
pub const VALUE_LENGTHS: [&str; 2] =
    ["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"];
/// Turns colours off (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";
/// The variables by which a program is told of a proxy. curl reads `http_proxy` in lower case only.
pub const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The variables that name exceptions from it.
pub const NO_PROXIES: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Makes Node honour them (since Node 22.21 and 24.5).
pub const NODE_PROXY: &str = "NODE_USE_ENV_PROXY";

/// How far bytes are followed. Less than everything is for measuring what the rest costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Relayed only (`off`).
    Off,
    /// Handed over by the tap and dropped (`tap`).
    Tap,
    /// Read: what everybody wants, and what every other value means.
    Read,
}

/// The value of [`CAPTURE`].
pub fn capture() -> Capture {
    match get(CAPTURE).as_deref() {
        Some("off") => Capture::Off,
        Some("tap") => Capture::Tap,
        _ => Capture::Read,
    }
}

/// A variable's value, if it is set and not empty.
pub fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `key=value,key=value`, values percent-encoded as in W3C Baggage. Pairs without a key are left out.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), percent_decoded(value.trim())))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let code = rest
            .get(..2)
            .filter(|code| first == b'%' && code.iter().all(u8::is_ascii_hexdigit))
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        out.push(code.unwrap_or(first));
        bytes = if code.is_some() { rest.get(2..).unwrap_or_default() } else { rest };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}
