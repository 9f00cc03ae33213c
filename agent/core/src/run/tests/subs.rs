//! Sub-agents that the wire gives ids to.

use serde_json::json;

use super::build::*;
use crate::call::{Call, Conversation, Kind, Llm, Message, Part, Thread};
use crate::names;
use crate::run::{Identity, Run, Scope};
use crate::telemetry::Span;

const PROMPT: &str = "Look into the folder src and say what you find there.";
const CHILD: &str = "019a0b1c-2d3e-7f40-8a5b-6c7d8e9f0a1b";

/// A call of an agent with a session and, where it is not the main one, an id of its own.
fn said(flow: u64, times: (u64, u64), thread: Option<Thread>, input: Vec<Message>, output: Message) -> Call {
    let conversation = Some(Conversation { id: "s-1".into(), source: "header:x-claude-code-session-id" });
    let it = Llm { conversation, thread, ..llm(input, vec![output]) };
    http(flow, AGENT, times.0, times.1, Kind::Llm(Box::new(it)))
}

fn agent(id: &str, parent: Option<&str>) -> Option<Thread> {
    Some(Thread { id: id.into(), parent: parent.map(str::to_owned), spawned: true })
}

fn task(id: &str, prompt: &str) -> Part {
    tool(id, "Task", json!({"description": "look", "prompt": prompt}))
}

fn words(words: &str) -> Message {
    assistant(vec![Part::Text(words.into())])
}

/// The main conversation: two tasks from 100 to 800, answered by these results.
fn main_agent(prompts: [&str; 2], results: [&str; 2]) -> Vec<Step> {
    let asked =
        assistant(vec![task("toolu_aaaaaaaaaaaa", prompts[0]), task("toolu_bbbbbbbbbbbb", prompts[1])]);
    let history = vec![
        text("user", "Go on"),
        asked.clone(),
        result("toolu_aaaaaaaaaaaa", results[0]),
        result("toolu_bbbbbbbbbbbb", results[1]),
    ];
    vec![
        said(1, (10, 100), None, vec![text("user", "Go on")], asked).into(),
        said(2, (800, 900), None, history, words("All done.")).into(),
    ]
}

/// A sub-agent of two calls and a tool of its own.
fn sub_agent(flow: u64, thread: Option<Thread>, start: u64, prompt: &str) -> Vec<Step> {
    let id = format!("toolu_of_{flow}");
    let asked = assistant(vec![tool(&id, "Read", json!({"path": flow}))]);
    let history = vec![text("user", prompt), asked.clone(), result(&id, "text")];
    vec![
        said(flow, (start, start + 20), thread.clone(), vec![text("user", prompt)], asked).into(),
        said(flow + 1, (start + 50, start + 70), thread, history, words(&format!("Found by {flow}."))).into(),
    ]
}

/// The calls of a sub-agent, with its tool.
fn of<'a>(run: &'a Outcome, thread: &str) -> Vec<&'a Span> {
    run.spans.iter().filter(|span| word(span, names::THREAD_ID) == thread).collect()
}

fn under(run: &Outcome, span: &Span) -> String {
    let parent = run.spans.iter().find(|it| Some(it.id) == span.parent).unwrap();
    word(parent, names::TOOL_CALL_ID).to_owned()
}

#[test]
fn equal_tasks_are_told_apart_by_the_ids_in_their_results() {
    let mut script = main_agent(
        [PROMPT; 2],
        ["Found by 30.\nagentId: b2b2b2b9", "Found by 20.\nagentId: a1a1a1a9 (resume)"],
    );
    script.extend(sub_agent(20, agent("a1a1a1a9", None), 150, PROMPT));
    script.extend(sub_agent(30, agent("b2b2b2b9", None), 155, PROMPT));
    let run = play(script);
    for (thread, task) in [("a1a1a1a9", "toolu_bbbbbbbbbbbb"), ("b2b2b2b9", "toolu_aaaaaaaaaaaa")] {
        let calls = of(&run, thread);
        assert_eq!(calls.len(), 2);
        for call in calls {
            assert_eq!((under(&run, call).as_str(), word(call, names::LINK_RULE)), (task, "agent_id"));
        }
    }
    for tool in run.all("execute_tool Read") {
        assert_eq!((run.parent(tool), word(tool, names::LINK_RULE)), ("execute_tool Task", "tool_call_id"));
    }
    let root = run.spans.last().unwrap();
    assert!(word(root, names::OUTPUT_MESSAGES).contains("All done."));
    assert_eq!(number(root, names::RUN_LLM_CALLS), 6);
}

