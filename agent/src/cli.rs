//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use trackway_core::telemetry::Content;

/// Trackway reads the trail of an AI agent: one command, one trace, no change to its code.
#[derive(Debug, Parser)]
#[command(name = "trackway", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  trackway demo                                  See it work: no key, no root, no network
  sudo trackway run -- python agent.py           The whole run as one trace, with its processes
  trackway run -- node agent.js                  Without root: what honours HTTPS_PROXY is seen
  trackway run --otlp http://localhost:4317 -- codex exec \"fix the tests\"
  trackway doctor                                What this machine allows, and the remedies";

const RUN_EXAMPLES: &str = "\
Everything after -- is the command, run exactly as without Trackway: its exit code, signals, input, output and
terminal are its own. Trackway speaks on stderr, when the command has ended.

Examples:
  sudo trackway run -- python agent.py
  trackway run --otlp http://localhost:4317 -- claude -p \"what changed?\"
  trackway run --otlp-file trace.jsonl --quiet -- ./agent | jq .
  trackway run --content metadata -- codex exec \"fix the tests\"

Exit code: the command's own; 125 where Trackway failed, 126 where the command cannot be executed, 127 where it
was not found. A command ended by a signal ends Trackway by the same signal.

A collector is also taken from OTEL_EXPORTER_OTLP_ENDPOINT and its relatives, as OpenTelemetry specifies them.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a command and turn what it does into one trace
    Run(Box<Run>),
    /// Show a small agent on an embedded provider: no key, no root, no network
    Demo(Demo),
    /// Say what this kernel, these privileges and this environment allow, with the remedies
    Doctor(Doctor),
}

/// `trackway run`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct Run {
    /// Send the trace to a collector (OTLP over gRPC, or over HTTP where the port is 4318 or the protocol says so)
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Write the trace to a file, in the JSON lines of the OTLP file format
    #[arg(long, value_name = "FILE")]
    pub otlp_file: Option<PathBuf>,
    /// How much of messages, arguments and results is shown [default: full here, metadata for a collector]
    #[arg(long, value_name = "HOW MUCH")]
    pub content: Option<Show>,
    /// The agent's name in the trace [default: the command's own]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Let Trackway act on requests to this host (adds traceparent) instead of relaying them untouched; repeatable
    #[arg(long, value_name = "HOST")]
    pub rewrite: Vec<String>,
    /// Do as without root: tell the command of a proxy by its environment
    #[arg(long)]
    pub explicit: bool,
    /// Show no tree and no notes, only errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `trackway demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct Demo {
    /// Do as without root, also as root
    #[arg(long)]
    pub explicit: bool,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway doctor`.
#[derive(Clone, Debug, Default, Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `--content`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// Names, counts, times and ids
    None,
    /// Also what was done: command lines, URLs
    Metadata,
    /// Also what was said: messages, arguments, results
    Full,
}

impl From<Show> for Content {
    fn from(show: Show) -> Self {
        match show {
            Show::None => Content::None,
            Show::Metadata => Content::Metadata,
            Show::Full => Content::Full,
        }
    }
}
