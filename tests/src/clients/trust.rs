//! How each client comes to trust the provider without Trackway.
//!
//! The namespace's system store holds the provider's root, and most clients look there. Others are told by what
//! an operator would set for them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Client;
use crate::job::Job;

impl Client {
    /// `job` with the client's own configuration; `certs` is the namespace's store.
    pub(crate) fn trusting(self, job: Job, certs: &Path) -> Result<Job> {
        let root = certs.join("mock-provider.pem");
        let bundle = certs.join("ca-certificates.crt");
        let job = job.env("NODE_EXTRA_CA_CERTS", &root).env("REQUESTS_CA_BUNDLE", bundle);
        Ok(match self {
            Self::Go { .. } | Self::Rustls => job.env("SSL_CERT_FILE", root),
            Self::Java => {
                let store = java(&root, job.folder())?;
                job.env("JAVA_TOOL_OPTIONS", format!("-Djavax.net.ssl.trustStore={store}"))
            }
            _ => job,
        })
    }
}

/// A store for Java with `root` in it.
fn java(root: &Path, folder: &Path) -> Result<String> {
    let store = folder.join("trust.jks");
    let mut keytool = Command::new("keytool");
    keytool.args(["-importcert", "-noprompt", "-alias", "mock", "-storetype", "JKS", "-storepass"]);
    let output = keytool.arg("changeit").arg("-file").arg(root).arg("-keystore").arg(&store).output();
    let output = output.context("starting keytool")?;
    ensure!(output.status.success(), "keytool: {}", String::from_utf8_lossy(&output.stdout));
    Ok(store.to_string_lossy().into_owned())
}
