//! `cargo xtask ebpf`: builds the kernel programs into `ebpf/prebuilt`, which is committed.
//!
//! The same sources, compiler and linker give the same bytes in any folder: paths are remapped and the object
//! carries no debug information. So `--check` can compare.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};

/// The compiler whose object is committed. Newer ones may give other bytes for the same sources.
const RUSTC: &str = "1.96.0";
/// The linker, built for the same LLVM as the compiler.
pub(crate) const LINKER: &str = "0.13.0";
const TARGET: &str = "bpfel-unknown-none";
const OBJECT: &str = "ebpf/prebuilt/trackway.bpf.o";
/// Lines that `sha256sum --check` reads, from the root of the repository: the sources and the object.
const SUMS: &str = "ebpf/prebuilt/trackway.bpf.sha256";
/// What the object is made of.
const SOURCES: [&str; 2] = ["ebpf/abi", "ebpf/programs"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Build, compare with what is committed, and write nothing
    #[arg(long)]
    check: bool,
    /// Compare the recorded sums alone: needs no compiler
    #[arg(long, conflicts_with = "check")]
    sums: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let root = root()?;
    if options.sums || options.check {
        let recorded = fs::read_to_string(root.join(SUMS)).with_context(|| format!("cannot read {SUMS}"))?;
        let object = fs::read(root.join(OBJECT)).with_context(|| format!("cannot read {OBJECT}"))?;
        let sums = sums(&root, &object)?;
        ensure!(recorded == sums, "{}", stale(&recorded, &sums));
    }
    if options.sums {
        return Ok(());
    }
    let built = build(&root)?;
    if options.check {
        let committed = fs::read(root.join(OBJECT))?;
        ensure!(
            committed == built,
            "{OBJECT} is not what its sources give ({} bytes committed, {} built); run `cargo xtask ebpf` and commit",
            committed.len(),
            built.len()
        );
        return Ok(());
    }
    fs::write(root.join(OBJECT), &built).with_context(|| format!("cannot write {OBJECT}"))?;
    fs::write(root.join(SUMS), sums(&root, &built)?).with_context(|| format!("cannot write {SUMS}"))
}

fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the repository")?.to_owned())
}

/// Compiles, and gives the object.
fn build(root: &Path) -> Result<Vec<u8>> {
    let sysroot = toolchain()?;
    linker()?;
    let target = root.join("target/ebpf");
    let home = home()?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = [remap(root, "/trackway"), remap(&home, "/cargo"), remap(&sysroot, "/rust")].join("\x1f");
    let mut cargo = Command::new(sysroot.join("bin/cargo"));
    cargo
        .args(["build", "--release", "--locked", "--target", TARGET, "-Z", "build-std=core"])
        .current_dir(root.join("ebpf/programs"))
        .env("RUSTC", sysroot.join("bin/rustc"))
        // `core` has no prebuilt form for this target; building it is an unstable option of a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    // The outer cargo and rustup leave their own choice of compiler and flags behind.
    for variable in
        ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "RUSTDOC", "CARGO"]
    {
        cargo.env_remove(variable);
    }
    let status = cargo.status().context("cannot start cargo")?;
    ensure!(status.success(), "the kernel programs do not compile");
    let object = target.join(TARGET).join("release/trackway");
    fs::read(&object).with_context(|| format!("cannot read {}", object.display()))
}

/// The sysroot of the one compiler whose bytes are committed, with the sources of `core`.
fn toolchain() -> Result<PathBuf> {
    let rustup = output("rustup", &["run", RUSTC, "rustc", "--print", "sysroot"]).ok();
    let candidates = rustup.into_iter().map(PathBuf::from).chain([PathBuf::from("/usr")]);
    let mut seen = Vec::new();
    for sysroot in candidates {
        let rustc = sysroot.join("bin/rustc");
        let Ok(version) = output(&rustc.to_string_lossy(), &["--version"]) else { continue };
        let sources = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists();
        if version.split(' ').nth(1) == Some(RUSTC) && sources {
            return Ok(sysroot);
        }
        seen.push(format!(
            "{}: {version}{}",
            rustc.display(),
            if sources { "" } else { ", without rust-src" }
        ));
    }
    bail!(
        "the kernel programs are compiled by rustc {RUSTC} with the sources of core; install one of\n  \
         rustup toolchain install {RUSTC} --profile minimal --component rust-src\n  \
         apt-get install rustc-web cargo-web rust-web-src    # Debian 12\nfound: {}",
        if seen.is_empty() { "none".to_owned() } else { seen.join("; ") }
    )
}

fn linker() -> Result<()> {
    let found = output("bpf-linker", &["--version"]).unwrap_or_default();
    ensure!(
        found.split(' ').nth(1) == Some(LINKER),
        "bpf-linker {LINKER} is needed, with the LLVM of rustc {RUSTC} (found: {}); install it with\n  \
         apt-get install llvm-22-dev\n  \
         LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version {LINKER} --locked --no-default-features --features llvm-22",
        if found.is_empty() { "none" } else { &found }
    );
    Ok(())
}

fn home() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).context("no home folder")
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).env_remove("RUSTUP_TOOLCHAIN").output()?;
    ensure!(output.status.success(), "{program} failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// One line for each source file and the object, in the order of their names.
fn sums(root: &Path, object: &[u8]) -> Result<String> {
    let mut files = Vec::new();
    for folder in SOURCES {
        walk(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut text = String::new();
    for file in files {
        let name = file.strip_prefix(root)?.display().to_string();
        line(&mut text, &fs::read(&file)?, &name)?;
    }
    line(&mut text, object, OBJECT)?;
    Ok(text)
}

fn line(text: &mut String, bytes: &[u8], name: &str) -> Result<()> {
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}")?;
    }
    Ok(writeln!(text, "  {name}")?)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(&path, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "toml" || extension == "lock")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Names the files whose sums differ.
fn stale(recorded: &str, sums: &str) -> String {
    let mut changed: Vec<&str> = sums
        .lines()
        .filter(|line| !recorded.lines().any(|old| old == *line))
        .chain(recorded.lines().filter(|old| !sums.lines().any(|line| line == *old)))
        .filter_map(|line| line.split_once("  ").map(|(_, name)| name))
        .collect();
    changed.sort_unstable();
    changed.dedup();
    format!("{SUMS} does not fit {}; run `cargo xtask ebpf` and commit", changed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let text = stale("aa  one\nbb  two\ncc  gone\n", "aa  one\ndd  two\nee  new\n");
        assert_eq!(text, format!("{SUMS} does not fit gone, new, two; run `cargo xtask ebpf` and commit"));
    }

    /// Without a compiler for the kernel's side, this still tells that sources and object belong together.
    #[test]
    fn the_committed_object_is_the_sources() {
        run(&Options { check: false, sums: true }).unwrap();
    }
}
