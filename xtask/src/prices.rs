//! `cargo xtask prices`: makes the price table again from the newest `genai-prices` on PyPI.
//!
//! The package holds its facts as Python objects, so Python reads them (`prices.py`).

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell::{root, run, say, target};

/// Arguments of the verb.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// This version instead of the newest
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

/// Fetches the package into a folder of its own and writes the table.
pub(crate) fn refresh(options: &Options) -> Result<()> {
    let packages = target().join("tools/genai-prices");
    if packages.exists() {
        fs::remove_dir_all(&packages)?;
    }
    let wanted =
        options.version.as_ref().map_or("genai-prices".to_owned(), |it| format!("genai-prices=={it}"));
    let pip = ["-m", "pip", "install", "--quiet", "--target"];
    run(Command::new("python3").args(pip).arg(&packages).arg(wanted))?;
    let made = Command::new("python3")
        .arg(root().join("xtask/src/prices.py"))
        .env("PYTHONPATH", &packages)
        .output()
        .context("starting python3")?;
    if !made.status.success() {
        bail!("the package could not be read: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    let folder = root().join("agent/core/src/price");
    let licence = licence(&packages)?;
    fs::write(folder.join("LICENSE.genai-prices"), licence)?;
    fs::write(folder.join("table.json"), &made.stdout)?;
    say(&format!("wrote {} bytes to {}", made.stdout.len(), folder.join("table.json").display()));
    Ok(())
}

/// The licence that comes with the package, which goes where its facts go.
fn licence(packages: &std::path::Path) -> Result<String> {
    for entry in fs::read_dir(packages)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("genai_prices") && name.ends_with(".dist-info") {
            let file = path.join("licenses/LICENSE");
            return fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()));
        }
    }
    bail!("no licence in {}", packages.display())
}
