use serde_json::{Value, json};

use super::build::*;
use crate::call::{Kind, Part};
use crate::names;
use crate::telemetry::{SpanKind, Status};

/// Question, tool call, result, answer.
fn two_steps() -> Vec<Step> {
    let call = tool("call_1", "get_weather", json!({"city": "Paris"}));
    let first = assistant(vec![Part::Text("I look it up.".into()), call.clone()]);
    let history = vec![text("user", "Weather?"), first.clone(), result("call_1", "rainy")];
    vec![
        chat(1, AGENT, (100, 200), vec![text("user", "Weather?")], first).into(),
        chat(2, AGENT, (300, 400), history, assistant(vec![Part::Text("Rainy.".into())])).into(),
    ]
}

#[test]
fn a_tool_is_the_pair_of_its_call_and_its_result() {
    let run = play(two_steps());
    let tool = run.one("execute_tool get_weather");
    assert_eq!((tool.start, tool.end, tool.kind), (ms(200), ms(300), SpanKind::Internal));
    assert_eq!(run.parent(tool), "invoke_agent agent.py");
    assert_eq!(word(tool, names::TOOL_ARGUMENTS), r#"{"city":"Paris"}"#);
    assert_eq!(word(tool, names::TOOL_RESULT), r#""rainy""#);
    assert_eq!(word(tool, names::TOOL_CALL_ID), "call_1");
    assert_eq!(word(tool, names::TOOL_TYPE), "function");
    assert_eq!(word(tool, names::DECISION_RATIONALE), "I look it up.");
    assert_eq!(word(tool, names::LINK_RULE), "tool_call_id");
    assert_eq!(word(tool, names::TOOL_TIMES), "bounds");
    assert_eq!(tool.status, Status::Unset);

    let root = run.spans.last().unwrap();
    assert_eq!((root.name.as_str(), root.parent), ("invoke_agent agent.py", None));
    assert_eq!(number(root, names::RUN_LLM_CALLS), 2);
    assert_eq!(number(root, names::RUN_INPUT_TOKENS), 20);
    let output: Value = serde_json::from_str(word(root, names::OUTPUT_MESSAGES)).unwrap();
    assert_eq!(output[0]["parts"][0]["content"], "Rainy.");
    assert_eq!(output[0]["finish_reason"], "stop");
    let input: Value = serde_json::from_str(word(root, names::INPUT_MESSAGES)).unwrap();
    assert_eq!(input[0]["parts"][0]["content"], "Weather?");
    assert_eq!((run.totals.tool_calls, run.totals.tool_errors), (1, 0));
}

#[test]
fn tools_name_their_agent_where_the_wire_does() {
    let item = json!({"type": "web_search_call"});
    let server = Part::ServerTool { id: Some("s1".into()), name: "web_search".into(), item };
    let output = assistant(vec![tool("a", "sh", json!({})), server]);
    let mut it = llm(vec![text("user", "q")], vec![output]);
    it.agent = Some("codex".into());
    let run = play([http(1, AGENT, 0, 100, Kind::Llm(Box::new(it))).into()]);
    for name in ["execute_tool sh", "execute_tool web_search"] {
        assert_eq!(word(run.one(name), names::AGENT_NAME), "codex");
    }
    assert_eq!(play(two_steps()).one("execute_tool get_weather").attribute(names::AGENT_NAME), None);
}

#[test]
fn parallel_tools_answered_in_one_request_are_two_spans() {
    let asked = assistant(vec![
        Part::Text("Both.".into()),
        tool("a", "read", json!({"path": "1"})),
        tool("b", "read", json!({"path": "2"})),
    ]);
    let history = vec![text("user", "q"), asked.clone(), result("b", "two"), result("a", "one")];
    let run = play([
        chat(1, AGENT, (0, 100), vec![text("user", "q")], asked).into(),
        chat(2, AGENT, (150, 200), history, text("assistant", "done")).into(),
    ]);
    let tools = run.all("execute_tool read");
    assert_eq!(tools.len(), 2);
    for tool in tools {
        let expect = if word(tool, names::TOOL_CALL_ID) == "a" { "\"one\"" } else { "\"two\"" };
        assert_eq!(word(tool, names::TOOL_RESULT), expect);
        assert_eq!(word(tool, names::DECISION_RATIONALE), "Both.");
    }
}

#[test]
fn a_history_sent_again_and_again_counts_once() {
    let asked = assistant(vec![tool("a", "read", json!({}))]);
    let mut history = vec![text("user", "q")];
    let mut steps: Vec<Step> = vec![chat(1, AGENT, (0, 10), history.clone(), asked.clone()).into()];
    history.extend([asked, result("a", "one")]);
    for turn in 0..5 {
        let start = 100 + turn * 100;
        let answer = text("assistant", "more");
        steps.push(chat(2 + turn, AGENT, (start, start + 10), history.clone(), answer.clone()).into());
        history.extend([answer, text("user", "go on")]);
    }
    let run = play(steps);
    assert_eq!(run.one("execute_tool read").end, ms(100));
    assert_eq!(run.totals.tool_calls, 1);
}

/// Five turns in which every call has the same id, or none.
fn repeated(id: &str) -> (Vec<Step>, Vec<String>) {
    let mut history = vec![text("user", "q")];
    let mut steps = Vec::new();
    for turn in 0..5 {
        let asked = assistant(vec![tool(id, "read", json!({"n": turn}))]);
        let start = 100 * turn + 1;
        steps.push(chat(turn, AGENT, (start, start + 10), history.clone(), asked.clone()).into());
        let mut answer = result(id, &turn.to_string());
        if let Part::ToolResult(it) = &mut answer.parts[0] {
            it.name = Some("read".into());
        }
        history.extend([asked, answer]);
    }
    steps.push(chat(9, AGENT, (900, 910), history, text("assistant", "done")).into());
    (steps, (0..5).map(|turn| format!("\"{turn}\"")).collect())
}

#[test]
fn an_id_used_again_is_a_new_execution() {
    for (id, rule) in [("same", "tool_call_id"), ("", "name_and_order")] {
        let (steps, expect) = repeated(id);
        let run = play(steps);
        let tools = run.all("execute_tool read");
        let results: Vec<&str> = tools.iter().map(|tool| word(tool, names::TOOL_RESULT)).collect();
        assert_eq!(results, expect, "{id:?}");
        for (turn, tool) in tools.iter().enumerate() {
            assert_eq!(word(tool, names::TOOL_ARGUMENTS), format!("{{\"n\":{turn}}}"));
            assert_eq!(word(tool, names::LINK_RULE), rule);
        }
    }
}

#[test]
fn an_unanswered_tool_ends_with_the_run() {
    let run = play(two_steps().into_iter().take(1));
    let tool = run.one("execute_tool get_weather");
    assert_eq!(word(tool, names::COMPLETION), "unanswered");
    assert_eq!((tool.start, tool.end, tool.status.clone()), (ms(200), ms(10_000), Status::Unset));
}

#[test]
fn results_marked_as_errors_are_errors() {
    let asked = assistant(vec![tool("a", "sh", json!({})), tool("b", "sh", json!({}))]);
    let mut failed = result("a", "nope");
    if let Part::ToolResult(it) = &mut failed.parts[0] {
        it.is_error = true;
    }
    let history = vec![asked.clone(), failed, result("b", "Exit code: 2\nno")];
    let run = play([
        chat(1, AGENT, (0, 100), vec![], asked).into(),
        chat(2, AGENT, (150, 200), history, text("assistant", "done")).into(),
    ]);
    for tool in run.all("execute_tool sh") {
        assert_eq!(word(tool, names::ERROR_TYPE), "tool_error");
        assert!(matches!(tool.status, Status::Error(_)));
    }
    assert_eq!(run.totals.tool_errors, 2);
}

#[test]
fn a_provider_s_own_tool_stands_in_its_call() {
    let item = |kind: &str| json!({"type": kind, "input": {"q": "rust"}, "content": ["hit"]});
    let server =
        |kind| Part::ServerTool { id: Some("s1".into()), name: "web_search".into(), item: item(kind) };
    let output = assistant(vec![server("server_tool_use"), server("web_search_tool_result")]);
    let run = play([chat(1, AGENT, (0, 100), vec![], output).into()]);
    let tool = run.one("execute_tool web_search");
    assert_eq!(run.parent(tool), "chat m");
    assert_eq!(word(tool, names::TOOL_TYPE), "extension");
    assert_eq!(word(tool, names::TOOL_ARGUMENTS), r#"{"q":"rust"}"#);
    assert_eq!(word(tool, names::TOOL_RESULT), r#"["hit"]"#);
}

#[test]
fn server_side_history_sends_results_alone() {
    let mut steps = Vec::new();
    for turn in 0..4_u64 {
        let input = if turn == 0 { vec![text("user", "q")] } else { vec![result("same", &turn.to_string())] };
        let mut it = llm(input, vec![assistant(vec![tool("same", "read", json!({}))])]);
        it.response_id = Some(format!("r{turn}"));
        it.previous_response_id = turn.checked_sub(1).map(|turn| format!("r{turn}"));
        steps.push(http(1, AGENT, turn * 100, turn * 100 + 10, Kind::Llm(Box::new(it))).into());
    }
    let run = play(steps);
    let tools = run.all("execute_tool read");
    let results: Vec<&str> = tools.iter().map(|tool| word(tool, names::TOOL_RESULT)).collect();
    assert_eq!(results, ["\"1\"", "\"2\"", "\"3\"", "-"]);
}
