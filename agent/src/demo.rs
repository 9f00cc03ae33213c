//! `trackway demo`: a small scripted agent and an embedded provider, seen through the same path as any agent.
//!
//! Three processes, all of them this binary: the provider speaks OpenAI's Chat Completions over TLS on loopback as
//! `api.openai.com`, under an authority of its own; the agent asks it, runs two tools and answers; and we record.
//! Nothing leaves the machine and nothing is asked for.

pub mod agent;
pub mod provider;

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::app::{self, Extra};
use crate::cli::{Demo, Output, Run};
use crate::launch;
use crate::store::place;

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded provider did not start.
    #[error("cannot start the embedded provider: {0}")]
    Provider(#[source] io::Error),
    /// As any run.
    #[error(transparent)]
    Run(#[from] app::Error),
}

impl Error {
    /// The exit code.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Provider(_) => 125,
            Error::Run(error) => error.exit_code(),
        }
    }
}

/// The name that the provider answers to.
const HOST: &str = "api.openai.com";

/// Shows it. Returns the exit code.
pub fn run(options: &Demo) -> Result<i32, Error> {
    let itself = std::env::current_exe().map_err(Error::Provider)?;
    // It ends with the pipe on its standard input, which goes when we go.
    let mut provider = Command::new("/proc/self/exe")
        .arg0("trackway")
        .arg(provider::VERB)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::Provider)?;
    let stdin = provider.stdin.take();
    let (port, root) = introduction(provider.stdout.take()).map_err(Error::Provider)?;

    let run = Run {
        command: vec![itself.into(), agent::VERB.into(), format!("127.0.0.1:{port}").into()],
        output: Output {
            name: Some("demo-agent".to_owned()),
            no_color: options.no_color,
            ..Output::default()
        },
        explicit: options.explicit,
        ..Run::default()
    };
    let status = app::observe(&run, Extra { roots: vec![root], lead: None, local: true });
    drop(stdin);
    provider.wait().ok();
    let status = status?;
    let again = place::of(None).map_or("", |_| "This run again:         trackway show last\n");
    writeln!(
        io::stderr(),
        "\n{again}Now your own agent:     sudo trackway run -- python agent.py\n\
         And to a collector:     sudo trackway run --otlp http://localhost:4317 -- python agent.py"
    )
    .ok();
    Ok(launch::end_like(status))
}

/// The provider's first words: its port, then the certificate of its authority.
fn introduction(output: Option<std::process::ChildStdout>) -> io::Result<(u16, CertificateDer<'static>)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut output = BufReader::new(output.ok_or_else(invalid)?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let port = line.trim().parse().map_err(|_| invalid())?;
    let mut pem = String::new();
    while !pem.contains("-----END CERTIFICATE-----") {
        if output.read_line(&mut pem)? == 0 {
            return Err(invalid());
        }
    }
    Ok((port, CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| invalid())?))
}
