//! The live view: what its rows say, what its frames look like, and how it behaves in a real terminal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[path = "top/frames.rs"]
mod frames;
#[path = "top/rows.rs"]
mod rows;
#[path = "top/support.rs"]
mod support;
#[path = "top/terminal.rs"]
mod terminal;
