use serde_json::{Value, json};

use super::build::*;
use crate::call::{Mcp, Part};
use crate::flow::Direction;
use crate::names;
use crate::observe::{Pipe, PipeCall};
use crate::run::Run;
use crate::telemetry::{Span, SpanKind, Status};

const SERVER: u32 = 150;

/// What a pair of pipes held: each line with its time.
fn calls(lines: &[(u64, Direction, Value)]) -> Vec<PipeCall> {
    let (mut pipe, mut out) = (Pipe::new(), Vec::new());
    for (time, direction, line) in lines {
        pipe.push(*direction, format!("{line}\n").as_bytes(), ms(*time), &mut out);
    }
    pipe.finish(&mut out);
    out
}

fn steps(lines: &[(u64, Direction, Value)], client: u32) -> Vec<Step> {
    let step = |call| Step::Pipe(Box::new(call), key(client), Some(key(SERVER)));
    calls(lines).into_iter().map(step).collect()
}

fn ask(time: u64, id: u64, method: &str, params: Value) -> (u64, Direction, Value) {
    let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    (time, Direction::ToOrigin, line)
}

fn give(time: u64, id: u64, result: Value) -> (u64, Direction, Value) {
    (time, Direction::ToClient, json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn handshake(time: u64) -> Vec<(u64, Direction, Value)> {
    let version = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    vec![
        ask(time, 0, "initialize", version.clone()),
        give(time + 1, 0, version),
        (time + 2, Direction::ToOrigin, json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
        ask(time + 3, 1, "tools/list", json!({})),
        give(time + 4, 1, json!({"tools": []})),
    ]
}

fn add(time: u64, id: u64) -> Vec<(u64, Direction, Value)> {
    vec![
        ask(time, id, "tools/call", json!({"name": "add", "arguments": {"a": 1}})),
        give(time + 10, id, json!({"content": [{"type": "text", "text": "2"}]})),
    ]
}

/// A conversation that asks for one addition at 100 and gives its result at 400.
fn adding(flow: u64, question: &str, tools: &[&str]) -> Vec<Step> {
    let call = |id: &&str| tool(id, "mcp__server__add", json!({"a": 1}));
    let asked = assistant(tools.iter().map(call).collect());
    let mut history = vec![text("user", question), asked.clone()];
    history.extend(tools.iter().map(|id| result(id, "2")));
    vec![
        chat(flow, AGENT, (60, 100), vec![text("user", question)], asked).into(),
        chat(flow + 1, AGENT, (400, 450), history, assistant(vec![Part::Text("Two.".into())])).into(),
    ]
}

#[test]
fn a_tool_that_a_server_at_a_pipe_carries_out_has_its_call_below() {
    let mut script = adding(1, "Add", &["toolu_0123456789"]);
    script.extend([fork(AGENT, SERVER).into(), exec(SERVER, 51, &["server"]).into()]);
    script.extend(steps(&[handshake(52), add(200, 2)].concat(), AGENT));
    let run = play(script);
    let call = run.one("tools/call add");
    assert_eq!(
        (run.parent(call), word(call, names::LINK_RULE)),
        ("execute_tool mcp__server__add", "name_and_arguments")
    );
    assert_eq!((call.start, call.end, call.kind), (ms(200), ms(210), SpanKind::Client));
    assert_eq!(
        (word(call, names::NETWORK_TRANSPORT), word(call, names::MCP_METHOD_NAME)),
        ("pipe", "tools/call")
    );
    assert_eq!(
        (word(call, names::JSONRPC_REQUEST_ID), word(call, names::MCP_PROTOCOL_VERSION)),
        ("2", "2025-11-25")
    );
    assert_eq!((word(call, names::OPERATION_NAME), word(call, names::TOOL_NAME)), ("execute_tool", "add"));
    assert_eq!(word(call, names::TOOL_ARGUMENTS), r#"{"a":1}"#);
    assert_eq!(number(call, names::MCP_SERVER_PID), i64::from(SERVER));
    assert_eq!(call.status, Status::Unset);
    // Nothing of HTTP, and no session.
    for key in [names::HTTP_METHOD, names::URL_FULL, names::SERVER_ADDRESS, names::MCP_SESSION_ID] {
        assert_eq!(call.attribute(key), None, "{key}");
    }
    for name in ["initialize", "tools/list"] {
        let span = run.one(name);
        assert_eq!((run.parent(span), word(span, names::LINK_RULE)), ("invoke_agent agent.py", "process"));
    }
    assert!(run.all("notifications/initialized").is_empty());
    assert_eq!((run.totals.pipe_calls, run.totals.http_calls, run.totals.tool_calls), (3, 0, 1));
    assert_eq!(number(run.spans.last().unwrap(), names::RUN_PIPE_CALLS), 3);
}

#[test]
fn the_order_of_arrival_changes_nothing() {
    let mut script = adding(1, "Add", &["toolu_0123456789"]);
    script.extend(steps(&[handshake(52), add(200, 2)].concat(), AGENT));
    let mut turned = script.clone();
    turned.reverse();
    assert_eq!(play(turned).tree(), play(script).tree());
}

#[test]
fn two_that_wait_for_the_same_leave_open_whose_call_it_is() {
    let mut script = adding(1, "Add", &["toolu_0123456789"]);
    script.extend(adding(3, "Add it up", &["toolu_9876543210"]));
    script.extend(steps(&[handshake(52), add(200, 2)].concat(), AGENT));
    let run = play(script);
    let call = run.one("tools/call add");
    assert_eq!((run.parent(call), word(call, names::LINK_RULE)), ("invoke_agent agent.py", "process"));
}

#[test]
fn two_equal_tools_of_one_answer_have_one_call_each() {
    let mut script = adding(1, "Add", &["toolu_0123456789", "toolu_9876543210"]);
    script.extend(steps(&[handshake(52), add(200, 2), add(202, 3)].concat(), AGENT));
    let run = play(script);
    let mut parents: Vec<_> = run.all("tools/call add").iter().map(|span| span.parent).collect();
    parents.dedup();
    let tools: Vec<_> = run.all("execute_tool mcp__server__add").iter().map(|span| Some(span.id)).collect();
    assert_eq!((parents.len(), tools.len()), (2, 2));
    assert!(parents.iter().all(|parent| tools.contains(parent)));
}

#[test]
fn a_call_of_another_process_stands_under_that_process() {
    let mut script = adding(1, "Add", &["toolu_0123456789"]);
    script.extend([fork(AGENT, 120).into(), exec(120, 21, &["other"]).into()]);
    script.extend(steps(&[handshake(52), add(200, 2)].concat(), 120));
    let run = play(script);
    let call = run.one("tools/call add");
    assert_eq!((run.parent(call), word(call, names::LINK_RULE)), ("exec other", "process"));
}

#[test]
fn what_a_server_asks_and_what_it_leaves_unanswered() {
    let question = json!({"jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {}});
    let failed = json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -32602, "message": "no such tool"}});
    let mut lines = handshake(52);
    lines.extend([
        ask(200, 2, "tools/call", json!({"name": "add", "arguments": {"a": 1}})),
        (205, Direction::ToClient, question),
        (210, Direction::ToClient, failed),
        ask(220, 3, "prompts/get", json!({"name": "greet"})),
        (
            290,
            Direction::ToClient,
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}),
        ),
    ]);
    let run = play(steps(&lines, AGENT));
    assert_eq!(run.spans.len(), 5, "{}", run.tree());
    let call = run.one("tools/call add");
    assert_eq!((word(call, names::ERROR_TYPE), word(call, names::RPC_STATUS)), ("-32602", "-32602"));
    assert_eq!(call.status, Status::Error("no such tool".into()));
    let prompt = run.one("prompts/get greet");
    assert_eq!((prompt.start, prompt.end), (ms(220), ms(290)));
    assert_eq!(
        (word(prompt, names::COMPLETION), word(prompt, names::ERROR_TYPE)),
        ("unanswered", "no_response")
    );
}

#[test]
fn a_call_that_its_client_takes_back_is_cancelled() {
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}});
    let mut lines = handshake(52);
    lines.push(ask(200, 2, "tools/call", json!({"name": "add", "arguments": {"a": 1}})));
    lines.push((260, Direction::ToOrigin, cancel));
    let run = play(steps(&lines, AGENT));
    let call = run.one("tools/call add");
    assert_eq!((call.start, call.end), (ms(200), ms(260)));
    assert_eq!((word(call, names::COMPLETION), word(call, names::ERROR_TYPE)), ("cancelled", "cancelled"));
}

