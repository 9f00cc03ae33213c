//! A namespace with a provider and a collector in it: what most tests begin with.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::clients::gate::Gate;
use crate::clients::{Client, OPENAI_KEY, workplace};
use crate::collector::{Collector, Mood, Protocol};
use crate::job::{Job, Outcome, Running};
use crate::namespace::{BINARY, Namespace};
use crate::provider::{Behaviour, Provider};
use crate::trackway::Run;

/// What `trackway attach` says when its probes are in place.
const WATCHING: &str = "watching ";
/// Longest time that a test may watch.
const WATCHED: Duration = Duration::from_secs(300);

/// The three together.
#[derive(Debug)]
pub struct World {
    /// The network.
    pub namespace: Namespace,
    /// Who answers.
    pub provider: Provider,
    /// Who is told.
    pub collector: Collector,
}

impl World {
    /// A world whose provider behaves so, and whose collector speaks gRPC.
    pub async fn new(behaviour: Behaviour) -> Result<Self> {
        Self::with(behaviour, Protocol::Grpc, Mood::Open).await
    }

    /// The same with a chosen collector.
    pub async fn with(behaviour: Behaviour, protocol: Protocol, mood: Mood) -> Result<Self> {
        let provider = Provider::new(behaviour)?;
        let namespace = Namespace::new(&provider.root()).await?;
        provider.serve(&namespace).await?;
        let collector = Collector::new(&namespace, protocol, mood).await?;
        Ok(Self { namespace, provider, collector })
    }

    /// The same where the test may have it, and the binary has a tap.
    pub async fn tapped(behaviour: Behaviour) -> Result<Option<Self>> {
        if !privileged() {
            return Ok(None);
        }
        let world = Self::new(behaviour).await?;
        let help = world.command(&[BINARY, "run", "--help"])?.run(&world.namespace).await?.success()?;
        if help.stdout.contains("--tap") {
            return Ok(Some(world));
        }
        eprintln!("SKIPPED: this binary has no tap");
        Ok(None)
    }

    /// The command of `client`, not wrapped.
    pub fn job(&self, client: Client, agent: u64) -> Result<Job> {
        client.job(agent, self.namespace.folder())
    }

    /// Any command, in a folder with the scripts and with the keys in its environment. The first word `python`
    /// stands for the interpreter with the packages.
    pub fn command(&self, words: &[&str]) -> Result<Job> {
        let folder = workplace(self.namespace.folder(), "command")?;
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if let Some(first) = words.first_mut().filter(|first| *first == "python") {
            *first = Client::python();
        }
        Ok(Job::new(words, &folder).env("OPENAI_API_KEY", OPENAI_KEY))
    }

    /// The command of `client` without Trackway: it trusts the provider by its own configuration.
    pub fn direct(&self, client: Client, agent: u64) -> Result<Job> {
        client.trusting(self.job(client, agent)?, &self.namespace.folder().join("certs"))
    }

    /// The same with a gate before its first request.
    pub fn gated(&self, client: Client, agent: u64) -> Result<(Job, Gate)> {
        client.gated(self.direct(client, agent)?)
    }

    /// The version of `client`, as it says it itself.
    pub async fn version(&self, client: Client) -> Result<String> {
        let Some(words) = client.version() else {
            let lock = include_str!("../../Cargo.lock");
            let rest = lock.split("name = \"rustls\"\nversion = \"").nth(1).unwrap_or_default();
            return Ok(rest.split('"').next().unwrap_or_default().to_owned());
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = self.command(&words)?.run(&self.namespace).await?.success()?;
        // A name before it, and what follows after it, say nothing more.
        let line = outcome.stdout.lines().next().unwrap_or_default();
        let numbers = line.split(' ').filter(|word| word.contains(|letter: char| letter.is_ascii_digit()));
        let count = if words[0].ends_with("python") { 2 } else { 1 };
        Ok(numbers.take(count).collect::<Vec<_>>().join(", "))
    }

    /// Runs `client` under Trackway, reporting to the collector.
    pub async fn run(&self, client: Client, agent: u64) -> Result<Outcome> {
        self.wrapped(self.job(client, agent)?).await.with_context(|| format!("{client:?}"))
    }

    /// Runs any command under Trackway, reporting to the collector.
    pub async fn wrapped(&self, job: Job) -> Result<Outcome> {
        Run::to(&self.collector).of(job).run(&self.namespace).await
    }

    /// Watches what `words` name (`--pid 1`), until it is stopped.
    pub async fn watch(&self, words: &[&str]) -> Result<Running> {
        let job = Run::to(&self.collector).attach(words, self.command(&[])?.folder());
        let mut watcher = job.within(WATCHED).start(&self.namespace).await?;
        watcher.until_told(WATCHING).await?;
        Ok(watcher)
    }
}

/// Says whether the test may go on: it needs root. In CI a missing privilege is a failure.
///
/// # Panics
/// If `CI` is set and the privilege is missing.
pub fn privileged() -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    let why = "needs root: it makes a network namespace and loads eBPF programs";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    false
}
