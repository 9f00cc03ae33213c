//! One connection's way from bytes to calls: [`crate::http`] events, content decoding, the provider's
//! decoder, one [`Call`] per exchange.

use crate::call::Call;
use crate::flow::{Close, Direction, Flow, Slice, Time};

/// The state of one observed connection.
#[derive(Debug)]
pub struct Observer {
    flow: Flow,
}

impl Observer {
    /// Begins to observe a connection.
    pub fn new(flow: Flow) -> Self {
        Self { flow }
    }

    /// The connection observed.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Takes bytes in the order in which they passed; appends the calls that they completed.
    pub fn push(&mut self, slice: Slice, out: &mut Vec<Call>) {
        let _unused = (slice, out);
    }

    /// One direction ended.
    pub fn end(&mut self, direction: Direction, time: Time, out: &mut Vec<Call>) {
        let _unused = (direction, time, out);
    }

    /// The connection ended; appends the calls that were still open.
    pub fn close(&mut self, close: Close, time: Time, out: &mut Vec<Call>) {
        let _unused = (close, time, out);
    }
}