/// A tool that is a program, open from 100 to 400, and the call that it makes.
fn program(code: &str, more: &[&str]) -> Outcome {
    let asks = std::iter::once(&code).chain(more).enumerate();
    let asked =
        assistant(asks.map(|(n, code)| tool(&format!("call_number_{n:04}"), "exec", json!(code))).collect());
    let mut script: Vec<Step> = vec![chat(1, AGENT, (60, 100), vec![text("user", "Add")], asked).into()];
    script.extend(steps(&[handshake(52), add(200, 2)].concat(), AGENT));
    play(script)
}

#[test]
fn a_program_that_calls_the_tool_has_its_call_below() {
    let check = |code: &str, more: &[&str], expect: (&str, &str)| {
        let run = program(code, more);
        let call = run.one("tools/call add");
        assert_eq!((run.parent(call), word(call, names::LINK_RULE)), expect, "{code}");
    };
    let below = ("execute_tool exec", "call_in_arguments");
    let beside = ("invoke_agent agent.py", "process");
    check("const n = await tools.mcp__server__add({a: 1}); n", &[], below);
    check("await tools[\"mcp__server__add\"]({a: 1})", &[], below);
    check("server.add(1)", &["await tools.exec_command({cmd: 'ls'})"], below);
    check("git add notes (all of them)", &[], beside);
    check("await tools.mcp__server__adder({a: 1})", &[], beside);
    check("server.add(1)", &["server.add(2)"], beside);
}

