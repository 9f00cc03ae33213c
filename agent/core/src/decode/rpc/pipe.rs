//! MCP over a pair of byte streams (the stdio transport): one JSON-RPC message a line, requests of both sides.

use std::collections::VecDeque;

use serde_json::Value;

use super::mcp;
use crate::call::Mcp;
use crate::decode::json::{self, Get, Object};
use crate::flow::{Direction, Time};
use crate::limits;

/// A call on the streams: when it was asked and when it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeCall {
    /// Which way the question went.
    pub direction: Direction,
    /// Its last byte.
    pub start: Time,
    /// The answer's last byte; `None` for notifications and for what was never answered.
    pub end: Option<Time>,
    /// What it was.
    pub mcp: Mcp,
}

/// State of both streams.
#[derive(Debug, Default)]
pub struct Pipe {
    lines: [Line; 2],
    open: VecDeque<(Direction, Time, mcp::Talk, Value)>,
    /// Whether MCP was spoken at all; before that, lines are not counted as lost.
    spoken: bool,
    lost: u64,
}

#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    /// The line is too long and is skipped to its end.
    skipping: bool,
}

impl Pipe {
    /// Both streams at their beginning, or in the middle of something.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether MCP was recognised.
    pub fn is_mcp(&self) -> bool {
        self.spoken
    }

    /// Lines that were too long, and calls that were forgotten because too many were open.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes bytes of one direction; appends the calls that they completed.
    pub fn push(&mut self, direction: Direction, bytes: &[u8], time: Time, out: &mut Vec<PipeCall>) {
        let side = usize::from(direction == Direction::ToClient);
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            self.append(side, line);
            let whole = std::mem::take(&mut self.lines[side]);
            if !whole.skipping {
                self.line(direction, whole.bytes.trim_ascii(), time, out);
            }
        }
        self.append(side, rest);
    }

    /// Nothing more comes; appends what was never answered.
    pub fn finish(&mut self, out: &mut Vec<PipeCall>) {
        for (direction, start, talk, _) in self.open.drain(..) {
            out.push(PipeCall { direction, start, end: None, mcp: talk.finish(false) });
        }
    }

    fn append(&mut self, side: usize, bytes: &[u8]) {
        let line = &mut self.lines[side];
        if line.skipping {
            return;
        }
        if line.bytes.len() + bytes.len() > limits::RPC_BODY_BYTES {
            *line = Line { bytes: Vec::new(), skipping: true };
            self.lost += u64::from(self.spoken);
        } else {
            line.bytes.extend_from_slice(bytes);
        }
    }

    fn line(&mut self, direction: Direction, line: &[u8], time: Time, out: &mut Vec<PipeCall>) {
        let messages = match json::parse(line) {
            Ok(Value::Array(list)) => list,
            Ok(one @ Value::Object(_)) => vec![one],
            _ => return,
        };
        for message in messages.into_iter().take(limits::RPC_BATCH) {
            if let Value::Object(message) = message
                && super::is_rpc(&message)
            {
                self.message(direction, message, time, out);
            }
        }
    }

    fn message(&mut self, direction: Direction, message: Object, time: Time, out: &mut Vec<PipeCall>) {
        if message.contains_key("method") {
            self.spoken |= mcp::is_ours(&message);
            if !self.spoken {
                return;
            }
            let talk = mcp::Talk::asked(&message);
            match message.member("id") {
                None => out.push(PipeCall { direction, start: time, end: None, mcp: talk.finish(false) }),
                Some(id) => {
                    if self.open.len() >= limits::PIPELINE {
                        self.open.pop_front();
                        self.lost += 1;
                    }
                    self.open.push_back((direction, time, talk, id.clone()));
                }
            }
            return;
        }
        // An answer goes the other way than its question.
        let place = self
            .open
            .iter()
            .position(|(asked, _, _, id)| *asked != direction && message.get("id") == Some(id));
        if let Some((direction, start, mut talk, _)) = place.and_then(|at| self.open.remove(at)) {
            talk.answer(message);
            out.push(PipeCall { direction, start, end: Some(time), mcp: talk.finish(false) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TALK: &[(Direction, &str)] = &[
        (
            Direction::ToOrigin,
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"c"}}}"#,
        ),
        (
            Direction::ToClient,
            r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s"}}}"#,
        ),
        (Direction::ToOrigin, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        (Direction::ToClient, "a line of a log that is no JSON"),
        (
            Direction::ToOrigin,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}"#,
        ),
        (Direction::ToClient, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#),
        (Direction::ToOrigin, r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#),
        (Direction::ToClient, r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[]}}"#),
        (Direction::ToOrigin, r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#),
    ];

    fn talk(size: usize) -> (Vec<PipeCall>, Pipe) {
        let (mut pipe, mut out) = (Pipe::new(), Vec::new());
        for (number, (direction, line)) in (1..).zip(TALK) {
            for piece in format!("{line}\r\n").as_bytes().chunks(size) {
                pipe.push(*direction, piece, Time(number), &mut out);
            }
        }
        pipe.finish(&mut out);
        (out, pipe)
    }

    #[test]
    fn calls_of_both_sides_are_told_apart_however_they_are_cut() {
        let (whole, pipe) = talk(usize::MAX);
        assert!(pipe.is_mcp() && pipe.lost() == 0);
        let names: Vec<(Option<&str>, Direction, Option<u64>)> = whole
            .iter()
            .map(|it| (it.mcp.method.as_deref(), it.direction, it.end.map(|end| end.0)))
            .collect();
        assert_eq!(
            names,
            [
                (Some("initialize"), Direction::ToOrigin, Some(2)),
                (Some("notifications/initialized"), Direction::ToOrigin, None),
                (Some("roots/list"), Direction::ToClient, Some(7)),
                (Some("tools/call"), Direction::ToOrigin, Some(8)),
                (Some("tools/list"), Direction::ToOrigin, None),
            ]
        );
        let call = &whole[3].mcp;
        assert!(call.is_error);
        assert_eq!(call.tool_name.as_deref(), Some("add"));
        for size in 1..60 {
            assert_eq!(talk(size).0, whole, "{size}");
        }
    }

    #[test]
    fn another_protocol_is_not_taken_for_it() {
        let (mut pipe, mut out) = (Pipe::new(), Vec::new());
        let lsp =
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"capabilities\":{}}}\n";
        pipe.push(Direction::ToOrigin, lsp, Time(1), &mut out);
        pipe.push(Direction::ToOrigin, &vec![b'x'; limits::RPC_BODY_BYTES + 1], Time(2), &mut out);
        pipe.finish(&mut out);
        assert!(out.is_empty() && !pipe.is_mcp() && pipe.lost() == 0);
        assert!(pipe.lines.iter().all(|line| line.bytes.is_empty()));
    }
}
