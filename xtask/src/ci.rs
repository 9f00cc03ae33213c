//! `cargo xtask ci`: everything that must hold before a change is merged.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell::{cargo, privileged, root, run, say, works};
use crate::{setup, test};

/// Linker of the kernel programs, and the LLVM that it is built against.
const LINKER: &str = "0.13.0";
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
    run(cargo().args(["clippy", "--workspace", "--locked", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo().args(["doc", "--workspace", "--locked", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    kernel_programs()?;
    licences()
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

/// Licences and banned crates, where the tool is there: building it takes longer than everything else.
fn licences() -> Result<()> {
    if !works("cargo", &["deny", "--version"]) {
        say("skipped: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    }
    let deny: &Path = root();
    run(Command::new("cargo")
        .args(["deny", "--offline", "check", "bans", "licenses", "sources"])
        .current_dir(deny))
}
