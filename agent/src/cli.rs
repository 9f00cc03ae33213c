//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use trackway_core::limits::SHORTEST_ATTRIBUTE;
use trackway_core::run::Scope;
use trackway_core::telemetry::Content;

mod stored;

pub use self::stored::{Export, Find, Order, Runs, Show, Standing, Top, Where};

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
  trackway top                                   Watch all runs as they go on
  trackway runs --failed --since 2h              Which runs failed of late
  trackway show last                             The latest run as a tree
  trackway find \"connection refused\"            Where something was said, in all runs
  trackway decode capture.har                    What a recorded capture meant: no kernel needed
  trackway doctor                                What this machine allows, and the remedies
  sudo trackway doctor --pid 4711                What can be read of a process that runs already";

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

The run is also kept on this machine, for 7 days: see trackway runs, show, find and export.

A collector is also taken from OTEL_EXPORTER_OTLP_ENDPOINT and its relatives, as OpenTelemetry specifies them.
Metrics go with the trace, unless OTEL_METRICS_EXPORTER=none.";

const ATTACH_EXAMPLES: &str = "\
The processes go on as before: nothing stands in the way of their connections, and no certificate is involved. \
Probes stand in the functions by which they hand their bytes to TLS: OpenSSL, BoringSSL (Node, Bun), GnuTLS, Go, \
rustls with symbols. HTTP in the clear is read from the sockets. Java, and rustls without symbols, cannot be read so: \
their connections are reported as unread, and trackway run reads them as a proxy.

Each process that matches is a run of its own, with all that it starts. Ctrl-C ends the watching, and nothing else.

Examples:
  sudo trackway attach --pid 4711
  sudo trackway attach --comm agent.py --otlp http://localhost:4317
  sudo trackway attach --all --quiet &  trackway top
  trackway doctor --pid 4711                     What can be read of one process, and why

Needs root, Linux 5.15 or later, and x86-64.";

const DOCTOR_EXAMPLES: &str = "\
Without --pid: what the machine allows, line by line, with the remedy where something is missing.

With --pid: the process's executable, whose files it sees, each TLS library in it with the number of places where a \
probe would stand (and how many of them the kernel emulates, which costs a fraction of the others), what could not \
be read and why, where its connections go, and then two answers. tap: yes, partly or no, is trackway attach, without \
a restart. proxy: is trackway run, which needs one. Nothing is changed in the process. A large executable takes some \
seconds to be searched.

Examples:
  trackway doctor
  sudo trackway doctor --pid 4711
  sudo trackway doctor --pid $(pgrep -n node) --json | jq .tap

Exit code: 0; 1 where trackway run does not work at all, or where there is no such process.";

// A paragraph is one line, so that it is wrapped to the terminal.
const DECODE_EXAMPLES: &str = "\
A file is an HTTP archive (HAR 1.2: the network panel of a browser, mitmproxy, Charles, Proxyman, Playwright) or \
holds one recorded exchange per line, as a JSON object with method, path, provider_host, scheme, status, \
request_headers, request_body, response_headers and response_body; a body is text, or base64 where \
request_body_encoding or response_body_encoding says so. Both may be compressed with gzip. What a file is shows \
in its bytes, not in its name. Save an archive with content: without bodies there is nothing to read.

Without --json: one line for each AI call, and the totals. A number that the answer does not state stays empty; 0 \
is what the provider said. What is no AI call is counted by host.

With --json: one object per call, on one line: id, kind (llm, mcp, a2a or none), provider, api_format, operation, \
stream, request_model, response_model, response_id, input_tokens_total (cached tokens included), \
output_tokens_total (reasoning included), cached_input_tokens, cache_creation_input_tokens, reasoning_tokens, \
finish_reasons, tool_calls, tool_results_in_request, output_text, conversation_id, previous_response_id, user, \
error, complete, cost_usd, faults. null is what the bytes do not say. An exchange without an id of its own is \
FILE#NUMBER, counted from 1.

