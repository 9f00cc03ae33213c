//! Connections of TLS libraries, as flows.

use std::collections::HashMap;

use bytes::Bytes;
use trackway_core::flow::{Close, Direction, Flow, FlowId, Plane, Probe, Slice, Start, Time};
use trackway_core::http::is_served;
use trackway_proxy::tap::Event;

use super::sockets::Socket;
use crate::kernel::{Chunk, Peer, What};
use crate::limits::TAP_FLOWS;

/// The first number of a flow of the tap. Those of the proxy count from one.
const FIRST: u64 = 1 << 48;

/// What names a connection: the process, whether a library's or a socket's, and the pointer or the time.
type Key = (u32, bool, u64);

/// Connections that are open.
#[derive(Debug, Default)]
pub(super) struct Flows {
    open: HashMap<Key, Open>,
    count: u64,
    /// Connections that were let go before their end.
    pub(super) evicted: u64,
    /// When each was used last, in their order; old entries are skipped.
    clock: u64,
}

#[derive(Debug)]
struct Open {
    id: FlowId,
    /// Whether the process is the server: what it is asked is no doing of its own.
    serves: bool,
    used: u64,
}

impl Flows {
    /// Bytes passed.
    pub(super) fn bytes(
        &mut self,
        chunk: Chunk,
        socket: Option<&Socket>,
        probe: impl FnOnce(u32) -> Option<Probe>,
        events: &mut Vec<Event>,
    ) {
        let (tls, offset, bytes) = match chunk.what {
            What::Text { offset, bytes } => (true, offset, bytes),
            What::Clear { offset, bytes } => (false, offset, bytes),
            _ => return,
        };
        let key = (chunk.process.pid, tls, chunk.connection);
        self.clock += 1;
        if self.open.len() >= TAP_FLOWS && !self.open.contains_key(&key) {
            self.evict(chunk.time, events);
        }
        let used = self.clock;
        let open = self.open.entry(key).or_insert_with(|| {
            self.count += 1;
            let id = FlowId(FIRST + self.count);
            if is_served(chunk.direction, &bytes) {
                return Open { id, serves: true, used };
            }
            let destination = socket.and_then(|socket| socket.address);
            events.push(Event::Opened(Flow {
                id,
                process: Some(chunk.process),
                plane: Plane::Tap(chunk.site.and_then(probe)),
                start: match socket {
                    Some(Socket { late: true, .. }) => Start::Late,
                    _ if tls => Start::Unknown,
                    // A socket in the clear is read from its first byte on.
                    _ => Start::Seen,
                },
                host: socket.and_then(|socket| socket.host.clone()),
                destination,
                port: destination.map_or(if tls { 443 } else { 80 }, |address| address.port()),
                tls,
                alpn: None,
                opened: chunk.time,
            }));
            Open { id, serves: false, used }
        });
        open.used = used;
        if open.serves {
            return;
        }
        let slice = Slice { direction: chunk.direction, offset, bytes: Bytes::from(bytes), time: chunk.time };
        events.push(Event::Data { flow: open.id, slice });
    }

    /// The library gave the connection back.
    pub(super) fn freed(&mut self, chunk: &Chunk, events: &mut Vec<Event>) {
        if let Some(open) = self.open.remove(&(chunk.process.pid, true, chunk.connection)) {
            events.push(Event::Closed { flow: open.id, close: Close::Clean, time: chunk.time });
        }
    }

    /// A socket was closed; whether its bytes were read. The connections of a library live on: their bytes may be
    /// read out of its buffers later, and they are given back on their own.
    pub(super) fn closed(&mut self, chunk: &Chunk, socket: &Peer, events: &mut Vec<Event>) -> bool {
        let pid = chunk.process.pid;
        if let Some(open) = self.open.remove(&(pid, false, chunk.connection)) {
            events.push(Event::Closed { flow: open.id, close: Close::Clean, time: chunk.time });
            return true;
        }
        let carried = socket.carries.and_then(|connection| self.open.get(&(pid, true, connection)));
        if let Some(open) = carried {
            events.push(Event::Ended { flow: open.id, direction: Direction::ToOrigin, time: chunk.time });
            events.push(Event::Ended { flow: open.id, direction: Direction::ToClient, time: chunk.time });
        }
        carried.is_some() || socket.carries.is_some()
    }

    /// A process has ended.
    pub(super) fn end(&mut self, pid: u32, close: Close, time: Time, events: &mut Vec<Event>) {
        let mut ended: Vec<FlowId> = Vec::new();
        self.open.retain(|key, open| {
            let stays = key.0 != pid;
            if !stays {
                ended.push(open.id);
            }
            stays
        });
        ended.sort_unstable();
        events.extend(ended.into_iter().map(|flow| Event::Closed { flow, close, time }));
    }

    /// Watching ends.
    pub(super) fn finish(&mut self, time: Time, events: &mut Vec<Event>) {
        let mut open: Vec<FlowId> = self.open.drain().map(|(_, open)| open.id).collect();
        open.sort_unstable();
        events.extend(open.into_iter().map(|flow| Event::Closed { flow, close: Close::Proxy, time }));
    }

    /// Lets the least recently used one go.
    fn evict(&mut self, time: Time, events: &mut Vec<Event>) {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.used).map(|(key, _)| *key);
        if let Some(open) = oldest.and_then(|key| self.open.remove(&key)) {
            self.evicted += 1;
            events.push(Event::Closed { flow: open.id, close: Close::Proxy, time });
        }
    }
}

#[cfg(test)]
mod tests {
    use trackway_core::process::ProcessKey;

    use super::*;

    #[test]
    fn what_a_server_is_asked_is_no_doing_of_its_own() {
        let mut flows = Flows::default();
        let mut events = Vec::new();
        let mut pass = |connection, direction, text: &str, events: &mut Vec<Event>| {
            let chunk = Chunk {
                time: Time(1),
                process: ProcessKey { pid: 1, started: Time(0) },
                tid: 1,
                connection,
                direction,
                socket: None,
                site: None,
                what: What::Text { offset: 0, bytes: text.as_bytes().to_vec() },
            };
            flows.bytes(chunk, None, |_| None, events);
        };
        pass(1, Direction::ToClient, "POST /v1/chat HTTP/1.1\r\n", &mut events);
        pass(1, Direction::ToOrigin, "HTTP/1.1 200 OK\r\n", &mut events);
        pass(2, Direction::ToOrigin, "HTTP/1.1 200 OK\r\n", &mut events);
        // HTTP/2: SETTINGS without the client's preface before it.
        pass(4, Direction::ToOrigin, "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", &mut events);
        assert!(events.is_empty(), "{events:?}");
        pass(3, Direction::ToOrigin, "POST /v1/chat HTTP/1.1\r\n", &mut events);
        pass(3, Direction::ToClient, "HTTP/1.1 200 OK\r\n", &mut events);
        assert!(
            matches!(&events[..], [Event::Opened(_), Event::Data { .. }, Event::Data { .. }]),
            "{events:?}"
        );
    }
}
