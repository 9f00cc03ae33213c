//! `cargo xtask bench`: builds in release and measures. The suite itself is the package `trackway-bench`.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::shell::{cargo, run, target};

/// Arguments of the verb.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Passed on to the suite: `--quick`, `--rounds N`, `--only small`, `--json`, …; `decode` for what reading costs, `store` for how fast a run is found, or `tap` for what the tap costs a client
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    suite: Vec<String>,
}

/// Builds and measures.
pub(crate) fn run_all(options: &Options) -> Result<()> {
    if options.suite.first().is_some_and(|word| word == "decode") {
        run(cargo().args(["build", "--release", "--locked", "-p", "trackway-bench"]))?;
        return run(Command::new(target().join("release/trackway-bench")).args(&options.suite));
    }
    run(cargo().args(["build", "--release", "--locked", "-p", "trackway", "-p", "trackway-bench"]))?;
    let release = target().join("release");
    let role = options.suite.split_first().filter(|(first, _)| ["store", "tap"].contains(&first.as_str()));
    if let Some((first, rest)) = role {
        return run(Command::new(release.join("trackway-bench"))
            .args([first.as_str(), "--trackway"])
            .arg(release.join("trackway"))
            .args(rest));
    }
    run(Command::new(release.join("trackway-bench"))
        .arg("--trackway")
        .arg(release.join("trackway"))
        .args(&options.suite))
}
