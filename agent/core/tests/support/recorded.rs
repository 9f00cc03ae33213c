//! Where recorded traffic lies, and its lines.
//!
//! It lies beside the repository and is not part of it. `TRACKWAY_RECORDINGS` says where else; with that, or with
//! `CI`, it must be there.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;

/// The folder, where it holds that file.
pub(crate) fn folder(file: &str) -> Option<PathBuf> {
    let asked = std::env::var_os("TRACKWAY_RECORDINGS").map(PathBuf::from);
    let required = asked.is_some() || std::env::var_os("CI").is_some();
    let folder =
        asked.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"));
    let found = folder.join(file).exists();
    assert!(found || !required, "no recordings in {}", folder.display());
    if !found {
        println!("skipped: no recordings in {}", folder.display());
    }
    found.then_some(folder)
}

/// The lines of a compressed file.
pub(crate) fn lines(path: PathBuf) -> impl Iterator<Item = Vec<u8>> {
    BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())).split(b'\n').map(|line| line.unwrap())
}
