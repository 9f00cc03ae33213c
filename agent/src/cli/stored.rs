//! The verbs that look into the local store.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::HowMuch;
use crate::settings;

const RUNS_EXAMPLES: &str = "\
Every trackway run is kept on this machine for 7 days, at most 2 GiB in all: root's in /var/lib/trackway/runs.db, a \
user's in ~/.local/state/trackway/runs.db. What each day came to is kept for good.

All conditions must hold. In a name, * stands for anything and letters may be large or small. A time is so long ago \
(90s, 30m, 2h, 7d), today, yesterday, 14:30, 2026-11-24, or \"2026-11-24 14:30\"; it is local unless it ends in Z.

Status: ok; error, the command ended with an error code or by a signal; running; lost, trackway was killed before the \
run ended. A number that is not known is left empty; a cost with + has calls of unknown cost beside it.

Examples:
  trackway runs                                       The latest 20
  trackway runs --failed --since 2h                   What went wrong of late
  trackway runs --failed --tool bash --text timeout   Those that called bash and said timeout
  trackway runs --sort cost --since 7d --limit 5      The five dearest of the week
  trackway runs --model 'claude-*' --min-cost 0.50
  trackway runs --days                                What each day came to, by agent
  trackway runs --json --limit 1000 | jq -s 'map(.cost_usd // 0) | add'

Exit code: 0, also where no run fits; 2 where the command line is wrong; 1 where the store cannot be read.";

const SHOW_EXAMPLES: &str = "\
RUN is the first digits of a run's id, or last: the latest one, be it still running.

Examples:
  trackway show last                     The tree, as it is printed when a run ends
  trackway show 3fa8 --content metadata  Without what was said
  trackway show 3fa8 --ids               With the spans' ids, to look at one of them
  trackway show 3fa8 --span 91c2         Everything that is known of one span
  trackway show last --json | jq 'select(.error)'
  trackway show last --otlp              As trackway run --otlp-file writes it

With --json: one object per span, on one line: trace, span, parent, name, kind, start and end (nanoseconds since \
1970), duration_ms, error (null where nothing failed), attributes, events, resource.

Exit code: 0; 1 where there is no such run or span, or several.";

const FIND_EXAMPLES: &str = "\
Looks at messages, reasoning, arguments and results of tools, instructions, errors, commands and addresses. All the \
words must stand in one text. The last one may be the beginning of a longer word, as may any that ends in *; words in \
double quotes are a phrase. Signs count as spaces; accents and large letters make no difference. What a request \
repeats of its history is found once.

Examples:
  trackway find connection refused              Both words
  trackway find '\"connection refused\"'          Side by side
  trackway find rate limit --since 1d
  trackway find -- --force                      What looks like an option
  trackway find TODO --run last --json | jq -r .snippet

With --json: one object per match, on one line: trace, agent, span, name, time (nanoseconds since 1970), in, snippet \
(what matches between **).

Exit code: 0; 1 where nothing was found, as grep does.";

const EXPORT_EXAMPLES: &str = "\
Writes OTLP JSON lines, which a collector's otlpjsonfile receiver reads, or with --har an HTTP archive. The archive \
holds what a run's spans say of its requests. The bytes that passed are not kept, so no body is a real one: what was \
said stands there as JSON, marked as rebuilt, and what is not known says so in a comment.

Examples:
  trackway export last -o run.jsonl
  trackway export 3fa8 --content metadata | ssh host cat '>>' traces.jsonl
  trackway export 3fa8 --har -o run.har && trackway decode --all run.har";

const TOP_EXAMPLES: &str = "\
Shows every trackway run of this machine that goes on, and the latest that ended: nothing needs to be asked of them, \
and none is disturbed. It is what trackway run keeps in the local store, half a second later; a call is seen when its \
answer has ended.

Doing is the tool that an answer asked for and that has not answered yet, with its arguments; model, where all tools \
have answered; idle, where the last answer asked for nothing. ⟳ marks a run that called the same tools with the same \
arguments again and again. Context is what the latest call read, in tokens, and by how many more than the call before.

Keys: arrows or j and k, Enter opens a run as a tree that grows, / filters by agent or model, s sorts by time, cost or \
tokens, ? explains, Esc goes back, q ends.

Examples:
  trackway top                        In one terminal, while agents run in others
  sudo trackway top                   Runs that were begun with sudo
  trackway top --once | head          One frame as plain text; the same where there is no terminal
  trackway top --json | jq 'select(.status == \"running\") | [.agent, .doing, .tool]'

