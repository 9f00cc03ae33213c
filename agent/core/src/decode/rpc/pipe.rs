//! MCP over a pair of byte streams (the stdio transport): one JSON-RPC message a line, requests of both sides.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Room, is_rpc, mcp, messages};
use crate::call::Mcp;
use crate::decode::json::{Get, Object};
use crate::decode::{Body, Faults, Sieve};
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
    /// When it was answered; of what was not, the last that was heard on the streams before it was let go.
    pub until: Time,
    /// Whether the asker took it back, and so waited no longer.
    pub cancelled: bool,
    /// Whether nothing else was asked by the same side meanwhile.
    pub alone: bool,
    /// What it was.
    pub mcp: Mcp,
}

/// State of both streams.
#[derive(Debug, Default)]
pub struct Pipe {
    lines: [Line; 2],
    open: VecDeque<Open>,
    /// Bytes of the lines whose requests are open.
    held: usize,
    /// Whether MCP was spoken at all; before that, lines are not counted as lost.
    spoken: bool,
    /// Bytes that passed before it was.
    looked: usize,
    /// The revision of the protocol that both sides agreed on.
    revision: Option<String>,
    /// When anything last passed.
    latest: Time,
    lost: u64,
}

/// The line that is being read.
#[derive(Debug, Default)]
enum Line {
    #[default]
    Blank,
    Json(Box<Sieve>),
    /// It is no JSON, and skipped to its end.
    Other,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Open {
    direction: Direction,
    start: Time,
    id: Value,
    token: Option<Value>,
    alone: bool,
    bytes: usize,
    talk: mcp::Talk,
    room: Room,
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

    /// Whether so much passed without a word of MCP that nothing more is looked at.
    pub fn is_other(&self) -> bool {
        !self.spoken && self.looked >= limits::RPC_LOOK_BYTES
    }

    /// Lines that were too long to be kept whole, and calls that were let go unanswered because too many were
    /// open.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes bytes of one direction; appends the calls that they completed.
    pub fn push(&mut self, direction: Direction, bytes: &[u8], time: Time, out: &mut Vec<PipeCall>) {
        let side = usize::from(direction == Direction::ToClient);
        self.latest = self.latest.max(time);
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_other() {
            // Up to the bound and no byte further, however the bytes were cut.
            let most = if self.spoken { rest.len() } else { limits::RPC_LOOK_BYTES - self.looked };
            let seen = &rest[..most.min(rest.len())];
            let end = memchr::memchr(b'\n', seen);
            let used = end.map_or(seen.len(), |end| end + 1);
            if !self.spoken {
                self.looked += used;
            }
            self.lines[side].push(&seen[..end.unwrap_or(used)]);
            rest = &rest[used..];
            if end.is_some()
                && let Line::Json(sieve) = std::mem::take(&mut self.lines[side])
            {
                self.line(direction, *sieve, time, out);
            }
        }
        if self.is_other() {
            self.lines = Default::default();
        }
    }

    /// Nothing more comes; appends what was never answered.
    pub fn finish(&mut self, out: &mut Vec<PipeCall>) {
        self.held = 0;
        out.extend(self.open.drain(..).map(|open| open.end(None, self.latest)));
    }

    fn line(&mut self, direction: Direction, sieve: Sieve, time: Time, out: &mut Vec<PipeCall>) {
        let (bytes, over, whole) = (sieve.len(), sieve.is_over(), sieve.is_whole());
        if sieve.is_broken() || !whole {
            return;
        }
        // What is broken in a line that is none of ours is nobody's fault.
        let mut faults = Faults::default();
        let body = Body::new(sieve, &mut faults);
        for message in messages(&body, &mut faults) {
            if is_rpc(&message) {
                self.message(direction, message, bytes, time, out);
            }
        }
        self.lost += u64::from(over && self.spoken);
    }

    fn message(
        &mut self,
        direction: Direction,
        message: Object,
        bytes: usize,
        time: Time,
        out: &mut Vec<PipeCall>,
    ) {
        let Some(method) = message.text("method") else {
            return self.answer(direction, message, time, out);
        };
        self.spoken |= mcp::is_ours(&message);
        if !self.spoken {
            return;
        }
        if method == "notifications/progress" && self.progress(direction, &message) {
            return;
        }
        if method == "notifications/cancelled" {
            self.cancelled(direction, &message, time, out);
        }
        let meta = message.object("params").and_then(|params| params.object("_meta"));
        let token = meta.and_then(|meta| meta.member("progressToken")).cloned();
        let mut room = Room::new();
        let mut talk = mcp::Talk::alone(&message, &mut room);
        talk.revision(self.revision.as_deref());
        let Some(id) = message.member("id").cloned() else {
            let mcp = talk.finish(false);
            out.push(PipeCall {
                direction,
                start: time,
                end: None,
                until: time,
                cancelled: false,
                alone: false,
                mcp,
            });
            return;
        };
        let mut alone = true;
        for open in self.open.iter_mut().filter(|open| open.direction == direction) {
            (open.alone, alone) = (false, false);
        }
        self.open.push_back(Open { direction, start: time, id, token, alone, bytes, talk, room });
        self.held += bytes;
        while self.open.len() > limits::RPC_OPEN || self.held > limits::RPC_OPEN_BYTES {
            let Some(oldest) = self.open.pop_front() else { break };
            self.held -= oldest.bytes;
            self.lost += 1;
            out.push(oldest.end(None, time));
        }
    }

    /// Ends a request that its asker takes back. A server that answers all the same speaks to nobody.
    fn cancelled(&mut self, direction: Direction, message: &Object, time: Time, out: &mut Vec<PipeCall>) {
        let id = message.object("params").and_then(|params| params.member("requestId"));
        let fits = |open: &Open| open.direction == direction && Some(&open.id) == id;
        if let Some(open) = self.open.iter().position(fits).and_then(|at| self.open.remove(at)) {
            self.held -= open.bytes;
            out.push(PipeCall { cancelled: true, ..open.end(None, time) });
        }
    }

    /// Tells a request how far it is; false where none has the token.
    fn progress(&mut self, direction: Direction, message: &Object) -> bool {
        let params = message.object("params");
        let Some(token) = params.and_then(|params| params.member("progressToken")) else { return false };
        let mut open = self.open.iter_mut();
        let asked = open.find(|open| open.direction != direction && open.token.as_ref() == Some(token));
        asked.map(|open| open.talk.progressed()).is_some()
    }

    fn answer(&mut self, direction: Direction, message: Object, time: Time, out: &mut Vec<PipeCall>) {
        // An answer goes the other way than its question.
        let fits = |open: &Open| open.direction != direction && message.get("id") == Some(&open.id);
        let Some(mut open) = self.open.iter().position(fits).and_then(|at| self.open.remove(at)) else {
            return;
        };
        self.held -= open.bytes;
        open.talk.answer(message, true, &mut open.room);
        let call = open.end(Some(time), time);
        if call.mcp.method.as_deref() == Some("initialize") {
            self.revision.clone_from(&call.mcp.protocol_version);
        }
        out.push(call);
    }
}

impl Open {
    fn end(self, end: Option<Time>, until: Time) -> PipeCall {
        let (direction, start, alone) = (self.direction, self.start, self.alone);
        PipeCall { direction, start, end, until, cancelled: false, alone, mcp: self.talk.finish(false) }
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        if matches!(self, Self::Blank) {
            let text = bytes.trim_ascii_start();
            match text.first() {
                None => return,
                Some(b'{' | b'[') => *self = Self::Json(Box::new(Sieve::new(limits::RPC_BODY_BYTES))),
                Some(_) => *self = Self::Other,
            }
        }
        if let Self::Json(sieve) = self
            && !sieve.is_whole()
        {
            sieve.push(bytes);
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
        assert_eq!(whole[4].until, Time(9));
        for size in 1..60 {
            assert_eq!(talk(size).0, whole, "{size}");
        }
    }

    #[test]
    fn what_is_taken_back_ends_there() {
        let (mut pipe, mut out) = (Pipe::new(), Vec::new());
        let mut say = |direction, line: &str, time| {
            pipe.push(direction, format!("{line}\n").as_bytes(), Time(time), &mut out);
        };
        for id in [1, 2] {
            let line =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"add"}}}}"#);
            say(Direction::ToOrigin, &line, id);
        }
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        // The server's requests have numbers of their own.
        say(Direction::ToClient, cancel, 3);
        say(Direction::ToOrigin, cancel, 4);
        say(Direction::ToClient, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 5);
        say(Direction::ToClient, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#, 6);
        pipe.finish(&mut out);
        let calls = out.iter().filter(|call| call.mcp.id.is_some());
        let calls: Vec<_> =
            calls.map(|call| (call.start.0, call.until.0, call.end.is_some(), call.cancelled)).collect();
        assert_eq!(calls, [(1, 4, false, true), (2, 6, true, false)]);
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
        assert!(pipe.is_other() && pipe.lines.iter().all(|line| matches!(line, Line::Blank)));
    }
}
