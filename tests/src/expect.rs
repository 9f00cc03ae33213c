//! The comparison: what the provider said against what the collector was told.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::provider::script::{Api, ToolInput, ToolUse};
use crate::provider::{Plain, Served};
use crate::spans::{Span, Spans};

/// What a trace must tell.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Name of the agent.
    pub agent: &'a str,
    /// The answers that it got, in order.
    pub served: &'a [Served],
    /// Its other requests.
    pub plain: &'a [Plain],
    /// Whether the answers told their usage.
    pub usage: bool,
    /// Whether processes were seen (only with the kernel's help).
    pub processes: bool,
}

/// Collects differences, so that one run shows all of them.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: impl std::fmt::Display, told: T, said: T) {
        if told != said {
            self.0.push(format!("{what}: the trace tells {told:?}, but it was {said:?}"));
        }
    }

    fn holds(&mut self, truth: bool, what: impl std::fmt::Display) {
        if !truth {
            self.0.push(what.to_string());
        }
    }

    fn one<'a>(&mut self, what: impl std::fmt::Display, found: Vec<&'a Span>) -> Option<&'a Span> {
        self.holds(found.len() == 1, format!("{what}: {} spans instead of one", found.len()));
        found.first().copied()
    }
}

/// Compares one trace with what happened, field by field.
pub fn check(trace: &Spans, expected: Expected<'_>) -> Result<()> {
    let mut differences = Differences::default();
    if let Some(root) = differences.one("root", trace.roots()) {
        tree(trace, root, &mut differences);
        totals(root, expected, &mut differences);
        for (index, served) in expected.served.iter().enumerate() {
            chat(trace, root, served, expected, &mut differences);
            for tool in &served.answer.tools {
                tool_call(trace, root, served, tool, &expected.served[index + 1..], &mut differences);
            }
        }
        let chats =
            trace.of("chat").into_iter().filter(|span| span.get("trackway.auxiliary").is_null()).count();
        differences.equal("number of chat spans", chats, expected.served.len());
        let tools = expected.served.iter().map(|served| served.answer.tools.len()).sum();
        differences.equal("number of tool spans", trace.of("execute_tool").len(), tools);
        for plain in expected.plain {
            request(trace, plain, &mut differences);
        }
        if expected.processes {
            for served in expected.served {
                for tool in &served.answer.tools {
                    processes(trace, tool, served.ask.agent, &mut differences);
                }
            }
        }
    }
    let mut report = differences.0.join("\n");
    write!(report, "\n{trace}")?;
    ensure!(differences.0.is_empty(), "{report}");
    Ok(())
}

fn tree(trace: &Spans, root: &Span, differences: &mut Differences) {
    for span in &trace.0 {
        let at = format!("span `{}`", span.name);
        differences.holds(span.trace == root.trace, format!("{at} is of another trace"));
        let known = span.parent.is_empty() || trace.0.iter().any(|other| other.id == span.parent);
        differences.holds(known, format!("{at} has an unknown parent"));
        differences.holds(span.start <= span.end, format!("{at} ends before it begins"));
        let within = root.start <= span.start && span.end <= root.end;
        differences.holds(within, format!("{at} is not within the time of the root"));
        let twins = trace.0.iter().filter(|other| other.id == span.id).count();
        differences.equal(format!("{at} by its id"), twins, 1);
    }
}

fn totals(root: &Span, expected: Expected<'_>, differences: &mut Differences) {
    let served = expected.served;
    differences.equal("root's name", root.name.as_str(), &format!("invoke_agent {}", expected.agent));
    differences.equal("root's operation", root.operation(), "invoke_agent");
    differences.equal("root's agent", root.text("gen_ai.agent.name"), expected.agent);
    differences.equal("service.name", root.resource.get("service.name"), Some(&expected.agent.into()));
    let tools: usize = served.iter().map(|served| served.answer.tools.len()).sum();
    let sum = |number: fn(&Served) -> u64| -> u64 {
        if expected.usage { served.iter().map(number).sum() } else { 0 }
    };
    for (key, number) in [
        ("agent.run.llm_calls", served.len() as u64),
        ("agent.run.tool_calls", tools as u64),
        ("agent.run.input_tokens", sum(|served| served.answer.usage.input)),
        ("agent.run.output_tokens", sum(|served| served.answer.usage.output)),
        ("agent.run.cache_read_tokens", sum(|served| served.answer.usage.cached)),
    ] {
        differences.equal(key, root.get(key), &number.into());
    }
}

