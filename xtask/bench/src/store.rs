//! How fast a run is found among many: the local store with twenty thousand runs of about twenty spans, and each
//! question that `trackway runs`, `show` and `find` put to it, as a call of the library and as a whole command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use trackway::store::{Batch, Birth, Filter, Pick, Search, Sort, State, Store, Words, Writer};
use trackway_core::flow::Time;
use trackway_core::names;
use trackway_core::run::Totals;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Content, Resource, Span, SpanId, SpanKind, Status, TraceId,
};

/// Arguments of the role.
#[derive(Args)]
pub(crate) struct Options {
    /// Runs in the store.
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    /// How often each question is put.
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// The store; made where it is not there, and kept. Without it, one that goes away.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The binary that answers too.
    #[arg(long, value_name = "FILE")]
    trackway: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

const AGENTS: [&str; 8] =
    ["codex", "claude", "agent.py", "bot.mjs", "opencode", "gemini-cli", "triage", "nightly-report"];
const MODELS: [&str; 5] = ["gpt-5", "gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat"];
const TOOLS: [&str; 10] = [
    "bash",
    "read_file",
    "write_file",
    "grep",
    "web_search",
    "sql_query",
    "send_mail",
    "deploy",
    "apply_patch",
    "list_files",
];
const WORDS: [&str; 48] = [
    "the",
    "test",
    "fails",
    "because",
    "connection",
    "to",
    "database",
    "was",
    "refused",
    "after",
    "retry",
    "user",
    "order",
    "invoice",
    "customer",
    "payment",
    "module",
    "function",
    "returns",
    "value",
    "error",
    "line",
    "file",
    "branch",
    "merge",
    "commit",
    "deploy",
    "server",
    "client",
    "request",
    "response",
    "token",
    "limit",
    "reached",
    "please",
    "summarize",
    "report",
    "month",
    "total",
    "count",
    "table",
    "column",
    "index",
    "query",
    "slow",
    "memory",
    "disk",
    "network",
];
/// Said in one run of a thousand.
const RARE: &str = "quixotic";

/// A sequence that looks like chance and is the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.next(of.len())).copied().unwrap_or_default()
    }

    fn sentence(&mut self, words: usize) -> String {
        let mut text = String::new();
        for _ in 0..words {
            text.push_str(self.one(&WORDS));
            text.push(' ');
            // Numbers and names make up most of an index.
            if self.next(4) == 0 {
                text.push_str(&format!("id_{} ", self.next(200_000)));
            }
        }
        text
    }
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("trackway-store-{}", std::process::id()));
    let path = options.file.clone().unwrap_or_else(|| folder.join("runs.db"));
    let result = measure(options, &path);
    if options.file.is_none() {
        std::fs::remove_dir_all(&folder).ok();
    }
    result
}

fn measure(options: &Options, path: &Path) -> Result<()> {
    let begun = Instant::now();
    let fresh = !path.exists();
    if fresh {
        fill(path, options.runs)?;
    }
    let filling = begun.elapsed();
    let opening = Instant::now();
    let store = Store::open(path)?;
    let opening = opening.elapsed();
    let bytes = store.used()?;
    if !options.json {
        println!("{} runs, {:.1} MB", options.runs, bytes as f64 / 1e6);
        if fresh {
            let each = filling.as_secs_f64() * 1e6 / options.runs as f64;
            println!("written in {:.1} s: {each:.0} µs for a run", filling.as_secs_f64());
        }
        println!("opened in {:.1} ms\n", opening.as_secs_f64() * 1e3);
        println!(
            "  {:<52} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "ms", "found", "p50", "p99", "cpu p50", "whole p50", "whole p99"
        );
    }
    let mut rows = Vec::new();
    for question in questions() {
        let mut found = 0;
        // On a busy machine the time that passes says little; the work that is done says more.
        let mut work = Vec::new();
        let call = times(options.rounds, || {
            let begun = cpu()?;
            // As the command does it: from the opening of the file on.
            found = question.ask(&Store::open(path)?)?;
            work.push((cpu()? - begun).as_secs_f64() * 1e3);
            Ok(())
        })?;
        let whole = match &options.trackway {
            Some(binary) => Some(times(options.rounds, || command(binary, path, &question.arguments))?),
            None => None,
        };
        work.sort_by(f64::total_cmp);
        let (p50, p99, spent) = (percentile(&call, 50), percentile(&call, 99), percentile(&work, 50));
        let outer = whole.as_ref().map(|all| (percentile(all, 50), percentile(all, 99)));
        let name = question.arguments.join(" ");
        if !options.json {
            let show = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.1}"));
            let (a, b) = (show(outer.map(|it| it.0)), show(outer.map(|it| it.1)));
            println!("  {name:<52} {found:>5} {p50:>9.2} {p99:>9.2} {spent:>9.2} {a:>9} {b:>9}");
        }
        rows.push(json!({
            "question": name, "found": found, "p50_ms": p50, "p99_ms": p99, "cpu_p50_ms": spent,
            "whole_p50_ms": outer.map(|it| it.0), "whole_p99_ms": outer.map(|it| it.1),
        }));
    }
    if options.json {
        println!("{}", json!({"runs": options.runs, "bytes": bytes, "questions": rows}));
    }
    Ok(())
}

