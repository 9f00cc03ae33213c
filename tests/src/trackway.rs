//! The binary under test.

use std::env;
use std::path::{Path, PathBuf};

use crate::collector::Collector;
use crate::job::Job;
use crate::namespace::BINARY;

/// The binary: `TRACKWAY_BIN`, else the release build of this workspace.
pub(crate) fn built() -> PathBuf {
    let release = || {
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
        target.join("release/trackway")
    };
    env::var_os("TRACKWAY_BIN").map_or_else(release, PathBuf::from)
}

/// How a run is asked for.
#[derive(Clone, Debug, Default)]
pub struct Run {
    options: Vec<String>,
    protocol: Option<&'static str>,
}

impl Run {
    /// A run that reports everything to `collector`.
    pub fn to(collector: &Collector) -> Self {
        Self::to_address(&collector.endpoint()).protocol(collector.protocol().name())
    }

    /// A run that reports everything to a backend whose address says its protocol.
    pub fn to_address(url: &str) -> Self {
        Self::default().option("--otlp").option(url).option("--content").option("full")
    }

    /// A run without a collector.
    pub fn silent() -> Self {
        Self::default()
    }

    /// One more word before the `--`.
    pub fn option(mut self, word: &str) -> Self {
        self.options.push(word.to_owned());
        self
    }

    fn protocol(mut self, name: &'static str) -> Self {
        self.protocol = Some(name);
        self
    }

    /// The job, wrapped.
    pub fn of(&self, job: Job) -> Job {
        let words = [BINARY.to_owned(), "run".to_owned()]
            .into_iter()
            .chain(self.options.clone())
            .chain(["--".to_owned()]);
        self.speaking(job.under(words.collect::<Vec<_>>()))
    }

    /// A watch over the processes that `words` name; `folder` has a `home` for it.
    pub fn attach(&self, words: &[&str], folder: &Path) -> Job {
        let words = [BINARY, "attach"].iter().chain(words).map(|word| (*word).to_owned());
        self.speaking(Job::new(words.chain(self.options.clone()), folder))
    }

    fn speaking(&self, job: Job) -> Job {
        match self.protocol {
            Some(name) => job.env("OTEL_EXPORTER_OTLP_PROTOCOL", name),
            None => job,
        }
    }
}
