use serde_json::{Value, json};

use super::*;
use crate::call::{Completion, Http, Kind, Message, Part, ToolCall, ToolResult};
use crate::flow::{FlowId, Plane};
use crate::process::ProcessKey;

fn text(role: &str, text: &str) -> Message {
    Message { role: role.into(), parts: vec![Part::Text(text.into())], finish_reason: None }
}

fn asks(id: Option<&str>, name: &str, arguments: Value) -> Message {
    let call = ToolCall { id: id.map(str::to_owned), name: name.into(), arguments, kind: "function" };
    Message { role: "assistant".into(), parts: vec![Part::ToolCall(call)], finish_reason: None }
}

fn gives(id: Option<&str>, name: Option<&str>, response: &str) -> Message {
    let (id, name) = (id.map(str::to_owned), name.map(str::to_owned));
    let part = Part::ToolResult(ToolResult { id, name, response: json!(response), is_error: false });
    Message { role: "tool".into(), parts: vec![part], finish_reason: None }
}

fn llm(input: Vec<Message>, output: Message) -> Llm {
    Llm { api: "openai.chat", input: input.into(), output: vec![output], ..Llm::default() }
}

/// Calls that follow each other by a second.
#[derive(Default)]
struct Script {
    lineage: Lineage,
    seconds: u64,
}

impl Script {
    fn take(&mut self, llm: &Llm) -> Step {
        self.take_as(llm, |_| {})
    }

    fn take_as(&mut self, llm: &Llm, change: impl FnOnce(&mut Call)) -> Step {
        self.seconds += 1;
        let time = |tenths: u64| Time(self.seconds * 1_000_000_000 + tenths * 100_000_000);
        let mut call = Call {
            flow: FlowId(self.seconds),
            index: 0,
            process: None,
            plane: Plane::Explicit,
            start: time(0),
            request_end: time(0),
            first_byte: Some(time(1)),
            first_chunk: None,
            end: time(2),
            http: Http { host: "api.example".into(), status: Some(200), ..Http::default() },
            kind: Kind::Plain,
            completion: Completion::Complete,
            faults: Vec::new(),
        };
        change(&mut call);
        self.lineage.take(&call, llm)
    }
}

const LONG: &str = "The answer is long enough to be nobody else's, which is what makes it worth something.";

#[test]
fn a_history_is_known_again_after_its_client_has_rewritten_it() {
    let mut script = Script::default();
    let mut first =
        llm(vec![text("system", "Be kind."), text("user", "Hello  there")], text("assistant", "Hi,\n“you”"));
    first.output[0].parts.insert(0, Part::Reasoning("They greet.".into()));
    assert_eq!(script.take(&first).previous, None);
    // Other instructions, other white space, no reasoning, two parts for one, other quotation marks.
    let mut again = text("assistant", "Hi, ");
    again.parts.push(Part::Text("\"you\"".into()));
    let history = vec![text("system", "Be brief."), text("user", "Hello there"), again, text("user", "Bye")];
    let step = script.take(&llm(history, text("assistant", "Bye")));
    assert_eq!((step.previous, step.conversation), (Some((0, Rule::History)), 0));
    // What was never said is continued by nobody.
    let step = script.take(&llm(
        vec![text("user", "Hello there"), text("assistant", "No"), text("user", "Bye")],
        text("assistant", "B"),
    ));
    assert_eq!((step.previous, step.conversation), (None, 2));
}

#[test]
fn results_find_their_calls_where_ids_are_missing_or_changed() {
    let start = || vec![text("user", "Weather in Bonn and Kiel?")];
    let both = |ids: [Option<&str>; 2]| {
        let mut message = asks(ids[0], "weather", json!({"city": "Bonn"}));
        message.parts.extend(asks(ids[1], "weather", json!({"city": "Kiel"})).parts);
        message
    };
    let check =
        |given: [Option<&str>; 2], sent: [Option<&str>; 2], process: Option<u32>, rule: Option<Rule>| {
            let mut script = Script::default();
            let process = process.map(|pid| ProcessKey { pid, started: Time(0) });
            let asked = script.take_as(&llm(start(), both(given)), |call| call.process = process).asked;
            let mut history = start();
            history.extend([
                both(sent),
                gives(sent[1], Some("weather"), "wet"),
                gives(sent[0], Some("weather"), "dry"),
            ]);
            let answer = llm(history, text("assistant", "Dry and wet"));
            let step = script.take_as(&answer, |call| call.process = process);
            let found: Vec<_> = step.answered.iter().map(|it| (it.tool, it.result, it.rule)).collect();
            // With ids the order does not matter; without them nothing else tells.
            let expect = match rule {
                None => vec![],
                Some(rule) if sent[0].is_some() => vec![(asked[1], 0, rule), (asked[0], 1, rule)],
                Some(rule) => vec![(asked[0], 0, rule), (asked[1], 1, rule)],
            };
            assert_eq!(found, expect, "{given:?} {sent:?} {process:?}");
        };
    let ids = [Some("call_aaaaaaaa"), Some("call_bbbbbbbb")];
    let others = [Some("made_up_1"), Some("made_up_2")];
    check(ids, ids, None, Some(Rule::ToolCallId));
    check([None, None], [None, None], None, Some(Rule::NameAndOrder));
    check([None, None], others, None, Some(Rule::NameAndOrder));
    // Other ids are another conversation's, unless the process that was given the first ones sends them.
    check(ids, others, None, None);
    check(ids, others, Some(7), Some(Rule::NameAndOrder));
}

