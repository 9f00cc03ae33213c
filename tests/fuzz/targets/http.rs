//! Two directions of a connection, cut anywhere, joined anywhere, with losses: no panic, and one end for each
//! request.
#![no_main]

use std::collections::HashMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trackway_core::flow::{Close, Direction, Slice, Start, Time};
use trackway_core::http::{Connection, Event};

fuzz_target!(|data: &[u8]| {
    // Once as it is, once as probes bring it: from a byte on that the first one chooses.
    drive(Connection::new(), data, 0);
    let skip = data.first().map_or(0, |skip| usize::from(*skip));
    drive(Connection::starting(Start::Unknown), data, skip);
});

fn drive(mut connection: Connection, data: &[u8], mut skip: usize) {
    let mut events = Vec::new();
    let mut offsets = [0_u64; 2];
    let mut time = 1;
    // Each piece: a byte of direction, gap and loss, a byte of length, the bytes.
    let mut rest = data;
    while let [control, length, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        let unseen = skip.min(piece.len());
        skip -= unseen;
        let piece = &piece[unseen..];
        let side = usize::from(control & 1);
        offsets[side] += u64::from(control >> 6);
        let direction = if side == 0 { Direction::ToOrigin } else { Direction::ToClient };
        let slice = Slice {
            direction,
            offset: offsets[side],
            bytes: Bytes::copy_from_slice(piece),
            time: Time(time),
        };
        offsets[side] += piece.len() as u64;
        // The piece passes, and nobody sees it.
        if control & 0b11_1110 == 0b11_1110 {
            continue;
        }
        time += u64::from(control >> 5 & 1);
        if connection.is_replaced(&slice) {
            connection.close(Close::Proxy, slice.time, &mut events);
            check(std::mem::take(&mut events));
            connection.renew(&slice);
        }
        connection.push(slice, &mut events);
    }
    connection.close(Close::Clean, Time(time), &mut events);
    check(events);
}

fn check(events: Vec<Event>) {
    let mut open = HashMap::new();
    for event in events {
        match event {
            Event::Request { id, .. } => assert!(open.insert(id, false).is_none(), "a request begins once"),
            Event::End { id, .. } => {
                assert_eq!(open.insert(id, true), Some(false), "a request ends once, after it began");
            }
            _ => {}
        }
    }
    assert!(open.values().all(|ended| *ended), "every request ends");
}
