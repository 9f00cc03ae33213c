//! PEM bundles.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::limits::BUNDLE_BYTES;

/// A bundle of certificates: its text as it was, and what is in it.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The file's text. Kept, because formats beside plain certificates (`TRUSTED CERTIFICATE`) are for others.
    pub text: Vec<u8>,
    /// The certificates that could be read.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Bundle {
    /// Reads a file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        File::open(path)?.take(BUNDLE_BYTES).read_to_end(&mut text)?;
        Ok(Self::parse(text))
    }

    /// Reads a text. What is no certificate is passed over, as OpenSSL does.
    pub fn parse(text: Vec<u8>) -> Self {
        let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
        Self { text, certificates }
    }

    /// Adds another bundle's certificates.
    pub fn append(&mut self, other: Bundle) {
        self.end_line();
        self.text.extend(other.text);
        self.certificates.extend(other.certificates);
    }

    /// The text with one more certificate.
    pub fn with(&self, pem: &str) -> String {
        let mut own = self.clone();
        own.end_line();
        format!("{}{pem}", String::from_utf8_lossy(&own.text))
    }

    fn end_line(&mut self) {
        if self.text.last().is_some_and(|byte| *byte != b'\n') {
            self.text.push(b'\n');
        }
    }
}
