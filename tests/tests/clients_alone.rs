//! The clients against the provider without Trackway: what every other test takes for granted.

use std::sync::Arc;

use anyhow::Result;
use trackway_tests::clients::Client;
use trackway_tests::job::Outcome;
use trackway_tests::namespace::CLIENTS;
use trackway_tests::provider::Behaviour;
use trackway_tests::provider::script::{Answer, Ask, usage};
use trackway_tests::world::{World, privileged};

fn equal(world: &World, client: Client, outcome: &Outcome) {
    assert!(outcome.stdout.contains(&client.last_words(4)), "{outcome:?}");
    let served = world.provider.served();
    // opencode asks for a title without offering a tool.
    let own = served.iter().filter(|served| served.ask.shell.is_some() == client.has_tools());
    let turns: Vec<_> = own.map(|served| (served.ask.api, served.ask.turn, served.ask.agent)).collect();
    let count = if client.has_tools() { 3 } else { 1 };
    assert_eq!(turns, (0..count).map(|turn| (client.api(), turn, 4)).collect::<Vec<_>>());
}

async fn check(client: Client) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let outcome = world.direct(client, 4)?.run(&world.namespace).await?.success()?;
    // For a look at what it prints: `cargo test … -- --nocapture`.
    eprintln!("{}, version {}: {}", client.label(), world.version(client).await?, outcome.stdout.trim());
    equal(&world, client, &outcome);
    Ok(())
}

/// A client that waits before its first request says nothing until it may.
async fn check_gate(client: Client) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let (job, gate) = world.gated(client, 4)?;
    let mut running = job.start(&world.namespace).await?;
    let held = gate.reached(&mut running).await?;
    assert_eq!(world.provider.connections(), 0);
    held.open();
    let outcome = running.end().await?.success()?;
    equal(&world, client, &outcome);
    Ok(())
}

/// A hundred streams at the same time on one connection.
async fn hundred(words: &[&str]) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let hello = |ask: &Ask| Answer::text(format!("Hello agent {}.", ask.agent), usage(ask));
    let behaviour = Behaviour { script: Arc::new(hello), together: 100, ..Behaviour::default() };
    let world = World::new(behaviour).await?;
    let outcome = world.command(words)?.run(&world.namespace).await?.success()?;
    assert_eq!(outcome.stdout, "100 of 100\n", "{outcome:?}");
    assert_eq!((world.provider.served().len(), world.provider.connections()), (100, 1));
    Ok(())
}

macro_rules! tests {
    ($($name:ident: $check:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            $check.await
        }
    )*};
}

macro_rules! alone {
    ($($name:ident: $client:expr;)*) => {
        tests! { $($name: check($client);)* }
    };
}

alone! {
    python_chat: Client::PythonChat { asynchronous: false, stream: false, usage: false };
    python_chat_async_stream: Client::PythonChat { asynchronous: true, stream: true, usage: true };
    python_responses_chain: Client::PythonResponses { asynchronous: false, stream: false, chain: true };
    python_responses_async_stream: Client::PythonResponses { asynchronous: true, stream: true, chain: false };
    anthropic: Client::Anthropic { asynchronous: false, stream: false };
    anthropic_async_stream: Client::Anthropic { asynchronous: true, stream: true };
    requests: Client::Requests;
    node_chat: Client::NodeChat { stream: true };
    node_responses: Client::NodeResponses { stream: true };
    codex: Client::Codex { functions: false };
    codex_functions: Client::Codex { functions: true };
    opencode: Client::Opencode;
    aiohttp: Client::Aiohttp;
    python_socket: Client::PythonSocket;
    go_debian: Client::Go { newest: false, stripped: false, second: true };
    go_debian_stripped: Client::Go { newest: false, stripped: true, second: false };
    go_newest: Client::Go { newest: true, stripped: false, second: true };
    go_newest_stripped: Client::Go { newest: true, stripped: true, second: false };
    rustls: Client::Rustls;
    java: Client::Java;
    curl_http1: Client::Curl { second: false };
    curl_http2: Client::Curl { second: true };
    wget: Client::Wget;
}

tests! {
    gate_python: check_gate(Client::Aiohttp);
    gate_node: check_gate(Client::NodeChat { stream: true });
    gate_go: check_gate(Client::Go { newest: true, stripped: false, second: true });
    gate_rustls: check_gate(Client::Rustls);
    gate_java: check_gate(Client::Java);
    gate_curl: check_gate(Client::Curl { second: false });
    gate_wget: check_gate(Client::Wget);
    gate_opencode: check_gate(Client::Opencode);
    hundred_streams_python: hundred(&["python", "many_h2.py", "100"]);
    hundred_streams_go_debian: hundred(&[&format!("{CLIENTS}/go/chat-debian"), "-many", "100"]);
    hundred_streams_go_newest: hundred(&[&format!("{CLIENTS}/go/chat-newest"), "-many", "100"]);
}
