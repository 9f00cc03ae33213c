//! `--otlp-file`: OTLP as JSON lines, after the OTLP File Exporter specification. One line holds one
//! `ExportTraceServiceRequest`; when the run ends, one more its metrics (`ExportMetricsServiceRequest`).
//!
//! The file is appended to: every line stands for itself, so a second run must not destroy the first one's
//! trace. Each batch is one `write(2)` to a file opened with `O_APPEND`, so lines of two runs do not mix,
//! and SIGKILL loses no more than the batch in hand.

use std::fs::{File as OsFile, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trackway_core::metrics::{Metrics, Naming, Temporality};
use trackway_core::run::Totals;
use trackway_core::telemetry::{Content, Span};

use super::{Sink, translate};
use crate::app::now;

/// Why the file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `-` would mix the trace into what the command prints.
    #[error("`--otlp-file -` would mix the trace into the command's own output; name a file, or /dev/stderr")]
    Stdout,
    /// The file cannot be opened.
    #[error("cannot open {} for the trace: {source}; name a file in a folder that you may write to", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    file: OsFile,
    policy: Content,
    metrics: Option<Metrics>,
    lost: u64,
    written: u64,
    reason: Option<String>,
}

impl File {
    /// Opens the file, and makes it where it is not there: readable by its owner alone, since content may
    /// go into it. With `metrics`, those of the run are counted too.
    pub fn open(path: &Path, policy: Content, metrics: bool) -> Result<Self, Error> {
        if path.as_os_str() == "-" {
            return Err(Error::Stdout);
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let metrics = metrics.then(|| Metrics::new(now(), Naming::Compat, Temporality::Cumulative));
        Ok(Self { path: path.to_owned(), file, policy, metrics, lost: 0, written: 0, reason: None })
    }

    fn try_write(&mut self, spans: &[Span]) -> io::Result<()> {
        let spans = spans.iter().map(|span| translate::span(span, self.policy)).collect();
        self.line(&translate::request(spans, self.policy, translate::SCHEMA_URL))
    }

    fn try_write_metrics(&mut self) -> io::Result<()> {
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let points = metrics.report(now());
        if points.is_empty() {
            return Ok(());
        }
        let request = translate::points::request(&points, metrics.temporality(), translate::SCHEMA_URL);
        self.line(&request)
    }

    fn line(&mut self, request: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

impl Sink for File {
    fn shows(&self) -> Content {
        self.policy
    }

    fn write(&mut self, spans: &[Span]) {
        if spans.is_empty() {
            return;
        }
        self.written += spans.len() as u64;
        if let Some(metrics) = &mut self.metrics {
            spans.iter().for_each(|span| metrics.span(span));
        }
        if let Err(error) = self.try_write(spans) {
            self.lost += spans.len() as u64;
            self.reason = Some(error.to_string());
        }
    }

    fn finish(&mut self, _totals: &Totals) -> Vec<String> {
        let mut lines = Vec::new();
        let metrics = self.try_write_metrics();
        let path = self.path.display();
        if let Some(reason) = &self.reason {
            lines.push(format!(
                "{} of {} spans were not written to {path}: {reason}",
                self.lost, self.written
            ));
        }
        if let Err(reason) = metrics {
            lines.push(format!("the metrics were not written to {path}: {reason}"));
        }
        lines
    }
}
