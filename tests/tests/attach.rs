//! `trackway attach --comm` and `--all`: every process that is meant is a run of its own, whether it runs already or
//! comes later, and no other is read.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use trackway_tests::clients::Client;
use trackway_tests::clients::gate::{Gate, Held};
use trackway_tests::expect::{Expected, check};
use trackway_tests::job::{DEADLINE, Job, Running};
use trackway_tests::namespace::BINARY;
use trackway_tests::provider::{Behaviour, Served};
use trackway_tests::spans::{Span, Spans};
use trackway_tests::world::World;

const PYTHON: Client = Client::Requests;
const CURL: Client = Client::Curl { second: false };

/// One process, as it is expected to be told.
#[derive(Clone)]
struct Agent {
    client: Client,
    number: u64,
    name: String,
}

impl Agent {
    /// One whose name nobody else has on this machine, where the same clients may run elsewhere.
    fn new(client: Client, number: u64, prefix: &str) -> Self {
        Self { client, number, name: format!("{prefix}-{}-{}", std::process::id(), client.agent_name()) }
    }

    /// Its command, held at a gate before its first request, under its name as a script or as a program.
    fn job(&self, world: &World) -> Result<(Job, Gate)> {
        let (job, gate) = world.gated(self.client, self.number)?;
        let own = self.client.agent_name();
        let script = job.folder().join(own);
        let file = if script.exists() { script } else { Path::new("/usr/bin").join(own) };
        fs::copy(file, job.folder().join(&self.name))?;
        Ok((job.with(own, format!("./{}", self.name)), gate))
    }

    /// Starts it, up to its gate.
    async fn start(&self, world: &World) -> Result<(Running, Held)> {
        let (job, gate) = self.job(world)?;
        let mut running = job.start(&world.namespace).await?;
        let held = gate.reached(&mut running).await?;
        Ok((running, held))
    }

    /// Lets it go and waits for its end.
    async fn end(&self, (running, held): (Running, Held)) -> Result<()> {
        held.open();
        let outcome = running.end().await?.success()?;
        ensure!(outcome.stdout.contains(&self.client.last_words(self.number)), "{outcome:?}");
        Ok(())
    }

    /// Fails unless it is told once, with all that it was answered and nothing else; `processes` where all of them
    /// are told, too.
    fn check(&self, world: &World, spans: &Spans, processes: bool) -> Result<()> {
        let served = world.provider.served().into_iter().filter(|served| served.ask.agent == self.number);
        let served: Vec<Served> = served.collect();
        let plain = if self.client == PYTHON { world.provider.plain() } else { Vec::new() };
        let own = |chat: &&Span| served.iter().any(|served| chat.text("gen_ai.response.id") == served.id);
        let mut traces = spans.traces();
        traces.retain(|trace| name(trace) == self.name && trace.of("chat").iter().any(own));
        ensure!(traces.len() == 1, "{} is told in {} traces\n{spans}", self.name, traces.len());
        let expected = Expected {
            agent: &self.name,
            served: &served,
            plain: &plain,
            usage: self.client.has_usage(),
            processes: processes && self.client.has_tools(),
        };
        check(&traces[0], expected)
    }
}

/// What the run of a trace is called.
fn name(trace: &Spans) -> &str {
    trace.roots().first().map(|root| root.text("gen_ai.agent.name")).unwrap_or_default()
}

/// Waits until `count` runs of that name have begun: a client lives for some milliseconds only.
async fn taken_up(world: &World, store: &str, name: &str, count: usize) -> Result<()> {
    let words = [BINARY, "runs", "--store", store, "--agent", name, "--json"];
    let look = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            let outcome = world.command(&words)?.run(&world.namespace).await?.success()?;
            if outcome.stdout.lines().count() >= count {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(DEADLINE, look).await.with_context(|| format!("{name} was not taken up"))?
}

async fn comm(client: Client) -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let store = world.namespace.folder().join("runs.db").to_string_lossy().into_owned();
    let early = Agent::new(client, 1, "named");
    let later = Agent { number: 2, ..early.clone() };
    let other = Agent::new(client, 3, "other");
    let (first, stranger) = (early.start(&world).await?, other.start(&world).await?);
    let watcher = world.watch(&["--comm", &early.name, "--store", &store]).await?;
    early.end(first).await?;
    other.end(stranger).await?;
    let second = later.start(&world).await?;
    taken_up(&world, &store, &early.name, 2).await?;
    later.end(second).await?;
    let outcome = watcher.stop().await?;
    let spans = world.collector.spans();
    ensure!(spans.traces().len() == 2, "{spans}\n{}", outcome.stderr);
    early.check(&world, &spans, true)?;
    later.check(&world, &spans, true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_that_name() -> Result<()> {
    comm(PYTHON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_that_name() -> Result<()> {
    comm(CURL).await
}

/// Clients of two kinds, each of them before and after: whatever else runs on this machine is told as well.
#[tokio::test(flavor = "multi_thread")]
async fn every_process() -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let early = [Agent::new(PYTHON, 1, "early"), Agent::new(CURL, 2, "early")];
    let later = [Agent::new(CURL, 3, "later"), Agent::new(PYTHON, 4, "later")];
    let mut held = Vec::new();
    for agent in &early {
        held.push(agent.start(&world).await?);
    }
    let watcher = world.watch(&["--all"]).await?;
    for (agent, held) in early.iter().zip(held) {
        agent.end(held).await?;
    }
    for agent in &later {
        agent.end(agent.start(&world).await?).await?;
    }
    let outcome = watcher.stop().await?;
    let spans = world.collector.spans();
    let full = ["passed unseen", "had no room"].iter().any(|note| outcome.stderr.contains(note));
    if full && std::env::var_os("CI").is_none() {
        eprintln!("SKIPPED: others on this machine say more than can be read at once");
        return Ok(());
    }
    // What a process starts in the first milliseconds of its first call may be told of before the call is.
    for agent in early.iter().chain(&later) {
        agent.check(&world, &spans, false).with_context(|| outcome.stderr.clone())?;
    }
    // This process is the provider and the collector.
    let own = std::env::current_exe()?.file_name().context("no name")?.to_string_lossy().into_owned();
    ensure!(spans.traces().iter().all(|trace| name(trace) != own), "the provider is told\n{spans}");
    let collector = world.collector.endpoint();
    let told = spans.0.iter().any(|span| span.text("url.full").starts_with(&collector));
    ensure!(!told, "the watcher is told\n{spans}");
    Ok(())
}
