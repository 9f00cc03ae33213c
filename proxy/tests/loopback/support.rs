//! Origins, clients and a proxy between them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use trackway_core::flow::{Close, Direction, Flow, Unread};
use trackway_proxy::authority::Authority;
use trackway_proxy::tap::{self, Event, Feed};
use trackway_proxy::{Client, Config, Counters, Mode, Proxy, Resolve};

/// Longer than any step takes on a busy machine; reached only by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const HOST: &str = "api.example.com";

/// Fails a test that hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("took too long")
}

// === certificates ===

/// An authority that origins are certified by and that both proxy and clients know.
pub(crate) struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Pki { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn certify(
        &self,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
    }

    pub(crate) fn server(&self, host: &str, alpn: &[&str]) -> ServerConfig {
        self.server_with(host, alpn, |_| {})
    }

    pub(crate) fn server_with(
        &self,
        host: &str,
        alpn: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerConfig {
        let (chain, key) = self.certify(host, change);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A server that lets nobody in without a certificate of this authority.
    pub(crate) fn mutual(&self, host: &str) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let (chain, key) = self.certify(host, |_| {});
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    }
}

pub(crate) fn client_config(roots: &[CertificateDer<'static>], alpn: &[&str]) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(crate) async fn handshake(
    tcp: TcpStream,
    host: &str,
    config: ClientConfig,
) -> io::Result<client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await
}

// === origins ===

/// An origin that hands each TCP connection to `serve`.
pub(crate) async fn origin<F, S>(serve: S) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// An origin that completes TLS first; failed handshakes end there.
pub(crate) async fn tls_origin<F, S>(config: ServerConfig, serve: S) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(server::TlsStream<TcpStream>) -> F + Send + Sync + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serve = Arc::new(serve);
    origin(move |tcp| {
        let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
        async move {
            if let Ok(stream) = acceptor.accept(tcp).await {
                serve(stream).await;
            }
        }
    })
    .await
}

/// Sends back what it gets until the client ends.
pub(crate) async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite>(stream: S) {
    let (mut read, mut write) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
}

// === the proxy ===

/// Everybody is the same executable on its way to the same destination.
pub(crate) struct Everybody(pub(crate) Option<SocketAddr>);

impl Resolve for Everybody {
    fn resolve(&self, _peer: SocketAddr, _local: SocketAddr) -> Client {
        Client { process: None, destination: self.0, executable: Some("/usr/bin/test".to_owned()) }
    }
}

/// A running proxy and what it saw.
pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) authority: Arc<Authority>,
    pub(crate) address: SocketAddr,
    proxy: Proxy,
    feed: Mutex<Feed>,
    seen: Mutex<Vec<Event>>,
    stop: watch::Sender<bool>,
    _roots: tempfile::NamedTempFile,
}

/// What is to be set up.
pub(crate) struct Setup {
    pub(crate) pki: Pki,
    pub(crate) mode: Mode,
    pub(crate) config: Config,
    pub(crate) slices: usize,
    pub(crate) bytes: usize,
}

impl Setup {
    pub(crate) fn new(pki: Pki) -> Setup {
        Setup { pki, mode: Mode::Redirect, config: Config::default(), slices: 1 << 16, bytes: 64 << 20 }
    }

    /// Starts a proxy before `origin`, where every connection leads.
    pub(crate) async fn start(self, origin: SocketAddr) -> World {
        let roots = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(roots.path(), self.pki.pem()).unwrap();
        let authority = Arc::new(Authority::new(&[]).unwrap());
        let (tap, feed) = tap::channel(self.slices, self.bytes);
        let mut config = self.config;
        config.authority = Some(Arc::clone(&authority));
        config.system_roots = false;
        config.roots_file = Some(roots.path().to_owned());
        config.tap = Some(tap);
        config.lead = Some(Arc::new(move |_, _, _| Some(origin)));
        let proxy = Proxy::new(config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let resolve = Arc::new(Everybody((self.mode == Mode::Redirect).then_some(origin)));
        let (serving, mode) = (proxy.clone(), self.mode);
        tokio::spawn(async move { serving.serve(listener, mode, resolve, stopped).await });
        World {
            pki: self.pki,
            authority,
            address,
            proxy,
            feed: Mutex::new(feed),
            seen: Mutex::default(),
            stop,
            _roots: roots,
        }
    }
}

impl World {
    pub(crate) async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    /// A client that trusts the run's authority, as the child of `trackway run` does.
    pub(crate) async fn tls(&self, alpn: &[&str]) -> io::Result<client::TlsStream<TcpStream>> {
        handshake(self.connect().await, HOST, client_config(&[self.ca(), self.pki.root()], alpn)).await
    }

    /// A client that knows nothing of the run's authority.
    pub(crate) async fn foreign(&self) -> io::Result<client::TlsStream<TcpStream>> {
        handshake(self.connect().await, HOST, client_config(&[self.pki.root()], &[])).await
    }

    pub(crate) fn ca(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.authority.ca_der().to_vec())
    }

    pub(crate) fn counters(&self) -> Counters {
        self.proxy.counters()
    }

    pub(crate) fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    /// Drains until what was seen satisfies `found`, as a reader would: every few milliseconds.
    pub(crate) async fn until<T>(&self, found: impl Fn(&[Event]) -> Option<T>) -> T {
        let poll = async {
            loop {
                {
                    let mut seen = self.seen.lock().unwrap();
                    while self.feed.lock().unwrap().drain(&mut seen, 1024) > 0 {}
                    if let Some(result) = found(&seen) {
                        return result;
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, poll).await {
            Ok(result) => result,
            Err(_) => panic!("never seen; seen: {:#?}", self.seen.lock().unwrap()),
        }
    }

    pub(crate) async fn unread(&self) -> Unread {
        self.unread_nth(0).await
    }

    pub(crate) async fn unread_nth(&self, nth: usize) -> Unread {
        self.until(|events| {
            let mut unread = events.iter().filter_map(|event| match event {
                Event::Unread(unread) => Some((**unread).clone()),
                _ => None,
            });
            unread.nth(nth)
        })
        .await
    }

    /// The first connection that was read to its end.
    pub(crate) async fn closed(&self) -> Seen {
        self.until(Seen::of).await
    }
}

/// A connection as the tap told of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) flow: Flow,
    pub(crate) to_origin: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
    pub(crate) ended: Vec<Direction>,
    pub(crate) close: Close,
}

impl Seen {
    fn of(events: &[Event]) -> Option<Seen> {
        let (id, close) = events.iter().find_map(|event| match event {
            Event::Closed { flow, close, .. } => Some((*flow, *close)),
            _ => None,
        })?;
        let flow = events.iter().find_map(|event| match event {
            Event::Opened(flow) if flow.id == id => Some(flow.clone()),
            _ => None,
        })?;
        let mut seen = Seen { flow, to_origin: Vec::new(), to_client: Vec::new(), ended: Vec::new(), close };
        for event in events {
            match event {
                Event::Data { flow, slice } if *flow == id => {
                    let bytes = match slice.direction {
                        Direction::ToOrigin => &mut seen.to_origin,
                        Direction::ToClient => &mut seen.to_client,
                    };
                    assert_eq!(bytes.len() as u64, slice.offset, "no gap");
                    assert!(slice.time >= seen.flow.opened);
                    bytes.extend_from_slice(&slice.bytes);
                }
                Event::Ended { flow, direction, .. } if *flow == id => seen.ended.push(*direction),
                _ => {}
            }
        }
        Some(seen)
    }
}
