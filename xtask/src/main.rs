//! The project's own verbs: `cargo xtask <verb>`.

mod ci;
mod setup;
mod shell;
mod test;

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
    /// Install what the tests need: system packages, and the real clients at pinned versions
    Setup,
    /// Set up, build, and run every test that these privileges allow
    Test(test::Options),
    /// Everything that must hold before a change is merged
    Ci,
}

fn main() -> Result<()> {
    match Cli::parse().verb {
        Verb::Setup => setup::run_all(),
        Verb::Test(options) => test::run_all(&options),
        Verb::Ci => ci::run_all(),
    }
}
