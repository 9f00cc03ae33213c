//! MCP and A2A, over HTTP and over a pair of pipes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::flow::{Direction, Time};
use trackway_core::observe::Pipe;

mod exchange;
use exchange::Case;

const CASES: &[Case] = &[
    Case("POST", "/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#, "text/event-stream"),
    Case("POST", "/", r#"{"jsonrpc":"2.0","id":1,"method":"message/stream","params":{"message":{}}}"#, "text/event-stream"),
    Case("POST", "/message:send", r#"{"message":{"parts":[]}}"#, "application/json"),
    Case("GET", "/tasks/1", "", "application/json"),
];

fuzz_target!(|data: &[u8]| {
    exchange::fuzz(CASES, data);
    let (mut pipe, mut calls) = (Pipe::new(), Vec::new());
    for (number, line) in data.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let way = if number % 2 == 0 { Direction::ToOrigin } else { Direction::ToClient };
        pipe.push(way, line, Time(number as u64), &mut calls);
    }
    pipe.finish(&mut calls);
});
