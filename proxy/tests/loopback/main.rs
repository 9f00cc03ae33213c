//! The proxy between real sockets on the loopback interface: every client, origin and certificate is made
//! by the test that uses it.

mod ends;
mod explicit;
mod load;
mod plain;
mod refusal;
mod rewrite;
mod support;
mod tls;
