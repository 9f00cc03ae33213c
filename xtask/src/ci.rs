//! `cargo xtask ci`: everything that must hold before a change is merged.

use std::process::Command;

use anyhow::Result;

use crate::ebpf::LINKER;
use crate::shell::{cargo, privileged, root, run, target, works};
use crate::{recordings, setup, test};

/// Checks `deny.toml`.
const DENY: &str = "0.20.2";
/// Drives the fuzz targets.
const FUZZ: &str = "0.13.2";
/// The LLVM that the linker of the kernel programs is built against.
const LLVM: (&str, &str, &str) = ("llvm-22", "LLVM_PREFIX", "/usr/lib/llvm-22");

/// Debian packages with which the kernel programs are built (a compiler with `-Z build-std`'s sources, LLVM).
const KERNEL_PACKAGES: [&str; 8] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22-dev",
    "libpolly-22-dev",
    "libzstd-dev",
    "zlib1g-dev",
    "libxml2-dev",
];

/// Runs it all, the quick checks first.
pub(crate) fn run_all() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    test::run_all(&test::Options::default())?;
    recordings::run_all(&recordings::Options::default())?;
    splits()?;
    run(cargo().args(["clippy", "--workspace", "--locked", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo().args(["doc", "--workspace", "--locked", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    kernel_programs()?;
    fuzz()?;
    licences()
}

/// Runs each fuzz target for some seconds on its seeds, as [`FUZZ`] says. Long runs are made by hand.
fn fuzz() -> Result<()> {
    let tools = target().join("tools");
    let fuzzer = tools.join("bin/cargo-fuzz");
    if !works(&fuzzer.to_string_lossy(), &["--version"]) {
        let mut install = cargo();
        install.args(["install", "--locked", "cargo-fuzz", "--version", FUZZ, "--root"]).arg(&tools);
        run(install.args(["--config", "profile.release.opt-level=0"]))?;
    }
    let folder = root().join("tests/fuzz");
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(folder.join("targets"))? {
        let name = entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned());
        // What the targets share is no target.
        targets.extend(name.filter(|name| name != "exchange"));
    }
    targets.sort();
    for name in targets {
        // New inputs go to a folder that is not kept; the seeds are only read.
        let found = tools.join("fuzz").join(&name);
        let seeds = folder.join("seeds").join(&name);
        std::fs::create_dir_all(&found)?;
        let mut command = Command::new(&fuzzer);
        command.current_dir(&folder).env("RUSTC_BOOTSTRAP", "1");
        command.args(["fuzz", "run", "--fuzz-dir", ".", "--sanitizer", "none", &name]).arg(&found);
        if seeds.exists() {
            command.arg(&seeds);
        }
        run(command.args(["--", "-max_total_time=5", "-rss_limit_mb=2048", "-timeout=10"]))?;
    }
    Ok(())
}

/// Cuts every body of the recordings in twenty ways; optimised, because it is hundreds of megabytes each time.
fn splits() -> Result<()> {
    let test = ["test", "--release", "--locked", "--package", "trackway-core", "--test", "recordings"];
    run(cargo().args(test).env("TRACKWAY_SPLITS", "20"))
}

/// Builds the kernel programs again and compares them with the committed ones.
fn kernel_programs() -> Result<()> {
    if privileged() && works("apt-get", &["--version"]) {
        let absent = KERNEL_PACKAGES.iter().filter(|package| !works("dpkg", &["-s", package]));
        setup::packages(&absent.copied().collect::<Vec<_>>())?;
    }
    if !works("bpf-linker", &["--version"]) {
        let (feature, variable, prefix) = LLVM;
        let mut install = cargo();
        install.args(["install", "--locked", "bpf-linker", "--version", LINKER]);
        run(install.args(["--no-default-features", "--features", feature]).env(variable, prefix))?;
    }
    run(cargo().args(["xtask", "ebpf", "--check"]))
}

/// Licences, sources and banned crates.
fn licences() -> Result<()> {
    let tools = target().join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !works(&deny.to_string_lossy(), &["--version"]) {
        let mut install = cargo();
        install.args(["install", "--locked", "cargo-deny", "--version", DENY, "--root"]).arg(&tools);
        // It runs for two seconds: compiling it well would take longer.
        run(install.args(["--config", "profile.release.opt-level=0"]))?;
    }
    // It reads the crates of every platform; a build has fetched only those of this one.
    run(cargo().args(["fetch", "--locked"]))?;
    run(Command::new(deny).args(["--offline", "check", "bans", "licenses", "sources"]).current_dir(root()))
}
