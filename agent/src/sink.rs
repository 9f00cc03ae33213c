//! Where finished spans go: a collector, a file, the terminal.

use trackway_core::run::Totals;
use trackway_core::telemetry::{Content, Span};

/// A place that takes finished spans.
///
/// `write` is called from the decoding thread: a sink that talks to a network must queue (bounded) and
/// return at once.
pub trait Sink: Send {
    /// Takes spans, in the order in which they were finished; the root of a run comes last.
    fn write(&mut self, spans: &[Span]);
    /// The run is over: deliver what is held, within the sink's own time limit. Returns lines for the user
    /// about what could not be delivered.
    fn finish(&mut self, totals: &Totals) -> Vec<String>;
}

/// The content policy that a sink was given.
pub type Policy = Content;
