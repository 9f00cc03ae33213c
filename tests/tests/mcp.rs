//! Agents whose tools are carried out by MCP servers, over pipes and over HTTP: each call of a server stands under
//! the tool call that it carries out, and what a server starts stands under the server.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use trackway_tests::clients::Client;
use trackway_tests::job::{Job, Outcome};
use trackway_tests::provider::script::{Answer, Ask, Shell, ToolInput, ToolUse, usage};
use trackway_tests::provider::{Behaviour, mcp};
use trackway_tests::spans::{Span, Spans};
use trackway_tests::world::{World, privileged};

const ARRIVAL: Duration = Duration::from_secs(10);
const RULE: &str = "trackway.link.rule";
const ARGUMENTS: &str = "gen_ai.tool.call.arguments";
const RESULT: &str = "gen_ai.tool.call.result";
const SUMS: [(u64, u64); 2] = [(2, 3), (40, 2)];

fn sum((a, b): (u64, u64)) -> Value {
    json!({ "a": a, "b": b })
}

/// The only span of `spans` that fits.
fn one<'a>(spans: &'a Spans, what: &str, fits: impl Fn(&Span) -> bool) -> Result<&'a Span> {
    let found: Vec<_> = spans.0.iter().filter(|span| fits(span)).collect();
    ensure!(found.len() == 1, "{what}: {} spans instead of one\n{spans}", found.len());
    Ok(found[0])
}

fn argv(span: &Span) -> Vec<&str> {
    span.get("process.command_args").as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The call of a server that `tool` stands for.
fn below<'a>(spans: &'a Spans, tool: &Span, method: &str, arguments: &Value) -> Result<&'a Span> {
    let what = format!("{method} {arguments} below {}", tool.name);
    let span = one(spans, &what, |span| {
        span.parent == tool.id && span.name == method && span.json(ARGUMENTS) == *arguments
    })?;
    assert_eq!(span.kind, 3, "{spans}");
    assert_eq!(span.text("mcp.method.name"), "tools/call", "{spans}");
    assert_eq!(span.error, None, "{spans}");
    assert!(tool.start <= span.start && span.end <= tool.end, "{what} is not within its time\n{spans}");
    Ok(span)
}

/// The server on pipes, its handshake, and the process that it starts for each sum.
fn adder(spans: &Spans) -> Result<&Span> {
    let server = one(spans, "the server", |span| {
        argv(span).get(1).is_some_and(|word| word.ends_with("mcp_stdio.py"))
    })?;
    for (a, b) in SUMS {
        let words = ["expr".to_owned(), a.to_string(), "+".to_owned(), b.to_string()];
        let expr = one(spans, "expr", |span| argv(span) == words)?;
        // The server lives through the run; what it starts for a call stands under the call.
        let call = one(spans, "the call", |span| span.id == expr.parent)?;
        assert_eq!(
            (call.text("mcp.method.name"), expr.text("trackway.link.rule")),
            ("tools/call", "window"),
            "{spans}"
        );
        let arguments: serde_json::Value = serde_json::from_str(call.text("gen_ai.tool.call.arguments"))?;
        assert_eq!(arguments, json!({"a": a, "b": b}), "{spans}");
        assert_eq!(expr.get("process.exit.code"), &json!(0), "{spans}");
    }
    for name in ["initialize", "tools/list"] {
        one(spans, name, |span| span.name == name && span.text("network.transport") == "pipe")?;
    }
    Ok(server)
}

/// Whether `call`, of the server `server` on pipes, was told as it was.
fn added(call: &Span, (a, b): (u64, u64), server: &Span) {
    assert_eq!(call.text("network.transport"), "pipe");
    assert_eq!(call.text("gen_ai.tool.name"), "add");
    assert_eq!(call.get("trackway.mcp.server.pid"), server.get("process.pid"));
    assert_eq!(call.json(RESULT)["content"][0]["text"], (a + b).to_string());
}

