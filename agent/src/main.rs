//! The `trackway` binary.
fn main() {}