With --runs: one object per run, on one line: run_id, exchange_ids, links (from, to, and the rule that found it: \
previous_response_id, tool_call_id, name_and_order, history, ...) and tool_calls (tool_call_id, name, arguments, \
produced_by, executed_by, consumed_by, matched_on). Exchanges belong in the order in which they ended. Where nothing \
tells two candidates apart, nothing is tied.

Messages are printed as the file holds them: nothing is redacted.

Examples:
  trackway decode session.har
  trackway decode --json exchanges.jsonl.gz | jq -s 'map(.output_tokens_total) | add'
  trackway decode --runs session.har | jq '.links'
  trackway decode --json *.har | jq -r '.tool_calls[]? | [.name, .arguments] | @json'
  zstdcat session.har.zst | trackway decode -

Exit code: 0; 1 where a file, a line or an entry could not be read (the others are printed all the same); 2 where \
the command line is wrong.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a command and turn what it does into one trace
    Run(Box<Run>),
    /// Read what processes do that run already, without a restart and without a certificate
    Attach(Box<Attach>),
    /// Show a small agent on an embedded provider: no key, no root, no network
    Demo(Demo),
    /// Watch the runs of this machine as they go on: steps, tokens, cost, the tool in hand, loops
    Top(Top),
    /// List the runs of this machine: newest first, or by what is known of them
    Runs(Box<Runs>),
    /// Show a stored run as a tree, or one of its spans
    Show(Show),
    /// Find text in all stored runs: messages, arguments, results, errors
    Find(Find),
    /// Write a stored run as OTLP JSON lines, or as an HTTP archive
    Export(Export),
    /// Read recorded exchanges (JSON lines, HAR) and print what they meant
    Decode(Decode),
    /// Say what this kernel, these privileges and this environment allow, with the remedies
    Doctor(Doctor),
}

/// The size of the tap's ring buffer: a power of two, as the kernel wants it.
fn tap_bytes(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(bytes) if (1 << 20..=1 << 30).contains(&bytes) => Ok(bytes.next_power_of_two()),
        _ => Err("it takes a number of bytes from 1048576 (1 MiB) to 1073741824 (1 GiB)".to_owned()),
    }
}

/// Where what was seen goes, and in which form.
#[derive(Clone, Debug, Default, Args)]
pub struct Output {
    /// Send the trace to a collector (OTLP over gRPC, or over HTTP where the port is 4318 or the protocol says so)
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Write the trace to a file, in the JSON lines of the OTLP file format
    #[arg(long, value_name = "FILE")]
    pub otlp_file: Option<PathBuf>,
    /// How much of messages, arguments and results is shown [default: full here, metadata for a collector]
    #[arg(long, value_name = "HOW MUCH")]
    pub content: Option<HowMuch>,
    /// Names in which the collector gets the trace, separated by commas: compat is always there, the others add to
    /// it. Keep compat alone for Langfuse: it shows the messages of openinference and legacy in place of its own
    /// view of chats, and counts genai-0.1's cache writes twice
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = crate::settings::SEMCONV)]
    pub semconv: Vec<Semconv>,
    /// Longest attribute that the collector gets; longer JSON stays valid [Grafana Tempo takes 2048]
    #[arg(long, value_name = "BYTES", value_parser = attribute_bytes)]
    pub attribute_bytes: Option<usize>,
    /// Prices that come before the built-in ones: a JSON file, see the README
    #[arg(long, value_name = "FILE", env = crate::settings::PRICES)]
    pub prices: Option<PathBuf>,
    /// What makes one trace [default: auto]
    #[arg(long, value_name = "WHAT", env = crate::settings::SCOPE, hide_env_values = true)]
    pub scope: Option<Trace>,
    /// The agent's name in the trace [default: the command's own]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep the run in this file instead of the user's own store; see trackway runs --help
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Keep the run in no store [also: TRACKWAY_STORE=none]
    #[arg(long)]
    pub no_store: bool,
    /// Days after which the store lets a run go [default: 7]
    #[arg(long, value_name = "DAYS", env = crate::settings::STORE_DAYS)]
    pub store_days: Option<u32>,
    /// Bytes that the store may take; the oldest runs go first [default: 2 GiB]
    #[arg(long, value_name = "BYTES", env = crate::settings::STORE_BYTES)]
    pub store_bytes: Option<u64>,
    /// Show no tree and no notes, only errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway run`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct Run {
    /// Where it goes.
    #[command(flatten)]
    pub output: Output,
    /// Read TLS inside the command's processes instead of standing in the way: no certificate, no proxy. Needs root
    #[arg(long, conflicts_with_all = ["explicit", "rewrite"], env = crate::settings::TAP, hide_env_values = true)]
    pub tap: bool,
    /// Bytes that the kernel holds for --tap until they are read; what does not fit is counted [default: 32 MiB]
    #[arg(long, value_name = "BYTES", value_parser = tap_bytes, env = crate::settings::TAP_BYTES, hide_env_values = true)]
    pub tap_bytes: Option<u32>,
    /// Let Trackway act on requests to this host (adds traceparent) instead of relaying them untouched; repeatable
    #[arg(long, value_name = "HOST")]
    pub rewrite: Vec<String>,
    /// Do as without root: tell the command of a proxy by its environment
    #[arg(long)]
    pub explicit: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `trackway attach`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = ATTACH_EXAMPLES)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["pid", "comm", "all"])))]
