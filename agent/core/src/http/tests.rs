use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

mod h1;
mod h2;
mod join;
mod order;
mod ws;

const C: Direction = Direction::ToOrigin;
const S: Direction = Direction::ToClient;

/// What is to be the same for every cut and interleaving.
#[derive(Clone, Debug, Default, PartialEq)]
struct Exchange {
    request: Option<RequestHead>,
    request_body: Vec<u8>,
    request_ended: bool,
    response: Option<ResponseHead>,
    response_body: Vec<u8>,
    messages: [Vec<(bool, Vec<u8>)>; 2],
    end: Option<(Completion, u64, u64)>,
    faults: Vec<&'static str>,
}

/// Events folded by exchange; checks what every sequence of events has to keep to.
fn fold(events: &[Event]) -> (Vec<Exchange>, Vec<&'static str>) {
    let mut map: BTreeMap<ExchangeId, Exchange> = BTreeMap::new();
    let mut faults = Vec::new();
    for event in events {
        match event {
            Event::Request { id, head, first_byte, time } => {
                assert!(first_byte <= time);
                assert_eq!(*id, map.len() as u64, "ids count the requests");
                map.insert(*id, Exchange { request: Some((**head).clone()), ..Exchange::default() });
            }
            Event::RequestData { id, bytes, .. } => {
                let exchange = open(&mut map, *id);
                assert!(!exchange.request_ended && !bytes.is_empty());
                exchange.request_body.extend_from_slice(bytes);
            }
            Event::RequestEnd { id, .. } => {
                assert!(!std::mem::replace(&mut open(&mut map, *id).request_ended, true));
            }
            Event::Response { id, head, first_byte, time } => {
                assert!(first_byte <= time);
                assert!(open(&mut map, *id).response.replace((**head).clone()).is_none());
            }
            Event::ResponseData { id, bytes, .. } => {
                let exchange = open(&mut map, *id);
                assert!(exchange.response.is_some() && !bytes.is_empty());
                exchange.response_body.extend_from_slice(bytes);
            }
            Event::Message { id, direction, text, bytes, .. } => {
                open(&mut map, *id).messages[*direction as usize].push((*text, bytes.to_vec()));
            }
            Event::End { id, completion, wire_request, wire_response, .. } => {
                open(&mut map, *id).end = Some((*completion, *wire_request, *wire_response));
            }
            Event::Fault { id: Some(id), fault } => open(&mut map, *id).faults.push(fault.kind),
            Event::Fault { id: None, fault } => faults.push(fault.kind),
        }
    }
    (map.into_values().collect(), faults)
}

/// The exchange of an event, which has to have begun and not ended.
fn open(map: &mut BTreeMap<ExchangeId, Exchange>, id: ExchangeId) -> &mut Exchange {
    let exchange = map.get_mut(&id).expect("an event of an exchange that has not begun");
    assert!(exchange.end.is_none(), "an event after the end");
    exchange
}

/// What one peer sends after everything before it has passed.
#[derive(Clone, Debug)]
struct Turn {
    direction: Direction,
    bytes: Vec<u8>,
}

fn turn(direction: Direction, bytes: impl AsRef<[u8]>) -> Turn {
    Turn { direction, bytes: bytes.as_ref().to_vec() }
}

/// Drives a connection with slices of its own.
#[derive(Default)]
struct Driver {
    connection: Connection,
    offsets: [u64; 2],
    time: u64,
    events: Vec<Event>,
}

impl Driver {
    /// Of a connection whose start may not have been seen.
    fn joining() -> Self {
        Self { connection: Connection::starting(Start::Unknown), ..Self::default() }
    }

    fn send(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        let offset = &mut self.offsets[direction as usize];
        self.time += 1;
        let slice = Slice { direction, offset: *offset, bytes, time: Time(self.time) };
        *offset += slice.bytes.len() as u64;
        self.connection.push(slice, &mut self.events);
        self
    }

    fn lose(&mut self, direction: Direction, count: u64) -> &mut Self {
        self.offsets[direction as usize] += count;
        self
    }

    fn end(&mut self, direction: Direction) -> &mut Self {
        self.time += 1;
        self.connection.end(direction, Time(self.time), &mut self.events);
        self
    }

    fn close(&mut self, close: Close) -> (Vec<Exchange>, Vec<&'static str>) {
        self.connection.close(close, Time(self.time + 1), &mut self.events);
        let (exchanges, faults) = fold(&self.events);
        for exchange in &exchanges {
            assert!(exchange.end.is_some(), "every request has its end");
        }
        (exchanges, faults)
    }
}

/// Whole turns, one slice each.
fn whole(turns: &[Turn], close: Close) -> (Vec<Exchange>, Vec<&'static str>) {
    let mut driver = Driver::default();
    for turn in turns {
        driver.send(turn.direction, &turn.bytes);
    }
    driver.close(close)
}

/// The turns in their order, cut anywhere.
fn cut(turns: &[Turn], cuts: &[usize], close: Close) -> (Vec<Exchange>, Vec<&'static str>) {
    let mut driver = Driver::default();
    let mut cuts = cuts.iter().cycle();
    for turn in turns {
        let mut bytes = turn.bytes.as_slice();
        while !bytes.is_empty() {
            let take = (*cuts.next().unwrap_or(&1)).clamp(1, bytes.len());
            driver.send(turn.direction, &bytes[..take]);
            bytes = &bytes[take..];
        }
    }
    driver.close(close)
}

/// Checks that no cut changes what was seen.
fn check_cuts(turns: &[Turn], close: Close) {
    let expect = whole(turns, close);
    assert_eq!(cut(turns, &[1], close), expect, "byte by byte");
    let config = ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() };
    proptest!(config, |(cuts in prop::collection::vec(1usize..60, 1..30))| {
        prop_assert_eq!(&cut(turns, &cuts, close), &expect);
    });
}

fn random_slices() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(slices in random_slices(), start in 0usize..4) {
        let mut driver = Driver::default();
        let starts: [&[u8]; 4] = [b"", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", sniff::PREFACE];
        driver.send(C, starts[start]);
        for (client, bytes) in slices {
            driver.send(if client { C } else { S }, bytes);
        }
        driver.close(Close::Clean);
    }
}
