//! The parts of the `trackway` binary, as a library so that they can be tested one by one.
//!
//! Invariants: parses no wire format (that is `trackway-core`'s); `app.rs` is the only place that wires
//! parts together; nothing here may change what the observed agent sees.

pub mod kernel;
pub mod sink;
