//! The tap on one connection.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trackway_core::flow::{Close, Direction, Flow, Slice, Unread, UnreadReason};

use super::{Event, Tap, now};

/// Follows one connection: counts its bytes, hands them over if it is read, reports it if it is not.
///
/// The connection is announced with its first byte, so that one which never carried any (a client that
/// connects ahead of need, or refuses our certificate) leaves no empty record. However the connection's
/// task ends, the end is reported: the last resort is `drop`.
pub(crate) struct Probe {
    tap: Option<Tap>,
    flow: Flow,
    unread: Option<UnreadReason>,
    opened: bool,
    finished: bool,
    passed: [u64; 2],
    /// Whether the last bytes of a direction were lost.
    gap: [bool; 2],
    /// Runs at the client's first byte.
    first: Option<Box<dyn FnOnce() + Send + Sync>>,
    /// Whether the client has sent one, for who gives the probe away.
    spoken: Option<Arc<AtomicBool>>,
}

impl Probe {
    /// On a connection whose bytes are handed over.
    pub(crate) fn read(tap: Option<&Tap>, flow: Flow) -> Probe {
        Probe {
            tap: tap.cloned(),
            flow,
            unread: None,
            opened: false,
            finished: false,
            passed: [0; 2],
            gap: [false; 2],
            first: None,
            spoken: None,
        }
    }

    /// On a connection whose bytes are only counted.
    pub(crate) fn unread(tap: Option<&Tap>, flow: Flow, reason: UnreadReason) -> Probe {
        let mut probe = Probe::read(tap, flow);
        probe.unread = Some(reason);
        probe
    }

    /// Runs `first` at the client's first byte.
    pub(crate) fn on_first(mut self, first: impl FnOnce() + Send + Sync + 'static) -> Probe {
        self.first = Some(Box::new(first));
        self
    }

    /// Tells whether the client has sent a byte, when the probe is out of reach.
    pub(crate) fn spoken(&mut self) -> Arc<AtomicBool> {
        Arc::clone(self.spoken.get_or_insert_default())
    }

    /// Why the connection was not read after all. Only for one that never carried a byte of the client.
    pub(crate) fn refuse(&mut self, reason: UnreadReason) {
        self.unread = Some(reason);
    }

    /// Bytes that passed one way.
    pub(crate) fn passed(&self, direction: Direction) -> u64 {
        self.passed[index(direction)]
    }

    /// Bytes pass.
    pub(crate) fn pass(&mut self, direction: Direction, bytes: &[u8]) {
        let way = index(direction);
        let offset = self.passed[way];
        self.passed[way] += bytes.len() as u64;
        if way == 0
            && let Some(first) = self.first.take()
        {
            first();
        }
        if way == 0
            && let Some(spoken) = self.spoken.take()
        {
            spoken.store(true, Ordering::Relaxed);
        }
        if self.unread.is_some() {
            return;
        }
        if let Some(tap) = &self.tap {
            if !self.opened {
                self.opened = true;
                tap.keep(Event::Opened(self.flow.clone()));
            }
            self.gap[way] = !tap.offer(self.flow.id, direction, offset, bytes);
        }
    }

    /// One direction ended.
    pub(crate) fn ended(&mut self, direction: Direction) {
        if self.opened {
            self.mark_gap(direction);
            self.keep(Event::Ended { flow: self.flow.id, direction, time: now() });
        }
    }

    /// The connection ended.
    pub(crate) fn finish(&mut self, close: Close) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let time = now();
        if self.opened {
            self.mark_gap(Direction::ToOrigin);
            self.mark_gap(Direction::ToClient);
            self.keep(Event::Closed { flow: self.flow.id, close, time });
        }
        let Some(reason) = self.unread.take() else { return };
        // A connection on which nothing was said hides nothing.
        if reason == UnreadReason::Opaque && self.passed == [0, 0] {
            return;
        }
        self.keep(Event::Unread(Box::new(Unread {
            flow: self.flow.clone(),
            reason,
            bytes_to_origin: self.passed[0],
            bytes_to_client: self.passed[1],
            closed: time,
            close,
        })));
    }

    fn mark_gap(&mut self, direction: Direction) {
        let way = index(direction);
        if std::mem::take(&mut self.gap[way]) {
            let slice =
                Slice { direction, offset: self.passed[way], bytes: bytes::Bytes::new(), time: now() };
            self.keep(Event::Data { flow: self.flow.id, slice });
        }
    }

    fn keep(&self, event: Event) {
        if let Some(tap) = &self.tap {
            tap.keep(event);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.finish(Close::Proxy);
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("flow", &self.flow.id).field("passed", &self.passed).finish()
    }
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::ToOrigin => 0,
        Direction::ToClient => 1,
    }
}
