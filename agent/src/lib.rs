//! The parts of the `trackway` binary, as a library so that they can be tested one by one.
//!
//! Invariants: parses no wire format (that is `trackway-core`'s); `app.rs` is the only place that wires
//! parts together; nothing here may change what the observed agent sees.

pub mod app;
pub mod cli;
pub mod decode;
pub mod demo;
pub mod descent;
pub mod descriptor;
pub mod doctor;
pub mod guard;
pub mod kernel;
pub mod launch;
pub mod limits;
pub mod look;
pub mod path;
pub mod prices;
pub mod servers;
pub mod settings;
pub mod sink;
pub mod store;
pub mod tap;
pub mod top;
pub mod trust;

/// Tells the user something. Where the standard error stream is closed nobody listens, and that is no fault.
pub fn say(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "trackway: {line}").ok();
}
