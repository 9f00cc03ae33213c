//! `cargo xtask setup`: what the end-to-end tests need, installed once.
//!
//! System packages come from Debian, Python packages from PyPI and Node packages from npm, all at the versions
//! that `tests/clients` pins. A stamp for each part makes the second time fast.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, privileged, root, run, say, works};

/// Oldest Node that the pinned packages were seen to run on.
const NODE: u32 = 20;

/// A program that the tests start, how to see that it works, and the Debian package that has it.
struct Need {
    program: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "ip", probe: &["-V"], package: "iproute2" },
    Need { program: "curl", probe: &["--version"], package: "curl" },
    Need { program: "openssl", probe: &["version"], package: "openssl" },
    Need { program: "setpriv", probe: &["--version"], package: "util-linux" },
    Need { program: "git", probe: &["--version"], package: "git" },
    Need { program: "nginx", probe: &["-v"], package: "nginx-light" },
    Need { program: "tmux", probe: &["-V"], package: "tmux" },
    Need { program: "python3", probe: &["-c", "import ensurepip, venv"], package: "python3-venv" },
    Need { program: "node", probe: &["--version"], package: "nodejs" },
    Need { program: "npm", probe: &["--version"], package: "npm" },
];

/// Something installed in a folder of its own, and the file of `tests/clients` that says what.
struct Part {
    folder: &'static str,
    pins: &'static str,
    install: fn(&Path, &Path) -> Result<()>,
}

const PARTS: &[Part] = &[
    Part { folder: "python", pins: "requirements.txt", install: python },
    Part { folder: "node", pins: "package.json", install: javascript },
    Part { folder: "phoenix", pins: "phoenix.txt", install: python },
];

/// Installs everything.
pub(crate) fn run_all() -> Result<()> {
    packages(&missing())?;
    node()?;
    let folder = root().join("tests/.setup");
    fs::create_dir_all(&folder)?;
    PARTS.iter().try_for_each(|part| part.install(&folder))
}

impl Part {
    fn install(&self, parent: &Path) -> Result<()> {
        let pins = root().join("tests/clients").join(self.pins);
        let text = fs::read_to_string(&pins).with_context(|| format!("reading {}", pins.display()))?;
        let stamp = parent.join(format!("{}.stamp", self.folder));
        if fs::read_to_string(&stamp).is_ok_and(|before| before == text) {
            say(&format!("{} is installed", self.pins));
            return Ok(());
        }
        say(&format!("installing {}", self.pins));
        let folder = parent.join(self.folder);
        remove(&folder)?;
        (self.install)(&folder, &pins)?;
        Ok(fs::write(stamp, text)?)
    }
}

/// The Debian packages whose programs do not work here.
fn missing() -> Vec<&'static str> {
    let broken = NEEDS.iter().filter(|need| !works(&path(need.program), need.probe));
    broken.map(|need| need.package).collect()
}

/// Installs Debian packages, or names them.
pub(crate) fn packages(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !privileged() || !works("apt-get", &["--version"]) {
        bail!("missing system packages; install them with: sudo apt-get install {names}");
    }
    say(&format!("installing {names}"));
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(missing);
    apt(&install)
}

/// Debian's own Python where there is one: a version manager's may lie where other users cannot read it.
fn path(program: &str) -> String {
    let own = Path::new("/usr/bin").join(program);
    if program == "python3" && own.exists() { own.to_string_lossy().into_owned() } else { program.to_owned() }
}

fn node() -> Result<()> {
    let version = output("node", &["--version"]).context("node does not run")?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        bail!(
            "the tests need Node {NODE} or later, and this is {version}; see https://nodejs.org/en/download"
        );
    }
    Ok(())
}

fn python(folder: &Path, pins: &Path) -> Result<()> {
    run(Command::new(path("python3")).arg("-m").arg("venv").arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
    run(pip.arg(pins))
}

fn javascript(folder: &Path, pins: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::copy(pins, folder.join("package.json"))?;
    // The packages need nothing but their own exact versions. They run without their scripts, and so nothing of
    // theirs runs here.
    let flags =
        ["install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(flags).current_dir(folder))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
