//! Scripted runs: what goes in, and the tree that comes out.

mod build;
mod calls;
mod compaction;
mod order;
mod pipes;
mod processes;
mod scope;
mod signals;
mod subs;
mod tools;
