use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::build::*;
use crate::call::{Kind, Mcp, Part};
use crate::flow::Direction;
use crate::limits;
use crate::names;
use crate::observe::PipeCall;
use crate::run::{Above, Identity, Run, Scope};
use crate::telemetry::{Span, SpanId, TraceId};

fn conversations() -> Identity {
    Identity { scope: Scope::Conversation, ..identity() }
}

/// The two calls of an agent that asks for one tool. All ask the same; the provider's ids differ.
fn agent(number: u64, start: u64) -> [Step; 2] {
    let id = format!("call_of_agent_{number:04}");
    let asked = assistant(vec![Part::Text("I look.".into()), tool(&id, "look", json!({}))]);
    let history = vec![text("user", "Look"), asked.clone(), result(&id, &format!("seen by {number}"))];
    let answer = assistant(vec![Part::Text(format!("It was {number}."))]);
    [
        chat(2 * number, AGENT, (start, start + 10), vec![text("user", "Look")], asked).into(),
        chat(2 * number + 1, AGENT, (start + 500, start + 510), history, answer).into(),
    ]
}

fn traces(spans: &[Span]) -> HashMap<TraceId, Vec<&Span>> {
    let mut traces: HashMap<TraceId, Vec<&Span>> = HashMap::new();
    spans.iter().for_each(|span| traces.entry(span.trace).or_default().push(span));
    traces
}

#[test]
fn a_hundred_agents_of_one_process_are_a_hundred_trees() {
    let mut run = Run::new(conversations());
    for number in 0..100 {
        agent(number, number * 3).into_iter().for_each(|step| take(&mut run, step));
    }
    let run = end(run, Vec::new());
    let mut traces = traces(&run.spans);
    let own = traces.remove(&identity().trace).unwrap();
    assert_eq!(own.len(), 1, "the process's own root stands alone");
    assert_eq!(traces.len(), 100);
    let mut seen = HashSet::new();
    for spans in traces.values() {
        let root = spans.iter().find(|span| span.parent.is_none()).unwrap();
        assert_eq!(
            (spans.len(), number(root, names::RUN_LLM_CALLS), number(root, names::RUN_TOOL_CALLS)),
            (4, 2, 1)
        );
        assert!(spans.iter().all(|span| span.id == root.id || span.parent == Some(root.id)));
        let tool = spans.iter().find(|span| span.name == "execute_tool look").unwrap();
        let result = word(tool, names::TOOL_RESULT).replace("seen by ", "");
        let answer = word(root, names::OUTPUT_MESSAGES);
        assert!(answer.contains(&format!("It was {}.", result.trim_matches('"'))), "{result} {answer}");
        seen.insert(result);
    }
    assert_eq!(seen.len(), 100);
    assert_eq!((run.totals.llm_calls, run.totals.tool_calls), (200, 100));
}

#[test]
fn two_that_see_half_of_a_conversation_each_agree_on_its_trace() {
    let [first, second] = agent(7, 0);
    let half = |step: Step, trace: &[u8]| {
        let mut run = Run::new(Identity { trace: TraceId::derive(&[trace]), ..conversations() });
        take(&mut run, step);
        let run = end(run, Vec::new());
        let chat = run.one("chat m");
        (chat.trace, chat.parent)
    };
    let (one, two) = (half(first, b"node 1"), half(second, b"node 2"));
    assert_eq!(one, two);
    let [other, _] = agent(8, 0);
    assert_ne!(half(other, b"node 1"), one);
}

#[test]
fn processes_of_a_tool_stand_in_its_trace() {
    let asked = assistant(vec![tool("call_0123456789", "bash", json!({"command": "make all"}))]);
    let mut run = Run::new(conversations());
    let script: [Step; 6] = [
        chat(1, AGENT, (0, 10), vec![text("user", "Build")], asked).into(),
        fork(AGENT, 150).into(),
        exec(150, 50, &["make", "all"]).into(),
        exec(180, 80, &["cc"]).into(),
        exit(150, 90, 0).into(),
        fork(150, 180).into(),
    ];
    script.into_iter().for_each(|step| take(&mut run, step));
    let run = end(run, Vec::new());
    let chat = run.one("chat m");
    assert_eq!(run.one("exec make").trace, chat.trace);
    assert_eq!(run.one("exec cc").trace, chat.trace);
    assert_eq!(run.parent(run.one("exec make")), "execute_tool bash");
    let root = run.spans.iter().find(|span| Some(span.id) == chat.parent).unwrap();
    assert_eq!(number(root, names::RUN_PROCESSES), 2);
}

