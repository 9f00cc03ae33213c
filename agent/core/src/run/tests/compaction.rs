//! A history that the client replaces by a summary of it.

use serde_json::json;

use super::build::*;
use crate::call::{Kind, Message, Part, ToolDefinition};
use crate::names;
use crate::telemetry::{AttributeValue, Span};

const ASK: &str = "Summarise the conversation so far, so that you can go on without it.";

fn words(words: &str) -> Message {
    assistant(vec![Part::Text(words.into())])
}

/// Longer than what could stand anywhere.
fn summary() -> String {
    let facts: Vec<String> =
        (0..20).map(|n| format!("Step {n}: the file number {n} was read & found empty.")).collect();
    facts.join("\n")
}

/// A call of an agent with tools.
fn turn(flow: u64, start: u64, input: Vec<Message>, output: Message) -> Step {
    let mut it = llm(input, vec![output]);
    let tool =
        ToolDefinition { kind: "function".into(), name: "sh".into(), description: None, parameters: None };
    it.tools = vec![tool].into();
    http(flow, AGENT, start, start + 50, Kind::Llm(Box::new(it))).into()
}

/// What was said before, the request for the summary, and how it goes on with that beginning.
fn script(beginning: &str) -> Vec<Step> {
    let asked = assistant(vec![tool("toolu_0123456789", "sh", json!({"command": "ls"}))]);
    let mut history = vec![text("user", "Tidy up"), asked.clone(), result("toolu_0123456789", "a b c")];
    let mut steps = vec![
        turn(1, 0, vec![text("user", "Tidy up")], asked),
        turn(2, 100, history.clone(), words("I tidy the first file.")),
    ];
    history.extend([words("I tidy the first file."), text("user", ASK)]);
    let answer =
        words(&format!("<analysis>They want it tidy.</analysis>\n<summary>\n{}\n</summary>", summary()));
    // For a summary no tools are offered.
    steps.push(chat(3, AGENT, (200, 250), history, answer).into());
    steps.push(turn(4, 300, vec![text("user", beginning)], words("The next file.")));
    steps
}

fn last(run: &super::build::Outcome) -> &Span {
    run.spans.iter().find(|span| span.start == ms(300)).unwrap()
}

fn beginning() -> String {
    format!("This goes on from before. Summary:\n\n  {}\n\nPlease go on.", summary().replace('\n', "\n\n"))
}

#[test]
fn who_begins_anew_with_a_summary_goes_on() {
    let run = play(script(&beginning()));
    let (summary, last) = (run.spans.iter().find(|span| span.start == ms(200)).unwrap(), last(&run));
    assert_eq!(word(last, names::PREVIOUS_RULE), "compaction");
    assert_eq!(word(last, names::PREVIOUS_SPAN), summary.id.to_string());
    assert_eq!(last.attribute(names::CONVERSATION_COMPACTED), Some(&AttributeValue::Bool(true)));
    assert_eq!(summary.attribute(names::CONVERSATION_COMPACTED), None);
}

#[test]
fn nothing_less_is_taken_for_it() {
    let alone = |steps: Vec<Step>| {
        let run = play(steps);
        assert_eq!(last(&run).attribute(names::PREVIOUS_RULE), None);
        assert_eq!(last(&run).attribute(names::CONVERSATION_COMPACTED), None);
    };
    // Other words; a part of them.
    alone(script("Tidy up the other folder."));
    alone(script(&beginning()[..300]));
    // Another process.
    let mut steps = script(&beginning());
    if let Step::Call(call) = &mut steps[3] {
        call.process = Some(key(170));
    }
    alone(steps);
    // Nobody's history: an answer that is handed on.
    let mut steps = script(&beginning());
    steps.drain(0..2);
    alone(steps);
    // Whoever goes on has no tools.
    let mut steps = script(&beginning());
    if let Step::Call(call) = &mut steps[3]
        && let Kind::Llm(llm) = &mut call.kind
    {
        llm.tools = Vec::new().into();
    }
    alone(steps);
    // The conversation went on by itself.
    let mut steps = script(&beginning());
    let Step::Call(asked) = &steps[2] else { panic!() };
    let Kind::Llm(asked) = &asked.kind else { panic!() };
    let mut history: Vec<Message> = asked.input.to_vec();
    history.extend([asked.output[0].clone(), text("user", "Thanks")]);
    steps.push(turn(5, 260, history, words("You are welcome.")));
    if let Step::Call(call) = &mut steps[4] {
        call.end = ms(290);
        call.first_byte = Some(ms(280));
    }
    alone(steps);
}

#[test]
fn of_two_that_fit_none_is_taken() {
    let mut steps = script(&beginning());
    for mut step in script(&beginning()).into_iter().take(3) {
        if let Step::Call(call) = &mut step
            && let Kind::Llm(llm) = &mut call.kind
        {
            call.flow.0 += 10;
            let mut input = llm.input.to_vec();
            input[0] = text("user", "Tidy up, too");
            llm.input = input.into();
        }
        steps.push(step);
    }
    let run = play(steps);
    assert_eq!(last(&run).attribute(names::PREVIOUS_RULE), None);
}
