//! The tap: clients that trust nobody but the provider, read where they hand their bytes to their TLS library.
//!
//! What can be read must be told as exactly as through the proxy; what cannot must be told as unread. The table
//! in `ARCHITECTURE.md` is what these tests saw; `trackway_tests::coverage` says how to make it again.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use trackway_tests::clients::Client;
use trackway_tests::clients::gate::Gate;
use trackway_tests::coverage::{Row, tell};
use trackway_tests::expect::{Expected, check};
use trackway_tests::job::Running;
use trackway_tests::namespace::CLIENTS;
use trackway_tests::provider::Behaviour;
use trackway_tests::provider::script::{Answer, Ask, usage};
use trackway_tests::spans::{Span, Spans};
use trackway_tests::trackway::Run;
use trackway_tests::world::World;

const ARRIVAL: Duration = Duration::from_secs(10);
const PLANE: &str = "trackway.capture.plane";
const LIBRARY: &str = "trackway.capture.library";
const METHOD: &str = "trackway.capture.method";

/// Attaching and detaching under load, where the environment asks for no other number.
const ATTACHES: u32 = 20;
/// What a flood writes, and the most memory that watching it may take.
const FLOOD: u64 = 4_000_000_000;
const MOST_KIB: u64 = 300 << 10;

/// Whether the tap can read it: the JVM has its TLS inside, and Codex' rustls has no symbols.
fn readable(client: Client) -> bool {
    !matches!(client, Client::Java | Client::Codex { .. })
}

/// The span of a connection to `host` that was not read.
fn unread<'a>(spans: &'a Spans, host: &str) -> Result<&'a Span> {
    let fits = |span: &&Span| {
        let bytes = |key: &str| span.get(key).as_u64().unwrap_or_default();
        span.text("server.address") == host
            && !span.text("trackway.unread.reason").is_empty()
            && bytes("trackway.unread.bytes_sent") > 0
            && bytes("trackway.unread.bytes_received") > 0
    };
    spans.0.iter().find(fits).with_context(|| format!("nothing tells that {host} was not read\n{spans}"))
}

/// Holds `spans` against what the provider said, and makes the client's row of it.
async fn row(world: &World, client: Client, spans: &Spans) -> Result<Row> {
    let served = world.provider.served();
    let (told, read, equal) = if readable(client) {
        let expected = Expected {
            agent: client.agent_name(),
            served: &served,
            plain: &world.provider.plain(),
            usage: client.has_usage(),
            processes: client.has_tools(),
        };
        check(spans, expected)?;
        let chats = spans.of("chat");
        for chat in &chats {
            ensure!(chat.text(PLANE) == "tap", "a call came another way\n{spans}");
        }
        (chats[0], "exactly".to_owned(), "all")
    } else {
        ensure!(spans.of("chat").is_empty(), "it was read after all\n{spans}");
        let span = unread(spans, &served[0].host)?;
        let reason = span.text("trackway.unread.reason").split(':').next().unwrap_or_default();
        let reason = format!("unread, reported: `{reason}`");
        (span, reason, "none")
    };
    let cell = |key: &str| if told.get(key).is_null() { "–".to_owned() } else { told.text(key).to_owned() };
    Ok(Row {
        client: client.label(),
        version: world.version(client).await?,
        library: cell(LIBRARY),
        method: cell(METHOD),
        plane: cell(PLANE),
        read,
        equal: equal.to_owned(),
    })
}

async fn run(client: Client) -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let job = Run::to(&world.collector).option("--tap").of(world.direct(client, 4)?);
    let outcome = job.run(&world.namespace).await?.success()?;
    let told = format!("--- stdout\n{}\n--- stderr\n{}", outcome.stdout, outcome.stderr);
    ensure!(outcome.stdout.contains(&client.last_words(4)), "{told}");
    let spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await;
    let row = row(&world, client, &spans.context(told.clone())?).await.context(told)?;
    tell(&row, &CLIENT_LIST.map(Client::label))
}

/// Watches a process that runs already.
async fn watch(world: &World, running: &Running) -> Result<Running> {
    world.watch(&["--pid", &running.pid()?.to_string()]).await
}

async fn attach(client: Client) -> Result<()> {
    attach_under(client, &[]).await
}

/// The same with a wrapper around the client, in which `attach` has no part.
async fn attach_under(client: Client, wrapper: &[&str]) -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let (job, gate) = world.gated(client, 4)?;
    let job = job.under(wrapper.iter().copied());
    let mut running = job.start(&world.namespace).await?;
    let held = gate.reached(&mut running).await?;
    let watcher = watch(&world, &running).await?;
    held.open();
    let outcome = running.end().await?.success()?;
    ensure!(outcome.stdout.contains(&client.last_words(4)), "{outcome:?}");
    watcher.stop().await?;
    let spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await?;
    row(&world, client, &spans).await.map(drop)
}

/// As in a container: its TLS library is a file that only its own mounts have.
#[tokio::test(flavor = "multi_thread")]
async fn attaching_to_a_library_that_only_the_process_can_see() -> Result<()> {
    let own = "set -e; mount -t tmpfs none /opt
        cp \"$(ldconfig -p | awk '/libssl.so.3 / {print $NF; exit}')\" \
           \"$(ldconfig -p | awk '/libcrypto.so.3 / {print $NF; exit}')\" /opt
        LD_LIBRARY_PATH=/opt exec \"$@\"";
    attach_under(Client::Requests, &["unshare", "--mount", "sh", "-c", own, "sh"]).await
}

