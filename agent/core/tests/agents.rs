//! Sub-agents of Claude Code, from the bytes of their requests to the tool calls that started them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it compared"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/replay.rs"]
mod support;

use calls::{llm, whole};
use serde_json::{Value, json};
use trackway_core::flow::Time;
use trackway_core::lineage::{Lineage, Rule, Step};

const SESSION: &str = "4f6c1c52-0d3a-4a59-9d1b-1f2e3d4c5b6a";
const PROMPT: &str = "Look into the folder src and say what you find there.";

/// Calls that follow each other by a second.
#[derive(Default)]
struct Script {
    lineage: Lineage,
    seconds: u64,
}

impl Script {
    fn take(&mut self, agent: Option<&str>, messages: &Value, content: &Value) -> Step {
        let request = json!({
            "model": "claude-sonnet-4-6", "max_tokens": 1024,
            "metadata": {"user_id": json!({"device_id": "d", "session_id": SESSION}).to_string()},
            "messages": messages,
        });
        let response = json!({
            "id": format!("msg_{:024}", self.seconds), "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-6", "content": content, "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 2},
        });
        let mut replay = whole("/v1/messages?beta=true", &request, &response)
            .request_header("user-agent", "claude-cli/2.1.197 (external, cli)")
            .request_header("x-claude-code-session-id", SESSION);
        if let Some(agent) = agent {
            replay = replay.request_header("x-claude-code-agent-id", agent);
        }
        let (mut call, llm) = llm(replay);
        self.seconds += 1;
        let time = Time(self.seconds * 1_000_000_000);
        (call.start, call.request_end, call.first_byte, call.end) = (time, time, Some(time), time);
        self.lineage.take(&call, &llm)
    }
}

fn task(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "Task", "input": {"description": "look", "prompt": PROMPT}})
}

fn done(id: &str, agent: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": [
        {"type": "text", "text": "There is a file."},
        {"type": "text", "text": format!("agentId: {agent} (for resuming this agent's work)")},
    ]})
}

#[test]
fn a_result_names_the_sub_agent_that_its_tool_call_started() {
    let mut script = Script::default();
    let tasks = json!([task("toolu_01AAAAAAAAAAAAAAAAAAAAAA"), task("toolu_01BBBBBBBBBBBBBBBBBBBBBB")]);
    let begin = json!({"role": "user", "content": "Go on"});
    let main = script.take(None, &json!([begin]), &tasks);
    let said = |text: &str| json!([{"type": "text", "text": text}]);
    let ask = json!([{"role": "user", "content": [
        {"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"}, {"type": "text", "text": PROMPT},
    ]}]);
    let first = script.take(Some("a5d2c18"), &ask, &said("There is a file."));
    let second = script.take(Some("b7e3f90"), &ask, &said("There is a file, too."));
    for sub in [&first, &second] {
        assert!(sub.spawned && script.lineage.may_be_named(sub.conversation));
        assert_eq!((sub.parent, sub.group), (None, main.group), "two tasks with one prompt");
    }
    let results = json!([
        begin,
        {"role": "assistant", "content": tasks},
        {"role": "user", "content": [
            done("toolu_01AAAAAAAAAAAAAAAAAAAAAA", "b7e3f90"), done("toolu_01BBBBBBBBBBBBBBBBBBBBBB", "a5d2c18"),
        ]},
    ]);
    let end = script.take(None, &results, &said("All is well."));
    assert_eq!(end.conversation, main.conversation);
    assert!(!end.spawned);
    assert_eq!(end.started, [(second.conversation, main.asked[0]), (first.conversation, main.asked[1])]);
    assert!(!script.lineage.may_be_named(first.conversation));
    // What the sub-agent begins anew stands where it stood.
    let anew = json!([{"role": "user", "content": "Name the conversation."}]);
    let titled = script.take(Some("a5d2c18"), &anew, &said("Files"));
    assert_eq!(titled.parent, Some((main.asked[1], Rule::AgentId)));
}
