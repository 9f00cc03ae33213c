use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use trackway_core::flow::{Plane, Start};

use super::*;

fn flow(id: u64) -> Flow {
    Flow {
        id: FlowId(id),
        process: None,
        plane: Plane::Redirect,
        start: Start::Seen,
        host: None,
        destination: None,
        port: 80,
        tls: false,
        alpn: None,
        opened: Time(1),
    }
}

fn drain(feed: &mut Feed) -> Vec<Event> {
    let mut events = Vec::new();
    while feed.drain(&mut events, 3) > 0 {}
    events
}

#[test]
fn a_full_queue_loses_bytes_but_no_connection() {
    let (tap, mut feed) = channel(4, 1024);
    let mut probe = Probe::read(Some(&tap), flow(1));
    for _ in 0..10 {
        probe.pass(Direction::ToOrigin, b"12345");
    }
    probe.ended(Direction::ToOrigin);
    probe.finish(Close::Clean);
    let events = drain(&mut feed);
    assert!(matches!(events[0], Event::Opened(_)));
    let slices: Vec<(u64, Bytes)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Data { slice, .. } => Some((slice.offset, slice.bytes.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(slices.len(), 4);
    assert_eq!(slices[2], (10, Bytes::from_static(b"12345")));
    assert_eq!(slices[3], (50, Bytes::new()), "the end of the gap is told");
    assert!(matches!(events[events.len() - 2], Event::Ended { .. }));
    assert!(matches!(events[events.len() - 1], Event::Closed { close: Close::Clean, .. }));
    assert_eq!(feed.losses(), Losses { bytes: 35, slices: 7, events: 0 });
}

#[test]
fn the_byte_budget_holds_and_is_given_back() {
    let (tap, mut feed) = channel(64, 10);
    let mut probe = Probe::read(Some(&tap), flow(1));
    probe.pass(Direction::ToClient, b"12345678");
    probe.pass(Direction::ToClient, b"12345678");
    assert_eq!(tap.losses().bytes, 8);
    assert_eq!(drain(&mut feed).len(), 2);
    probe.pass(Direction::ToClient, b"abcdefgh");
    let events = drain(&mut feed);
    assert!(matches!(&events[0], Event::Data { slice, .. } if slice.offset == 16), "{events:?}");
}

#[test]
fn a_dropped_connection_is_reported_as_ended_by_us() {
    let (tap, mut feed) = channel(64, 1024);
    let mut probe = Probe::read(Some(&tap), flow(1));
    probe.pass(Direction::ToClient, b"x");
    drop(probe);
    drop(Probe::unread(Some(&tap), flow(2), UnreadReason::Configured));
    drop(Probe::unread(Some(&tap), flow(3), UnreadReason::Opaque));
    drop(Probe::read(Some(&tap), flow(4)));
    let events = drain(&mut feed);
    assert!(matches!(events[2], Event::Closed { close: Close::Proxy, .. }));
    assert!(matches!(&events[3], Event::Unread(unread) if unread.flow.id == FlowId(2)));
    assert_eq!(events.len(), 4);
}

use trackway_core::flow::UnreadReason;

/// Under contention every connection's events stay in order and none but bytes is lost.
#[test]
fn order_holds_for_each_connection() {
    let (tap, mut feed) = channel(16, 1 << 20);
    let done = AtomicBool::new(false);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4_u64)
            .map(|worker| {
                let tap = tap.clone();
                scope.spawn(move || {
                    for round in 0..500 {
                        let mut probe = Probe::read(Some(&tap), flow(worker * 1000 + round));
                        for _ in 0..5 {
                            probe.pass(Direction::ToOrigin, b"0123456789");
                        }
                        probe.ended(Direction::ToOrigin);
                        probe.finish(Close::Clean);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            loop {
                let last = done.load(Ordering::SeqCst);
                while feed.drain(&mut seen, 7) > 0 {}
                if last {
                    return seen;
                }
                thread::yield_now();
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        seen = reader.join().unwrap();
    });
    let mut stages = std::collections::HashMap::new();
    let mut offsets = std::collections::HashMap::new();
    for event in &seen {
        let (id, stage) = match event {
            Event::Opened(flow) => (flow.id, 1),
            Event::Data { flow, slice } => {
                let end = slice.offset + slice.bytes.len() as u64;
                assert!(offsets.insert(*flow, end).unwrap_or(0) <= slice.offset);
                (*flow, 2)
            }
            Event::Ended { flow, .. } => (*flow, 3),
            Event::Closed { flow, .. } => (*flow, 4),
            Event::Unread(_) => panic!("none was unread"),
        };
        let before = stages.insert(id, stage).unwrap_or(0);
        assert!(before < stage || (before, stage) == (2, 2), "{before} then {stage} on {id}");
    }
    assert_eq!(stages.len(), 2000);
    assert!(stages.values().all(|stage| *stage == 4));
    assert!(offsets.values().all(|end| *end == 50), "every gap is told, the last too");
    assert_eq!(tap.losses().events, 0);
}
