//! Connections without TLS.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trackway_core::flow::{Close, UnreadReason};

use crate::support::{Pki, Setup, echo, origin, soon};

/// Far below any sniff limit: neither side may wait for the other's first bytes.
const STALL: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_origin_may_speak_first() {
    let address = origin(|mut stream| async move {
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
        echo(stream).await;
    })
    .await;
    let world = Setup::new(Pki::new()).start(address).await;
    let start = Instant::now();
    let mut stream = world.connect().await;
    let mut greeting = [0; 28];
    soon(stream.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"220 mail.example.com ESMTP\r\n");
    stream.write_all(b"EHLO me\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "EHLO me\r\n");
    assert!(start.elapsed() < STALL);
    let unread = world.unread().await;
    assert_eq!(unread.reason, UnreadReason::Opaque);
    assert_eq!((unread.bytes_to_origin, unread.bytes_to_client), (9, 37));
    assert_eq!(unread.close, Close::Clean);
}

#[tokio::test]
async fn a_client_of_another_protocol_may_speak_first() {
    for first in [&b"*1\r\n$4\r\nPING\r\n"[..], b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"PING\r\n"] {
        let world = Setup::new(Pki::new()).start(origin(echo).await).await;
        let start = Instant::now();
        let mut stream = world.connect().await;
        stream.write_all(first).await.unwrap();
        let mut answer = vec![0; first.len()];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, first);
        assert!(start.elapsed() < STALL);
        drop(stream);
        assert_eq!(world.unread().await.reason, UnreadReason::Opaque);
    }
}

/// What could still become HTTP waits, but not for ever.
#[tokio::test]
async fn undecided_bytes_go_on_after_a_while() {
    let mut setup = Setup::new(Pki::new());
    setup.config.sniff = Duration::from_millis(50);
    let world = setup.start(origin(echo).await).await;
    let mut stream = world.connect().await;
    stream.write_all(b"HELO").await.unwrap();
    let mut answer = [0; 4];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HELO");
}

#[tokio::test]
async fn cleartext_http_is_read() {
    let address = origin(|mut stream| async move {
        let mut request = [0; 37];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    })
    .await;
    let world = Setup::new(Pki::new()).start(address).await;
    let mut stream = world.connect().await;
    let request = b"GET /api/tags HTTP/1.1\r\nHost: ollama\r\n\r\n";
    stream.write_all(&request[..37]).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    drop(stream);
    let seen = world.closed().await;
    assert_eq!(seen.to_origin, &request[..37]);
    assert_eq!(seen.to_client, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(seen.to_client, answer);
    assert_eq!((seen.flow.tls, seen.flow.alpn, seen.flow.port), (false, None, address.port()));
    assert_eq!(seen.flow.destination, Some(address));
}

/// An HTTP/1.0 request shorter than the HTTP/2 preface, which a naive look-ahead would wait for.
#[tokio::test]
async fn short_requests_do_not_wait() {
    let world = Setup::new(Pki::new()).start(origin(echo).await).await;
    let mut stream = world.connect().await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = [0; 18];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"GET / HTTP/1.0\r\n\r\n");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_read() {
    let world = Setup::new(Pki::new()).start(origin(echo).await).await;
    let mut stream = world.connect().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, preface);
    assert_eq!(world.closed().await.to_origin, preface);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_is_passed_and_not_reported() {
    let world = Setup::new(Pki::new()).start(origin(echo).await).await;
    let mut stream = world.connect().await;
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty());
    let mut stream = world.connect().await;
    stream.write_all(b"\xff").await.unwrap();
    drop(stream);
    assert_eq!(world.unread().await.bytes_to_origin, 1);
}

/// An IPv6 socket may be connected to an IPv4 address (RFC 4291 section 2.5.5.2).
#[tokio::test]
async fn mapped_addresses_are_reached() {
    let address = origin(echo).await;
    let mapped = match address.ip() {
        std::net::IpAddr::V4(ip) => std::net::SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        std::net::IpAddr::V6(_) => address,
    };
    let world = Setup::new(Pki::new()).start(mapped).await;
    let mut stream = world.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    soon(stream.read_exact(&mut [0; 16])).await.unwrap();
    drop(stream);
    assert_eq!(world.closed().await.flow.destination, Some(mapped));
}
