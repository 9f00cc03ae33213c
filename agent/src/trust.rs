//! What makes the command's programs accept the run's certificate authority, without touching their code.
//!
//! Invariants: nothing that weakens verification is ever set; what replaces a program's default holds that
//! default as well, so that a direct connection still verifies after we are gone; what the user had set is
//! merged, not replaced. Only public certificates are written; the authority's key never leaves memory.

pub mod bundle;
pub mod der;
pub mod java;
pub mod subject;
pub mod system;
pub mod variables;

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use bundle::Bundle;

/// Why no trust could be laid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the run could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The run's authority, as much of it as the outside sees.
#[derive(Clone, Copy, Debug)]
pub struct Anchor<'a> {
    /// As PEM.
    pub pem: &'a str,
    /// As DER.
    pub der: &'a [u8],
}

/// What was laid, and what the command needs of it.
#[derive(Debug, Default)]
pub struct Trust {
    /// Variables for its environment.
    pub variables: Vec<(OsString, OsString)>,
    /// See [`crate::launch::Plan::overlays`].
    pub overlays: Vec<(PathBuf, PathBuf)>,
    /// See [`crate::launch::Plan::binds`].
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Whom the command would trust without us: for verifying origins.
    pub roots: Vec<CertificateDer<'static>>,
    /// One line each, for the user.
    pub notes: Vec<String>,
}

/// Writes the run's certificate files into `folder`, which exists.
///
/// `private` says that the command gets its own view of the file system, so that the system's stores are laid
/// over as well.
pub fn lay(anchor: Anchor<'_>, folder: &Path, private: bool) -> Result<Trust, Error> {
    let mut trust = Trust::default();
    let store = system::Store::find();
    let system = store.bundle();
    if system.certificates.is_empty() {
        trust.notes.push(
            "no certificate store of the system was found, so HTTPS cannot be read; install ca-certificates"
                .to_owned(),
        );
    }
    let folder = Folder { path: folder };

    let combined = folder.write("roots.pem", system.with(anchor.pem).as_bytes())?;
    let alone = folder.write("ca.pem", anchor.pem.as_bytes())?;
    let hashed = folder.directory("hashed")?;
    if let Some(hash) = subject::hash(anchor.der) {
        folder.write(&format!("hashed/{hash}.0"), anchor.pem.as_bytes())?;
    }

    let files = variables::Files {
        combined: (!system.certificates.is_empty()).then_some(&combined),
        alone: &alone,
        hashed: &hashed,
        system: &store.files,
    };
    let mut merged: Vec<Bundle> = Vec::new();
    trust.variables = variables::choose(
        &files,
        |name| std::env::var_os(name),
        |name, theirs| {
            let path = folder
                .write(&format!("{}.pem", name.to_ascii_lowercase()), theirs.with(anchor.pem).as_bytes());
            merged.push(theirs);
            path
        },
    )?;

    let mut covered = Vec::new();
    if private && !system.certificates.is_empty() {
        trust.overlays.extend(store.hashed.iter().map(|directory| (hashed.clone(), directory.clone())));
        for (index, target) in store.files.iter().enumerate() {
            let own = Bundle::read(target).unwrap_or_default();
            let file = folder.write(&format!("system-{index}.pem"), own.with(anchor.pem).as_bytes())?;
            trust.binds.push((file, target.clone()));
        }
        for (index, target) in java::stores().into_iter().enumerate() {
            let Some(own) = fs::read(&target).ok().and_then(|bytes| java::certificates(&bytes)) else {
                continue;
            };
            let keystore = java::keystore(own.iter().map(Vec::as_slice).chain([anchor.der]));
            trust.binds.push((folder.write(&format!("java-{index}.jks"), &keystore)?, target.clone()));
            covered.push(target);
        }
    }
    if let Some(own) = java::uncovered(&covered) {
        // Their union: a Java store may hold what an administrator added to it alone.
        let ders = own.iter().map(Vec::as_slice).chain(system.certificates.iter().map(AsRef::as_ref));
        let keystore = folder.write("java.jks", &java::keystore(ders.chain([anchor.der])))?;
        trust.variables.push(java::variable(&keystore, std::env::var_os(java::VARIABLE)));
    }

    trust.roots = system.certificates;
    for directory in std::env::split_paths(&std::env::var_os("SSL_CERT_DIR").unwrap_or_default()) {
        if !fs::canonicalize(&directory).is_ok_and(|path| store.hashed.contains(&path)) {
            trust.roots.extend(system::directory(&directory).certificates);
        }
    }
    trust.roots.extend(merged.into_iter().flat_map(|bundle| bundle.certificates));
    trust.roots.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    trust.roots.dedup();
    Ok(trust)
}

/// The folder that the run's files are written to. The command may run as another user: all may read.
struct Folder<'a> {
    path: &'a Path,
}

impl Folder<'_> {
    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o444)))
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }

    fn directory(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        fs::create_dir(&path)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