/// One question, as it is typed and as the library takes it.
struct Question {
    arguments: Vec<String>,
    what: What,
}

enum What {
    Runs(Box<Filter>),
    Find(String),
    Show,
    Days,
}

impl Question {
    fn ask(&self, store: &Store) -> Result<usize> {
        match &self.what {
            What::Runs(filter) => Ok(store.runs(filter)?.len()),
            What::Find(text) => {
                let words = Words::new(text).context("words")?;
                Ok(store.find(&Search { words, run: None, since: None, limit: 20 })?.len())
            }
            What::Show => {
                let Pick::One(run) = store.pick("last")? else { return Ok(0) };
                let mut spans = 0;
                store.spans(run.id, Content::Full, false, |_| {
                    spans += 1;
                    true
                })?;
                Ok(spans)
            }
            What::Days => Ok(store.days(None)?.len()),
        }
    }
}

fn questions() -> Vec<Question> {
    let all = || Filter { limit: 20, ..Filter::default() };
    let failed = || Filter { states: vec![State::Error, State::Lost], ..all() };
    let runs = |line: &[&str], filter: Filter| Question {
        arguments: [&["runs"], line].concat().into_iter().map(str::to_owned).collect(),
        what: What::Runs(Box::new(filter)),
    };
    let find = |text: &str| Question {
        arguments: vec!["find".to_owned(), text.to_owned()],
        what: What::Find(text.to_owned()),
    };
    let name = |name: &str| Some(name.to_owned());
    vec![
        runs(&[], all()),
        runs(&["--failed"], failed()),
        runs(&["--failed", "--tool", "bash"], Filter { tool: name("bash"), ..failed() }),
        runs(
            &["--failed", "--tool", "deploy", "--agent", "codex"],
            Filter { tool: name("deploy"), agent: name("codex"), ..failed() },
        ),
        runs(&["--model", "claude*"], Filter { model: name("claude*"), ..all() }),
        runs(&["--user", "user-77"], Filter { user: name("user-77"), ..all() }),
        runs(&["--session", "talk-15000"], Filter { session: name("talk-15000"), ..all() }),
        runs(&["--min-cost", "1.9"], Filter { min_cost: Some(1.9), ..all() }),
        runs(&["--sort", "cost"], Filter { sort: Sort::Cost, ..all() }),
        runs(&["--sort", "duration"], Filter { sort: Sort::Duration, ..all() }),
        runs(&["--text", RARE], Filter { text: Words::new(RARE), ..all() }),
        runs(&["--text", "database"], Filter { text: Words::new("database"), ..all() }),
        runs(&["--text", "nowhere"], Filter { text: Words::new("nowhere"), ..all() }),
        runs(
            &["--failed", "--tool", "bash", "--text", "connection refused"],
            Filter { tool: name("bash"), text: Words::new("connection refused"), ..failed() },
        ),
        runs(
            &["--text", "database", "--agent", "nobody"],
            Filter { text: Words::new("database"), agent: name("nobody"), ..all() },
        ),
        runs(
            &["--text", "database", "--sort", "cost"],
            Filter { text: Words::new("database"), sort: Sort::Cost, ..all() },
        ),
        runs(&["--text", "d", "--sort", "cost"], Filter { text: Words::new("d"), sort: Sort::Cost, ..all() }),
        find(RARE),
        find("database"),
        find("\"connection to\""),
        find("connection refused database merge"),
        find("d"),
        find("nowhere"),
        Question { arguments: vec!["show".to_owned(), "last".to_owned()], what: What::Show },
        Question { arguments: vec!["runs".to_owned(), "--days".to_owned()], what: What::Days },
    ]
}

