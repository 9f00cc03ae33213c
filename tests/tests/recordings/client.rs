//! The agent's part: CONNECT to the proxy, TLS through it, several exchanges on one connection.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use trackway_tests::provider::chop::Chop;
use trackway_tests::provider::recorded::{self, Body};

use crate::sample::Case;

/// Opens connections through the proxy.
pub(crate) struct Client {
    proxy: SocketAddr,
    tls: [TlsConnector; 2],
}

impl Client {
    /// A client that trusts the run's authority and nobody else: what it reads came through the proxy's hands.
    pub(crate) fn new(proxy: SocketAddr, root: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.to_vec())).unwrap();
        let tls = ["http/1.1", "h2"].map(|protocol| {
            let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Self { proxy, tls }
    }

    /// Makes the exchanges on one connection: in turns in HTTP/1.1, all at once in HTTP/2. Every answer must be
    /// what the origin sent.
    pub(crate) async fn exchange(&self, cases: &[Arc<Case>]) {
        let Some(first) = cases.first() else { return };
        let (sender, driver) = self.open(first.server_name(), first.second, first.seed).await;
        match sender {
            Sender::First(mut sender) => {
                for case in cases {
                    sender.ready().await.unwrap();
                    let response = sender.send_request(request(case)).await.unwrap();
                    check(case, response).await;
                }
            }
            Sender::Second(sender) => {
                let mut streams = JoinSet::new();
                for case in cases {
                    let (mut sender, case) = (sender.clone(), Arc::clone(case));
                    streams.spawn(async move {
                        sender.ready().await.unwrap();
                        let response = sender.send_request(request(&case)).await.unwrap();
                        check(&case, response).await;
                    });
                }
                streams.join_all().await;
            }
        }
        // The senders are gone: the connection ends in order.
        driver.await.unwrap();
    }

    async fn open(&self, name: &str, second: bool, seed: u64) -> (Sender, JoinHandle<()>) {
        let mut tcp = TcpStream::connect(self.proxy).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let head = format!("CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(tcp.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{name}: {}", answer.escape_ascii());
        let server = ServerName::try_from(name.to_owned()).unwrap();
        let tls = self.tls[usize::from(second)].connect(server, tcp).await.unwrap();
        let protocol: &[u8] = if second { b"h2" } else { b"http/1.1" };
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(protocol), "{name}");
        let io = TokioIo::new(Chop::seeded(tls, seed));
        if second {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            (Sender::Second(sender), tokio::spawn(async move { connection.await.unwrap() }))
        } else {
            let (sender, connection) = http1::handshake(io).await.unwrap();
            (Sender::First(sender), tokio::spawn(async move { connection.await.unwrap() }))
        }
    }
}

enum Sender {
    First(http1::SendRequest<Body>),
    Second(http2::SendRequest<Body>),
}

fn request(case: &Case) -> Request<Body> {
    let (head, host) = (&case.replay.head, &case.replay.host);
    let mut request = Request::new(recorded::body(case.request.clone(), case.seed));
    *request.method_mut() = head.method.parse().unwrap();
    *request.headers_mut() = recorded::fields(&case.request_headers()).unwrap();
    recorded::tell_length(request.headers_mut(), &case.request, case.seed >> 1);
    *request.uri_mut() = if case.second {
        format!("https://{host}{}", head.target).parse::<Uri>().unwrap()
    } else {
        request.headers_mut().insert(HOST, host.parse().unwrap());
        head.target.parse::<Uri>().unwrap()
    };
    request
}

async fn check(case: &Case, response: Response<Incoming>) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
    assert_eq!(status, case.replay.status, "{}: {text}", case.id);
    assert!(body == case.response, "{}: {} bytes for {}: {text}", case.id, body.len(), case.response.len());
}