pub struct Attach {
    /// This process and what it starts; repeatable
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Every process of this name, those to come too: the program's, or that of its script; repeatable
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// Every process of the machine, from its first TLS connection on
    #[arg(long)]
    pub all: bool,
    /// Bytes that the kernel holds until they are read; what does not fit is counted [default: 32 MiB]
    #[arg(long, value_name = "BYTES", value_parser = tap_bytes, env = crate::settings::TAP_BYTES, hide_env_values = true)]
    pub tap_bytes: Option<u32>,
    /// Where it goes.
    #[command(flatten)]
    pub output: Output,
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

/// `trackway decode`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = DECODE_EXAMPLES)]
pub struct Decode {
    /// HTTP archives, or files with one exchange per line; - is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON object per exchange
    #[arg(long)]
    pub json: bool,
    /// One JSON object per run: the exchanges that belong together, and what ties them
    #[arg(long, conflicts_with_all = ["json", "all"])]
    pub runs: bool,
    /// Prices that come before the built-in ones: a JSON file, see the README
    #[arg(long, value_name = "FILE", env = crate::settings::PRICES)]
    pub prices: Option<PathBuf>,
    /// Also a line for each exchange that is no AI call
    #[arg(long, conflicts_with = "json")]
    pub all: bool,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway doctor`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub struct Doctor {
    /// Say what of this process can be read, by which way, and why not the rest; nothing is attached
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `--scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trace {
    /// The command and all that it starts
    Process,
    /// Each conversation with a model, with all that was done for it: for servers
    Conversation,
    /// Conversations where the process listens for connections from other machines, else the command
    Auto,
}

impl From<Trace> for Scope {
    fn from(trace: Trace) -> Self {
        match trace {
            Trace::Process => Scope::Process,
            Trace::Conversation => Scope::Conversation,
            Trace::Auto => Scope::Auto,
        }
    }
}

/// `--content`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HowMuch {
    /// Names, counts, times and ids
    None,
    /// Also what was done: command lines, URLs
    Metadata,
    /// Also what was said: messages, arguments, results
    Full,
}

/// `--semconv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Semconv {
    /// OpenTelemetry's GenAI conventions v1.41, which most backends read
    Compat,
    /// Those of v0.1.0: other names for metrics and for tokens written to a cache
    #[value(name = "genai-0.1")]
    Genai01,
    /// OpenInference: Phoenix, Arize
    Openinference,
    /// What came before v1.37, and OpenLLMetry
    Legacy,
}

fn attribute_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes >= SHORTEST_ATTRIBUTE => Ok(bytes),
        _ => Err(format!("it takes a number of bytes, {SHORTEST_ATTRIBUTE} or more")),
    }
}

impl From<HowMuch> for Content {
    fn from(much: HowMuch) -> Self {
        match much {
            HowMuch::None => Content::None,
            HowMuch::Metadata => Content::Metadata,
            HowMuch::Full => Content::Full,
        }
    }
}