/// What this thread has worked so far.
fn cpu() -> Result<Duration> {
    Ok(nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Milliseconds of each round, in order of their length.
fn times(rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut all = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        work()?;
        all.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0.0)
}

fn command(binary: &Path, path: &Path, arguments: &[String]) -> Result<()> {
    let status = Command::new(binary)
        .args(arguments)
        .env("TRACKWAY_STORE", path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    // 1 says that nothing was found.
    ensure!(status.code().is_some_and(|code| code <= 1), "{arguments:?} ended with {status}");
    Ok(())
}

fn fill(path: &Path, runs: u64) -> Result<()> {
    let mut writer = Writer::create(path, Content::Full)?;
    let mut chance = Chance(42);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let week = Duration::from_secs(6 * 86_400).as_nanos();
    for number in 0..runs {
        let start = now - week + week * u128::from(number) / u128::from(runs);
        one(&mut writer, &mut chance, number, u64::try_from(start)?)?;
    }
    Ok(())
}

/// Writes one run: model calls with a history that grows, their tools, the processes below them, the root.
fn one(writer: &mut Writer, chance: &mut Chance, number: u64, start: u64) -> Result<()> {
    let trace = TraceId::derive(&[&number.to_le_bytes()]);
    let agent = chance.one(&AGENTS);
    let model = chance.one(&MODELS);
    let failed = chance.next(10) == 0;
    let mut made = Maker { trace, number: 0, time: start, resource: resource(agent) };
    let user = format!("user-{}", chance.next(200));
    let task = chance.sentence(12);
    let mut history = vec![json!({"role": "user", "parts": [{"type": "text", "content": task}]})];
    if number.is_multiple_of(1000) {
        history.push(json!({"role": "user", "parts": [{"type": "text", "content": format!("be {RARE}")}]}));
    }
    let system =
        json!([{"type": "text", "content": format!("You are {agent}. {}", chance.sentence(30))}]).to_string();
    let mut spans = Vec::new();
    let mut totals = Totals::default();
    for turn in 0..5 {
        let said = chance.sentence(20);
        let tool = chance.one(&TOOLS);
        let arguments = json!({"command": chance.sentence(5)});
        let cost = chance.next(400) as f64 / 1000.0;
        let call = json!({"role": "assistant", "parts": [
            {"type": "text", "content": said}, {"type": "tool_call", "id": turn, "name": tool, "arguments": arguments},
        ]});
        let mut span = made.span(
            format!("chat {model}"),
            None,
            vec![
                plain(names::OPERATION_NAME, "chat"),
                plain(names::PROVIDER_NAME, "openai"),
                plain(names::REQUEST_MODEL, model),
                plain(names::RESPONSE_MODEL, &format!("{model}-2026-01-01")),
                plain(names::CONVERSATION_ID, &format!("talk-{number}")),
                text(names::USER_ID, &user, Class::Metadata),
                int(names::INPUT_TOKENS, 900 + 400 * turn),
                int(names::OUTPUT_TOKENS, 120),
                Attribute {
                    key: names::COST.into(),
                    value: AttributeValue::Double(cost),
                    class: Class::Plain,
                },
                content(names::SYSTEM_INSTRUCTIONS, &system),
                content(names::INPUT_MESSAGES, &json!(history).to_string()),
                content(names::OUTPUT_MESSAGES, &json!([call]).to_string()),
            ],
        );
        span.kind = SpanKind::Client;
        spans.push(span);
        let result = chance.sentence(40);
        let mut span = made.span(
            format!("execute_tool {tool}"),
            None,
            vec![
                plain(names::OPERATION_NAME, "execute_tool"),
                plain(names::TOOL_NAME, tool),
                content(names::TOOL_ARGUMENTS, &arguments.to_string()),
                content(names::TOOL_RESULT, &json!(result).to_string()),
                content(names::DECISION_RATIONALE, &said),
            ],
        );
        if chance.next(12) == 0 {
            span.status = Status::Error("exited with code 1".to_owned());
            totals.tool_errors += 1;
        }
        let parent = span.id;
        spans.push(span);
        for _ in 0..2 {
            spans.push(made.span(
                "exec sh".to_owned(),
                Some(parent),
                vec![
                    int(names::PROCESS_PID, 4711),
                    plain(names::PROCESS_EXECUTABLE, "sh"),
                    Attribute {
                        key: names::PROCESS_COMMAND_ARGS.into(),
                        value: AttributeValue::Texts(vec![
                            "sh".to_owned(),
                            "-c".to_owned(),
                            chance.sentence(4),
                        ]),
                        class: Class::Metadata,
                    },
                ],
            ));
        }
        history.push(call);
        history.push(json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": turn, "response": result}]}));
        totals.llm_calls += 1;
        totals.tool_calls += 1;
        totals.processes += 2;
        totals.input_tokens += 900 + 400 * turn as u64;
        totals.output_tokens += 120;
        totals.cost_pico_usd += (cost * 1e12) as u64;
    }
    let mut root = made.span(
        format!("invoke_agent {agent}"),
        None,
        vec![
            plain(names::OPERATION_NAME, "invoke_agent"),
            plain(names::AGENT_NAME, agent),
            int(names::PROCESS_EXIT_CODE, i64::from(failed)),
            content(names::INPUT_MESSAGES, &json!(history.get(..1)).to_string()),
        ],
    );
    (root.id, root.parent) = (SpanId::derive(trace, &[b"root"]), None);
    root.start = Time(start);
    if failed {
        root.status = Status::Error("exited with code 1".to_owned());
    }
    spans.push(root);
    let birth = Birth {
        trace,
        agent: agent.to_owned(),
        command: vec![agent.to_owned(), "run".to_owned()],
        service: None,
        start: Time(start),
    };
    writer.write(Batch { birth: Some(&birth), spans: &spans, end: Some(&totals), unstored: 0 })?;
    Ok(())
}

/// Makes spans, one after the other.
struct Maker {
    trace: TraceId,
    number: u64,
    time: u64,
    resource: Arc<Resource>,
}

impl Maker {
    fn span(&mut self, name: String, parent: Option<SpanId>, attributes: Vec<Attribute>) -> Span {
        self.number += 1;
        let start = self.time;
        self.time += 700_000_000;
        Span {
            trace: self.trace,
            id: SpanId::derive(self.trace, &[&self.number.to_le_bytes()]),
            parent: parent.or_else(|| Some(SpanId::derive(self.trace, &[b"root"]))),
            name,
            kind: SpanKind::Internal,
            start: Time(start),
            end: Time(self.time),
            status: Status::Unset,
            attributes,
            events: Vec::new(),
            links: Vec::new(),
            resource: Arc::clone(&self.resource),
        }
    }
}

fn resource(service: &str) -> Arc<Resource> {
    let attributes = vec![plain(names::SERVICE_NAME, service), plain(names::HOST_NAME, "host")];
    Arc::new(Resource { attributes })
}

fn text(key: &'static str, text: &str, class: Class) -> Attribute {
    Attribute { key: key.into(), value: AttributeValue::Text(text.to_owned()), class }
}

fn plain(key: &'static str, words: &str) -> Attribute {
    text(key, words, Class::Plain)
}

fn content(key: &'static str, words: &str) -> Attribute {
    text(key, words, Class::Content)
}

fn int(key: &'static str, number: i64) -> Attribute {
    Attribute { key: key.into(), value: AttributeValue::Int(number), class: Class::Plain }
}
