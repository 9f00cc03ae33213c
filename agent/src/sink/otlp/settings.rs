//! Where the collector is and how to talk to it: `--otlp` and the standard `OTEL_EXPORTER_OTLP_*` variables.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::settings::pairs;
use crate::sink::limits;

/// What the settings cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No address.
    #[error("`{0}` is no collector's address; write it like http://localhost:4317")]
    Endpoint(String),
    /// A value that the variable does not take.
    #[error("{name}={value} is not understood; it takes {takes}")]
    Value {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
}

/// How the messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    Http,
}

/// What is sent. Each may go to a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
}

impl Signal {
    /// The word in the names of variables.
    fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// The end of the path over HTTP.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// Everything that the exporter needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The whole address; for HTTP with its path.
    pub endpoint: Url,
    /// Protocol.
    pub protocol: Protocol,
    /// Headers for every request. They may hold credentials and are never printed.
    pub headers: Vec<(String, String)>,
    /// Limit of one request and of the last flush.
    pub timeout: Duration,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// PEM file with roots beside the system's.
    pub certificate: Option<PathBuf>,
    /// PEM files of the client's own certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Settings {
    /// Reads the settings of one signal. `url` is the command line's, which comes first for traces, and for
    /// metrics after a variable that speaks of them alone; `variable` looks up the environment. `None` where
    /// nothing names a collector.
    pub fn read(
        signal: Signal,
        url: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        // The specification treats an empty variable as unset, and the signal's own as the stronger.
        let set = |name: String| {
            let value = variable(&name)?.trim().to_owned();
            (!value.is_empty()).then_some((name, value))
        };
        let own = |name: &str| set(format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.word()));
        let find = |name: &str| own(name).or_else(|| set(format!("OTEL_EXPORTER_OTLP_{name}")));
        let whole = own("ENDPOINT").map(|(_, text)| (text, true)).filter(|_| match signal {
            Signal::Traces => url.is_none(),
            Signal::Metrics => true,
        });
        let base = || url.map(str::to_owned).or_else(|| find("ENDPOINT").map(|(_, text)| text));
        let Some((text, whole)) = whole.or_else(|| base().map(|text| (text, false))) else {
            return Ok(None);
        };
        let insecure = find("INSECURE").map(|(_, value)| value.eq_ignore_ascii_case("true"));
        let mut endpoint = parse(&text, insecure)?;
        let protocol = match find("PROTOCOL") {
            Some((name, value)) => match value.as_str() {
                "grpc" => Protocol::Grpc,
                "http/protobuf" => Protocol::Http,
                _ => return Err(Error::Value { name, value, takes: "grpc or http/protobuf" }),
            },
            None if endpoint.port() == Some(4318) || endpoint.path() != "/" => Protocol::Http,
            None => Protocol::Grpc,
        };
        if protocol == Protocol::Http && !whole {
            // Who gives the whole address of traces means the same collector for the other signal.
            let path = endpoint.path().trim_end_matches('/');
            let path = path.strip_suffix(Signal::Traces.path()).unwrap_or(path);
            let path = format!("{path}{}", signal.path());
            endpoint.set_path(&path);
        }
        let timeout = match find("TIMEOUT") {
            Some((name, value)) => match value.parse() {
                Ok(0) | Err(_) => return Err(Error::Value { name, value, takes: "milliseconds above 0" }),
                Ok(ms) => Duration::from_millis(ms),
            },
            None => limits::TIMEOUT,
        };
        let gzip = match find("COMPRESSION") {
            Some((name, value)) => match value.as_str() {
                "gzip" => true,
                "none" => false,
                _ => return Err(Error::Value { name, value, takes: "gzip or none" }),
            },
            None => false,
        };
        let file = |name| find(name).map(|(_, value)| PathBuf::from(value));
        Ok(Some(Self {
            endpoint,
            protocol,
            headers: find("HEADERS").map(|(_, value)| headers(&value)).unwrap_or_default(),
            timeout,
            gzip,
            certificate: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
        }))
    }

    /// The address as it may be printed: without user, password and query.
    pub fn shown(&self) -> String {
        let url = &self.endpoint;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = if url.path() == "/" { "" } else { url.path() };
        format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or_default())
    }
}