With --json: one object per run, on one line, as trackway runs --json prints it, and: doing (starting, tool, model, \
idle or ended), doing_since (nanoseconds since 1970), tool, tool_arguments (their beginning), context_tokens, \
context_growth, loops, newest_loop, newest_error.

Exit code: 0; 1 where the store cannot be read.";

/// Which store is looked into.
#[derive(Clone, Debug, Default, Args)]
pub struct Where {
    /// Look into this file instead of the user's own store
    #[arg(long, value_name = "FILE", env = settings::STORE)]
    pub store: Option<PathBuf>,
}

/// `trackway top`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = TOP_EXAMPLES)]
pub struct Top {
    /// Print one frame as plain text, and end
    #[arg(long, conflicts_with = "json")]
    pub once: bool,
    /// Print one JSON object per run, and end
    #[arg(long)]
    pub json: bool,
    /// Which store
    #[command(flatten)]
    pub place: Where,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway runs`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = RUNS_EXAMPLES)]
pub struct Runs {
    /// Begun at that time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Begun before that time; a day counts whole
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Of this agent
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// That asked for this model, or were answered by it
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// That called this tool
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Whose requests name this user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Whose requests name this session or conversation
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// That stand so; repeatable
    #[arg(long, value_name = "STATUS")]
    pub status: Vec<Standing>,
    /// That ended badly: --status error --status lost
    #[arg(long, conflicts_with = "status")]
    pub failed: bool,
    /// That cost at least so many US dollars
    #[arg(long, value_name = "USD")]
    pub min_cost: Option<f64>,
    /// That cost at most so many US dollars
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<f64>,
    /// In which this was said; see trackway find --help
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// What comes first
    #[arg(long, value_name = "BY", default_value = "time")]
    pub sort: Order,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// What each day came to, by agent; of the conditions, only --since holds
    #[arg(long)]
    pub days: bool,
    /// One JSON object per run, or per day, agent and model
    #[arg(long)]
    pub json: bool,
    /// Which store
    #[command(flatten)]
    pub place: Where,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway show`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct Show {
    /// The first digits of a run's id, or last
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: String,
    /// Everything of the span whose id begins so
    #[arg(long, value_name = "SPAN")]
    pub span: Option<String>,
    /// How much of what was kept is shown [default: full]
    #[arg(long, value_name = "HOW MUCH")]
    pub content: Option<HowMuch>,
    /// Also a line with the id of each span
    #[arg(long, conflicts_with_all = ["span", "json", "otlp"])]
    pub ids: bool,
    /// One JSON object per span
    #[arg(long, conflicts_with = "otlp")]
    pub json: bool,
    /// OTLP JSON lines
    #[arg(long)]
    pub otlp: bool,
    /// Which store
    #[command(flatten)]
    pub place: Where,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway find`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = FIND_EXAMPLES)]
pub struct Find {
    /// Words, or a phrase in double quotes
    #[arg(required = true, value_name = "TEXT")]
    pub text: Vec<String>,
    /// In this run alone
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// In runs begun at that time or later
    #[arg(long, value_name = "TIME", conflicts_with = "run")]
    pub since: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// One JSON object per match
    #[arg(long)]
    pub json: bool,
    /// Which store
    #[command(flatten)]
    pub place: Where,
    /// Show no colours [also: NO_COLOR]
    #[arg(long)]
    pub no_color: bool,
}

/// `trackway export`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct Export {
    /// The first digits of a run's id, or last
    #[arg(value_name = "RUN")]
    pub run: String,
    /// An HTTP archive (HAR 1.2) instead of OTLP JSON lines
    #[arg(long)]
    pub har: bool,
    /// Write to this file, which is made anew, instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How much of what was kept is written [default: full]
    #[arg(long, value_name = "HOW MUCH")]
    pub content: Option<HowMuch>,
    /// Which store
    #[command(flatten)]
    pub place: Where,
}

/// `--status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Standing {
    /// The command ended well
    Ok,
    /// It ended with an error code or by a signal
    Error,
    /// It goes on
    Running,
    /// Trackway was killed before the run ended
    Lost,
}

/// `--sort`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// The newest
    #[default]
    Time,
    /// The dearest
    Cost,
    /// The one with the most tokens
    Tokens,
    /// The longest
    Duration,
}
