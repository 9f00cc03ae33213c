//! The same work seen through both planes, once by the proxy and once by the tap: the same spans, field by field.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use trackway_tests::clients::Client;
use trackway_tests::compare::Fields;
use trackway_tests::job::Job;
use trackway_tests::namespace::BINARY;
use trackway_tests::provider::Behaviour;
use trackway_tests::provider::script::{Ask, Fault, two_tools};
use trackway_tests::spans::Spans;
use trackway_tests::trackway::Run;
use trackway_tests::world::{World, privileged};

const ARRIVAL: Duration = Duration::from_secs(10);

/// What two runs of the same command do not have in common, whichever way they are read: by which way that was,
/// numbers of processes, and times. Where a process works is read from `/proc`, if it still runs then.
const BUT: &[&str] = &[
    "trackway.capture.plane",
    "trackway.capture.library",
    "trackway.capture.method",
    "trackway.coverage.planes",
    "gen_ai.response.time_to_first_chunk",
    "agent.run.time.model_share",
    "agent.run.time.tool_share",
    "agent.run.time.idle_share",
    "process.pid",
    "process.parent_pid",
    "process.working_directory",
    "resource process.pid",
    "resource process.creation.time",
    "resource service.instance.id",
];

type Make = fn(&World, bool) -> Result<Job>;
type Said = fn() -> Behaviour;

/// One run, by the tap or by the proxy.
async fn seen(said: Said, make: Make, tap: bool) -> Result<Option<Fields>> {
    let world = World::new(said()).await?;
    let run = Run::to(&world.collector);
    let run = if tap { run.option("--tap") } else { run };
    if tap {
        let help = world.command(&[BINARY, "run", "--help"])?.run(&world.namespace).await?.success()?;
        if !help.stdout.contains("--tap") {
            eprintln!("SKIPPED: this binary has no tap");
            return Ok(None);
        }
    }
    let job = make(&world, tap)?;
    let folder = job.folder().to_owned();
    let outcome = run.of(job).run(&world.namespace).await?;
    ensure!(outcome.status.is_ok(), "{outcome:?}");
    let spans: Spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await?;
    let plane = if tap { "tap" } else { "redirect" };
    let planes: Vec<&str> = spans.0.iter().map(|span| span.text("trackway.capture.plane")).collect();
    ensure!(planes.contains(&plane), "nothing came by {plane}: {planes:?}\n{spans}");
    ensure!(planes.iter().all(|it| it.is_empty() || *it == plane), "not all came by {plane}: {planes:?}");
    Ok(Some(Fields::new(&spans, &folder)))
}

async fn both(said: Said, make: Make, also: &[&str]) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let Some(tap) = seen(said, make, true).await? else { return Ok(()) };
    let Some(proxy) = seen(said, make, false).await? else { return Ok(()) };
    let differences = proxy.differences(&tap, &[BUT, also].concat());
    ensure!(differences.is_empty(), "proxy | tap, of {} fields\n{}", proxy.count(), differences.join("\n"));
    Ok(())
}

/// Under the tap a client trusts the provider by its own settings.
fn client(world: &World, client: Client, tap: bool) -> Result<Job> {
    if tap { world.direct(client, 4) } else { world.job(client, 4) }
}

macro_rules! planes {
    ($($name:ident: $behaviour:expr, $make:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            both($behaviour, $make, &[]).await
        }
    )*};
}

fn plain() -> Behaviour {
    Behaviour::default()
}

fn gzip() -> Behaviour {
    Behaviour { gzip: true, ..Behaviour::default() }
}

/// The first answer fails so; the others are as they should be.
fn once(fault: Fault) -> Behaviour {
    let failed = AtomicBool::new(false);
    let script = move |ask: &Ask| {
        let fault = if failed.swap(true, Ordering::Relaxed) { Fault::None } else { fault.clone() };
        two_tools(ask).with(fault)
    };
    Behaviour { script: Arc::new(script), ..Behaviour::default() }
}

planes! {
    python_openai_stream: plain, |world, tap|
        client(world, Client::PythonChat { asynchronous: false, stream: true, usage: true }, tap);
    python_openai_async_gzip: gzip, |world, tap|
        client(world, Client::PythonChat { asynchronous: true, stream: false, usage: true }, tap);
    python_responses_chain: plain, |world, tap|
        client(world, Client::PythonResponses { asynchronous: false, stream: true, chain: true }, tap);
    python_anthropic_stream_gzip: gzip, |world, tap|
        client(world, Client::Anthropic { asynchronous: false, stream: true }, tap);
    python_socket: plain, |world, tap| client(world, Client::PythonSocket, tap);
    node: plain, |world, tap| client(world, Client::NodeChat { stream: false }, tap);
    node_responses: gzip, |world, tap| client(world, Client::NodeResponses { stream: false }, tap);
    curl_http1: plain, |world, tap| client(world, Client::Curl { second: false }, tap);
    curl_http2: plain, |world, tap| client(world, Client::Curl { second: true }, tap);
    go_http1: plain, |world, tap|
        client(world, Client::Go { newest: false, stripped: false, second: false }, tap);
    go_http2: plain, |world, tap|
        client(world, Client::Go { newest: false, stripped: false, second: true }, tap);
    go_newest_http2: plain, |world, tap|
        client(world, Client::Go { newest: true, stripped: false, second: true }, tap);
    python_aiohttp: plain, |world, tap| client(world, Client::Aiohttp, tap);
    rustls: plain, |world, tap| client(world, Client::Rustls, tap);
    refused: || once(Fault::Status(429)), |world, tap|
        client(world, Client::PythonChat { asynchronous: false, stream: false, usage: true }, tap);
    error_in_stream: || once(Fault::ErrorInStream), |world, tap|
        client(world, Client::PythonChat { asynchronous: false, stream: true, usage: true }, tap);
    stream_cut: || once(Fault::Cut), |world, tap|
        client(world, Client::PythonChat { asynchronous: false, stream: true, usage: true }, tap);
    stream_reset: || once(Fault::Reset), |world, tap|
        client(world, Client::PythonChat { asynchronous: false, stream: true, usage: true }, tap);
    plain_http1: plain, |world, _| {
        world.command(&["curl", "-sS", "-f", "--http1.1", "https://tool.example/weather?city=Ulm&key=secret"])
    };
    plain_http2: plain, |world, _| {
        world.command(&["curl", "-sS", "-f", "-d", "some text", "https://tool.example/echo"])
    };
    plain_failure: plain, |world, _| world.command(&["curl", "-sS", "https://tool.example/teapot"]);
    plain_cleartext: plain, |world, _| world.command(&["curl", "-sS", "http://tool.example:11434/weather"]);
    tool_server: plain, |world, _| {
        let ask = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"weather","arguments":{"city":"Ulm"}}}"#;
        world.command(&["curl", "-sS", "-f", "-H", "content-type: application/json", "-d", ask, "https://mcp.example/mcp"])
    };
}

/// Node's client connects anew for most calls of a stream, as it does without Trackway; through the proxy it was seen
/// to stay on one connection.
#[tokio::test(flavor = "multi_thread")]
async fn node_stream() -> Result<()> {
    let make: Make = |world, tap| client(world, Client::NodeChat { stream: true }, tap);
    both(plain, make, &["trackway.connection.request"]).await
}
