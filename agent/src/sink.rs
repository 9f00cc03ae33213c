//! Where finished spans go: a collector, a file, the local store, the terminal.
//!
//! Invariants: a sink shows nothing above its content policy; a sink never delays its caller; what a sink
//! could not deliver is counted and said when the run ends.

use trackway_core::run::{Identity, Totals};
use trackway_core::telemetry::{Content, Span};

pub mod console;
pub mod file;
pub mod limits;
pub mod otlp;
pub mod shape;
pub mod store;
pub mod translate;

/// A place that takes finished spans.
///
/// `write` is called from the decoding thread: a sink that talks to a network must queue (bounded) and
/// return at once.
pub trait Sink: Send {
    /// How much it shows, so that what no sink shows is not even put together.
    fn shows(&self) -> Content;
    /// A run begins. Only who keeps runs has a use for it.
    fn begin(&mut self, _identity: &Identity) {}
    /// Takes spans, in the order in which they were finished; the root of a run comes last.
    fn write(&mut self, spans: &[Span]);
    /// The run is over: deliver what is held, within the sink's own time limit. Returns lines for the user
    /// about what could not be delivered.
    fn finish(&mut self, totals: &Totals) -> Vec<String>;
}

/// The content policy that a sink was given.
pub type Policy = Content;
