//! A transparent proxy: accept, sniff, relay verbatim, tap.
//!
//! Invariants:
//! - What it forwards is what it received, byte for byte, except on hosts that the operator lists for rewrite.
//! - It knows no AI and parses no HTTP for observation; the tap hands over bytes.
//! - The tap never delays forwarding: its queue is bounded, and what does not fit is counted as lost.
//! - Origins are verified as the client would have verified them.
//! - No pingora type in its public face.
#![warn(missing_docs)]

mod accept;
pub mod authority;
mod bounded;
mod config;
mod connection;
mod counters;
mod explicit;
mod hello;
pub mod limits;
mod origin;
mod relay;
mod rewrite;
mod sniff;
mod standing;
mod stream;
pub mod tap;
mod terminate;

use std::net::SocketAddr;

use trackway_core::process::ProcessKey;

pub(crate) use accept::Shared;
pub use accept::{Mode, Proxy};
pub use config::{Config, ConfigError, Traceparent, Trusts};
pub use counters::Counters;
pub use hello::name_in_hello;
pub use origin::Lead;

/// Who is behind an accepted connection.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The process that connected.
    pub process: Option<ProcessKey>,
    /// Where it meant to go; `None` where the client itself will say it (CONNECT, absolute form).
    pub destination: Option<SocketAddr>,
    /// A stable name of its executable, for remembering which one refuses our certificate.
    pub executable: Option<String>,
}

/// Finds out who is behind an accepted connection. Must not block.
pub trait Resolve: Send + Sync + 'static {
    /// `peer` is the client's end and `local` is ours.
    fn resolve(&self, peer: SocketAddr, local: SocketAddr) -> Client;
}
