//! The proxy between real sockets on the loopback interface: every client, origin and certificate is made
//! by the test that uses it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::let_underscore_must_use,
    reason = "a test's helpers fail as the test does, and some ends are only to be waited for"
)]

mod ends;
mod explicit;
mod load;
mod plain;
mod refusal;
mod rewrite;
mod support;
mod tls;
