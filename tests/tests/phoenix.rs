//! Arize Phoenix, which is not ours, shows a run as it was: once under its own names and once under those that
//! every backend gets.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trackway_tests::clients::Client;
use trackway_tests::phoenix::{Phoenix, Shown};
use trackway_tests::provider::script::{Api, ToolInput, ToolUse};
use trackway_tests::provider::{Behaviour, Served};
use trackway_tests::trackway::Run;
use trackway_tests::world::{World, privileged};

const OPENAI: Client = Client::PythonChat { asynchronous: false, stream: true, usage: true };
const ANTHROPIC: Client = Client::Anthropic { asynchronous: false, stream: false };

/// Which names the run was told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    OpenInference,
    Compat,
}

#[tokio::test(flavor = "multi_thread")]
async fn phoenix_shows_the_run() -> Result<()> {
    if !privileged() || !installed() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let phoenix = Phoenix::start(&world.namespace).await?;
    let runs = [
        (4, OPENAI, Names::OpenInference),
        (5, OPENAI, Names::Compat),
        (6, ANTHROPIC, Names::OpenInference),
        (7, ANTHROPIC, Names::Compat),
    ];
    for (agent, client, names) in runs {
        let mut run = Run::to_address(&phoenix.endpoint());
        if names == Names::OpenInference {
            run = run.option("--semconv").option("openinference");
        }
        run.of(world.job(client, agent)?).run(&world.namespace).await?.success()?;
        let served: Vec<_> =
            world.provider.served().into_iter().filter(|served| served.ask.agent == agent).collect();
        assert_eq!(served.len(), 3);
        let all = phoenix.wait_for(&world.namespace, |all| whole(&trace(all, &served[0]), &served)).await?;
        let spans = trace(&all, &served[0]);
        check(&spans, client, &served, names).with_context(|| format!("{client:?} {names:?} {spans:#?}"))?;
    }
    Ok(())
}

/// Says whether Phoenix is there. In CI it must be.
fn installed() -> bool {
    if Phoenix::is_installed() {
        return true;
    }
    let why = "Phoenix is not installed; `cargo xtask setup` does that";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    false
}

/// The spans of the trace in which the provider gave this answer.
fn trace(all: &[Shown], served: &Served) -> Vec<Shown> {
    let found = all.iter().find(|span| span.get("gen_ai.response.id") == served.id.as_str());
    let Some(found) = found else { return Vec::new() };
    all.iter().filter(|span| span.trace() == found.trace()).cloned().collect()
}

fn of<'a>(spans: &'a [Shown], kind: &str) -> Vec<&'a Shown> {
    spans.iter().filter(|span| span.kind() == kind).collect()
}

/// Whether everything has arrived: Phoenix writes in no promised order. The root tells how many processes to expect.
fn whole(spans: &[Shown], served: &[Served]) -> bool {
    let Some(root) = spans.iter().find(|span| span.parent().is_empty()) else { return false };
    let tools: usize = served.iter().map(|served| served.answer.tools.len()).sum();
    let known =
        |span: &Shown| span.id() == root.id() || spans.iter().any(|other| other.id() == span.parent());
    let processes = of(spans, "chain").len() + of(spans, "unknown").len();
    root.get("agent.run.processes") == processes
        && of(spans, "llm").len() == served.len()
        && of(spans, "tool").len() == tools
        && spans.iter().all(known)
}

fn check(spans: &[Shown], client: Client, served: &[Served], names: Names) -> Result<()> {
    let roots: Vec<_> = spans.iter().filter(|span| span.parent().is_empty()).collect();
    assert_eq!(roots.len(), 1, "{spans:#?}");
    root(roots[0], client, served, names);
    for (index, answer) in served.iter().enumerate() {
        let shown = spans.iter().find(|span| span.get("gen_ai.response.id") == answer.id.as_str());
        let shown = shown.with_context(|| format!("no answer {}", answer.id))?;
        assert_eq!(shown.parent(), roots[0].id());
        chat(shown, answer, names);
        for call in &answer.answer.tools {
            let shown = spans.iter().find(|span| span.get("tool.id") == call.id.as_str());
            let shown = shown.with_context(|| format!("no tool {}", call.id))?;
            assert_eq!(shown.parent(), roots[0].id());
            let result = served[index + 1..].iter().find_map(|later| result(later, &call.id));
            tool(shown, call, &result.context("no result")?, names);
            commands(spans, shown, call, names)?;
            // In OpenAI's interface a failure is told in words alone, and the status is not guessed from them.
            let failed = client == ANTHROPIC && fails(call);
            assert_eq!(shown.text("statusCode"), if failed { "ERROR" } else { "UNSET" });
        }
    }
    Ok(())
}