async fn told(world: &World, outcome: &Outcome) -> Result<Spans> {
    // For a look at what a user sees: `cargo test … -- --nocapture`.
    eprintln!("{}", outcome.stderr);
    let spans = world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await?;
    assert_eq!(spans.traces().len(), 1, "{spans}");
    assert_eq!(spans.roots().len(), 1, "{spans}");
    Ok(spans)
}

/// Two sums at once.
fn sums(ask: &Ask) -> Answer {
    let usage = usage(ask);
    let call = |numbers| ToolUse::function("mcp__adder__add", sum(numbers));
    match ask.turn {
        0 => Answer { tools: SUMS.map(call).into(), ..Answer::text("I add.", usage) },
        _ => Answer::text("Five and forty-two.", usage),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_server_on_pipes() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour { script: Arc::new(sums), ..Behaviour::default() }).await?;
    let job = world.command(&["python", "mcp_agent.py", &Client::python(), "mcp_stdio.py"])?;
    let outcome = world.wrapped(job).await?.success()?;
    assert_eq!(outcome.stdout, "Five and forty-two.\n");
    let spans = told(&world, &outcome).await?;
    let root = spans.roots()[0];
    let server = adder(&spans)?;
    assert_eq!(server.parent, root.id, "{spans}");
    let asked = world.provider.served()[0].answer.tools.clone();
    for (tool, numbers) in asked.iter().zip(SUMS) {
        let span = one(&spans, &tool.id, |span| span.text("gen_ai.tool.call.id") == tool.id)?;
        assert_eq!((span.name.as_str(), &span.parent), ("execute_tool mcp__adder__add", &root.id), "{spans}");
        assert_eq!(span.json(ARGUMENTS), sum(numbers), "{spans}");
        assert_eq!(span.json(RESULT), json!((numbers.0 + numbers.1).to_string()), "{spans}");
        let call = below(&spans, span, "tools/call add", &sum(numbers))?;
        assert_eq!(call.text(RULE), "name_and_arguments", "{spans}");
        added(call, numbers, server);
        assert_eq!(spans.below(span).len(), 1, "{spans}");
    }
    assert_eq!(root.get("agent.run.pipe_calls"), &json!(4), "{spans}");
    Ok(())
}

/// Codex with both servers in its settings.
fn codex(world: &World, functions: bool) -> Result<Job> {
    let job = world.job(Client::Codex { functions }, 4)?;
    let python = Client::python();
    let script = job.folder().join("mcp_stdio.py");
    let mut settings = OpenOptions::new().append(true).open(job.folder().join("home/.codex/config.toml"))?;
    writeln!(settings, "[mcp_servers.adder]\ncommand = {python:?}\nargs = [{script:?}]")?;
    writeln!(settings, "[mcp_servers.web]\nurl = \"https://mcp.example/mcp\"")?;
    Ok(job)
}

/// A shell command, then both sums, then the weather. Where Codex has one tool that takes a script, the script
/// calls the servers.
fn all_three(ask: &Ask) -> Answer {
    let usage = usage(ask);
    let scripts = ask.shell == Some(Shell::Exec);
    let function = |namespace, name: &str, arguments| ToolUse {
        namespace: Some(namespace),
        ..ToolUse::function(name, arguments)
    };
    let script = |lines: &[String]| {
        let input = ToolInput::Text(lines.concat());
        vec![ToolUse { name: "exec".to_owned(), input, ..ToolUse::default() }]
    };
    let line =
        |name: &str, arguments: Value| format!("text((await tools.{name}({arguments})).content[0].text);\n");
    let weather = json!({ "city": "Ulm" });
    match (ask.turn, ask.shell) {
        (0, Some(shell)) => Answer::command("First the shell.", shell, "wc -l notes.txt", usage),
        (1, _) => {
            let tools = if scripts {
                script(&SUMS.map(|numbers| line("mcp__adder__add", sum(numbers))))
            } else {
                SUMS.map(|numbers| function("mcp__adder", "add", sum(numbers))).into()
            };
            Answer { tools, ..Answer::text("Then the sums.", usage) }
        }
        (2, _) => {
            let tools = if scripts {
                script(&[line("mcp__web__weather", weather)])
            } else {
                vec![function("mcp__web", "weather", weather)]
            };
            Answer { tools, ..Answer::text("Then the weather.", usage) }
        }
        _ => Answer::text("Three lines, five, forty-two and 21 degrees.", usage),
    }
}

