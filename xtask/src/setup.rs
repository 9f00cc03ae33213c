//! `cargo xtask setup`: what the end-to-end tests need, installed once.
//!
//! System packages come from Debian, Python packages from PyPI and Node packages from npm, all at the versions
//! that `tests/clients` pins. A stamp makes the second time fast.

use std::fs;
use std::path::{Path, PathBuf};
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

/// Files that say what is installed.
const PINS: [&str; 2] = ["requirements.txt", "package.json"];

/// Installs everything.
pub(crate) fn run_all() -> Result<()> {
    packages(&missing())?;
    node()?;
    let folder = root().join("tests/.setup");
    let stamp = folder.join("stamp");
    let pins = pins()?;
    if fs::read_to_string(&stamp).is_ok_and(|text| text == pins) {
        say("the clients are installed");
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    python(&folder.join("python"))?;
    javascript(&folder.join("node"))?;
    fs::write(&stamp, pins)?;
    Ok(())
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

fn pins() -> Result<String> {
    let clients = root().join("tests/clients");
    let read =
        |name: &&str| fs::read_to_string(clients.join(name)).with_context(|| format!("reading {name}"));
    PINS.iter().map(read).collect()
}

fn python(folder: &Path) -> Result<()> {
    remove(folder)?;
    run(Command::new(path("python3")).arg("-m").arg("venv").arg(folder))?;
    let requirements: PathBuf = root().join("tests/clients/requirements.txt");
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
    run(pip.arg(requirements))
}

fn javascript(folder: &Path) -> Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder)?;
    fs::copy(root().join("tests/clients/package.json"), folder.join("package.json"))?;
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