fn chat(trace: &Spans, root: &Span, served: &Served, expected: Expected<'_>, differences: &mut Differences) {
    let at = format!("answer {}", served.id);
    let found = trace.of("chat").into_iter().filter(|span| span.text("gen_ai.response.id") == served.id);
    let Some(span) = differences.one(&at, found.collect()) else { return };
    let provider = if served.ask.api == Api::Messages { "anthropic" } else { "openai" };
    let finish = if served.answer.tools.is_empty() { "stop" } else { "tool_call" };
    let usage = served.answer.usage;
    let stream = if served.stream { json!(true) } else { Value::Null };
    let count = |number: u64| if expected.usage { json!(number) } else { Value::Null };
    let some = |number: u64| if number == 0 { Value::Null } else { count(number) };
    let attributes = [
        ("gen_ai.provider.name", json!(provider)),
        ("gen_ai.request.model", json!(served.requested_model)),
        ("gen_ai.response.model", json!(served.model)),
        ("gen_ai.response.finish_reasons", json!([finish])),
        ("gen_ai.request.stream", stream),
        ("gen_ai.usage.input_tokens", count(usage.input)),
        ("gen_ai.usage.output_tokens", count(usage.output)),
        ("gen_ai.usage.cache_read.input_tokens", count(usage.cached)),
        ("gen_ai.usage.cache_creation.input_tokens", some(usage.written)),
        ("gen_ai.usage.reasoning.output_tokens", some(usage.reasoning)),
        ("gen_ai.request.temperature", served.ask.body["temperature"].clone()),
        ("gen_ai.request.seed", served.ask.body["seed"].clone()),
        ("gen_ai.request.max_tokens", served.ask.body["max_tokens"].clone()),
        ("server.address", json!(served.host)),
        ("server.port", json!(443)),
        ("trackway.completion", Value::Null),
        ("trackway.faults", Value::Null),
        ("error.type", Value::Null),
    ];
    for (key, value) in attributes {
        differences.equal(format!("{at}: {key}"), span.get(key), &value);
    }
    differences.equal(format!("{at}: name"), span.name.as_str(), &format!("chat {}", served.requested_model));
    differences.equal(format!("{at}: kind"), span.kind, 3);
    differences.equal(format!("{at}: error"), span.error.as_deref(), None);
    differences.holds(caller(trace, root, span), format!("{at} is not below its process or the root"));
    let answered = span.json("gen_ai.output.messages");
    let parts = answered[0]["parts"].as_array().cloned().unwrap_or_default();
    let texts: Vec<_> =
        parts.iter().filter(|part| part["type"] == "text").map(|part| part["content"].clone()).collect();
    differences.equal(format!("{at}: text"), texts, vec![Value::from(served.answer.text.as_str())]);
    for tool in &served.answer.tools {
        let told = parts.iter().any(|part| {
            part["type"] == "tool_call"
                && part["id"] == tool.id.as_str()
                && part["name"] == tool.name.as_str()
                && part["arguments"] == input(tool)
        });
        differences
            .holds(told, format!("{at}: the output messages lack the tool call {}: {parts:?}", tool.id));
    }
    let asked = span.text("gen_ai.input.messages");
    let marked = asked.contains(&format!("agent-{}", served.ask.agent));
    let first = served.ask.body.to_string().contains("agent-");
    differences.holds(marked == first, format!("{at}: the input messages lack the task: {asked}"));
}

/// Whether a span hangs below the root or below a process that made the call.
fn caller(trace: &Spans, root: &Span, span: &Span) -> bool {
    span.parent == root.id || trace.processes().iter().any(|process| process.id == span.parent)
}

fn tool_call(
    trace: &Spans,
    root: &Span,
    served: &Served,
    tool: &ToolUse,
    later: &[Served],
    differences: &mut Differences,
) {
    let at = format!("tool {}", tool.id);
    let Some(span) = differences.one(&at, tool_spans(trace, tool)) else { return };
    differences.equal(format!("{at}: name"), span.name.as_str(), &format!("execute_tool {}", tool.name));
    differences.equal(format!("{at}: gen_ai.tool.name"), span.text("gen_ai.tool.name"), &tool.name);
    let told = content(span, "gen_ai.tool.call.arguments");
    differences.equal(format!("{at}: arguments"), &told, &input(tool));
    let result = later.iter().find_map(|served| result(&served.ask.body, &tool.id)).map(joined);
    let told = content(span, "gen_ai.tool.call.result");
    differences.equal(format!("{at}: result"), &told, &result.unwrap_or(Value::Null));
    let rationale = span.text("agent.decision_rationale");
    differences.equal(format!("{at}: rationale"), rationale, served.answer.text.as_str());
    differences.holds(caller(trace, root, span), format!("{at} is not below its process or the root"));
    let chats = trace.of("chat");
    if let Some(asked) = chats.iter().find(|span| span.text("gen_ai.response.id") == served.id) {
        // A client may act before it reads the last bytes, as Go does: the tap tells when it read, the proxy when they came.
        let tapped = asked.text("trackway.capture.plane") == "tap";
        let since = if tapped { asked.start } else { asked.end };
        differences
            .holds(since <= span.start, format!("{at} begins before the answer that asked for it ended"));
        differences.equal(format!("{at}: parent"), &span.parent, &asked.parent);
    }
}

