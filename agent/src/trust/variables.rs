//! The variables through which runtimes accept a certificate authority.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Error;
use super::bundle::Bundle;
use super::system;

/// The runtime's own roots stay, the file adds to them: our certificate alone.
const ADDING: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// The file takes the place of the runtime's roots: the system's and ours.
const REPLACING: [&str; 6] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CODEX_CA_CERTIFICATE",
];

/// Only where the user has set them, because they would override one of the above.
const MERGED: [&str; 7] = [
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
];

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// The files that the variables may point at.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The system's roots and ours; `None` where the system has none: a default is not replaced by nothing.
    pub combined: Option<&'a PathBuf>,
    /// Ours alone.
    pub alone: &'a PathBuf,
    /// A directory with ours under its hash.
    pub hashed: &'a Path,
    /// The system's own bundles, links resolved: a variable that names one of them names the default.
    pub system: &'a [PathBuf],
}

/// Chooses the variables. `current` gives what the user has set; `merge` writes their bundle with ours added.
///
/// A file that the user named and that cannot be read is left as it is: what fails without us fails with us.
pub fn choose(
    files: &Files<'_>,
    current: impl Fn(&str) -> Option<OsString>,
    mut merge: impl FnMut(&str, Bundle) -> Result<PathBuf, Error>,
) -> Result<Vec<(OsString, OsString)>, Error> {
    let mut out: Vec<(OsString, OsString)> = Vec::new();
    let current = |name: &str| current(name).filter(|value| !value.is_empty());
    let defaults = ADDING
        .iter()
        .map(|name| (*name, Some(files.alone)))
        .chain(REPLACING.iter().map(|name| (*name, files.combined)))
        .chain(MERGED.iter().map(|name| (*name, None)));
    let directories = current(DIRECTORY);
    for (name, default) in defaults {
        match current(name) {
            Some(theirs) => {
                if let (Some(combined), true) = (files.combined, names(files.system, &theirs)) {
                    out.push((name.into(), combined.into()));
                } else if let Some(bundle) = readable(&theirs) {
                    out.push((name.into(), merge(name, bundle)?.into()));
                }
            }
            // OpenSSL reads the file beside the directory, rustls and Go would otherwise read the directory
            // alone: setting the file too would add roots that the user left out.
            None if name == FILE && directories.is_some() => {}
            None => out.extend(default.map(|path| (name.into(), path.into()))),
        }
    }
    if let Some(mut directories) = directories {
        directories.push(":");
        directories.push(files.hashed);
        out.push((DIRECTORY.into(), directories));
    }
    Ok(out)
}

fn names(system: &[PathBuf], path: &OsStr) -> bool {
    std::fs::canonicalize(path).is_ok_and(|path| system.contains(&path))
}

/// What a variable names: a bundle, or for some runtimes a directory.
fn readable(path: &OsStr) -> Option<Bundle> {
    let path = Path::new(path);
    if path.is_dir() { Some(system::directory(path)) } else { Bundle::read(path).ok() }
}
