//! What a process would let the tap read, found out without setting a probe.

use std::io;
use std::path::{Path, PathBuf};

use super::images::Found;
use super::maps::{self, Code};

/// A file of code that a process has in its memory, and that may speak TLS.
#[derive(Debug)]
pub struct Candidate(Code);

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// As the process calls it.
    pub path: PathBuf,
    /// Libraries that can be read.
    pub found: Vec<Found>,
    /// What looks like TLS and cannot be read, and why.
    pub refused: Vec<String>,
}

impl Candidate {
    /// As the process calls it.
    pub fn path(&self) -> &Path {
        &self.0.name
    }

    /// Its length.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Searches it. That takes seconds where it is large.
    pub fn look(&self) -> Looked {
        let path = self.0.name.clone();
        match self.0.look() {
            Ok(image) => Looked {
                path,
                found: image.libraries.iter().map(Found::of).collect(),
                refused: image.refused.into_iter().map(|refusal| refusal.reason).collect(),
            },
            Err(why) => Looked { path, found: Vec::new(), refused: vec![why] },
        }
    }
}

/// The files of a process, its executable first.
///
/// # Errors
/// When the executable may not be opened: the process is another user's, it has ended, or it is the kernel's own.
pub fn candidates(pid: u32) -> io::Result<Vec<Candidate>> {
    std::fs::File::open(format!("/proc/{pid}/exe"))?;
    Ok(maps::code(pid).into_iter().map(Candidate).collect())
}

/// Whether a Java machine runs in a process: it speaks TLS in code of its own, which no file holds.
pub fn is_java(pid: u32) -> bool {
    maps::holds(pid, "libjvm.so")
}
