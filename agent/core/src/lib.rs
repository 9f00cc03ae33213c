//! Meaning from bytes.
//!
//! Invariants:
//! - Pure: no I/O, no clock, no threads, no async. Bytes and facts with their times go in; spans come out.
//! - Total: every input, however broken, gives an answer with what is known and a [`fault`](call::Fault);
//!   nothing panics and nothing is guessed. Parsers return `(value, faults)`, never only an error.
//! - Bounded: every buffer, table and queue has its number in [`limits`] and a counter for when it is hit.
//! - Split-proof: the answer does not depend on where the bytes were cut on their way.
//!
//! The way of the data: `flow` bytes → [`http`] events → `decode` one [`call::Call`] per exchange →
//! [`run`] ties calls and [`process`] facts into a tree → [`telemetry`] spans for the sinks.
//! [`metrics`] counts finished spans; [`overlay`] and [`truncate`] fit them to their readers.
//! [`observe`] holds one connection's state along that way; [`capture`] reads exchanges that were recorded before.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod call;
pub mod capture;
mod decode;
pub mod encoding;
pub mod eventstream;
pub mod flow;
pub mod http;
pub mod limits;
pub mod lineage;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod overlay;
pub mod price;
pub mod process;
pub mod redact;
pub mod run;
pub mod sse;
pub mod telemetry;
pub mod truncate;