fn tool_spans<'a>(trace: &'a Spans, tool: &ToolUse) -> Vec<&'a Span> {
    let tools = trace.of("execute_tool").into_iter();
    tools.filter(|span| span.text("gen_ai.tool.call.id") == tool.id).collect()
}

/// The processes of the commands in [`crate::provider::script::commands`].
fn processes(trace: &Spans, tool: &ToolUse, agent: u64, differences: &mut Differences) {
    let Some(&span) = tool_spans(trace, tool).first() else { return };
    let under = trace.under(span);
    let missing = format!("missing-{agent}.txt");
    let counts = input(tool).to_string().contains("wc -l");
    let (own, code, failed): (&[&str], _, _) =
        if counts { (&["wc", "-l", "notes.txt"], 0, false) } else { (&["cat", &missing], 1, true) };
    let argv = |span: &Span| -> Vec<String> {
        let words = span.get("process.command_args").as_array().cloned().unwrap_or_default();
        words.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let command = under.iter().find(|span| argv(span) == own);
    differences.holds(command.is_some(), format!("tool {}: no process {own:?} below it", tool.id));
    if let Some(command) = command {
        let at = format!("process {own:?}");
        differences.equal(format!("{at}: exit code"), command.get("process.exit.code"), &json!(code));
        differences.equal(format!("{at}: failed"), command.error.is_some(), failed);
        differences.equal(format!("{at}: executable"), command.text("process.executable.name"), own[0]);
        // In the process, the end of an answer may be read after what it asked for was begun: where a stream's last
        // bytes come on their own.
        let tapped = |asked: &&&Span| asked.text("trackway.capture.plane") == "tap";
        let chats = trace.of("chat");
        let asked = chats.iter().filter(tapped).map(|asked| asked.start).filter(|start| *start <= span.start);
        let since = asked.max().unwrap_or(span.start);
        differences.holds(
            since <= command.start && command.end <= span.end,
            format!(
                "{at} ({}..{}) is not within its tool ({}..{})",
                command.start, command.end, span.start, span.end
            ),
        );
    }
    // What the agent starts for itself meanwhile is not the tool's, however much it resembles its command.
    let mark = own.join(" ");
    for stranger in under.iter().filter(|span| !argv(span).join(" ").contains(&mark)) {
        differences.holds(false, format!("tool {}: {:?} is not of its command", tool.id, argv(stranger)));
    }
    if !counts {
        let shell = under.iter().find(|span| argv(span).iter().any(|word| word.contains("exit 3")));
        let code = shell.map(|shell| shell.get("process.exit.code").clone());
        differences.equal("the shell's exit code", code, Some(json!(3)));
    }
}

fn request(trace: &Spans, plain: &Plain, differences: &mut Differences) {
    let path = plain.path.split('?').next().unwrap_or_default();
    let fits = |span: &&Span| {
        span.text("url.path") == path
            && span.text("server.address") == plain.host
            && span.text("http.request.method") == plain.method
            && span.get("http.response.status_code") == &json!(plain.status)
            && span.get("http.request.body.size") == &json!(plain.size)
    };
    let found = trace.0.iter().any(|span| fits(&span));
    differences.holds(found, format!("no span for {plain:?}"));
}

fn input(tool: &ToolUse) -> Value {
    match &tool.input {
        ToolInput::Json(value) => value.clone(),
        ToolInput::Text(text) => text.as_str().into(),
    }
}

/// The result that a client sent for a tool call.
fn result(body: &Value, id: &str) -> Option<Value> {
    let lists = ["messages", "input"].into_iter().filter_map(|key| body[key].as_array());
    for item in lists.flatten() {
        if item["tool_call_id"] == id {
            return Some(item["content"].clone());
        }
        if item["call_id"] == id && !item["output"].is_null() {
            return Some(item["output"].clone());
        }
        let blocks = item["content"].as_array().into_iter().flatten();
        if let Some(block) = blocks.into_iter().find(|block| block["tool_use_id"] == id) {
            return Some(block["content"].clone());
        }
    }
    None
}

/// A result in parts of text is told as one text.
fn joined(result: Value) -> Value {
    let parts = result.as_array().map(|parts| parts.iter().map(|part| part["text"].as_str()).collect());
    let text: Option<Option<String>> = parts;
    text.flatten().map_or(result, Value::from)
}

/// An attribute with content: JSON, or plain text where it is none.
fn content(span: &Span, key: &str) -> Value {
    let text = span.text(key);
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
