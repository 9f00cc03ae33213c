//! What the proxy hands over: connections, their bytes, their ends.

use trackway_core::flow::{Close, Direction, Flow, FlowId, Slice, Time, Unread};

/// One thing that happened on a connection. Events of one connection come in order.
#[derive(Debug)]
pub enum Event {
    /// A connection is about to be read.
    Opened(Flow),
    /// Bytes passed.
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

/// The reading end.
#[derive(Debug)]
pub struct Feed {}

impl Feed {
    /// Takes all that is there.
    pub fn drain(&mut self, out: &mut Vec<Event>) {
        let _unused = out;
    }
}