fn parse(text: &str, insecure: Option<bool>) -> Result<Url, Error> {
    // An address without a scheme is allowed for gRPC only where the user says what it means.
    let full = match (text.contains("://"), insecure) {
        (true, _) | (false, None) => text.to_owned(),
        (false, Some(true)) => format!("http://{text}"),
        (false, Some(false)) => format!("https://{text}"),
    };
    match Url::parse(&full) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        // The text may hold a password: what stands before the host is not repeated.
        _ => Err(Error::Endpoint(text.rsplit('@').next().unwrap_or_default().to_owned())),
    }
}

/// Header names are written in lower case.
fn headers(text: &str) -> Vec<(String, String)> {
    pairs(text).into_iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: Option<&str>, env: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        Settings::read(Signal::Traces, url, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn check(url: Option<&str>, env: &[(&str, &str)], endpoint: &str, protocol: Protocol) {
        let settings = read(url, env).unwrap().unwrap();
        assert_eq!((settings.shown().as_str(), settings.protocol), (endpoint, protocol), "{url:?} {env:?}");
    }

    #[test]
    fn address_and_protocol() {
        use Protocol::{Grpc, Http};
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
        check(Some("http://c:4317"), &[(ALL, "http://other")], "http://c:4317", Grpc);
        check(Some("http://c:4318"), &[], "http://c:4318/v1/traces", Http);
        check(Some("http://c/otel/"), &[], "http://c/otel/v1/traces", Http);
        check(Some("http://c/v1/traces"), &[], "http://c/v1/traces", Http);
        check(Some("http://c:9"), &[(PROTOCOL, "http/protobuf")], "http://c:9/v1/traces", Http);
        check(Some("http://c:4318"), &[(PROTOCOL, "grpc")], "http://c:4318", Grpc);
        check(None, &[(ALL, "http://a:4317"), (OWN, "http://b:4318/x")], "http://b:4318/x", Http);
        check(None, &[(ALL, "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://c:4317", Grpc);
        check(Some("http://u:secret@c:4317/?k=secret"), &[], "http://c:4317", Grpc);
        assert_eq!(read(None, &[(ALL, " ")]), Ok(None));
    }

    #[test]
    fn metrics_go_where_they_are_told() {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
        let read = |url, env: &[(&str, &str)]| {
            Settings::read(Signal::Metrics, url, |name| {
                env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
            .unwrap()
            .map(|settings| settings.shown())
        };
        let check = |url, env: &[(&str, &str)], expect: &str| {
            assert_eq!(read(url, env).as_deref(), Some(expect), "{url:?} {env:?}");
        };
        check(Some("http://c:4317"), &[(ALL, "http://a:4317")], "http://c:4317");
        check(Some("http://c:4318"), &[], "http://c:4318/v1/metrics");
        check(Some("http://c/x/v1/traces"), &[], "http://c/x/v1/metrics");
        check(Some("http://c:4317"), &[(METRICS, "http://m:4318/own")], "http://m:4318/own");
        check(None, &[(ALL, "http://a:4318/"), (TRACES, "http://t:4317")], "http://a:4318/v1/metrics");
        assert_eq!(read(None, &[(TRACES, "http://t:4317")]), None);
    }

    #[test]
    fn other_variables() {
        let settings = read(
            Some("https://c:4317"),
            &[
                ("OTEL_EXPORTER_OTLP_HEADERS", "x=1"),
                ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Basic%20a%3Db, k=v=w,=no"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ],
        );
        let settings = settings.unwrap().unwrap();
        let pairs = [("authorization", "Basic a=b"), ("k", "v=w")];
        assert_eq!(settings.headers, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(settings.timeout, Duration::from_millis(2500));
        assert!(settings.gzip);
        assert_eq!(settings.certificate, Some(PathBuf::from("/ca.pem")));
    }

    #[test]
    fn refused() {
        for url in ["localhost:4317", "ftp://c", "http://", "user:secret@c:4317"] {
            let error = read(Some(url), &[]).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let error = read(Some("http://c"), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).unwrap_err();
        assert!(error.to_string().contains("grpc or http/protobuf"), "{error}");
        assert!(read(Some("http://c"), &[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")]).is_err());
    }
}