#[test]
fn a_result_that_is_sent_again_answers_no_second_call() {
    let start = vec![text("user", "Go")];
    let asked = || asks(Some("call_0123456789"), "go", json!({}));
    let mut script = Script::default();
    // Two runs alike in everything, as a test suite that is run twice.
    let (one, two) = (script.take(&llm(start.clone(), asked())), script.take(&llm(start.clone(), asked())));
    let mut history = start;
    history.extend([asked(), gives(Some("call_0123456789"), None, "gone")]);
    let first = script.take(&llm(history.clone(), text("assistant", "One more")));
    assert_eq!(first.answered.len(), 1);
    let mine = first.previous.unwrap().0;
    assert_eq!(first.answered[0].tool, if mine == one.number { one.asked[0] } else { two.asked[0] });
    history.extend([text("assistant", "One more"), text("user", "And?")]);
    let second = script.take(&llm(history, text("assistant", "Done")));
    assert_eq!((second.previous, second.answered.len()), (Some((first.number, Rule::History)), 0));
}

#[test]
fn seals_tell_twins_apart_and_without_any_nothing_is_guessed() {
    let start = || vec![text("user", "Use the tool")];
    let sealed = |seal: Option<&str>| {
        let mut message = asks(None, "read", json!({}));
        message.parts.extend(seal.map(Part::seal));
        message
    };
    let next = |seal: Option<&str>| {
        let mut history = start();
        history.extend([sealed(seal), gives(None, Some("read"), "x")]);
        llm(history, text("assistant", "x"))
    };
    let mut script = Script::default();
    for (seal, id) in [("a+b/c==", "r1"), ("d", "r2")] {
        let mut first = llm(start(), sealed(Some(seal)));
        first.response_id = Some(id.into());
        script.take(&first);
    }
    // The other alphabet of base64.
    assert_eq!(script.take(&next(Some("a-b_c"))).previous, Some((0, Rule::History)));
    assert_eq!(script.take(&next(Some("d"))).previous, Some((1, Rule::History)));
    assert_eq!(script.take(&next(Some("e"))).previous, None);
    let mut script = Script::default();
    for id in ["r1", "r2"] {
        let mut first = llm(start(), sealed(None));
        first.response_id = Some(id.into());
        script.take(&first);
    }
    let step = script.take(&next(None));
    assert_eq!((step.previous, step.answered), (None, vec![]));
}

#[test]
fn a_history_that_was_shortened_is_an_inference() {
    let mut script = Script::default();
    let start = vec![text("user", "Read the file")];
    script.take(&llm(start.clone(), asks(Some("call_aaaaaaaaaa"), "read", json!({}))));
    let mut history = start.clone();
    history.extend([
        asks(Some("call_aaaaaaaaaa"), "read", json!({})),
        gives(Some("call_aaaaaaaaaa"), None, "much"),
    ]);
    let second = script.take(&llm(history, text("assistant", LONG)));
    let mut history = start.clone();
    history.extend([
        asks(Some("call_aaaaaaaaaa"), "read", json!({})),
        gives(Some("call_aaaaaaaaaa"), None, "[cut]"),
    ]);
    history.extend([text("assistant", LONG), text("user", "Go on")]);
    let step = script.take(&llm(history, text("assistant", "Yes")));
    assert_eq!(step.previous, Some((second.number, Rule::HistoryAnswers)));
    let mut history = start;
    history.extend([text("assistant", LONG), text("user", "Go on")]);
    let step = script.take(&llm(history, text("assistant", "Yes")));
    assert_eq!(step.previous, Some((second.number, Rule::HistoryTail)));
    assert!(!Rule::HistoryTail.exact() && Rule::History.exact());
}

