//! `cargo xtask test`: everything that these privileges allow.

use anyhow::Result;
use clap::Args;

use crate::setup;
use crate::shell::{cargo, privileged, run, say, target};

/// Arguments of the verb.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Sets up, builds, tests.
pub(crate) fn run_all(options: &Options) -> Result<()> {
    let root = privileged();
    if root {
        setup::run_all()?;
    }
    // The client in Rust is as optimised as those that people run.
    let packages = ["--package", "trackway", "--package", "trackway-rustls-client"];
    run(cargo().args(["build", "--release", "--locked"]).args(packages))?;
    let mut test = cargo();
    test.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    test.env("TRACKWAY_BIN", target().join("release/trackway"));
    if let Some(filter) = &options.filter {
        test.arg("--").arg(filter);
    }
    let outcome = run(&mut test);
    if !root {
        say(
            "skipped without root: the end-to-end tests with real clients and the tests that load eBPF programs,",
        );
        say("because they make network namespaces and call bpf(2); run `sudo -E cargo xtask test` for them");
    }
    outcome
}
