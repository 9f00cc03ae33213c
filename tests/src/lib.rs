//! The test world of Trackway: a network of its own, a provider that answers over TLS under the names of the
//! real ones, a collector that speaks OTLP, and the real clients that talk to them.
//!
//! Nothing here leaves the machine: a test makes a network namespace without a way out, and names resolve
//! through a hosts file that exists only inside it; or it leads the proxy to an origin on loopback itself.

pub mod authority;
pub mod clients;
pub mod collector;
pub mod compare;
pub mod coverage;
pub mod expect;
pub mod job;
pub mod namespace;
pub mod phoenix;
pub mod provider;
pub mod spans;
pub mod trackway;
pub mod world;
