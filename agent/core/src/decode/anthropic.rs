//! Anthropic's formats.

mod blocks;
pub(crate) mod complete;
pub(crate) mod messages;
mod stream;
