use serde_json::json;

use super::build::*;
use crate::call::Kind;
use crate::names;
use crate::run::Run;
use crate::telemetry::Status;

/// A shell tool that is open from 100 to 900, and the call that answers it.
fn shell(command: &str) -> [Step; 2] {
    let asked = assistant(vec![tool("a", "shell", json!({"command": command}))]);
    let history = vec![text("user", "q"), asked.clone(), result("a", "ok")];
    [
        chat(1, AGENT, (0, 100), vec![text("user", "q")], asked).into(),
        chat(2, AGENT, (900, 950), history, text("assistant", "done")).into(),
    ]
}

fn tree(command: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = shell(command).into();
    steps.extend([
        fork(AGENT, 210).into(),
        exec(210, 111, &["bash", "-lc", command]).into(),
        fork(210, 220).into(),
        exec(220, 121, &["git", "status"]).into(),
        exit(220, 130, 1).into(),
        exit(210, 140, 0).into(),
    ]);
    steps
}

#[test]
fn a_command_stands_under_the_tool_that_names_it() {
    let run = play(tree("git status; ls"));
    let bash = run.one("exec bash");
    assert_eq!(run.parent(bash), "execute_tool shell");
    assert_eq!(word(bash, names::LINK_RULE), "command_in_arguments");
    assert_eq!((bash.start, bash.end), (ms(110), ms(140)));
    assert_eq!((number(bash, names::PROCESS_PID), number(bash, names::PROCESS_PARENT_PID)), (210, 100));
    let git = run.one("exec git");
    assert_eq!((run.parent(git), word(git, names::LINK_RULE)), ("exec bash", "parentage"));
    assert_eq!(git.status, Status::Error("exited with code 1".into()));
    assert_eq!(run.totals.processes, 2);
}

#[test]
fn facts_may_come_before_the_call_that_explains_them() {
    let steps = tree("git status; ls");
    let mut turned = steps.clone();
    turned.rotate_left(2);
    assert_eq!(play(turned).tree(), play(steps).tree());
}

#[test]
fn other_processes_stand_under_the_agent() {
    let mut steps = tree("pwd");
    steps.push(exec(AGENT, 1, &["python", "agent.py"]).into());
    let run = play(steps);
    assert_eq!(run.parent(run.one("exec bash")), "execute_tool shell");
    let mut steps: Vec<Step> = shell("pwd").into();
    steps.extend([
        fork(AGENT, 210).into(),
        exec(210, 120, &["git", "fetch"]).into(),
        exit(210, 130, 0).into(),
    ]);
    let run = play(steps);
    let git = run.one("exec git");
    assert_eq!((run.parent(git), word(git, names::LINK_RULE)), ("invoke_agent agent.py", "parentage"));
}

#[test]
fn a_tool_that_starts_while_the_answer_streams_is_found() {
    let mut steps: Vec<Step> = tree("make all");
    if let Step::Call(call) = &mut steps[0] {
        call.first_byte = Some(ms(50));
        call.end = ms(300);
    }
    let run = play(steps);
    assert_eq!(run.parent(run.one("exec bash")), "execute_tool shell");
}

#[test]
fn the_same_command_later_belongs_to_the_later_tool() {
    let asked = |id: &str| assistant(vec![tool(id, "shell", json!({"command": "ls"}))]);
    let history = vec![asked("a"), result("a", "1")];
    let longer = vec![asked("a"), result("a", "1"), asked("b"), result("b", "2")];
    let run = play([
        chat(1, AGENT, (0, 5), vec![], asked("a")).into(),
        fork(AGENT, 110).into(),
        exec(110, 11, &["ls"]).into(),
        chat(2, AGENT, (300, 400), history, asked("b")).into(),
        fork(AGENT, 550).into(),
        exec(550, 451, &["ls"]).into(),
        chat(3, AGENT, (600, 700), longer, text("assistant", "x")).into(),
    ]);
    for (pid, id) in [(110, "a"), (550, "b")] {
        let ls = run.spans.iter().find(|span| number(span, names::PROCESS_PID) == pid).unwrap();
        let parent = run.spans.iter().find(|span| Some(span.id) == ls.parent).unwrap();
        assert_eq!(word(parent, names::TOOL_CALL_ID), id);
    }
}

#[test]
fn a_new_image_renames_and_the_old_one_stays_as_an_event() {
    let run = play([
        fork(AGENT, 110).into(),
        exec(110, 11, &["sh", "-c", "exec make"]).into(),
        exec(110, 12, &["make"]).into(),
        exit(110, 20, 0).into(),
    ]);
    let make = run.one("exec make");
    assert_eq!((make.events.len(), make.events[0].name), (1, "exec"));
    assert_eq!(run.spans.len(), 2);
}

