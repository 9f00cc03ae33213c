//! Arize Phoenix, a backend that is not ours, and what it says that it was told.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::clients::{installed, workplace};
use crate::job::{Job, Running};
use crate::namespace::{CLIENTS, Namespace};

/// The network is the test's own, and so are its ports.
const PORT: u16 = 6006;
const GRPC: u16 = 4317;

/// A start reads much Python and makes a database.
const START: Duration = Duration::from_secs(180);
/// Spans are written some moments after they were taken.
const ARRIVAL: Duration = Duration::from_secs(30);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// What its pages show of a span.
const QUERY: &str = "{ projects { edges { node { name spans(first: 500) { edges { node {
    name spanId parentId spanKind statusCode statusMessage propagatedStatusCode context { traceId }
    tokenCountPrompt tokenCountCompletion tokenCountTotal tokenPromptDetails { cacheRead cacheWrite }
    cumulativeTokenCountPrompt cumulativeTokenCountCompletion
    input { value mimeType } output { value mimeType } attributes
} } } } } } }";

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Phoenix {
    server: Running,
}

impl Phoenix {
    /// Whether `cargo xtask setup` has installed it.
    pub fn is_installed() -> bool {
        installed().join("phoenix.stamp").exists()
    }

    /// Starts it inside `namespace` and waits until it answers. It tells nobody that it runs.
    pub async fn start(namespace: &Namespace) -> Result<Self> {
        let folder = workplace(namespace.folder(), "phoenix")?;
        let python = format!("{CLIENTS}/phoenix/bin/python");
        let server = Job::new([&python, "-m", "phoenix.server.main", "serve"], &folder)
            .env("PHOENIX_WORKING_DIR", folder.join("data"))
            .env("PHOENIX_HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("PHOENIX_PORT", PORT.to_string())
            .env("PHOENIX_GRPC_PORT", GRPC.to_string())
            .env("PHOENIX_TELEMETRY_ENABLED", "false")
            .env("PHOENIX_ALLOW_EXTERNAL_RESOURCES", "false")
            .start(namespace)
            .await?;
        let mut phoenix = Self { server };
        let ready = async {
            while !phoenix.server.has_ended()? {
                if get(namespace, "/readyz").await.is_ok() {
                    return Ok(true);
                }
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(false)
        };
        if let Ok(Ok(true)) = tokio::time::timeout(START, ready).await {
            return Ok(phoenix);
        }
        // It may have ended by itself.
        phoenix.server.signal(Signal::SIGKILL).ok();
        bail!("Phoenix did not begin to answer: {:?}", phoenix.server.end().await?)
    }

    /// What `--otlp` takes.
    pub fn endpoint(&self) -> String {
        format!("http://{}/v1/traces", address())
    }

    /// Waits until `ready` says yes to the spans of all projects.
    pub async fn wait_for(
        &self,
        namespace: &Namespace,
        ready: impl Fn(&[Shown]) -> bool,
    ) -> Result<Vec<Shown>> {
        let wait = async {
            loop {
                let spans = spans(namespace).await?;
                if ready(&spans) {
                    return anyhow::Ok(spans);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(ARRIVAL, wait).await {
            Ok(spans) => spans,
            Err(_) => bail!("not within {ARRIVAL:?}; Phoenix has {:#?}", spans(namespace).await?),
        }
    }
}

/// One span as Phoenix shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The project in which it is found.
    pub project: String,
    /// The fields of its API.
    pub fields: Value,
    /// The attributes, nested as Phoenix keeps them.
    pub attributes: Value,
}

impl Shown {
    /// A field that is text.
    pub fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    /// An attribute by its dotted name; numbers count in lists. `Null` where it is missing.
    pub fn get(&self, key: &str) -> &Value {
        self.attributes.pointer(&format!("/{}", key.replace('.', "/"))).unwrap_or(&Value::Null)
    }

    /// `agent`, `llm`, `tool`, …; `unknown` where it is none of them.
    pub fn kind(&self) -> &str {
        self.text("spanKind")
    }

    /// Its own id.
    pub fn id(&self) -> &str {
        self.text("spanId")
    }

    /// The id above it; empty for a root.
    pub fn parent(&self) -> &str {
        self.text("parentId")
    }

    /// The trace that it is part of.
    pub fn trace(&self) -> &str {
        self.fields["context"]["traceId"].as_str().unwrap_or_default()
    }
}

async fn spans(namespace: &Namespace) -> Result<Vec<Shown>> {
    let body = json!({ "query": QUERY }).to_string();
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json").body(body.into());
    let answer: Value = serde_json::from_slice(&send(namespace, request?).await?)?;
    ensure!(answer["errors"].is_null(), "Phoenix does not understand: {}", answer["errors"]);
    let mut found = Vec::new();
    for project in nodes(&answer["data"]["projects"]) {
        for span in nodes(&project["spans"]) {
            let attributes = span["attributes"].as_str().context("a span without attributes")?;
            found.push(Shown {
                project: project["name"].as_str().unwrap_or_default().to_owned(),
                attributes: serde_json::from_str(attributes)?,
                fields: span.clone(),
            });
        }
    }
    Ok(found)
}

fn nodes(connection: &Value) -> impl Iterator<Item = &Value> {
    connection["edges"].as_array().into_iter().flatten().map(|edge| &edge["node"])
}

fn address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))
}

async fn get(namespace: &Namespace, path: &str) -> Result<Bytes> {
    send(namespace, Request::get(path).body(Full::default())?).await
}

async fn send(namespace: &Namespace, mut request: Request<Full<Bytes>>) -> Result<Bytes> {
    let stream = namespace.inside(|| TcpStream::connect(address())).await??;
    stream.set_nonblocking(true)?;
    let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    request.headers_mut().insert(HOST, address().to_string().parse()?);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "HTTP {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}