#[test]
fn the_callers_trace_is_adopted() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let above = Above::read(parent).unwrap();
    assert_eq!(above.span, SpanId([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
    assert_eq!(Above::read("00-00000000000000000000000000000000-b7ad6b7169203331-01"), None);
    let said = |scope| {
        let mut call = chat(1, AGENT, (0, 10), vec![text("user", "Hi")], text("assistant", "Hello"));
        call.http.traceparent = Some(parent.into());
        let mut run = Run::new(Identity { scope, ..identity() });
        take(&mut run, call.into());
        end(run, Vec::new())
    };
    let run = said(Scope::Conversation);
    let chat = run.one("chat m");
    let root = run.spans.iter().find(|span| Some(span.id) == chat.parent).unwrap();
    assert_eq!((chat.trace, root.parent), (above.trace, Some(above.span)));
    // One trace for the process: the other one is linked.
    let run = said(Scope::Process);
    let chat = run.one("chat m");
    assert_eq!(chat.trace, identity().trace);
    assert_eq!((chat.links[0].trace, chat.links[0].span), (above.trace, above.span));
    let run = Run::new(Identity { above: Some(above), trace: above.trace, ..identity() });
    let run = end(run, Vec::new());
    assert_eq!(run.spans.last().unwrap().parent, Some(above.span));
}

#[test]
fn the_agents_own_spans_are_linked_from_whatever_it_calls() {
    let own = |trace: TraceId, span: &str| format!("00-{trace}-{span}-01");
    let (other, span) = (TraceId::derive(&[b"its own"]), "b7ad6b7169203331");
    let mcp = |traceparent: Option<String>| Mcp {
        method: Some("tools/list".into()),
        id: Some(json!(1)),
        traceparent,
        ..Mcp::default()
    };
    let said = |traceparent: String| {
        let mut plain = http(1, AGENT, 0, 10, Kind::Plain);
        plain.http.traceparent = Some(traceparent.clone());
        let mut tool = http(2, AGENT, 20, 30, Kind::Mcp(Box::new(mcp(None))));
        tool.http.traceparent = Some(traceparent.clone());
        let (direction, start, until) = (Direction::ToOrigin, ms(40), ms(50));
        let pipe = PipeCall {
            direction,
            start,
            end: Some(until),
            until,
            cancelled: false,
            alone: true,
            mcp: mcp(Some(traceparent)),
        };
        play([plain.into(), tool.into(), Step::Pipe(Box::new(pipe), key(AGENT), None)])
    };
    let run = said(own(other, span));
    let links: Vec<_> =
        run.all("POST").into_iter().chain(run.all("tools/list")).map(|it| &it.links).collect();
    assert_eq!(links.len(), 3);
    for links in links {
        let [link] = links.as_slice() else { panic!("{links:?}") };
        assert_eq!((link.trace, link.span.to_string().as_str()), (other, span));
        assert_eq!(link.attributes[0].value.as_text(), Some("traceparent"));
    }
    assert_eq!(word(run.all("tools/list")[0], names::NETWORK_TRANSPORT), "tcp");
    // What Trackway added itself is no link.
    let run = said(own(identity().trace, span));
    assert!(run.spans.iter().all(|span| span.links.is_empty()));
}

#[test]
fn a_silent_conversation_ends_and_may_go_on() {
    let mut run = Run::new(Identity { scope: Scope::Auto, ..identity() });
    run.listens();
    let [first, second] = agent(1, 0);
    take(&mut run, first);
    let mut spans = Vec::new();
    let later = ms(0).0 + limits::IDLE_NANOS + 1_000_000_000;
    run.drain(crate::flow::Time(later), &mut spans);
    let root = spans.iter().find(|span| span.parent.is_none()).unwrap().clone();
    assert_eq!(number(&root, names::RUN_LLM_CALLS), 1);
    take(&mut run, second);
    let run = end(run, spans);
    let roots: Vec<&Span> =
        run.spans.iter().filter(|span| span.parent.is_none() && span.trace == root.trace).collect();
    assert_eq!(roots.len(), 2);
    assert_ne!(roots[0].id, roots[1].id);
    assert_eq!(number(roots[1], names::RUN_LLM_CALLS), 1);
}
