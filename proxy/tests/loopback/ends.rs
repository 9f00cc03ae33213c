//! How connections end passes through as it is.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use trackway_core::flow::{Close, Direction};

use crate::support::{HOST, Pki, Setup, World, origin, soon, tls_origin};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n\r\n";

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn the_client_may_end_first_and_still_be_answered() {
    let address = origin(|mut stream| async move {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        stream.write_all(format!("got {}", got.len()).as_bytes()).await.unwrap();
    })
    .await;
    let world = Setup::new(Pki::new()).start(address).await;
    let mut stream = world.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "got 19");
    let seen = world.closed().await;
    assert_eq!((seen.ended, seen.close), (vec![Direction::ToOrigin, Direction::ToClient], Close::Clean));
}

#[tokio::test]
async fn the_origin_may_end_first_and_still_listen() {
    let (report, mut reported) = mpsc::channel(1);
    let address = origin(move |mut stream| {
        let report = report.clone();
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            report.send(got).await.unwrap();
        }
    })
    .await;
    let world = Setup::new(Pki::new()).start(address).await;
    let mut stream = world.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    stream.write_all(b"and more").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(soon(reported.recv()).await.unwrap(), [REQUEST, b"and more"].concat());
}

#[tokio::test]
async fn tls_ends_with_and_without_notice() {
    for notice in [true, false] {
        let pki = Pki::new();
        let address = tls_origin(pki.server(HOST, &[]), move |mut stream| async move {
            stream.read_u8().await.unwrap();
            stream.write_all(b"end").await.unwrap();
            if notice {
                stream.shutdown().await.unwrap();
            } else {
                stream.flush().await.unwrap();
                stream.get_mut().0.shutdown().await.unwrap();
            }
            // A close with unread bytes would be a reset.
            let _ = stream.read_u8().await;
        })
        .await;
        let world = Setup::new(pki).start(address).await;
        let mut stream = world.tls(&[]).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut answer = Vec::new();
        let result = soon(stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"end");
        match result {
            Ok(_) => assert!(notice),
            Err(error) => assert_eq!((error.kind(), notice), (ErrorKind::UnexpectedEof, false)),
        }
        drop(stream);
        assert_eq!(world.closed().await.ended.first(), Some(&Direction::ToClient));
    }
}

async fn reset_by_origin(world: &World, mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    stream.write_all(REQUEST).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    let error = soon(stream.read_to_end(&mut answer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert_eq!(answer, b"HTTP/1.1 200 OK\r\n", "what came before the reset");
    assert_eq!(world.closed().await.close, Close::OriginReset);
}

#[tokio::test]
async fn a_reset_by_the_origin_reaches_the_client() {
    let (go, gone) = tokio::sync::watch::channel(());
    let address = origin(move |mut stream| {
        let mut gone = gone.clone();
        async move {
            stream.read_exact(&mut [0; 19]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            gone.changed().await.unwrap();
            reset(stream);
        }
    })
    .await;
    let world = Setup::new(Pki::new()).start(address).await;
    let mut stream = world.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 17];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    go.send(()).unwrap();
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert_eq!(world.closed().await.close, Close::OriginReset);
}

#[tokio::test]
async fn a_reset_under_tls_reaches_the_client() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &[]), |mut stream| async move {
        stream.read_exact(&mut [0; 19]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        stream.flush().await.unwrap();
        reset(stream.into_inner().0);
    })
    .await;
    let world = Setup::new(pki).start(address).await;
    let stream = world.tls(&[]).await.unwrap();
    reset_by_origin(&world, stream).await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_gone_for_the_origin() {
    let (report, mut reported) = mpsc::channel(1);
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &[]), move |mut stream| {
        let report = report.clone();
        async move {
            stream.read_exact(&mut [0; 19]).await.unwrap();
            // An endless stream of events; only the client's going ends it.
            let result = loop {
                if let Err(error) = stream.write_all(&[b'x'; 4096]).await {
                    break error;
                }
            };
            report.send(result.kind()).await.unwrap();
        }
    })
    .await;
    let world = Setup::new(pki).start(address).await;
    let mut stream = world.tls(&[]).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    stream.flush().await.unwrap();
    soon(stream.read_exact(&mut [0; 100])).await.unwrap();
    reset(stream.into_inner().0);
    let kind = soon(reported.recv()).await.unwrap();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    assert_eq!(world.closed().await.close, Close::ClientReset);
}

/// An early answer to a body that nobody reads: the client gets it, then the reset.
#[tokio::test]
async fn an_answer_before_a_reset_is_not_lost() {
    let address = origin(|mut stream| async move {
        stream.read_exact(&mut [0; 19]).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\n\r\n").await.unwrap();
        // Closing with unread bytes resets.
        stream.readable().await.unwrap();
    })
    .await;
    let world = Setup::new(Pki::new()).start(address).await;
    let mut stream = world.connect().await;
    stream.write_all(&[REQUEST, &[b'x'; 200_000]].concat()).await.unwrap();
    let mut answer = vec![0; 26];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413 Too Large\r\n\r\n");
}

#[tokio::test]
async fn shutdown_ends_what_is_open() {
    let world = Setup::new(Pki::new()).start(origin(crate::support::echo).await).await;
    let mut stream = world.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    soon(stream.read_exact(&mut [0; 19])).await.unwrap();
    world.stop();
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    assert_eq!(world.closed().await.close, Close::Proxy);
    assert_eq!(TcpStream::connect(world.address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
