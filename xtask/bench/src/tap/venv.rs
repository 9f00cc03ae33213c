//! A Python with the openai SDK and what instruments it, under the target folder; made once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What is installed.
pub(super) const PACKAGES: [&str; 4] = [
    "openai==3.57.0",
    "openinference-instrumentation-openai==0.1.66",
    "opentelemetry-instrumentation-openai==0.62.4",
    "opentelemetry-sdk==1.45.2",
];

/// The modules that a client imports.
const IMPORTS: &str = "import openai, opentelemetry.sdk, openinference.instrumentation.openai, \
                       opentelemetry.instrumentation.openai";

/// Its Python; makes it where it is not there.
pub(super) fn python() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let target = me.parent().and_then(Path::parent).context("no target folder")?;
    let venv = target.join("tap-venv");
    let python = venv.join("bin/python");
    let works = || quiet(Command::new(&python).args(["-c", IMPORTS]));
    if works() {
        return Ok(python);
    }
    eprintln!("making {} with {}", venv.display(), PACKAGES.join(", "));
    if !quiet(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&venv)) {
        bail!("/usr/bin/python3 -m venv does not work: apt-get install python3-venv");
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    if !quiet(Command::new(&python).args(pip).args(PACKAGES)) || !works() {
        bail!("pip cannot install {}", PACKAGES.join(", "));
    }
    Ok(python)
}

fn quiet(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
