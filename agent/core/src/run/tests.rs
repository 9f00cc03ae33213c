//! Scripted runs: what goes in, and the tree that comes out.

mod build;
mod calls;
mod order;
mod processes;
mod signals;
mod tools;
