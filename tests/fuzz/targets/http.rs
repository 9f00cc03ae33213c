//! Two directions of a connection, cut anywhere: no panic, and one end for each request.
#![no_main]

use std::collections::HashMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trackway_core::flow::{Close, Direction, Slice, Time};
use trackway_core::http::{Connection, Event};

fuzz_target!(|data: &[u8]| {
    let mut connection = Connection::new();
    let mut events = Vec::new();
    let mut offsets = [0_u64; 2];
    // Each piece: a byte of direction and gap, a byte of length, the bytes.
    let mut rest = data;
    while let [control, length, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        let side = usize::from(control & 1);
        offsets[side] += u64::from(control >> 6);
        let direction = if side == 0 { Direction::ToOrigin } else { Direction::ToClient };
        let bytes = Bytes::copy_from_slice(piece);
        connection.push(Slice { direction, offset: offsets[side], bytes, time: Time(1) }, &mut events);
        offsets[side] += piece.len() as u64;
        rest = tail;
    }
    connection.close(Close::Clean, Time(2), &mut events);
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
});
