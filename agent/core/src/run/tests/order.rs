use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::build::*;
use crate::call::{Mcp, Part};
use crate::flow::Direction;
use crate::observe::PipeCall;
use crate::run::Run;

/// A run with two conversations, parallel tools, nested processes and a sub-agent.
fn script() -> Vec<Step> {
    let say = |part| assistant(vec![Part::Text("so".into()), part]);
    let first = assistant(vec![
        tool("a", "sh", json!({"command": "git status"})),
        tool("b", "sh", json!({"command": "git status"})),
        tool("c", "sh", json!({"command": "node sub.js"})),
        tool("d", "mcp__math__add", json!({"a": 1})),
    ]);
    let history =
        vec![text("user", "q"), first.clone(), result("a", "1"), result("b", "2"), result("c", "3")];
    let sub = say(tool("a", "sh", json!({"cmd": ["ls", "-l"]})));
    vec![
        exec(AGENT, 0, &["python", "agent.py"]).into(),
        chat(1, AGENT, (10, 100), vec![text("user", "q")], first).into(),
        fork(AGENT, 210).into(),
        exec(210, 111, &["bash", "-c", "git status"]).into(),
        fork(AGENT, 212).into(),
        exec(212, 113, &["bash", "-c", "git status"]).into(),
        fork(212, 215).into(),
        exec(215, 116, &["git", "status"]).into(),
        fork(AGENT, 220).into(),
        exec(220, 121, &["node", "sub.js"]).into(),
        chat(2, 220, (125, 140), vec![text("user", "sub")], sub.clone()).into(),
        fork(220, 250).into(),
        exec(250, 151, &["ls", "-l"]).into(),
        exit(250, 152, 2).into(),
        exit(215, 160, 0).into(),
        exit(212, 170, 0).into(),
        exit(210, 171, 0).into(),
        piped(150, 175),
        chat(
            2,
            220,
            (180, 190),
            vec![text("user", "sub"), sub, result("a", "Exit code: 2")],
            text("assistant", "s"),
        )
        .into(),
        exit(220, 200, 0).into(),
        fork(AGENT, 320).into(),
        exec(320, 221, &["tail", "-f", "log"]).into(),
        chat(3, AGENT, (250, 300), history, text("assistant", "done")).into(),
    ]
}

/// A call of a tool server over pipes.
fn piped(start: u64, end: u64) -> Step {
    let mcp = Mcp {
        method: Some("tools/call".into()),
        id: Some(json!(start)),
        tool_name: Some("add".into()),
        tool_arguments: Some(json!({"a": 1})),
        ..Mcp::default()
    };
    let (direction, start, until) = (Direction::ToOrigin, ms(start), ms(end));
    let call = PipeCall { direction, start, end: Some(until), until, cancelled: false, alone: true, mcp };
    Step::Pipe(Box::new(call), key(AGENT), Some(key(105)))
}

/// The source that keeps its own order: the kernel's facts of a process, the calls of a connection.
fn source(step: &Step) -> (u8, u64) {
    use crate::process::ProcessFact::{Exec, Exit, Fork, Lost};
    match step {
        Step::Call(call) => (0, call.flow.0),
        Step::Fact(Fork { child: process, .. } | Exec { process, .. } | Exit { process, .. }) => {
            (1, u64::from(process.pid))
        }
        Step::Fact(Lost { .. }) => (2, 0),
        Step::Pipe(_, client, server) => (3, u64::from(server.unwrap_or(*client).pid)),
    }
}

/// Sorts steps by the given keys and gives each source its own steps in their own order.
fn interleave(keys: &[u64]) -> Vec<(u64, Step)> {
    let steps = script();
    let mut queues: HashMap<(u8, u64), Vec<Step>> = HashMap::new();
    steps.iter().rev().for_each(|step| queues.entry(source(step)).or_default().push(step.clone()));
    let mut places: Vec<(u64, (u8, u64))> =
        steps.iter().zip(keys).map(|(step, key)| (*key, source(step))).collect();
    places.sort();
    places.into_iter().map(|(key, source)| (key, queues.get_mut(&source).unwrap().pop().unwrap())).collect()
}

fn time(step: &Step) -> u64 {
    use crate::process::ProcessFact::{Exec, Exit, Fork, Lost};
    let at = match step {
        Step::Call(call) => call.end,
        Step::Pipe(call, ..) => call.until,
        Step::Fact(Fork { time, .. } | Exec { time, .. } | Exit { time, .. } | Lost { time, .. }) => *time,
    };
    at.since(ms(0)) / 1_000_000
}

#[test]
fn the_script_makes_the_tree_that_it_describes() {
    let run = play(script());
    assert_eq!(run.parent(run.one("exec node")), "execute_tool sh");
    assert_eq!(run.parent(run.one("exec git")), "exec bash");
    assert_eq!(run.parent(run.one("exec ls")), "execute_tool sh");
    assert_eq!(run.parent(run.one("tools/call add")), "execute_tool mcp__math__add");
    assert_eq!(run.parent(run.one("exec tail")), "invoke_agent agent.py");
    let parents: Vec<_> = run.all("exec bash").iter().map(|span| span.parent).collect();
    assert_ne!(parents[0], parents[1], "the two shells stand under one tool each");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_interleaving_gives_one_tree(keys in proptest::collection::vec(any::<u64>(), 23)) {
        let steps = interleave(&keys).into_iter().map(|(_, step)| step);
        prop_assert_eq!(play(steps).tree(), play(script()).tree());
    }

    #[test]
    fn so_do_late_arrivals_with_spans_going_out_meanwhile(delays in proptest::collection::vec(0_u64..450, 23)) {
        let keys: Vec<u64> = script().iter().zip(&delays).map(|(step, delay)| time(step) + delay).collect();
        let mut run = Run::new(identity());
        let mut spans = Vec::new();
        for (now, step) in interleave(&keys) {
            take(&mut run, step);
            run.drain(ms(now), &mut spans);
        }
        prop_assert_eq!(end(run, spans).tree(), play(script()).tree());
    }
}
