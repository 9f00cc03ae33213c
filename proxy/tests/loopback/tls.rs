//! Intercepted TLS: what the client gets is what the origin gave.

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trackway_core::flow::{Close, Direction, UnreadReason};

use crate::support::{HOST, Pki, Setup, World, client_config, echo, handshake, soon, tls_origin};

async fn echoing(alpn: &[&str]) -> World {
    let pki = Pki::new();
    let origin = tls_origin(pki.server(HOST, alpn), echo).await;
    Setup::new(pki).start(origin).await
}

async fn exchange(world: &World, offer: &[&str]) -> (Option<Vec<u8>>, String) {
    let mut stream = world.tls(offer).await.unwrap();
    let issuer = stream.get_ref().1.peer_certificates().unwrap().len();
    assert_eq!(issuer, 1, "our leaf alone");
    let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    (alpn, answer)
}

#[tokio::test]
async fn the_origins_choice_of_protocol_is_the_clients() {
    for (origin, offer, chosen) in [
        (&["h2", "http/1.1"][..], &["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], &["h2", "http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], &["http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], &[], None),
        (&[], &["h2", "http/1.1"], None),
        (&["strange/7"], &["strange/7"], Some("strange/7")),
    ] {
        let world = echoing(origin).await;
        let (alpn, answer) = exchange(&world, offer).await;
        assert_eq!(alpn.as_deref(), chosen.map(str::as_bytes), "{origin:?} and {offer:?}");
        assert_eq!(answer, "hello");
        let seen = world.closed().await;
        assert_eq!(seen.flow.alpn.as_deref(), chosen);
        assert_eq!(seen.flow.host.as_deref(), Some(HOST));
        assert!(seen.flow.tls);
        assert_eq!((&seen.to_origin[..], &seen.to_client[..]), (&b"hello"[..], &b"hello"[..]));
        assert_eq!(seen.close, Close::Clean);
        assert_eq!(seen.ended, [Direction::ToOrigin, Direction::ToClient]);
    }
}

#[tokio::test]
async fn no_common_protocol_fails_as_it_would_without_us() {
    let world = echoing(&["h2"]).await;
    let error = world.tls(&["http/1.1"]).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    let unread = world.unread().await;
    assert!(matches!(unread.reason, UnreadReason::OriginFailed(_)), "{unread:?}");
}

#[tokio::test]
async fn sessions_resume() {
    let world = echoing(&[]).await;
    let config = client_config(&[world.ca()], &[]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = handshake(world.connect().await, HOST, config.clone()).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        stream.write_all(b"x").await.unwrap();
        // The ticket comes with the first bytes.
        soon(stream.read_u8()).await.unwrap();
    }
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}

#[tokio::test]
async fn the_older_protocol_version_works_on_both_sides() {
    let pki = Pki::new();
    let mut server = pki.server(HOST, &["http/1.1"]);
    server = {
        let (chain, key) = pki.certify(HOST, |_| {});
        let mut older =
            rustls::ServerConfig::builder_with_provider(std::sync::Arc::clone(server.crypto_provider()))
                .with_protocol_versions(&[&rustls::version::TLS12])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
        older.alpn_protocols = server.alpn_protocols;
        older
    };
    let origin = tls_origin(server, echo).await;
    let world = Setup::new(pki).start(origin).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.ca()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = handshake(world.connect().await, HOST, config).await.unwrap();
    stream.write_all(b"old").await.unwrap();
    let mut answer = [0; 3];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"old");
}

/// The ClientHello arrives byte by byte, as it may.
#[tokio::test]
async fn a_hello_in_many_segments_is_read() {
    let world = echoing(&[]).await;
    let tcp = world.connect().await;
    tcp.set_nodelay(true).unwrap();
    let (client, mut near) = tokio::io::duplex(1 << 16);
    let (mut from, mut to) = tcp.into_split();
    let forward = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(&mut near);
        let out = async {
            let mut byte = [0];
            while read.read_exact(&mut byte).await.is_ok() {
                to.write_all(&byte).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = out => {}, _ = tokio::io::copy(&mut from, &mut write) => {} }
    });
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client_config(&[world.ca()], &[])));
    let mut stream = soon(connector.connect(name, client)).await.unwrap();
    stream.write_all(b"slow").await.unwrap();
    let mut answer = [0; 4];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"slow");
    forward.abort();
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Random bytes in random pieces both ways: the same at each end, and at the tap.
    #[test]
    fn bytes_pass_verbatim(
        up in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9000), 1..20),
        down in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40_000), 1..20),
        tls: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(verbatim(up, down, tls));
    }
}

async fn verbatim(up: Vec<Vec<u8>>, down: Vec<Vec<u8>>, tls: bool) {
    let (report, mut reported) = tokio::sync::mpsc::channel(1);
    let (sent_up, sent_down) = (up.concat(), down.concat());
    let serve = move |down: Vec<Vec<u8>>,
                      report: tokio::sync::mpsc::Sender<Vec<u8>>,
                      stream: Box<dyn Duplex>| async move {
        let (mut read, mut write) = tokio::io::split(stream);
        // Who speaks first without TLS speaks no HTTP.
        let mut got = vec![read.read_u8().await.unwrap()];
        let writer = tokio::spawn(async move {
            for piece in down {
                write.write_all(&piece).await.unwrap();
                write.flush().await.unwrap();
            }
            write.shutdown().await.unwrap();
        });
        read.read_to_end(&mut got).await.unwrap();
        writer.await.unwrap();
        report.send(got).await.unwrap();
    };
    let pki = Pki::new();
    let origin = if tls {
        tls_origin(pki.server(HOST, &[]), move |stream| serve(down.clone(), report.clone(), Box::new(stream)))
            .await
    } else {
        crate::support::origin(move |stream| serve(down.clone(), report.clone(), Box::new(stream))).await
    };
    let world = Setup::new(pki).start(origin).await;
    let stream: Box<dyn Duplex> =
        if tls { Box::new(world.tls(&[]).await.unwrap()) } else { Box::new(world.connect().await) };
    let (mut read, mut write) = tokio::io::split(stream);
    let mut up = up;
    if !tls {
        // What is no HTTP would be a tunnel, and not tapped.
        up.insert(0, b"POST / HTTP/1.1\r\n".to_vec());
    }
    let sent_up = if tls { sent_up } else { [&b"POST / HTTP/1.1\r\n"[..], &sent_up].concat() };
    let writer = tokio::spawn(async move {
        for piece in up {
            write.write_all(&piece).await.unwrap();
            write.flush().await.unwrap();
        }
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    soon(read.read_to_end(&mut got)).await.unwrap();
    writer.await.unwrap();
    assert_eq!(digest(&got), digest(&sent_down));
    assert_eq!(digest(&soon(reported.recv()).await.unwrap()), digest(&sent_up));
    let seen = world.closed().await;
    assert_eq!(digest(&seen.to_origin), digest(&sent_up));
    assert_eq!(digest(&seen.to_client), digest(&sent_down));
    assert_eq!(seen.close, Close::Clean);
}

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Duplex for T {}