#[test]
fn neither_the_order_of_arrival_nor_what_went_out_meanwhile_changes_a_place() {
    let mut script = main_agent([PROMPT; 2], ["agentId: b2b2b2b9", "agentId: a1a1a1a9"]);
    script.extend(sub_agent(20, agent("a1a1a1a9", None), 150, PROMPT));
    script.extend(sub_agent(30, agent("b2b2b2b9", None), 155, PROMPT));
    let whole = play(script.clone()).tree();
    let mut turned = script.clone();
    turned.reverse();
    assert_eq!(play(turned).tree(), whole);
    let end_of = |step: &Step| match step {
        Step::Call(call) => call.end,
        _ => ms(0),
    };
    script.sort_by_key(end_of);
    let (mut run, mut spans) = (Run::new(identity()), Vec::new());
    for step in script {
        let now = end_of(&step);
        take(&mut run, step);
        run.drain(now, &mut spans);
    }
    run.drain(ms(2_000), &mut spans);
    assert_eq!(spans.iter().filter(|span| span.name == "chat m").count(), 6, "all have their places");
    assert_eq!(end(run, spans).tree(), whole);
}

#[test]
fn a_task_of_its_own_is_found_at_once_and_named_later() {
    let other = "Count the words of every file in the folder docs.";
    let mut script = main_agent([PROMPT, other], ["Found.\nagentId: a1a1a1a9", "None."]);
    let mut run = Run::new(identity());
    let last = script.pop().unwrap();
    script.into_iter().for_each(|step| take(&mut run, step));
    sub_agent(20, agent("a1a1a1a9", None), 150, PROMPT).into_iter().for_each(|step| take(&mut run, step));
    let mut spans = Vec::new();
    run.drain(ms(750), &mut spans);
    assert_eq!(
        spans.iter().filter(|span| word(span, names::THREAD_ID) == "a1a1a1a9").count(),
        2,
        "shown as it goes on"
    );
    take(&mut run, last);
    let run = end(run, spans);
    let first = of(&run, "a1a1a1a9")[0];
    assert_eq!(
        (under(&run, first).as_str(), word(first, names::LINK_RULE)),
        ("toolu_aaaaaaaaaaaa", "prompt_in_arguments")
    );
    let task = run.spans.iter().find(|span| word(span, names::TOOL_CALL_ID) == "toolu_aaaaaaaaaaaa").unwrap();
    assert_eq!((task.links.len(), task.links[0].span), (1, first.id));
    assert_eq!(task.links[0].attributes[0].value.as_text(), Some("agent_id"));
}

#[test]
fn one_that_was_named_before_it_spoke_stands_under_a_tool_that_has_ended() {
    let main = |spawned: bool| {
        Some(Thread { id: "019a0b1c-0000-7000-8000-000000000001".into(), parent: None, spawned })
    };
    let asked = assistant(vec![tool("call_aaaaaaaaaaaa", "spawn_agent", json!({"message": "secret"}))]);
    let named = format!("{{\"agent_id\":\"{CHILD}\"}}");
    let history = vec![text("user", "Go"), asked.clone(), result("call_aaaaaaaaaaaa", &named)];
    let thread = agent(CHILD, Some("019a0b1c-0000-7000-8000-000000000001"));
    // It warms up first, as Codex does, and then continues that response.
    let mut warm = said(5, (300, 310), thread.clone(), vec![text("user", PROMPT)], assistant(vec![]));
    let mut call = said(5, (320, 400), thread, vec![], words("Found."));
    call.index = 1;
    if let (Kind::Llm(warm), Kind::Llm(call)) = (&mut warm.kind, &mut call.kind) {
        (warm.auxiliary, warm.response_id, warm.output) = (true, Some("r1".into()), vec![]);
        (call.previous_response_id, call.response_id) = (Some("r1".into()), Some("r2".into()));
    }
    let run = play([
        said(1, (10, 100), main(false), vec![text("user", "Go")], asked).into(),
        said(2, (110, 200), main(false), history, words("Waiting.")).into(),
        warm.into(),
        call.into(),
    ]);
    let calls = of(&run, CHILD);
    assert_eq!(calls.len(), 2);
    for (call, rule) in calls.iter().zip(["agent_id", "conversation"]) {
        assert_eq!((run.parent(call), word(call, names::LINK_RULE)), ("execute_tool spawn_agent", rule));
    }
}

