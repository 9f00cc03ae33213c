//! Sockets of watched processes: what each was opened to, and whether anybody read what it carried.

use std::collections::HashMap;
use std::net::SocketAddr;

use trackway_abi::tap::state;
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Start, Time, Unread, UnreadReason};
use trackway_core::process::ProcessKey;
use trackway_proxy::tap::Event;

use crate::kernel::{Chunk, Peer, What};
use crate::limits::TAP_SOCKETS;

/// The first number of a flow that was not read.
const FIRST: u64 = 1 << 49;

/// The most that a client sends after its ClientHello to end the handshake and the connection: in TLS 1.3 a record
/// that changes nothing (6 bytes), Finished (74) and a closing alert (24). The least that ends a handshake and
/// carries a request takes a little more, in every version.
const HANDSHAKE: u64 = 104;

/// The sockets that speak TLS, or HTTP in the clear, by the kernel's names.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: HashMap<u64, Socket>,
    count: u64,
    /// Sockets that there was no room for.
    pub(super) left: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    process: ProcessKey,
    tid: u32,
    connection: u64,
    /// The server's name, as the ClientHello asks for it.
    pub(super) host: Option<String>,
    /// Where it goes.
    pub(super) address: Option<SocketAddr>,
    opened: Time,
    /// Whether it was met in its middle.
    pub(super) late: bool,
    /// Bytes of its first record: its ClientHello.
    hello: u64,
}

impl Sockets {
    pub(super) fn get(&self, socket: u64) -> Option<&Socket> {
        self.open.get(&socket)
    }

    /// A socket was met. `origin` tells where one meant to go whose connection was led elsewhere.
    pub(super) fn hello(&mut self, chunk: &Chunk, origin: impl FnOnce(SocketAddr) -> Option<SocketAddr>) {
        let (What::Hello { socket, bytes }, Some(key)) = (&chunk.what, chunk.socket) else { return };
        if self.open.len() >= TAP_SOCKETS && !self.open.contains_key(&key) {
            self.left += 1;
            return;
        }
        let host = trackway_proxy::name_in_hello(bytes);
        let found = Socket {
            process: chunk.process,
            tid: chunk.tid,
            connection: chunk.connection,
            host,
            address: socket.local.and_then(origin).or(socket.address),
            opened: chunk.time,
            late: socket.state == state::LATE,
            hello: record(bytes),
        };
        self.open.insert(key, found);
    }

    /// A socket was closed: the report, if it carried TLS that nobody read.
    pub(super) fn closed(
        &mut self,
        chunk: &Chunk,
        peer: &Peer,
        read: bool,
        why: impl FnOnce(u32) -> String,
    ) -> Option<Event> {
        let socket = self.open.remove(&chunk.socket?)?;
        let start = match peer.state {
            // A client that connects ahead of need leaves a handshake, or a part of one, and nothing to report.
            state::TLS if peer.sent > socket.hello + HANDSHAKE => Start::Seen,
            state::LATE => Start::Late,
            _ => return None,
        };
        if read || peer.received == 0 {
            return None;
        }
        self.count += 1;
        let flow = Flow {
            id: FlowId(FIRST + self.count),
            process: Some(socket.process),
            plane: Plane::Tap(None),
            start,
            host: socket.host,
            destination: socket.address,
            port: socket.address.map_or(443, |address| address.port()),
            tls: true,
            alpn: None,
            opened: socket.opened,
        };
        Some(Event::Unread(Box::new(Unread {
            flow,
            reason: UnreadReason::NoProbe(why(socket.process.pid)),
            bytes_to_origin: peer.sent,
            bytes_to_client: peer.received,
            closed: chunk.time,
            close: Close::Clean,
        })))
    }

    /// The sockets of a process that ends, as if it had closed each.
    pub(super) fn of(&self, pid: u32, time: Time) -> Vec<(u64, Chunk)> {
        let mut found: Vec<(u64, Chunk)> = self
            .open
            .iter()
            .filter(|(_, socket)| socket.process.pid == pid)
            .map(|(key, socket)| {
                let chunk = Chunk {
                    time,
                    process: socket.process,
                    tid: socket.tid,
                    connection: socket.connection,
                    direction: Direction::ToOrigin,
                    socket: Some(*key),
                    site: None,
                    what: What::Freed,
                };
                (*key, chunk)
            })
            .collect();
        found.sort_unstable_by_key(|(_, chunk)| chunk.connection);
        found
    }

    /// The processes that have any.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.open.values().map(|socket| socket.process.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

/// The length of the record that begins here (RFC 8446, section 5.1).
fn record(bytes: &[u8]) -> u64 {
    let length = bytes.get(3..5).and_then(|length| length.try_into().ok()).map(u16::from_be_bytes);
    length.map_or(0, |length| 5 + u64::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: u16 = 512;

    fn chunk(what: What) -> Chunk {
        Chunk {
            time: Time(1),
            process: ProcessKey { pid: 7, started: Time(1) },
            tid: 7,
            connection: 1,
            direction: Direction::ToOrigin,
            socket: Some(5),
            site: None,
            what,
        }
    }

    /// Whether a connection is told as unread that sent so many bytes after its ClientHello.
    fn told(after: u64, received: u64) -> bool {
        let peer =
            |sent| Peer { address: None, local: None, sent, received, carries: None, state: state::TLS };
        let length = HELLO.to_be_bytes();
        let bytes = [[0x16, 3, 1].as_slice(), &length, &vec![1; usize::from(HELLO)]].concat();
        let hello = bytes.len() as u64;
        let mut sockets = Sockets::default();
        sockets.hello(&chunk(What::Hello { socket: peer(hello), bytes }), |_| None);
        let socket = peer(hello + after);
        let closed = chunk(What::Closed { socket });
        sockets.closed(&closed, &socket, false, |_| String::new()).is_some()
    }

    #[test]
    fn a_connection_that_asked_for_nothing_was_not_missed() {
        // A client that gave up in the middle of the handshake, and one that finished it and left.
        assert!(!told(0, 1058));
        assert!(!told(6 + 74 + 24, 3000));
        assert!(!told(400, 0));
        assert!(told(6 + 74 + 22 + 60, 3000));
    }
}
