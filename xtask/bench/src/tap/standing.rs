//! Whether probes stand in a process, seen from its side: each of them changes a byte of its library's code.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use procfs::process::{MMPermissions, MMapPath, Process};

/// How long probes may take to come or to go. Those of another watcher on the machine are waited for as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long is no matter.
const SOON: Duration = Duration::from_secs(1);

/// Waits until probes stand in a process, or until none does.
pub(super) fn wait(pid: u32, wanted: bool) -> Result<()> {
    let begun = Instant::now();
    let mut told = false;
    while (changed(pid)? > 0) != wanted {
        let what = if wanted { "no probes" } else { "another watcher's probes" };
        if begun.elapsed() > PATIENCE {
            bail!("{what} stand in process {pid}");
        }
        if !told && begun.elapsed() > SOON {
            eprintln!("waiting: {what} stand in the client");
            told = true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Bytes of the code of its OpenSSL that are not those of the file.
fn changed(pid: u32) -> Result<usize> {
    let library = library(pid)?;
    let file = fs::read(&library.path)?;
    let length = usize::try_from(library.to - library.from)?;
    let mut code = vec![0; length];
    File::open(format!("/proc/{pid}/mem"))?.read_exact_at(&mut code, library.from)?;
    let file =
        file.get(usize::try_from(library.offset)?..).context("the library is shorter than its code")?;
    Ok(code.iter().zip(file).filter(|(code, file)| code != file).count())
}

/// The code of the OpenSSL that a process has loaded.
pub(super) struct Library {
    pub(super) path: PathBuf,
    /// Where it is in memory.
    from: u64,
    to: u64,
    /// Where it is in the file.
    offset: u64,
}

pub(super) fn library(pid: u32) -> Result<Library> {
    let maps = Process::new(pid.cast_signed())?.maps()?;
    let found = maps.into_iter().find_map(|map| {
        let MMapPath::Path(path) = map.pathname else { return None };
        let named = path.file_name()?.to_str()?.starts_with("libssl");
        let (from, to) = map.address;
        let code = named && map.perms.contains(MMPermissions::EXECUTE);
        code.then_some(Library { path, from, to, offset: map.offset })
    });
    found.with_context(|| format!("process {pid} has no libssl"))
}
