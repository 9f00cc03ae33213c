//! Anthropic's formats.

mod blocks;
pub(crate) mod messages;
mod stream;
