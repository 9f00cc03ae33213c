//! One connection's way from bytes to calls: [`crate::http`] events, content decoding, the provider's
//! decoder, one [`Call`] per exchange.

mod exchange;
mod reader;
mod session;
mod target;

use crate::call::Call;
pub use crate::decode::rpc::pipe::{Pipe, PipeCall};
use crate::flow::{Close, Direction, Flow, Slice, Time};
use crate::http::{Connection, Event};
pub use reader::Reader;
pub(crate) use target::is_traceparent;

/// The state of one observed connection.
#[derive(Debug)]
pub struct Observer {
    connection: Connection,
    reader: Reader,
    events: Vec<Event>,
}

impl Observer {
    /// Begins to observe a connection.
    pub fn new(flow: Flow) -> Self {
        let connection = Connection::starting(flow.start);
        Self { connection, reader: Reader::new(flow), events: Vec::new() }
    }

    /// The connection observed.
    pub fn flow(&self) -> &Flow {
        self.reader.flow()
    }

    /// Whether something is spoken on it that is read. It may not be for a while, or never, where the start of
    /// the connection was not seen.
    pub fn is_read(&self) -> bool {
        self.connection.is_read()
    }

    /// Takes bytes in the order in which they passed; appends the calls that they completed.
    pub fn push(&mut self, slice: Slice, out: &mut Vec<Call>) {
        // Whoever names connections by where they lie in memory may give a name again.
        if self.connection.is_replaced(&slice) {
            self.connection.close(Close::Proxy, slice.time, &mut self.events);
            self.connection.renew(&slice);
        }
        self.connection.push(slice, &mut self.events);
        self.read(out);
    }

    /// One direction ended.
    pub fn end(&mut self, direction: Direction, time: Time, out: &mut Vec<Call>) {
        self.connection.end(direction, time, &mut self.events);
        self.read(out);
    }

    /// The connection ended; appends the calls that were still open.
    pub fn close(&mut self, close: Close, time: Time, out: &mut Vec<Call>) {
        self.connection.close(close, time, &mut self.events);
        self.read(out);
    }

    fn read(&mut self, out: &mut Vec<Call>) {
        for event in self.events.drain(..) {
            self.reader.event(event, out);
        }
    }
}
