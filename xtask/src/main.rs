//! The project's own verbs: `cargo xtask <verb>`. One file for each.

mod ebpf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own verbs")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the kernel programs into ebpf/prebuilt
    Ebpf(ebpf::Options),
}

fn main() -> Result<()> {
    match Cli::parse().verb {
        Verb::Ebpf(options) => ebpf::run(&options),
    }
}