fn root(shown: &Shown, client: Client, served: &[Served], names: Names) {
    assert_eq!(shown.text("name"), format!("invoke_agent {}", client.agent_name()));
    assert_eq!(shown.kind(), "agent");
    // Phoenix adds up what is below. A count on the root itself would be counted twice.
    let sum = |count: fn(&Served) -> u64| json!(served.iter().map(count).sum::<u64>() as f64);
    assert_eq!(shown.fields["cumulativeTokenCountPrompt"], sum(|served| served.answer.usage.input));
    assert_eq!(shown.fields["cumulativeTokenCountCompletion"], sum(|served| served.answer.usage.output));
    assert_eq!(shown.text("propagatedStatusCode"), "ERROR", "a command below it failed");
    if names == Names::OpenInference {
        assert_eq!(shown.get("agent.name"), client.agent_name());
        let asked = asked(&served[0]);
        let task = &asked[1]["content"];
        assert_eq!(shown.fields["input"], json!({ "value": task, "mimeType": "text" }));
        let last = served.last().map(|served| served.answer.text.as_str());
        assert_eq!(shown.fields["output"], json!({ "value": last, "mimeType": "text" }));
    }
}

fn chat(shown: &Shown, served: &Served, names: Names) {
    let usage = served.answer.usage;
    let some = |count: u64| if count == 0 { Value::Null } else { count.into() };
    let body = &served.ask.body;
    assert_eq!(shown.kind(), "llm");
    assert_eq!(shown.text("statusCode"), "UNSET");
    assert_eq!(shown.fields["tokenCountPrompt"], usage.input);
    assert_eq!(shown.fields["tokenCountCompletion"], usage.output);
    assert_eq!(shown.fields["tokenCountTotal"], usage.input + usage.output);
    assert_eq!(shown.fields["tokenPromptDetails"]["cacheRead"], usage.cached);
    assert_eq!(shown.fields["tokenPromptDetails"]["cacheWrite"], some(usage.written));
    assert_eq!(shown.get("llm.provider"), if messages_api(served) { "anthropic" } else { "openai" });
    let parameters = text(shown.get("llm.invocation_parameters"));
    for key in ["temperature", "seed", "max_tokens"] {
        assert_eq!(parameters[key], body[key], "{key}");
    }
    // What Phoenix makes of the general names itself has the model that was asked for, and no reasoning.
    let (model, reasoning) = match names {
        Names::OpenInference => (&served.model, some(usage.reasoning)),
        Names::Compat => (&served.requested_model, Value::Null),
    };
    assert_eq!(shown.get("llm.model_name"), model.as_str());
    assert_eq!(shown.get("llm.token_count.completion_details.reasoning"), &reasoning);
    let asked = asked(served);
    let told = shown.get("llm.input_messages").as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(told.len(), asked.len(), "{told:#?}");
    for (told, mut asked) in told.iter().zip(asked) {
        // Anthropic's interface has a tool's result in a message of the user, and the general names say so.
        if names == Names::Compat && messages_api(served) && asked["role"] == "tool" {
            asked["role"] = "user".into();
        }
        message(&told["message"], &asked);
    }
    let calls: Vec<_> =
        served.answer.tools.iter().map(|tool| call(&tool.id, &tool.name, &input(tool))).collect();
    let answer = json!({ "role": "assistant", "content": served.answer.text, "tool_calls": calls });
    message(&shown.get("llm.output_messages")[0]["message"], &answer);
    let offered = &body["tools"][0];
    let offered = if messages_api(served) {
        let [name, description, schema] = ["name", "description", "input_schema"].map(|key| &offered[key]);
        json!({ "name": name, "description": description, "parameters": schema })
    } else {
        offered["function"].clone()
    };
    let schema = text(shown.get("llm.tools.0.tool.json_schema"));
    assert_eq!(schema, json!({ "type": "function", "function": offered }));
}