#[test]
fn one_that_nobody_names_stands_beside_and_says_so() {
    let thread = agent(CHILD, Some("main"));
    let mut script = main_agent(["Do it.", "Do it."], ["Done.", "Done."]);
    script.extend(sub_agent(20, thread.clone(), 150, PROMPT));
    let check = |run: &Outcome| {
        for call in of(run, CHILD) {
            assert_eq!(
                (run.parent(call), word(call, names::LINK_RULE)),
                ("invoke_agent agent.py", "sub_agent")
            );
        }
        assert_eq!(of(run, CHILD).len(), 2);
        assert_eq!(run.parent(run.one("execute_tool Read")), "invoke_agent agent.py");
    };
    check(&play(script.clone()));
    // The tools that could have told are never answered.
    script.remove(1);
    check(&play(script));
    // There is no tool that could.
    check(&play(sub_agent(20, thread, 150, PROMPT)));
}

#[test]
fn a_thread_s_own_tools_and_those_of_strangers_start_nobody() {
    let stranger = |mut call: Call| {
        if let Kind::Llm(llm) = &mut call.kind {
            llm.conversation =
                Some(Conversation { id: "s-2".into(), source: "header:x-claude-code-session-id" });
        }
        call
    };
    let asked = assistant(vec![task("toolu_cccccccccccc", PROMPT)]);
    let mut script = vec![stranger(said(9, (10, 100), None, vec![text("user", "Go")], asked)).into()];
    script.extend(sub_agent(20, agent("a1a1a1a9", None), 150, PROMPT));
    let run = play(script);
    let first = of(&run, "a1a1a1a9")[0];
    assert_eq!((run.parent(first), word(first, names::LINK_RULE)), ("invoke_agent agent.py", "sub_agent"));
}

#[test]
fn nobody_starts_itself() {
    // Agents put their id into the environment of the commands that they run.
    let asked = assistant(vec![tool("call_aaaaaaaaaaaa", "sh", json!({"command": "env"}))]);
    let said_by_env = format!("CODEX_THREAD_ID={CHILD}");
    let history = vec![text("user", PROMPT), asked.clone(), result("call_aaaaaaaaaaaa", &said_by_env)];
    let thread = agent(CHILD, Some("main"));
    let mut script = main_agent(["Do it.", "Do it."], ["Done.", "Done."]);
    script.extend([
        said(20, (150, 170), thread.clone(), vec![text("user", PROMPT)], asked).into(),
        said(21, (200, 220), thread, history, words("Found.")).into(),
    ]);
    let run = play(script);
    for call in of(&run, CHILD) {
        assert_eq!((run.parent(call), word(call, names::LINK_RULE)), ("invoke_agent agent.py", "sub_agent"));
    }
    assert!(run.one("execute_tool sh").links.is_empty());
}

#[test]
fn equal_tasks_without_ids_have_one_conversation_each() {
    let mut script = main_agent([PROMPT; 2], ["One.", "Two."]);
    for flow in [20, 30] {
        script.extend(sub_agent(flow, None, 150 + flow, PROMPT));
    }
    let run = play(script);
    let mut parents: Vec<_> = run.all("execute_tool Read").iter().map(|tool| tool.parent).collect();
    parents.sort();
    parents.dedup();
    assert_eq!(parents.len(), 2);
}

#[test]
fn a_session_that_names_its_parent_s_is_part_of_the_same_trace() {
    let thread = agent("s-sub", Some("s-1"));
    let mut script = main_agent([PROMPT, "Do it."], ["One.", "Two."]);
    for mut step in sub_agent(20, thread, 150, PROMPT) {
        if let Step::Call(call) = &mut step
            && let Kind::Llm(llm) = &mut call.kind
        {
            llm.conversation = Some(Conversation { id: "s-sub".into(), source: "header:x-session-id" });
        }
        script.push(step);
    }
    let mut run = Run::new(Identity { scope: Scope::Conversation, ..identity() });
    script.into_iter().for_each(|step| take(&mut run, step));
    let run = end(run, Vec::new());
    let first = of(&run, "s-sub")[0];
    assert_eq!(
        (under(&run, first).as_str(), word(first, names::LINK_RULE)),
        ("toolu_aaaaaaaaaaaa", "prompt_in_arguments")
    );
    let roots: Vec<_> = run.spans.iter().filter(|span| span.parent.is_none()).collect();
    assert_eq!(roots.len(), 2, "the process's and the conversation's");
    assert!(run.all("execute_tool Task").iter().all(|span| span.trace == first.trace));
}
