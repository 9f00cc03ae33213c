//! The project's own verbs: `cargo xtask <verb>`. One file for each.

mod bench;
mod ci;
mod ebpf;
mod prices;
mod recordings;
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
    /// Make the price table again from the newest genai-prices on PyPI
    Prices(prices::Options),
    /// Compare what `trackway decode` says of recorded traffic with the expected answers
    Recordings(recordings::Options),
    /// Build the kernel programs into ebpf/prebuilt
    Ebpf(ebpf::Options),
    /// Measure what Trackway costs, as ratios to nginx and to a bare relay
    Bench(bench::Options),
}

fn main() -> Result<()> {
    match Cli::parse().verb {
        Verb::Setup => setup::run_all(),
        Verb::Test(options) => test::run_all(&options),
        Verb::Ci => ci::run_all(),
        Verb::Recordings(options) => recordings::run_all(&options),
        Verb::Prices(options) => prices::refresh(&options),
        Verb::Ebpf(options) => ebpf::run(&options),
        Verb::Bench(options) => bench::run_all(&options),
    }
}