/// A message that Phoenix shows against one in OpenAI's shape.
fn message(told: &Value, said: &Value) {
    for key in ["role", "content", "tool_call_id"] {
        assert_eq!(told[key], said[key], "{told:#}");
    }
    let [told, said] =
        [told, said].map(|it| it["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default());
    assert_eq!(told.len(), said.len(), "{told:#?}");
    for (told, said) in told.iter().map(|told| &told["tool_call"]).zip(said) {
        assert_eq!(told["id"], said["id"]);
        assert_eq!(told["function"]["name"], said["function"]["name"]);
        assert_eq!(text(&told["function"]["arguments"]), text(&said["function"]["arguments"]));
    }
}

/// The messages of a request, the system's among them, in OpenAI's shape.
fn asked(served: &Served) -> Vec<Value> {
    let body = &served.ask.body;
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    if !messages_api(served) {
        return messages;
    }
    let mut all = vec![json!({ "role": "system", "content": body["system"] })];
    for message in messages {
        let Some(blocks) = message["content"].as_array() else {
            all.push(message);
            continue;
        };
        let of = |kind: &'static str| blocks.iter().filter(move |block| block["type"] == kind);
        all.extend(of("tool_result").map(
            |it| json!({ "role": "tool", "tool_call_id": it["tool_use_id"], "content": it["content"] }),
        ));
        let calls: Vec<_> = of("tool_use")
            .map(|it| {
                let [id, name] = ["id", "name"].map(|key| it[key].as_str().unwrap_or_default());
                call(id, name, &it["input"])
            })
            .collect();
        if let Some(text) = of("text").next() {
            all.push(json!({ "role": message["role"], "content": text["text"], "tool_calls": calls }));
        }
    }
    all
}

fn messages_api(served: &Served) -> bool {
    served.ask.api == Api::Messages
}

fn call(id: &str, name: &str, input: &Value) -> Value {
    json!({ "id": id, "function": { "name": name, "arguments": input.to_string() } })
}

/// JSON in a text.
fn text(value: &Value) -> Value {
    value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn tool(shown: &Shown, tool: &ToolUse, result: &str, names: Names) {
    assert_eq!(shown.kind(), "tool");
    assert_eq!(shown.text("name"), format!("execute_tool {}", tool.name));
    assert_eq!(shown.get("tool.name"), tool.name.as_str());
    assert!(shown.get("tool.description").is_string());
    assert_eq!(shown.get("tool.parameters"), &input(tool));
    if names == Names::OpenInference {
        assert_eq!(text(&shown.fields["input"]["value"]), input(tool));
        assert_eq!(shown.fields["input"]["mimeType"], "json");
        assert_eq!(shown.fields["output"], json!({ "value": result, "mimeType": "text" }));
    } else {
        assert_eq!(shown.fields["output"]["value"], json!(result).to_string());
    }
}

/// The processes below a tool, which tell what became of its command.
fn commands(spans: &[Shown], tool: &Shown, call: &ToolUse, names: Names) -> Result<()> {
    let command = input(call)["command"].clone();
    let shell = spans.iter().find(|span| span.get("process.command_args.2") == &command);
    let shell = shell.with_context(|| format!("no process for {command}"))?;
    assert_eq!(shell.parent(), tool.id());
    // OpenTelemetry's own names have no kind for it.
    assert_eq!(shell.kind(), if names == Names::OpenInference { "chain" } else { "unknown" });
    let failed = fails(call);
    let (status, message) = if failed { ("ERROR", "exited with code 3") } else { ("UNSET", "") };
    assert_eq!((shell.text("statusCode"), shell.text("statusMessage")), (status, message));
    assert_eq!(tool.text("propagatedStatusCode"), if failed { "ERROR" } else { "OK" });
    assert!(spans.iter().any(|span| span.parent() == shell.id()), "no process below the shell");
    Ok(())
}

fn input(tool: &ToolUse) -> Value {
    match &tool.input {
        ToolInput::Json(value) => value.clone(),
        ToolInput::Text(text) => text.as_str().into(),
    }
}

/// The second of the two commands does.
fn fails(tool: &ToolUse) -> bool {
    input(tool)["command"].as_str().is_some_and(|command| command.ends_with("exit 3"))
}

/// What the client sent as the tool's result.
fn result(served: &Served, id: &str) -> Option<String> {
    let message = asked(served).into_iter().find(|message| message["tool_call_id"] == id)?;
    message["content"].as_str().map(ToOwned::to_owned)
}