/// A hundred streams at the same time on one HTTP/2 connection.
async fn hundred(words: &[&str]) -> Result<()> {
    let hello = |ask: &Ask| Answer::text(format!("Hello agent {}.", ask.agent), usage(ask));
    let behaviour = Behaviour { script: Arc::new(hello), together: 100, ..Behaviour::default() };
    let Some(world) = World::tapped(behaviour).await? else { return Ok(()) };
    let job = Run::to(&world.collector).option("--tap").of(world.command(words)?);
    let outcome = job.run(&world.namespace).await?.success()?;
    assert_eq!(outcome.stdout, "100 of 100\n", "{}", outcome.stderr);
    assert_eq!(world.provider.connections(), 1);
    let spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await?;
    let chats = spans.of("chat");
    assert_eq!(chats.len(), 100, "{}", outcome.stderr);
    for served in world.provider.served() {
        let own: Vec<_> = chats.iter().filter(|chat| chat.text("gen_ai.response.id") == served.id).collect();
        assert_eq!(own.len(), 1, "{}", served.id);
        let text = own[0].json("gen_ai.output.messages")[0]["parts"][0]["content"].clone();
        assert_eq!(text, Value::from(served.answer.text), "{:?}", own[0]);
        assert_eq!(own[0].get("gen_ai.usage.input_tokens"), &json!(served.answer.usage.input));
        assert!(own[0].text("gen_ai.input.messages").contains(&format!("agent-{}.", served.ask.agent)));
        assert_eq!(own[0].text(PLANE), "tap", "{:?}", own[0]);
        assert!(own[0].get("trackway.faults").is_null(), "{:?}", own[0]);
    }
    Ok(())
}

macro_rules! tests {
    ($($name:ident: $test:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            $test.await
        }
    )*};
}

macro_rules! clients {
    ($($name:ident: $client:expr;)*) => {
        /// The order of the table's rows.
        const CLIENT_LIST: [Client; [$(stringify!($name)),*].len()] = [$($client),*];

        mod run {
            use super::*;
            tests! { $($name: super::run($client);)* }
        }

        mod attach {
            use super::*;
            tests! { $($name: super::attach($client);)* }
        }
    };
}

clients! {
    python_openai: Client::PythonChat { asynchronous: false, stream: true, usage: true };
    python_openai_async: Client::PythonChat { asynchronous: true, stream: true, usage: true };
    python_anthropic: Client::Anthropic { asynchronous: false, stream: true };
    python_requests: Client::Requests;
    python_aiohttp: Client::Aiohttp;
    python_socket: Client::PythonSocket;
    curl_http1: Client::Curl { second: false };
    curl_http2: Client::Curl { second: true };
    wget: Client::Wget;
    node: Client::NodeChat { stream: true };
    opencode: Client::Opencode;
    go_debian_http1: Client::Go { newest: false, stripped: false, second: false };
    go_debian_http2: Client::Go { newest: false, stripped: false, second: true };
    go_debian_stripped: Client::Go { newest: false, stripped: true, second: true };
    go_newest_http1: Client::Go { newest: true, stripped: false, second: false };
    go_newest_http2: Client::Go { newest: true, stripped: false, second: true };
    go_newest_stripped: Client::Go { newest: true, stripped: true, second: true };
    rustls: Client::Rustls;
    codex: Client::Codex { functions: false };
    java: Client::Java;
}

tests! {
    // Not by `run`: the first call may come before a library is searched that nobody has seen before.
    a_library_linked_into_a_wheel: attach(Client::CurlCffi);
    hundred_streams_python: hundred(&["python", "many_h2.py", "100"]);
    hundred_streams_go_debian: hundred(&[&format!("{CLIENTS}/go/chat-debian"), "-many", "100"]);
    hundred_streams_go_newest: hundred(&[&format!("{CLIENTS}/go/chat-newest"), "-many", "100"]);
}

/// A client under load does not feel that it is watched, and no longer watched, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn attaching_again_and_again_under_load() -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let asked = std::env::var("TRACKWAY_ATTACHES").ok().and_then(|text| text.parse().ok());
    let stopped = world.namespace.folder().join("stop");
    let words = ["python", "load.py", "1000000000", &stopped.to_string_lossy()];
    let job = world.command(&words)?.within(Duration::from_secs(3600));
    let mut load = job.start(&world.namespace).await?;
    for round in 0..asked.unwrap_or(ATTACHES) {
        let watcher = watch(&world, &load).await.with_context(|| format!("round {round}"))?;
        watcher.stop().await.with_context(|| format!("round {round}"))?;
        if load.has_ended()? {
            break;
        }
    }
    fs::write(&stopped, "")?;
    let outcome = load.end().await?.success()?;
    let count = outcome.stdout.trim().strip_prefix("ok ").and_then(|number| number.parse::<usize>().ok());
    assert_eq!(count, Some(world.provider.plain().len()), "{outcome:?}");
    Ok(())
}

/// More than can be told: the flood is not slowed to a stop, and memory stays within its bounds.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_dropped_and_counted() -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let job = world.command(&["python", "flood.py", &FLOOD.to_string()])?;
    let path = job.folder().join("gate");
    let gate = Gate::new(&path)?;
    let mut flood = job.env("GATE", path).start(&world.namespace).await?;
    let held = gate.reached(&mut flood).await?;
    let watcher = watch(&world, &flood).await?;
    held.open();
    let outcome = flood.end().await?.success()?;
    assert_eq!(outcome.stdout, format!("ok {FLOOD}\n"), "{}", outcome.stderr);
    let status = fs::read_to_string(format!("/proc/{}/status", watcher.pid()?))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak.context("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    eprintln!("{} of the flood; {peak} KiB at most", outcome.stderr.trim());
    assert!(peak < MOST_KIB, "{peak} KiB");
    watcher.stop().await.map(drop)
}
