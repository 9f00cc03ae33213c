//! What the proxy hands over: connections, their bytes, their ends.
//!
//! A [`Tap`] takes events on the forwarding side and a [`Feed`] gives them out on the reading side.
//! Pushing never waits and wakes nobody: the reader drains every few milliseconds, because a wake-up for
//! every slice costs more than the relay itself. What does not fit is counted; lost bytes show up as a jump
//! of the next slice's offset, and the events that frame a connection are never lost before
//! [`limits::OVERFLOW_EVENTS`] of them wait.

mod probe;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_queue::ArrayQueue;
use trackway_core::flow::{Close, Direction, Flow, FlowId, Slice, Time, Unread};

use crate::limits;
pub(crate) use probe::Probe;

/// One thing that happened on a connection. Events of one connection come in order.
#[derive(Debug)]
pub enum Event {
    /// A connection is about to be read.
    Opened(Flow),
    /// Bytes passed. No bytes at an offset beyond the last say that the bytes before it were lost.
    Data {
        /// On which connection.
        flow: FlowId,
        /// What.
        slice: Slice,
    },
    /// One direction ended (half-close).
    Ended {
        /// On which connection.
        flow: FlowId,
        /// Which way.
        direction: Direction,
        /// When.
        time: Time,
    },
    /// The connection ended.
    Closed {
        /// Which.
        flow: FlowId,
        /// How.
        close: Close,
        /// When.
        time: Time,
    },
    /// A connection passed without being read.
    Unread(Box<Unread>),
}

/// What did not fit into the queue, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Bytes that passed unseen.
    pub bytes: u64,
    /// Slices that held them.
    pub slices: u64,
    /// Events that frame a connection.
    pub events: u64,
}

/// The forwarding side's end.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Shared>);

/// The reading side's end. There is one.
#[derive(Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Event>,
    held_bytes: AtomicUsize,
    budget_bytes: usize,
    overflow: Mutex<VecDeque<Event>>,
    /// Whether `overflow` holds anything. While it does, nothing may overtake it in `queue`.
    overflowing: AtomicBool,
    lost_bytes: AtomicU64,
    lost_slices: AtomicU64,
    lost_events: AtomicU64,
}

/// A queue of at most `slices` events that hold at most `bytes` bytes together.
pub fn channel(slices: usize, bytes: usize) -> (Tap, Feed) {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(slices.max(1)),
        held_bytes: AtomicUsize::new(0),
        budget_bytes: bytes,
        overflow: Mutex::default(),
        overflowing: AtomicBool::new(false),
        lost_bytes: AtomicU64::new(0),
        lost_slices: AtomicU64::new(0),
        lost_events: AtomicU64::new(0),
    });
    (Tap(Arc::clone(&shared)), Feed(shared))
}

/// Now, as events are stamped.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

// === impl Tap ===

impl Tap {
    /// Takes bytes that passed, unless there is no room; says whether it took them.
    pub(crate) fn offer(&self, flow: FlowId, direction: Direction, offset: u64, bytes: &[u8]) -> bool {
        let shared = &*self.0;
        let held = shared.held_bytes.fetch_add(bytes.len(), Relaxed);
        let fits = held + bytes.len() <= shared.budget_bytes && !shared.overflowing.load(SeqCst);
        if fits && !shared.queue.is_full() {
            let bytes = bytes::Bytes::copy_from_slice(bytes);
            let event = Event::Data { flow, slice: Slice { direction, offset, bytes, time: now() } };
            if shared.queue.push(event).is_ok() {
                return true;
            }
        }
        shared.held_bytes.fetch_sub(bytes.len(), Relaxed);
        shared.lost_bytes.fetch_add(bytes.len() as u64, Relaxed);
        shared.lost_slices.fetch_add(1, Relaxed);
        false
    }

    /// Takes an event that must not be lost and that holds no bytes.
    pub(crate) fn keep(&self, event: Event) {
        let shared = &*self.0;
        let event = if shared.overflowing.load(SeqCst) {
            event
        } else {
            match shared.queue.push(event) {
                Ok(()) => return,
                Err(event) => event,
            }
        };
        let mut overflow = shared.overflow();
        if overflow.len() < limits::OVERFLOW_EVENTS {
            overflow.push_back(event);
            shared.overflowing.store(true, SeqCst);
        } else {
            shared.lost_events.fetch_add(1, Relaxed);
        }
    }

    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        self.0.losses()
    }
}

// === impl Feed ===

impl Feed {
    /// Moves at most `max` waiting events to the end of `events`; says how many. Never waits for more.
    pub fn drain(&mut self, events: &mut Vec<Event>, max: usize) -> usize {
        let shared = &*self.0;
        if !shared.overflowing.load(SeqCst) {
            return shared.pop(events, max);
        }
        // The lock is taken before the queue is emptied: what a connection pushed there is older than what
        // it then pushed beside, and it can push beside again only when this is done.
        let mut overflow = shared.overflow();
        let mut moved = shared.pop(events, max);
        if moved < max {
            let count = overflow.len().min(max - moved);
            events.extend(overflow.drain(..count));
            moved += count;
            if overflow.is_empty() {
                overflow.shrink_to(0);
                shared.overflowing.store(false, SeqCst);
            }
        }
        moved
    }

    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        self.0.losses()
    }
}

// === impl Shared ===

impl Shared {
    fn pop(&self, events: &mut Vec<Event>, max: usize) -> usize {
        let mut moved = 0;
        while moved < max {
            let Some(event) = self.queue.pop() else { break };
            if let Event::Data { slice, .. } = &event {
                self.held_bytes.fetch_sub(slice.bytes.len(), Relaxed);
            }
            events.push(event);
            moved += 1;
        }
        moved
    }

    fn overflow(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.overflow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn losses(&self) -> Losses {
        Losses {
            bytes: self.lost_bytes.load(Relaxed),
            slices: self.lost_slices.load(Relaxed),
            events: self.lost_events.load(Relaxed),
        }
    }
}
