//! What brings the command's connections to us: the kernel as root, the environment without.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};

use crate::cli::Run;
use crate::guard::Traces;
use crate::trust::Trust;

use super::Extra;
use super::record::Source;

/// Why nothing can be captured at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No listener on loopback.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[source] std::io::Error),
}

/// The running capture.
#[derive(Debug, Default)]
pub(super) struct Capture {
    notice: Option<String>,
    notes: Vec<String>,
    told: Vec<TcpListener>,
    variables: Vec<(OsString, OsString)>,
}

impl Capture {
    /// Starts it.
    pub(super) fn start(
        _options: &Run,
        _extra: Extra,
        _traces: &mut Traces,
    ) -> Result<(Self, Trust), super::Error> {
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Listen)?;
        Ok((Self::default(), Trust::default()))
    }

    /// The line that is said before the command starts.
    pub(super) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// What is said at the end.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The listeners that the command's programs are told of.
    pub(super) fn told(&self) -> &[TcpListener] {
        &self.told
    }

    /// The variables that tell of them.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        self.variables.clone()
    }

    /// Where the recorder reads.
    pub(super) fn source(&self) -> Source {
        Source { feed: None, kernel: None }
    }

    /// Ends it. What was lost, as a line.
    pub(super) fn finish(self) -> Option<String> {
        None
    }
}
