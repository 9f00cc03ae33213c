//! Much of everything: bodies, connections, slow readers.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use trackway_core::flow::Direction;
use trackway_proxy::tap::Event;

use crate::support::{HOST, Pki, Setup, World, client_config, echo, handshake, origin, soon, tls_origin};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

async fn round_trip(world: &World, length: usize) {
    let body = pattern(length);
    let (mut read, mut write) = tokio::io::split(world.tls(&[]).await.unwrap());
    let sent = body.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::with_capacity(length);
    soon(read.read_to_end(&mut got)).await.unwrap();
    writer.await.unwrap();
    assert_eq!(Sha256::digest(&got), Sha256::digest(&body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_megabytes_pass_whole() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &[]), echo).await;
    let world = Setup::new(pki).start(address).await;
    round_trip(&world, 10 << 20).await;
    let seen = world.closed().await;
    assert_eq!(Sha256::digest(&seen.to_origin), Sha256::digest(pattern(10 << 20)));
    assert_eq!(seen.to_origin.len(), seen.to_client.len());
}

/// Nobody drains: the client notices nothing, and the tap tells what it missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tap_costs_the_client_nothing() {
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &[]), echo).await;
    let mut setup = Setup::new(pki);
    (setup.slices, setup.bytes) = (16, 100_000);
    let world = setup.start(address).await;
    round_trip(&world, 3 << 20).await;
    let ends = world
        .until(|events| {
            events.iter().any(|event| matches!(event, Event::Closed { .. })).then(|| {
                let mut ends = [0, 0];
                let mut gaps = 0;
                for event in events {
                    if let Event::Data { slice, .. } = event {
                        let end = &mut ends[usize::from(slice.direction == Direction::ToClient)];
                        gaps += u64::from(slice.offset > *end);
                        *end = slice.offset + slice.bytes.len() as u64;
                    }
                }
                (ends, gaps)
            })
        })
        .await;
    assert_eq!(ends.0, [3 << 20, 3 << 20], "each direction's whole length is told");
    assert!(ends.1 > 0, "and that something is missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_streams_stay_open() {
    const STREAMS: usize = 1000;
    let pki = Pki::new();
    let address = tls_origin(pki.server(HOST, &[]), echo).await;
    let world = Arc::new(Setup::new(pki).start(address).await);
    let config = client_config(&[world.ca()], &[]);
    let mut opening = JoinSet::new();
    let places = Arc::new(tokio::sync::Semaphore::new(50));
    for _ in 0..STREAMS {
        let (world, config, places) = (Arc::clone(&world), config.clone(), Arc::clone(&places));
        opening.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let mut stream = handshake(world.connect().await, HOST, config).await.unwrap();
            stream.write_all(b"one").await.unwrap();
            stream.flush().await.unwrap();
            soon(stream.read_exact(&mut [0; 3])).await.unwrap();
            stream
        });
    }
    let mut streams = tokio::time::timeout(Duration::from_secs(100), opening.join_all()).await.unwrap();
    assert_eq!(world.counters().accepted - world.counters().ended, STREAMS as u64);
    for stream in &mut streams {
        stream.write_all(b"two").await.unwrap();
        stream.flush().await.unwrap();
    }
    for stream in &mut streams {
        let mut answer = [0; 3];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"two");
    }
    drop(streams);
    world.until(|_| (world.counters().ended == STREAMS as u64).then_some(())).await;
}

/// A client that does not read holds its origin back; the proxy does not take in what it cannot give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_its_origin_back() {
    let (report, reported) = tokio::sync::watch::channel(0_u64);
    let address = origin(move |mut stream| {
        let report = report.clone();
        async move {
            stream.read_u8().await.unwrap();
            let mut written = 0;
            while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {
                written += 64 * 1024;
                report.send(written).unwrap();
            }
        }
    })
    .await;
    let mut setup = Setup::new(Pki::new());
    setup.bytes = 1 << 20;
    let world = setup.start(address).await;
    let mut stream = world.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // The origin has stopped when nothing more was written for a while.
    let mut reported = reported;
    let stalled = async {
        while tokio::time::timeout(Duration::from_millis(300), reported.changed()).await.is_ok() {}
        *reported.borrow()
    };
    let written = tokio::time::timeout(Duration::from_secs(60), stalled).await.expect("back pressure");
    // Socket buffers of both connections hold some megabytes; an unbounded proxy would never stall.
    assert!(written < 64 << 20, "{written}");
    let mut some = vec![0; 1 << 20];
    soon(stream.read_exact(&mut some)).await.unwrap();
    assert!(some.iter().all(|byte| *byte == b'x'));
    drop(stream);
    world.until(|_| (world.counters().ended == 1).then_some(())).await;
}
