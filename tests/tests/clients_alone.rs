//! The clients against the provider without Trackway: what every other test takes for granted.

use anyhow::Result;
use trackway_tests::clients::Client;
use trackway_tests::provider::Behaviour;
use trackway_tests::world::{World, privileged};

async fn check(client: Client) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let outcome = world.direct(client, 4)?.run(&world.namespace).await?.success()?;
    let served = world.provider.served();
    assert!(outcome.stdout.contains("notes.txt has three lines; missing-4.txt is not there."), "{outcome:?}");
    // opencode asks for a title without offering a tool.
    let offered = served.iter().filter(|served| served.ask.shell.is_some());
    let turns: Vec<_> = offered.map(|served| (served.ask.api, served.ask.turn, served.ask.agent)).collect();
    assert_eq!(turns, [0, 1, 2].map(|turn| (client.api(), turn, 4)));
    Ok(())
}

macro_rules! alone {
    ($($name:ident: $client:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            check($client).await
        }
    )*};
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
}
