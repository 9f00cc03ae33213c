//! An agent that has others do parts of its work: their conversations stand under the tool calls that began them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use trackway_tests::provider::Behaviour;
use trackway_tests::provider::script::{Answer, Ask, ToolUse, usage};
use trackway_tests::world::{World, privileged};

const TASKS: [&str; 2] = [
    "Find out when the library alpha was released last, and say it in one line.",
    "Find out when the library omega was released last, and say it in one line.",
];

/// The main agent asks for both tasks at once; each task is answered in words.
fn two_tasks(ask: &Ask) -> Answer {
    let usage = usage(ask);
    let said = ask.body["messages"].to_string();
    if said.contains("You do as you are told.") {
        let name = if said.contains("alpha") { "alpha" } else { "omega" };
        return Answer::text(format!("Of {name}: last week."), usage);
    }
    if ask.turn > 0 {
        return Answer::text("Both are kept alike.", usage);
    }
    let tool = |task: &str| ToolUse::function("delegate", json!({ "task": task }));
    Answer { tools: TASKS.map(tool).into(), ..Answer::text("I ask two others.", usage) }
}

#[tokio::test(flavor = "multi_thread")]
async fn sub_agents_stand_under_the_tools_that_began_them() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour { script: Arc::new(two_tasks), ..Behaviour::default() }).await?;
    let outcome = world.wrapped(world.command(&["python", "delegate.py"])?).await?.success()?;
    assert_eq!(outcome.stdout, "Both are kept alike.\n");
    let wait = Duration::from_secs(10);
    let spans = world.collector.wait_for(wait, |spans| !spans.roots().is_empty()).await?;
    assert_eq!(world.provider.served().len(), 4);
    let root = spans.roots()[0];
    let below = spans.below(root);
    assert_eq!(below.iter().filter(|span| span.operation() == "chat").count(), 2, "{spans}");
    let tools = spans.of("execute_tool");
    assert_eq!(tools.len(), 2, "{spans}");
    for (tool, task) in tools.iter().zip(TASKS) {
        assert_eq!(tool.json("gen_ai.tool.call.arguments"), json!({ "task": task }), "{spans}");
        let calls = spans.below(tool);
        let [call] = calls.as_slice() else { panic!("not one call under a tool: {spans}") };
        assert_eq!(call.operation(), "chat");
        assert_eq!(call.text("trackway.link.rule"), "prompt_in_arguments");
        let asked = call.json("gen_ai.input.messages");
        assert_eq!(asked[1]["parts"][0]["content"], json!(task), "{spans}");
        let name = if task.contains("alpha") { "alpha" } else { "omega" };
        assert!(tool.text("gen_ai.tool.call.result").contains(name), "{spans}");
    }
    let last = below.iter().rfind(|span| span.operation() == "chat").context("no last call")?;
    assert_eq!(last.text("trackway.previous.rule"), "history");
    // What the root tells is the main agent's answer, not that of a sub-agent.
    assert!(root.text("gen_ai.output.messages").contains("Both are kept alike."), "{spans}");
    println!("{}", outcome.stderr);
    Ok(())
}
