//! Functions with the tap's probes that are left by other ways than their return: the client does what it does
//! without the tap, and what it asks afterwards is read.

use std::time::Duration;

use anyhow::{Result, ensure};
use trackway_tests::clients::gate::Gate;
use trackway_tests::job::{Job, Outcome};
use trackway_tests::namespace::CLIENTS;
use trackway_tests::provider::Behaviour;
use trackway_tests::world::World;

const ARRIVAL: Duration = Duration::from_secs(10);

/// Gives a command a TLS library of its own: a probe is in every process that has the file, and others may watch
/// some of those.
const OWN: &str =
    "cp \"$(ldconfig -p | awk '/libssl.so.3 / {print $NF; exit}')\" . && LD_LIBRARY_PATH=. exec \"$@\"";

/// `tests/clients/odd.c`, in this language.
fn job(world: &World, language: &str, way: &str) -> Result<Job> {
    Ok(world.command(&[&format!("{CLIENTS}/odd/odd-{language}"), way])?.under(["sh", "-c", OWN, "sh"]))
}

async fn watched(world: &World, job: Job) -> Result<Outcome> {
    let path = job.folder().join("gate");
    let gate = Gate::new(&path)?;
    let mut running = job.env("GATE", path).start(&world.namespace).await?;
    let held = gate.reached(&mut running).await?;
    let watcher = world.watch(&["--pid", &running.pid()?.to_string()]).await?;
    held.open();
    let outcome = running.end().await?;
    watcher.stop().await?;
    Ok(outcome)
}

async fn odd(language: &str, way: &str) -> Result<()> {
    let Some(world) = World::tapped(Behaviour::default()).await? else { return Ok(()) };
    let alone = job(&world, language, way)?.run(&world.namespace).await?.success()?;
    let watched = watched(&world, job(&world, language, way)?).await?;
    ensure!(
        (&watched.status, &watched.stdout) == (&alone.status, &alone.stdout),
        "watched: {watched:?}\nalone: {alone:?}"
    );
    let spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await?;
    // Each answer that it printed, the last of which is to a request after the odd exit.
    let answers = alone.stdout.lines().filter(|line| line.starts_with("HTTP/1.1 200")).count();
    let read = spans.0.iter().filter(|span| {
        let answered = span.get("http.response.status_code") == 200;
        answered && span.text("url.full").starts_with("https://tool.example/weather?")
    });
    ensure!(answers > 0 && read.count() == answers, "{answers} answers\n{}\n{spans}", alone.stdout);
    Ok(())
}

macro_rules! ways {
    ($($name:ident: $language:expr, $way:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            odd($language, $way).await
        }
    )*};
}

ways! {
    cancelled_in_c: "c", "cancel";
    cancelled_in_cpp: "c++", "cancel";
    jumped_out_of_a_read: "c", "jump-read";
    jumped_out_of_a_write: "c", "jump-write";
    thrown_out_of_a_read: "c++", "throw-read";
    thrown_out_of_a_write: "c++", "throw-write";
    stacks_switched: "c", "switch";
    stacks_switched_in_reads: "c", "both-read";
    one_within_another: "c", "nested";
}
