//! Clients that know of the proxy.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trackway_core::flow::{Plane, UnreadReason};
use trackway_proxy::Mode;

use crate::support::{HOST, Pki, Setup, World, client_config, echo, handshake, origin, soon, tls_origin};

async fn explicit(pki: Pki, address: std::net::SocketAddr) -> World {
    let mut setup = Setup::new(pki);
    setup.mode = Mode::Explicit;
    setup.start(address).await
}

async fn connect(world: &World, target: &str) -> TcpStream {
    let mut tcp = world.connect().await;
    tcp.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(tcp.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", head.escape_ascii());
    tcp
}

#[tokio::test]
async fn connect_leads_to_an_intercepted_origin() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &["http/1.1"]), echo).await;
    let world = explicit(pki, address).await;
    let tcp = connect(&world, "api.example.com:443").await;
    let mut stream = handshake(tcp, HOST, client_config(&[world.ca()], &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "hello");
    let seen = world.closed().await;
    assert_eq!((seen.flow.plane, seen.flow.port, seen.flow.tls), (Plane::Explicit, 443, true));
    assert_eq!(seen.flow.host.as_deref(), Some(HOST));
    assert_eq!(seen.to_origin, b"hello");
}

#[tokio::test]
async fn connect_may_lead_to_any_protocol() {
    let address = origin(|mut stream| async move {
        stream.write_all(b"+OK\r\n").await.unwrap();
        echo(stream).await;
    })
    .await;
    let world = explicit(Pki::new(), address).await;
    let mut tcp = connect(&world, "[::1]:6379").await;
    let mut greeting = [0; 5];
    soon(tcp.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"+OK\r\n");
    drop(tcp);
    let unread = world.unread().await;
    assert_eq!((unread.reason, unread.flow.port), (UnreadReason::Opaque, 6379));
    assert_eq!(unread.flow.host.as_deref(), Some("::1"));
}

async fn answer(world: &World, request: &str) -> String {
    let mut tcp = world.connect().await;
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(tcp.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn an_origin_that_is_down_is_a_bad_gateway() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = explicit(Pki::new(), gone).await;
    let answer = answer(&world, "CONNECT api.example.com:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    assert!(answer.contains("Trackway cannot reach api.example.com:443"), "{answer}");
    assert!(matches!(world.unread().await.reason, UnreadReason::OriginFailed(_)));
}

#[tokio::test]
async fn what_is_no_proxy_request_is_told_so() {
    let world = explicit(Pki::new(), origin(echo).await).await;
    for request in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "nonsense\r\n\r\n"] {
        let answer = answer(&world, request).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.ends_with("begins with http://.\n"), "{answer}");
    }
    assert_eq!(world.counters().misdirected, 2);
}

/// Answers each request on a connection with its own head.
async fn mirror(mut stream: TcpStream) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", head.len());
            stream.write_all(response.as_bytes()).await.unwrap();
            stream.write_all(&head).await.unwrap();
            head.clear();
        }
    }
}

#[tokio::test]
async fn absolute_requests_reach_their_origin_in_origin_form() {
    let world = explicit(Pki::new(), origin(mirror).await).await;
    let request = "GET http://Plain.example.com:8080/path?q=1 HTTP/1.1\r\nHost: Plain.example.com:8080\r\nX-Case: Kept\r\n\
                   Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic Zm9v\r\nConnection: close\r\n\r\n";
    let answer = answer(&world, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(body.starts_with("GET /path?q=1 HTTP/1.1\r\n"), "{body}");
    assert!(body.contains("Host: Plain.example.com:8080\r\n") && body.contains("X-Case: Kept\r\n"), "{body}");
    assert!(!body.to_lowercase().contains("proxy-"), "{body}");
    let seen = world.closed().await;
    assert_eq!(seen.to_origin, request.as_bytes(), "what the client sent");
    assert_eq!(seen.to_client, answer.as_bytes(), "what it received");
    assert_eq!(seen.flow.host.as_deref(), Some("plain.example.com"));
    assert_eq!((seen.flow.port, seen.flow.tls), (8080, false));
}

#[tokio::test]
async fn an_absolute_request_to_an_origin_that_is_down_is_a_bad_gateway() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = explicit(Pki::new(), gone).await;
    let answer = answer(&world, "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(!answer.contains("Pingora"), "{answer}");
}
