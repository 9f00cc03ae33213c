//! Which files of code a process has in its memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use object::ReadCache;
use procfs::process::{MMPermissions, MMapPath, Process};

use crate::limits::IMAGE_BYTES;

/// A file, unambiguous as long as it is not written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    device: u64,
    inode: u64,
    size: u64,
    changed_ns: i64,
}

/// A file of code.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) key: Key,
    pub(super) file: File,
    /// As the process calls it.
    pub(super) name: PathBuf,
    /// Whether it is the process's own executable.
    pub(super) executable: bool,
    /// Where the process's root is.
    pub(super) root: PathBuf,
}

impl Code {
    /// A file of this machine.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = PathBuf::from("/");
        Self::of(File::open(path)?, path.to_owned(), true, root)
    }

    fn of(file: File, name: PathBuf, executable: bool, root: PathBuf) -> io::Result<Self> {
        let meta = file.metadata()?;
        let changed_ns = meta.mtime().wrapping_mul(1_000_000_000).wrapping_add(meta.mtime_nsec());
        let key = Key { device: meta.dev(), inode: meta.ino(), size: meta.size(), changed_ns };
        Ok(Self { key, file, name, executable, root })
    }

    /// Its length.
    pub(super) fn size(&self) -> u64 {
        self.key.size
    }

    /// Searches it for TLS.
    pub(super) fn look(&self) -> Result<trackway_image::Image, String> {
        let bytes = self.read().map_err(|error| error.to_string())?;
        trackway_image::look(&bytes, |build| self.debug(build)).map_err(|error| error.to_string())
    }

    /// Its bytes, as far as the search reads them; the rest is zero, and costs no memory. Libraries often bring more
    /// debug information than code, and what a process says before they are read is missed.
    fn read(&self) -> io::Result<Vec<u8>> {
        if self.key.size > IMAGE_BYTES {
            return Err(io::Error::other(format!("it is larger than {IMAGE_BYTES} bytes")));
        }
        let size = usize::try_from(self.key.size).map_err(io::Error::other)?;
        let mut parts = trackway_image::parts(&ReadCache::new(&self.file)).map_err(io::Error::other)?;
        parts.sort_unstable_by_key(|part| part.start);
        let mut bytes = vec![0; size];
        let mut done = 0;
        for part in parts {
            let (from, to) = (part.start.max(done), part.end.min(self.key.size));
            let room = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            if let Some(room) = room.and_then(|(from, to)| bytes.get_mut(from..to)) {
                self.file.read_exact_at(room, from)?;
                done = to;
            }
        }
        Ok(bytes)
    }

    /// The file with the symbols of a build, where the distribution's package is installed.
    pub(super) fn debug(&self, build: &[u8]) -> Option<Vec<u8>> {
        let digits: String = build.iter().map(|byte| format!("{byte:02x}")).collect();
        let (folder, rest) = digits.split_at_checked(2)?;
        let path = self.root.join("usr/lib/debug/.build-id").join(folder).join(format!("{rest}.debug"));
        let file = File::open(path).ok()?;
        if file.metadata().ok()?.len() > IMAGE_BYTES {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(IMAGE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// The executable of a process and those of its libraries that may speak TLS. What cannot be opened any more is left
/// out: the process has ended.
pub(super) fn code(pid: u32) -> Vec<Code> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let mut found = Vec::new();
    let exe = format!("/proc/{pid}/exe");
    let name = fs::read_link(&exe).unwrap_or_default();
    if let Ok(code) = File::open(&exe).and_then(|file| Code::of(file, name, true, root.clone())) {
        found.push(code);
    }
    let maps = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()?.maps().ok());
    for map in maps.into_iter().flatten() {
        let MMapPath::Path(path) = &map.pathname else { continue };
        let (from, to) = map.address;
        if !map.perms.contains(MMPermissions::EXECUTE) || !speaks(path, to - from) {
            continue;
        }
        // The mapping itself, whatever the name means by now; where that is not allowed, by name in its own mounts.
        let file = File::open(format!("/proc/{pid}/map_files/{from:x}-{to:x}"))
            .or_else(|_| File::open(root.join(path.strip_prefix("/").unwrap_or(path))));
        if let Ok(code) = file.and_then(|file| Code::of(file, path.clone(), false, root.clone()))
            && found.iter().all(|other: &Code| other.key != code.key)
        {
            found.push(code);
        }
    }
    // The likely ones first: while the others are searched, the process goes on. A distribution links its libraries to
    // a TLS library of its own.
    found.sort_by_key(|code| match code {
        Code { executable: true, .. } => 0,
        Code { name, .. } if named(name) => 1,
        Code { name, .. } if ["/usr/lib", "/lib"].into_iter().any(|folder| name.starts_with(folder)) => 3,
        Code { .. } => 2,
    });
    found
}

/// Whether a process has a library of this name in its memory.
pub(super) fn holds(pid: u32, library: &str) -> bool {
    let maps = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()?.maps().ok());
    let named = |path: &Path| path.file_name().is_some_and(|name| name == library);
    maps.into_iter().flatten().any(|map| matches!(&map.pathname, MMapPath::Path(path) if named(path)))
}

