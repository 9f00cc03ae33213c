//! Where distributions keep their certificates.

use std::fs;
use std::path::{Path, PathBuf};

use super::bundle::Bundle;
use crate::limits::CERTIFICATE_FILES;

/// One file with all roots: Debian and Arch, Fedora, openSUSE, Alpine.
const BUNDLES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-bundle.crt",
];

/// Directories that OpenSSL searches by the hash of the subject.
const HASHED: [&str; 3] =
    ["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted/pem/directory-hash"];

/// The stores that exist here, links resolved, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Bundles, the best first.
    pub files: Vec<PathBuf>,
    /// Directories.
    pub hashed: Vec<PathBuf>,
}

impl Store {
    /// Looks for them.
    pub fn find() -> Self {
        let mut store = Self::default();
        for path in BUNDLES.iter().filter_map(|path| fs::canonicalize(path).ok()) {
            if path.is_file() && !store.files.contains(&path) {
                store.files.push(path);
            }
        }
        for path in HASHED.iter().filter_map(|path| fs::canonicalize(path).ok()) {
            if path.is_dir() && !store.hashed.contains(&path) {
                store.hashed.push(path);
            }
        }
        store
    }

    /// All of the system's roots.
    pub fn bundle(&self) -> Bundle {
        let files = self.files.iter().filter_map(|path| Bundle::read(path).ok());
        files.into_iter().find(|bundle| !bundle.certificates.is_empty()).unwrap_or_else(|| {
            self.hashed
                .iter()
                .map(|path| directory(path))
                .find(|b| !b.certificates.is_empty())
                .unwrap_or_default()
        })
    }
}

/// The certificates of a directory such as `SSL_CERT_DIR` names.
pub fn directory(path: &Path) -> Bundle {
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .map(|entries| entries.filter_map(|entry| fs::canonicalize(entry.ok()?.path()).ok()).collect())
        .unwrap_or_default();
    // A directory by hash holds each certificate as a file and again as a link.
    files.sort_unstable();
    files.dedup();
    let mut all = Bundle::default();
    for file in files.into_iter().filter(|file| file.is_file()).take(CERTIFICATE_FILES) {
        if let Ok(bundle) = Bundle::read(&file) {
            all.append(bundle);
        }
    }
    all
}