#[test]
fn messages_that_were_lost_are_counted() {
    let mut run = Run::new(identity());
    run.pipe_lost(3);
    let mcp = Mcp { method: Some("tools/list".into()), id: Some(json!(1)), ..Mcp::default() };
    let (start, until) = (ms(1), ms(2));
    run.pipe(
        PipeCall {
            direction: Direction::ToOrigin,
            start,
            end: Some(until),
            until,
            cancelled: false,
            alone: true,
            mcp,
        },
        key(AGENT),
        None,
    );
    let run = end(run, Vec::new());
    assert_eq!(number(run.spans.last().unwrap(), names::LOST_MESSAGES), 3);
    assert_eq!(run.one("tools/list").attribute(names::MCP_SERVER_PID), None);
}

#[test]
fn what_a_server_starts_for_one_call_stands_under_it() {
    let mut script = adding(1, "Add", &["toolu_0123456789"]);
    script.extend([fork(AGENT, SERVER).into(), exec(SERVER, 51, &["server"]).into()]);
    script.extend(steps(&[handshake(52), add(200, 2)].concat(), AGENT));
    let (before, during, below) = (249, 302, 304);
    for (parent, pid, time) in [(SERVER, before, 150), (SERVER, during, 203), (during, below, 205)] {
        script.extend([fork(parent, pid).into(), exec(pid, time, &["expr"]).into()]);
        script.push(exit(pid, time + 2, 0).into());
    }
    let run = play(script);
    let of = |pid: u32| {
        let own = |span: &&Span| number(span, names::PROCESS_PID) == i64::from(pid);
        run.spans.iter().find(own).unwrap()
    };
    let place = |pid: u32| (run.parent(of(pid)), word(of(pid), names::LINK_RULE));
    assert_eq!(place(before), ("exec server", "parentage"));
    assert_eq!(place(during), ("tools/call add", "window"));
    assert_eq!(place(below), ("exec expr", "parentage"));
}

#[test]
fn of_two_calls_at_once_neither_is_said_to_have_started_anything() {
    let mut script = adding(1, "Add", &["toolu_0", "toolu_1"]);
    script.extend([fork(AGENT, SERVER).into(), exec(SERVER, 51, &["server"]).into()]);
    let mut lines = [handshake(52), add(200, 2), add(201, 3)].concat();
    lines.sort_by_key(|line| line.0);
    script.extend(steps(&lines, AGENT));
    script.extend([fork(SERVER, 304).into(), exec(304, 205, &["expr"]).into()]);
    script.push(exit(304, 206, 0).into());
    let run = play(script);
    let expr = run.one("exec expr");
    assert_eq!((run.parent(expr), word(expr, names::LINK_RULE)), ("exec server", "parentage"));
}