#[test]
fn the_server_keeps_what_the_request_leaves_out() {
    let mut script = Script::default();
    let mut first = llm(vec![text("user", "Hello")], text("assistant", "Hi"));
    first.response_id = Some("resp_1".into());
    script.take(&first);
    let mut second = llm(vec![text("user", "More")], text("assistant", LONG));
    second.previous_response_id = Some("resp_1".into());
    assert_eq!(script.take(&second).previous, Some((0, Rule::PreviousResponse)));
    // Another client sends it all, and is understood all the same.
    let history = vec![
        text("user", "Hello"),
        text("assistant", "Hi"),
        text("user", "More"),
        text("assistant", LONG),
        text("user", "?"),
    ];
    let step = script.take(&llm(history, text("assistant", "!")));
    assert_eq!((step.previous, step.conversation), (Some((1, Rule::History)), 0));
}

#[test]
fn retries_and_hedges_are_no_steps() {
    let ask = || llm(vec![text("user", "Hello")], text("assistant", "Hi"));
    let mut refused = ask();
    refused.output.clear();
    let mut script = Script::default();
    script.take_as(&refused, |call| call.http.status = Some(529));
    let again = script.take(&ask());
    assert_eq!((again.retry, again.conversation), (Some((0, Rule::SameRequest)), 0));
    let counted = script.take_as(&refused, |call| call.http.status = Some(529));
    assert_eq!(counted.retry, None, "the first one had its answer");
    assert_eq!(
        script.take_as(&ask(), |call| call.http.resend_count = Some(1)).retry,
        Some((2, Rule::RetryCount))
    );
    // A new question that happens to be the same.
    assert_eq!(script.take(&ask()).retry, None);
    let mut script = Script::default();
    let given_up =
        script.take_as(&refused, |call| (call.completion, call.http.status) = (Completion::Cancelled, None));
    let at_once = script.take_as(&ask(), |call| call.start = Time(1_100_000_000));
    assert_eq!((given_up.retry, at_once.retry), (None, Some((0, Rule::Hedge))));
}

#[test]
fn a_first_message_in_open_arguments_is_a_sub_agent() {
    let prompt = "Find out which of the two libraries is maintained, and say so in one line.";
    let mut script = Script::default();
    let main = script.take(&llm(
        vec![text("user", "Compare")],
        asks(Some("call_aaaaaaaaaa"), "task", json!({"prompt": prompt})),
    ));
    let sub = script.take(&llm(
        vec![text("system", "You are a sub-agent."), text("user", prompt)],
        text("assistant", "The first"),
    ));
    assert_eq!(sub.parent, Some((main.asked[0], Rule::PromptInArguments)));
    assert_eq!((sub.conversation, sub.group), (1, 0));
    assert_eq!(script.take(&llm(vec![text("user", "Something else")], text("assistant", "?"))).parent, None);
}

#[test]
fn a_tool_server_is_called_for_an_open_tool_call() {
    let mut script = Script::default();
    let first = llm(
        vec![text("user", "Add")],
        asks(Some("call_aaaaaaaaaa"), "mcp__math__add", json!({"a": 1, "b": 2})),
    );
    let asked = script.take(&first).asked;
    let mut call = None;
    script.take_as(&llm(vec![text("user", "Else")], text("assistant", "Else")), |it| call = Some(it.clone()));
    let call = call.unwrap();
    let mut find = |name: &str, arguments: &Value| {
        let (tool_name, tool_arguments) = (Some(name.to_owned()), Some(arguments.clone()));
        let mcp = Mcp { tool_name, tool_arguments, ..Mcp::default() };
        script.lineage.carried_out(&mcp, call.start, call.process)
    };
    assert_eq!(find("add", &json!({"a": 2, "b": 2})), None);
    assert_eq!(find("dd", &json!({"a": 1, "b": 2})), None);
    assert_eq!(find("add", &json!({"b": 2, "a": 1})), Some((asked[0], Rule::NameAndArguments)));
    assert_eq!(find("add", &json!({"a": 1, "b": 2})), None, "it is carried out already");
}

#[test]
fn both_halves_of_a_conversation_have_one_key() {
    let start = vec![text("user", "Hello")];
    let mut history = start.clone();
    history.extend([text("assistant", "Hi"), text("user", "More")]);
    let first = Script::default().take(&llm(start, text("assistant", "Hi")));
    let second = Script::default().take(&llm(history, text("assistant", "No")));
    assert!(first.key.is_some() && first.key == second.key);
    let other = Script::default().take(&llm(vec![text("user", "Hello")], text("assistant", "Oh")));
    assert_ne!(first.key, other.key);
}

#[test]
fn what_is_too_much_is_forgotten_and_counted() {
    let mut script = Script::default();
    for number in 0..=limits::LINEAGE_CALLS {
        script.take(&llm(vec![text("user", &number.to_string())], text("assistant", "Hi")));
    }
    assert_eq!(script.lineage.forgotten(), 1);
    let history = |first: &str| vec![text("user", first), text("assistant", "Hi"), text("user", "?")];
    assert_eq!(script.take(&llm(history("0"), text("assistant", "!"))).previous, None);
    assert!(script.take(&llm(history("7"), text("assistant", "!"))).previous.is_some());
}
