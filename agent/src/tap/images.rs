//! What was found in files of code, and which processes use them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Instant;

use trackway_core::flow::Probe;
use trackway_image::{Library, Method, Tls};

use super::maps::Key;
use crate::kernel::Standing;
use crate::limits::{IMAGE_IDLE, IMAGES, TAPPED};

/// A TLS library that was found and is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub library: Library,
    /// Its version, where the file says it.
    pub version: Option<String>,
    /// How its functions were found.
    pub method: Method,
    /// Probes that stand in it.
    pub probes: usize,
    /// Those of them on instructions that the kernel emulates.
    pub cheap: usize,
}

impl Found {
    /// What was found, with a probe for each place.
    pub(super) fn of(tls: &Tls) -> Self {
        Self {
            library: tls.library,
            version: tls.version.clone(),
            method: tls.method,
            probes: tls.hooks.len(),
            cheap: tls.hooks.iter().filter(|hook| hook.emulated).count(),
        }
    }

    /// Its names in telemetry.
    pub fn label(&self) -> Probe {
        Probe { library: library(self.library), method: method(self.method) }
    }
}

fn library(library: Library) -> &'static str {
    match library {
        Library::OpenSsl => "openssl",
        Library::BoringSsl => "boringssl",
        Library::GnuTls => "gnutls",
        Library::Go => "go",
        Library::Rustls => "rustls",
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Dynsym => "dynsym",
        Method::Symtab => "symtab",
        Method::DebugFile => "debug_file",
        Method::Pclntab => "pclntab",
        Method::Signature => "signature",
        Method::CrossReference => "cross_reference",
    }
}

/// A file.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: PathBuf,
    pub(super) found: Vec<Found>,
    pub(super) refused: Vec<String>,
    pub(super) standing: Option<Standing>,
    users: BTreeSet<u32>,
    idle: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Images {
    known: HashMap<Key, Image>,
    /// What stands at each site.
    sites: HashMap<u32, Probe>,
    /// The files of each process, its executable first.
    processes: BTreeMap<u32, Vec<Key>>,
    /// Files and processes that there was no room for.
    pub(super) left: u64,
}

impl Images {
    /// Whether a file was looked into. If so, the process is a user of it from now on.
    pub(super) fn uses(&mut self, pid: u32, key: Key) -> bool {
        let Some(image) = self.known.get_mut(&key) else { return false };
        if pid != 0 {
            if self.processes.len() >= TAPPED && !self.processes.contains_key(&pid) {
                self.left += 1;
                return true;
            }
            image.users.insert(pid);
            image.idle = None;
            let keys = self.processes.entry(pid).or_default();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        true
    }

    /// Whether there is room for one more file.
    pub(super) fn has_room(&mut self) -> bool {
        let room = self.known.len() < IMAGES;
        self.left += u64::from(!room);
        room
    }

    /// Remembers what stands at sites.
    pub(super) fn stands(&mut self, sites: impl Iterator<Item = (u32, Probe)>) {
        self.sites.extend(sites);
    }

    /// What stands at a site.
    pub(super) fn at(&self, site: u32) -> Option<Probe> {
        self.sites.get(&site).copied()
    }

    pub(super) fn insert(
        &mut self,
        key: Key,
        name: PathBuf,
        found: Vec<Found>,
        refused: Vec<String>,
        standing: Option<Standing>,
    ) {
        let image =
            Image { name, found, refused, standing, users: BTreeSet::new(), idle: Some(Instant::now()) };
        self.known.insert(key, image);
    }

    /// A process has ended, or has another image from now on.
    pub(super) fn forget(&mut self, pid: u32) {
        for key in self.processes.remove(&pid).into_iter().flatten() {
            if let Some(image) = self.known.get_mut(&key) {
                image.users.remove(&pid);
                if image.users.is_empty() {
                    image.idle = Some(Instant::now());
                }
            }
        }
    }

    /// Takes out what nobody has used for a while.
    pub(super) fn idle(&mut self) -> Vec<Standing> {
        let idle: Vec<Key> = self
            .known
            .iter()
            .filter(|(_, image)| image.idle.is_some_and(|since| since.elapsed() > IMAGE_IDLE))
            .map(|(key, _)| *key)
            .collect();
        let idle: Vec<Standing> = idle.iter().filter_map(|key| self.known.remove(key)?.standing).collect();
        for site in idle.iter().flat_map(|standing| standing.sites()) {
            self.sites.remove(site);
        }
        idle
    }

    /// The name of a process's executable.
    pub(super) fn executable(&self, pid: u32) -> Option<String> {
        let image = self.known.get(self.processes.get(&pid)?.first()?)?;
        image.name.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// Why nothing of a process is read, in one line.
    pub(super) fn why(&self, pid: u32) -> String {
        let Some(keys) = self.processes.get(&pid) else {
            return "the process ended before it could be looked at".to_owned();
        };
        let images: Vec<&Image> = keys.iter().filter_map(|key| self.known.get(key)).collect();
        let found = images.iter().find(|image| !image.found.is_empty()).map(|image| {
            format!("its bytes did not pass through the functions found in {}", image.name.display())
        });
        let refused = images.iter().find_map(|image| Some((image, image.refused.first()?)));
        let refused = refused.map(|(image, why)| format!("{}: {why}", image.name.display()));
        // Which of two libraries it was is not known.
        let known: Vec<String> = found.into_iter().chain(refused).collect();
        if !known.is_empty() {
            return known.join(", and ");
        }
        match images.first() {
            Some(image) => format!("no TLS function is known in {}", image.name.display()),
            None => "it has no file of code that could be opened".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::maps::Code;
    use super::*;

    #[test]
    fn of_two_libraries_neither_is_blamed_alone() {
        let key = |path: &str| Code::open(std::path::Path::new(path)).unwrap().key;
        let (executable, library) = (key("/proc/self/exe"), key("/bin/sh"));
        let read =
            Found { library: Library::OpenSsl, version: None, method: Method::Dynsym, probes: 1, cheap: 1 };
        let mut images = Images::default();
        images.insert(executable, "/x/agent".into(), vec![read], Vec::new(), None);
        images.insert(library, "/x/wheel.so".into(), Vec::new(), vec!["rustls is in it".to_owned()], None);
        images.uses(7, executable);
        assert_eq!(images.why(7), "its bytes did not pass through the functions found in /x/agent");
        images.uses(7, library);
        assert_eq!(
            images.why(7),
            "its bytes did not pass through the functions found in /x/agent, and /x/wheel.so: rustls is in it"
        );
    }
}