#[test]
fn a_fork_without_exec_leaves_its_place_to_its_children() {
    let run = play([
        fork(AGENT, 110).into(),
        fork(110, 120).into(),
        exec(120, 21, &["ls"]).into(),
        exit(120, 30, 0).into(),
        exit(110, 40, 0).into(),
    ]);
    assert_eq!(run.parent(run.one("exec ls")), "invoke_agent agent.py");
    assert_eq!(run.spans.len(), 2);
}

#[test]
fn calls_of_another_process_stand_under_it() {
    let mut plain = http(8, 110, 60, 70, Kind::Plain);
    plain.http.method = "GET".into();
    let run = play([
        fork(AGENT, 110).into(),
        exec(110, 11, &["node", "sub.js"]).into(),
        chat(7, 110, (20, 50), vec![text("user", "sub")], assistant(vec![tool("x", "t", json!({}))])).into(),
        plain.into(),
        exit(110, 80, 0).into(),
    ]);
    assert_eq!(run.parent(run.one("chat m")), "exec node");
    assert_eq!(run.parent(run.one("execute_tool t")), "exec node");
    assert_eq!(run.parent(run.one("GET")), "execute_tool t");
    let resource = &run.one("chat m").resource;
    assert!(
        resource.attributes.iter().any(|it| it.key == names::PROCESS_PID && it.value.as_int() == Some(110))
    );
}

#[test]
fn what_begins_while_one_tool_alone_is_open_is_taken_to_be_its_work() {
    let open = |ids: &[&str]| {
        let asked = ids.iter().map(|id| tool(id, "summary", json!({"of": "the week"}))).collect();
        let mut plain = http(8, AGENT, 60, 70, Kind::Plain);
        plain.http.method = "GET".into();
        play([
            chat(7, AGENT, (20, 50), vec![text("user", "Sum up")], assistant(asked)).into(),
            plain.into(),
            fork(AGENT, 170).into(),
            exec(170, 75, &["sort", "notes"]).into(),
            exit(170, 80, 0).into(),
        ])
    };
    let run = open(&["call_0123456789"]);
    for name in ["GET", "exec sort"] {
        let span = run.one(name);
        assert_eq!((run.parent(span), word(span, names::LINK_RULE)), ("execute_tool summary", "window"));
    }
    // A command's requests come from its own process.
    let asked = assistant(vec![tool("call_0123456789", "exec", json!("await tools.run('ls')"))]);
    let mut plain = http(8, AGENT, 60, 70, Kind::Plain);
    plain.http.method = "GET".into();
    let run = play([chat(7, AGENT, (20, 50), vec![text("user", "Run")], asked).into(), plain.into()]);
    assert_eq!(word(run.one("GET"), names::LINK_RULE), "process");
    // With two open nothing tells whose work it is.
    let run = open(&["call_0123456789", "call_9876543210"]);
    assert_eq!(
        (run.parent(run.one("GET")), word(run.one("GET"), names::LINK_RULE)),
        ("invoke_agent agent.py", "process")
    );
    assert_eq!(word(run.one("exec sort"), names::LINK_RULE), "parentage");
}

#[test]
fn a_sub_agent_s_commands_stand_under_its_own_tools() {
    let asked = assistant(vec![tool("b", "sh", json!({"command": "ls -l"}))]);
    let mut steps: Vec<Step> = shell("node sub.js").into();
    steps.extend([
        fork(AGENT, 210).into(),
        exec(210, 111, &["node", "sub.js"]).into(),
        chat(7, 210, (120, 150), vec![text("user", "sub")], asked).into(),
        fork(210, 260).into(),
        exec(260, 161, &["ls", "-l"]).into(),
        exit(260, 170, 0).into(),
    ]);
    let run = play(steps);
    assert_eq!(run.parent(run.one("exec node")), "execute_tool shell");
    assert_eq!(run.parent(run.one("execute_tool sh")), "exec node");
    assert_eq!(run.parent(run.one("exec ls")), "execute_tool sh");
}

#[test]
fn spans_go_out_as_soon_as_they_are_certain() {
    let mut run = Run::new(identity());
    tree("git status").into_iter().for_each(|step| take(&mut run, step));
    let mut spans = Vec::new();
    run.drain(ms(700), &mut spans);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["chat m", "exec git", "exec bash"]);
    run.drain(ms(2_000), &mut spans);
    assert_eq!(spans.len(), 5);
    assert_eq!(end(run, spans).spans.len(), 6);
}