async fn codex_with_both(functions: bool) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour { script: Arc::new(all_three), ..Behaviour::default() }).await?;
    let outcome = world.wrapped(codex(&world, functions)?).await?.success()?;
    ensure!(outcome.stdout.contains("Three lines, five, forty-two and 21 degrees."), "{outcome:?}");
    let spans = told(&world, &outcome).await?;
    let served = world.provider.served();
    assert_eq!(served.len(), 4);
    let server = adder(&spans)?;
    let agent = one(&spans, "codex", |span| span.id == server.parent)?;
    assert_eq!(agent.text("process.executable.name"), "codex", "{spans}");
    let tool = |tool: &ToolUse| -> Result<&Span> {
        let span = one(&spans, &tool.id, |span| span.text("gen_ai.tool.call.id") == tool.id)?;
        assert_eq!((span.name.as_str(), &span.parent), (&*format!("execute_tool {}", tool.name), &agent.id));
        Ok(span)
    };
    let asked =
        |turn: usize| served.get(turn).map(|served| served.answer.tools.as_slice()).context("no turn");
    // A program's calls have no name of their own in the API; a function's have.
    let rule = if functions { "name_and_arguments" } else { "call_in_arguments" };

    let shell = tool(&asked(0)?[0])?;
    let count = one(&spans, "wc", |span| argv(span) == ["wc", "-l", "notes.txt"])?;
    assert!(spans.under(shell).iter().any(|span| span.id == count.id), "{spans}");
    assert!(shell.text(RESULT).contains("3 notes.txt"), "{spans}");

    let mut seen = 0;
    for asked in asked(1)? {
        let span = tool(asked)?;
        for numbers in
            SUMS.into_iter().filter(|numbers| !functions || asked.input == ToolInput::Json(sum(*numbers)))
        {
            let call = below(&spans, span, "tools/call add", &sum(numbers))?;
            assert_eq!(call.text(RULE), rule, "{spans}");
            added(call, numbers, server);
            assert!(span.text(RESULT).contains(&(numbers.0 + numbers.1).to_string()), "{spans}");
            seen += 1;
        }
        assert_eq!(spans.below(span).len(), if functions { 1 } else { 2 }, "{spans}");
    }
    assert_eq!(seen, 2, "{spans}");

    let span = tool(&asked(2)?[0])?;
    let call = below(&spans, span, "tools/call weather", &json!({ "city": "Ulm" }))?;
    assert_eq!(call.text(RULE), rule, "{spans}");
    assert_eq!(call.text("network.transport"), "tcp", "{spans}");
    assert_eq!(call.text("server.address"), "mcp.example", "{spans}");
    assert_eq!(call.text("mcp.session.id"), mcp::SESSION, "{spans}");
    assert_eq!(call.json(RESULT)["content"][0]["text"], mcp::weather("Ulm"), "{spans}");
    assert!(span.text(RESULT).contains(&mcp::weather("Ulm")), "{spans}");
    assert_eq!(spans.below(span).len(), 1, "{spans}");
    Ok(())
}

/// Codex' one tool takes a script, and the script calls the servers.
#[tokio::test(flavor = "multi_thread")]
async fn codex_with_both_servers() -> Result<()> {
    codex_with_both(false).await
}

/// The servers' tools are the model's own.
#[tokio::test(flavor = "multi_thread")]
async fn codex_with_both_servers_and_functions() -> Result<()> {
    codex_with_both(true).await
}
