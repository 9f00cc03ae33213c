//! Connections that are not read, and why: the client still gets what it would have had without us.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trackway_core::flow::{Close, UnreadReason};
use trackway_proxy::Config;

use crate::support::{HOST, Pki, Setup, World, client_config, echo, handshake, soon, tls_origin};

async fn echoing() -> World {
    let pki = Pki::new();
    let origin = tls_origin(pki.server(HOST, &[]), echo).await;
    Setup::new(pki).start(origin).await
}

/// Sends and gets a few bytes, and says who certified the other end.
async fn talk(mut stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> CertificateDer<'static> {
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"hello");
    let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    stream.shutdown().await.unwrap();
    certificate
}

#[tokio::test]
async fn a_client_that_refuses_us_is_left_alone_from_then_on() {
    let world = echoing().await;
    let error = world.foreign().await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let unread = world.unread().await;
    assert_eq!(unread.reason, UnreadReason::ClientRefused("alert unknown_ca".to_owned()));
    assert_eq!(unread.flow.host.as_deref(), Some(HOST));

    talk(world.foreign().await.expect("the origin's own certificate")).await;
    let unread = world.unread_nth(1).await;
    assert_eq!(unread.reason, UnreadReason::RefusedBefore);
    assert_eq!(unread.close, Close::Clean);
    assert!(unread.bytes_to_origin > 5 && unread.bytes_to_client > 5);
    let counters = world.counters();
    assert_eq!((counters.refused, counters.tunnelled, counters.intercepted), (1, 1, 0));
}

/// As Node does: it verifies when the handshake is over, and closes.
#[tokio::test]
async fn two_silent_closes_are_a_refusal() {
    let world = echoing().await;
    for nth in 0..2 {
        drop(world.tls(&[]).await.unwrap());
        let unread = world.unread_nth(nth).await;
        let sign = "completed the handshake, then closed without a request";
        assert_eq!(unread.reason, UnreadReason::ClientRefused(sign.to_owned()));
    }
    talk(world.foreign().await.unwrap()).await;
    assert_eq!(world.unread_nth(2).await.reason, UnreadReason::RefusedBefore);
}

#[tokio::test]
async fn connections_opened_ahead_of_need_are_no_refusal() {
    let world = echoing().await;
    talk(world.tls(&[]).await.unwrap()).await;
    world.closed().await;
    for ended in 2..5 {
        drop(world.tls(&[]).await.unwrap());
        world.until(|_| (world.counters().ended == ended).then_some(())).await;
    }
    talk(world.tls(&[]).await.unwrap()).await;
    assert_eq!(world.counters().intercepted, 5);
    assert_eq!(world.counters().refused, 0);
}

/// Closes when it has seen our part of the handshake.
#[tokio::test]
async fn a_close_in_the_handshake_is_a_refusal() {
    let world = echoing().await;
    let mut hello = Vec::new();
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let config = Arc::new(client_config(&[world.ca()], &[]));
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut hello).unwrap();
    let mut tcp = world.connect().await;
    tcp.write_all(&hello).await.unwrap();
    assert_eq!(soon(tcp.read_u8()).await.unwrap(), 22, "our ServerHello");
    let mut rest = vec![0; 1 << 16];
    tcp.set_nodelay(true).unwrap();
    let _ = tcp.try_read(&mut rest);
    tcp.shutdown().await.unwrap();
    let unread = world.unread().await;
    assert_eq!(unread.reason, UnreadReason::ClientRefused("closed during the handshake".to_owned()));
    talk(world.foreign().await.unwrap()).await;
}

#[tokio::test]
async fn an_origin_that_the_client_would_refuse_is_refused_by_the_client() {
    type Change = fn(&mut rcgen::CertificateParams);
    let expired: Change = |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let nothing: Change = |_| {};
    for (what, name, change, foreign) in [
        ("certificate expired", HOST, expired, false),
        ("not valid for name", "www.example.org", nothing, false),
        ("UnknownIssuer", HOST, nothing, true),
    ] {
        let pki = Pki::new();
        let issuer = if foreign { &Pki::new() } else { &pki };
        let origin = tls_origin(issuer.server_with(name, &[], change), echo).await;
        let world = Setup::new(pki).start(origin).await;
        let error = world.tls(&[]).await.expect_err(what);
        assert!(error.to_string().contains(what), "{error}");
        let unread = world.unread().await;
        assert!(matches!(unread.reason, UnreadReason::OriginUntrusted(_)), "{unread:?}");
        assert_eq!(unread.flow.host.as_deref(), Some(HOST));
        assert_eq!(world.counters().intercepted, 0);
    }
}

#[tokio::test]
async fn an_origin_that_asks_for_a_certificate_gets_the_clients() {
    let pki = Pki::new();
    let origin = tls_origin(pki.mutual(HOST), echo).await;
    let (chain, key) = pki.certify("client", |_| {});
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pki.root()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let world = Setup::new(pki).start(origin).await;
    for nth in 0..2 {
        talk(handshake(world.connect().await, HOST, config.clone()).await.unwrap()).await;
        assert_eq!(world.unread_nth(nth).await.reason, UnreadReason::ClientCertificate);
    }
}

#[tokio::test]
async fn without_a_server_name_nothing_is_intercepted() {
    let pki = Pki::new();
    let origin = tls_origin(pki.server("127.0.0.1", &[]), echo).await;
    let world = Setup::new(pki).start(origin).await;
    let config = client_config(&[world.pki.root()], &[]);
    talk(handshake(world.connect().await, "127.0.0.1", config).await.unwrap()).await;
    let unread = world.unread().await;
    assert_eq!(unread.reason, UnreadReason::NoServerName);
    assert_eq!(unread.flow.host, None);
}

#[tokio::test]
async fn who_does_not_trust_us_is_known_beforehand() {
    let pki = Pki::new();
    let origin = tls_origin(pki.server(HOST, &[]), echo).await;
    let mut setup = Setup::new(pki);
    setup.config = Config { trusts: Some(Arc::new(|_, host| host != HOST)), ..Config::default() };
    let world = setup.start(origin).await;
    let certificate = talk(world.foreign().await.unwrap()).await;
    assert_ne!(certificate, world.ca());
    assert_eq!(world.unread().await.reason, UnreadReason::Configured);
}

#[tokio::test]
async fn an_origin_that_is_down_is_a_reset() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let world = Setup::new(Pki::new()).start(address).await;
    let error = world.tls(&[]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    let unread = world.unread().await;
    assert!(matches!(unread.reason, UnreadReason::OriginFailed(_)), "{unread:?}");
    assert_eq!(unread.close, Close::OriginReset);
}
