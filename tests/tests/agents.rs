//! Every real client under `trackway run`: one trace, equal to what the provider said.

use std::time::Duration;

use anyhow::{Context, Result};
use trackway_tests::clients::{CANARY, Client};
use trackway_tests::collector::{Mood, Protocol};
use trackway_tests::expect::{Expected, check};
use trackway_tests::provider::Behaviour;
use trackway_tests::world::{World, privileged};

const ARRIVAL: Duration = Duration::from_secs(10);

async fn one(client: Client, protocol: Protocol, behaviour: Behaviour) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::with(behaviour, protocol, Mood::Open).await?;
    let outcome = world.run(client, 4).await?;
    let told = format!("--- stdout\n{}\n--- stderr\n{}", outcome.stdout, outcome.stderr);
    // For a look at what a user sees: `cargo test … -- --nocapture`.
    eprintln!("{told}");
    assert_eq!(outcome.status, Ok(0), "{told}");
    assert!(outcome.stdout.contains("notes.txt has three lines; missing-4.txt is not there."), "{told}");
    let spans =
        world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await.context(told.clone())?;
    let expected = Expected {
        agent: client.agent_name(),
        served: &world.provider.served(),
        plain: &world.provider.plain(),
        usage: client.has_usage(),
        processes: true,
    };
    check(&spans, expected).context(told.clone())?;
    let leaked = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    assert!(!leaked(&world.collector.bytes()), "a key reached the collector");
    assert!(
        !leaked(outcome.stdout.as_bytes()) && !leaked(outcome.stderr.as_bytes()),
        "a key was printed\n{told}"
    );
    Ok(())
}

macro_rules! agents {
    ($($name:ident: $client:expr, $protocol:expr, $behaviour:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            one($client, $protocol, $behaviour).await
        }
    )*};
}

fn plain() -> Behaviour {
    Behaviour::default()
}

fn gzip() -> Behaviour {
    Behaviour { gzip: true, ..Behaviour::default() }
}

agents! {
    python_openai_chat:
        Client::PythonChat { asynchronous: false, stream: false, usage: false }, Protocol::Grpc, plain();
    python_openai_chat_stream:
        Client::PythonChat { asynchronous: false, stream: true, usage: true }, Protocol::Http, gzip();
    python_openai_chat_stream_without_usage:
        Client::PythonChat { asynchronous: false, stream: true, usage: false }, Protocol::Grpc, plain();
    python_openai_chat_async_stream:
        Client::PythonChat { asynchronous: true, stream: true, usage: true }, Protocol::Grpc, gzip();
    python_openai_responses:
        Client::PythonResponses { asynchronous: false, stream: false, chain: false }, Protocol::Http, gzip();
    python_openai_responses_chain:
        Client::PythonResponses { asynchronous: false, stream: true, chain: true }, Protocol::Grpc, plain();
    python_openai_responses_async_stream:
        Client::PythonResponses { asynchronous: true, stream: true, chain: false }, Protocol::Grpc, gzip();
    python_anthropic: Client::Anthropic { asynchronous: false, stream: false }, Protocol::Grpc, gzip();
    python_anthropic_stream: Client::Anthropic { asynchronous: false, stream: true }, Protocol::Http, plain();
    python_anthropic_async_stream: Client::Anthropic { asynchronous: true, stream: true }, Protocol::Grpc, gzip();
    python_requests: Client::Requests, Protocol::Http, plain();
    node_openai_chat: Client::NodeChat { stream: false }, Protocol::Grpc, gzip();
    node_openai_chat_stream: Client::NodeChat { stream: true }, Protocol::Http, plain();
    node_openai_responses: Client::NodeResponses { stream: false }, Protocol::Grpc, plain();
    node_openai_responses_stream: Client::NodeResponses { stream: true }, Protocol::Http, gzip();
    codex: Client::Codex { functions: false }, Protocol::Grpc, plain();
    codex_with_functions: Client::Codex { functions: true }, Protocol::Http, plain();
    opencode: Client::Opencode, Protocol::Grpc, gzip();
}

/// Codex gives the WebSocket up after some refusals and goes on over HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn codex_without_websocket() -> Result<()> {
    one(Client::Codex { functions: false }, Protocol::Grpc, Behaviour { socket: false, ..plain() }).await
}