/// Whether a library may speak TLS: by its name, or because it has so much code that a TLS library may be linked into
/// it, as in Python's wheels. Looking into one takes some milliseconds.
fn speaks(path: &Path, code_bytes: u64) -> bool {
    code_bytes >= LINKED_CODE_BYTES || named(path)
}

/// Whether a library's name says that it speaks TLS.
fn named(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    ["ssl", "tls"].into_iter().any(|word| name.contains(word))
}

/// The least code of a library with TLS in it: BoringSSL, OpenSSL and rustls each have twice as much.
const LINKED_CODE_BYTES: u64 = 512 * 1024;

/// The system's libraries that speak TLS: what is started next will most likely use one of them.
pub(super) fn system() -> Vec<Code> {
    const FOLDERS: [&str; 6] = [
        "/usr/lib/x86_64-linux-gnu",
        "/lib/x86_64-linux-gnu",
        "/usr/lib64",
        "/lib64",
        "/usr/lib",
        "/usr/local/lib",
    ];
    let mut found: Vec<Code> = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if !(name.starts_with("libssl.so") || name.starts_with("libgnutls.so")) {
                continue;
            }
            if let Ok(code) = Code::open(&path)
                && found.iter().all(|other| other.key != code.key)
            {
                found.push(code);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_executable_is_found_whatever_its_name_means() {
        let found = code(std::process::id());
        let own = Code::open(&std::env::current_exe().unwrap()).unwrap();
        assert!(found.iter().any(|code| code.executable && code.key == own.key));
        assert_eq!(found.iter().filter(|code| code.executable).count(), 1);
    }

    #[test]
    fn what_is_left_out_of_a_file_is_never_looked_at() {
        let mut files = system();
        files.extend(code(std::process::id()));
        let look = |bytes: &[u8]| trackway_image::look(bytes, |_| None).unwrap();
        assert!(files.iter().any(|code| !look(&fs::read(&code.name).unwrap()).libraries.is_empty()));
        for code in files {
            let (whole, parts) = (fs::read(&code.name).unwrap(), code.read().unwrap());
            assert_eq!(look(&parts), look(&whole), "{}", code.name.display());
            if code.executable && code.name == std::env::current_exe().unwrap() {
                // This very program has debug information, or the test shows nothing.
                assert!(
                    parts.iter().filter(|byte| **byte == 0).count()
                        > whole.iter().filter(|byte| **byte == 0).count()
                );
            }
        }
    }

    #[test]
    fn names_and_sizes_tell_which_libraries_may_speak() {
        for (name, code_bytes, may) in [
            ("/usr/lib/x86_64-linux-gnu/libssl.so.3", 1, true),
            ("/opt/x/libssl-1f2e.so.1.1", 1, true),
            ("/usr/lib/libgnutls.so.30", 1, true),
            ("/opt/x/_wrapper.abi3.so", 3 << 20, true),
            ("/usr/lib/libz.so.1", 70 << 10, false),
        ] {
            assert_eq!(speaks(Path::new(name), code_bytes), may, "{name}");
        }
    }
}
