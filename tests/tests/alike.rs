//! A hundred agents at once that ask the same: each is a tree of its own, with its own answers and results.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use trackway_tests::provider::script::{Answer, Ask, ToolUse, usage};
use trackway_tests::provider::{Behaviour, Served};
use trackway_tests::spans::{Span, Spans};
use trackway_tests::trackway::Run;
use trackway_tests::world::{World, privileged};

/// Two looks, then words. Nothing in an answer tells whose it is, but for the ids that the provider gives.
fn two_looks(ask: &Ask) -> Answer {
    let usage = usage(ask);
    if ask.turn == 2 {
        return Answer::text("I saw it.", usage);
    }
    let look = ToolUse::function("look", json!({}));
    Answer { tools: vec![look], ..Answer::text("I look.", usage) }
}

/// What one agent did, as the provider saw it: the ids of its answers, and the result of each tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Story {
    answers: BTreeSet<String>,
    results: BTreeMap<String, String>,
}

/// The agents by the results in their requests: an agent's tools always give the same thing.
fn told(served: &[Served]) -> Result<BTreeSet<Story>> {
    let mut stories: BTreeMap<String, Story> = BTreeMap::new();
    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    let mut owner: BTreeMap<String, String> = BTreeMap::new();
    for served in served {
        asked.extend(served.answer.tools.iter().map(|tool| (tool.id.clone(), served.id.clone())));
        for message in served.ask.body["messages"].as_array().context("no messages")? {
            let (Some(call), Some(thing)) = (message["tool_call_id"].as_str(), message["content"].as_str())
            else {
                continue;
            };
            let story = stories.entry(thing.to_owned()).or_default();
            story.results.insert(call.to_owned(), thing.to_owned());
            story.answers.insert(served.id.clone());
            owner.insert(call.to_owned(), thing.to_owned());
        }
    }
    // The first answer of each agent is the one that gave out its first id.
    for (call, answer) in asked {
        let thing = owner.get(&call).with_context(|| format!("{call} was never answered"))?;
        stories.entry(thing.clone()).or_default().answers.insert(answer);
    }
    Ok(stories.into_values().collect())
}

/// The same, as the traces tell it.
fn seen(spans: &Spans) -> Result<BTreeSet<Story>> {
    let mut stories = BTreeSet::new();
    for trace in spans.traces() {
        let mut story = Story::default();
        for span in &trace.0 {
            match span.text("gen_ai.operation.name") {
                "chat" => {
                    story.answers.insert(span.text("gen_ai.response.id").to_owned());
                }
                "execute_tool" => {
                    let result: Value = serde_json::from_str(span.text("gen_ai.tool.call.result"))?;
                    let result = result.as_str().context("a result is no text")?.to_owned();
                    story.results.insert(span.text("gen_ai.tool.call.id").to_owned(), result);
                    ensure!(span.text("trackway.link.rule") == "tool_call_id", "{span:?}");
                }
                _ => {}
            }
        }
        if !story.answers.is_empty() {
            let roots = trace.roots();
            ensure!(roots.len() == 1, "{} roots in one trace", roots.len());
            let below = trace.below(roots[0]);
            let calls = |spans: &[&Span]| spans.iter().filter(|span| span.operation() == "chat").count();
            ensure!(calls(&below) == story.answers.len(), "a call hangs elsewhere: {trace}");
            stories.insert(story);
        }
    }
    Ok(stories)
}

/// Three hundred agents at once would test the machine.
static ONE: Mutex<()> = Mutex::const_new(());

async fn a_hundred(mode: &str) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let _alone = ONE.lock().await;
    let behaviour = Behaviour { script: Arc::new(two_looks), ..Behaviour::default() };
    let world = World::new(behaviour).await?;
    let job = world.command(&["python", "alike.py", mode, "100"])?;
    let run = Run::to(&world.collector).option("--scope").option("conversation");
    run.of(job.within(Duration::from_secs(240))).run(&world.namespace).await?.success()?;
    let spans = world.collector.wait_for(Duration::from_secs(30), |spans| spans.roots().len() > 100).await?;
    let served = world.provider.served();
    assert_eq!(served.len(), 300);
    let told = told(&served)?;
    assert_eq!(told.len(), 100);
    let seen = seen(&spans)?;
    let wrong: Vec<_> = seen.symmetric_difference(&told).take(4).collect();
    assert!(wrong.is_empty(), "{mode}: {wrong:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_threads_are_a_hundred_trees() -> Result<()> {
    a_hundred("threads").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tasks_are_a_hundred_trees() -> Result<()> {
    a_hundred("asyncio").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_processes_are_a_hundred_trees() -> Result<()> {
    a_hundred("processes").await
}
