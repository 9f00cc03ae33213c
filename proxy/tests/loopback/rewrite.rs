//! Rewrite mode adds what it is asked to add, and pingora stays invisible.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trackway_core::flow::{Close, UnreadReason};
use trackway_proxy::Config;

use crate::support::{HOST, Pki, Setup, World, origin, soon, tls_origin};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn rewriting(pki: Pki, address: std::net::SocketAddr) -> World {
    let mut setup = Setup::new(pki);
    setup.config = Config {
        rewrite: vec!["*.example.com".to_owned()],
        traceparent: Some(Arc::new(|flow| {
            assert_eq!(flow.host.as_deref(), Some(HOST));
            Some(PARENT.to_owned())
        })),
        ..Config::default()
    };
    setup.start(address).await
}

/// Answers each HTTP/1 request with its own head.
async fn mirror<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", head.len());
            stream.write_all(response.as_bytes()).await.unwrap();
            stream.write_all(&head).await.unwrap();
            stream.flush().await.unwrap();
            head.clear();
        }
    }
}

async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = String::new();
    // The answer's body is the request's head, so the second blank line ends it.
    while answer.matches("\r\n\r\n").count() < 2 {
        answer.push(char::from(soon(stream.read_u8()).await.unwrap()));
    }
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn http1_requests_get_a_parent_unless_they_have_one() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &["http/1.1"]), mirror).await;
    let world = rewriting(pki, address).await;
    let mut stream = world.tls(&["http/1.1"]).await.unwrap();
    let request = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\nX-Odd-CASE: 1\r\n\r\n");
    let body = ask(&mut stream, &request).await;
    assert!(body.contains(&format!("traceparent: {PARENT}\r\n")), "{body}");
    assert!(body.contains("X-Odd-CASE: 1\r\n"), "{body}");
    // The same connection, and a parent of its own.
    let own = format!("GET /b HTTP/1.1\r\nHost: {HOST}\r\nTraceparent: own\r\n\r\n");
    let body = ask(&mut stream, &own).await;
    assert!(body.contains("Traceparent: own\r\n") && !body.contains(PARENT), "{body}");
    drop(stream);
    let seen = world.closed().await;
    assert_eq!(seen.to_origin, [request, own].concat().as_bytes(), "the tap sees what the client sent");
    assert_eq!(seen.flow.host.as_deref(), Some(HOST));
    assert_eq!(world.counters().rewritten, 1);
}

#[tokio::test]
async fn cleartext_requests_are_known_by_their_host() {
    let world = rewriting(Pki::new(), origin(mirror).await).await;
    let mut stream = world.connect().await;
    let body = ask(&mut stream, &format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert!(body.contains(PARENT), "{body}");
    let mut stream = world.connect().await;
    let body = ask(&mut stream, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").await;
    assert_eq!(body, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "others pass verbatim");
}

/// 18 bytes: shorter than the HTTP/2 preface that pingora would wait for.
#[tokio::test]
async fn short_requests_do_not_wait() {
    let mut setup = Setup::new(Pki::new());
    setup.config.rewrite = vec!["127.0.0.1".to_owned()];
    let address = origin(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nold").await.unwrap();
    })
    .await;
    let world = setup.start(address).await;
    let mut stream = world.connect().await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains(" 200 OK\r\n") && answer.contains("old"), "{answer}");
    assert_eq!(world.counters().rewritten, 1);
}

#[tokio::test]
async fn http2_requests_get_a_parent_too() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &["h2"]), |stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let parent = request.headers().get("traceparent").cloned();
            let mut response = http::Response::builder().status(200);
            if let Some(parent) = parent {
                response = response.header("seen-parent", parent);
            }
            let mut body = respond.send_response(response.body(()).unwrap(), false).unwrap();
            body.send_data(Bytes::from_static(b"data: 1\n\n"), true).unwrap();
        }
    })
    .await;
    let world = rewriting(pki, address).await;
    let stream = world.tls(&["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut send, connection) = soon(h2::client::handshake(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    for own in [None, Some("own")] {
        let mut request = http::Request::post(format!("https://{HOST}/v1/messages"));
        if let Some(own) = own {
            request = request.header("traceparent", own);
        }
        let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
        let response = soon(response).await.unwrap();
        assert_eq!(response.headers()["seen-parent"], own.unwrap_or(PARENT));
        let mut body = response.into_body();
        assert_eq!(soon(body.data()).await.unwrap().unwrap(), "data: 1\n\n");
    }
    drop(send);
    driver.abort();
    let seen = world.closed().await;
    assert!(seen.to_origin.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert_eq!(seen.flow.alpn.as_deref(), Some("h2"));
}

/// pingora would answer 400 in its own name; the client gets an end instead.
#[tokio::test]
async fn pingora_never_answers_in_its_own_name() {
    for bad in [
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nbad header\r\n\r\n"),
        format!("GET / HTTP/9.9\r\nHost: {HOST}\r\n\r\n"),
        format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: x\r\n\r\n"),
    ] {
        let pki = Pki::new();
        let address = tls_origin(pki.server(HOST, &[]), |_| async {}).await;
        let world = rewriting(pki, address).await;
        let mut stream = world.tls(&[]).await.unwrap();
        stream.write_all(bad.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        assert_eq!(answer.escape_ascii().to_string(), "", "after {bad}");
    }
}

/// Nor when the origin fails after the request.
#[tokio::test]
async fn a_failing_origin_is_an_end_and_no_page() {
    let pki = Pki::new();
    let requests = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let address = tls_origin(pki.server(HOST, &[]), move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            if stream.read_exact(&mut [0; 16]).await.is_ok() {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    let world = rewriting(pki, address).await;
    let mut stream = world.tls(&[]).await.unwrap();
    let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert_eq!(answer.escape_ascii().to_string(), "");
    assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), 1, "a request is not sent twice");
    assert_ne!(world.closed().await.close, Close::Proxy);
}

#[tokio::test]
async fn silent_closes_count_here_too() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &[]), mirror).await;
    let world = rewriting(pki, address).await;
    for nth in 0..2 {
        drop(world.tls(&[]).await.unwrap());
        assert!(matches!(world.unread_nth(nth).await.reason, UnreadReason::ClientRefused(_)));
    }
    world.foreign().await.expect("the origin's own certificate");
}

/// Connections to an origin are verified here as everywhere.
#[tokio::test]
async fn requests_do_not_reach_an_origin_that_does_not_verify() {
    let pki = Pki::new();
    let address = tls_origin(Pki::new().server(HOST, &[]), mirror).await;
    let world = rewriting(pki, address).await;
    let error = world.tls(&[]).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!(world.counters().rewritten, 0);
}
