//! How things ended: errors of calls and of tool results, only where they are explicit.

use serde_json::Value;

use crate::call::{Call, Completion, Kind, Mcp, ToolResult};
use crate::redact;
use crate::telemetry::Status;

/// Lines at the beginning of a textual result in which tools state their exit code.
const HEAD_LINES: usize = 8;

/// A failure: `error.type`, and the words for the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: String,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(kind: impl Into<String>, message: &str) -> Self {
        Self { kind: kind.into(), message: redact::text(message).into_owned() }
    }

    pub(super) fn status(&self) -> Status {
        Status::Error(self.message.clone())
    }
}

/// The word for `trackway.completion`; nothing for a whole exchange.
pub(super) fn completion(completion: Completion) -> Option<&'static str> {
    match completion {
        Completion::Complete => None,
        Completion::Partial => Some("partial"),
        Completion::Cancelled => Some("cancelled"),
        Completion::Unanswered => Some("unanswered"),
    }
}

/// Why a call failed: what the provider says first, then HTTP, then how it was cut.
pub(super) fn of_call(call: &Call) -> Option<Failure> {
    let status = call.http.status.filter(|status| *status >= 400);
    if let Kind::Llm(llm) = &call.kind
        && let Some(error) = &llm.error
    {
        let kind = match (error.kind.is_empty(), status) {
            (false, _) => error.kind.clone(),
            (true, Some(status)) => status.to_string(),
            (true, None) => "_OTHER".to_owned(),
        };
        return Some(Failure::new(kind, &error.message));
    }
    match &call.kind {
        Kind::Mcp(mcp) if mcp.error.is_some() || mcp.is_error => return of_mcp(mcp),
        Kind::A2a(a2a) => {
            if let Some(error) = &a2a.error {
                return Some(Failure::new(error.code.to_string(), &error.message));
            }
            let failed = |state: &&String| {
                matches!(state.as_str(), "failed" | "rejected" | "TASK_STATE_FAILED" | "TASK_STATE_REJECTED")
            };
            // To look at a task that failed is no failure.
            if let Some(state) = a2a.states.last().filter(failed).filter(|_| a2a.operation().is_some()) {
                return Some(Failure::new(state.as_str(), "the agent's task did not succeed"));
            }
        }
        _ => {}
    }
    if let Some(status) = status {
        return Some(Failure::new(status.to_string(), &format!("HTTP status {status}")));
    }
    of_end(call.completion)
}

/// Why a message to a tool server failed, where its answer says so.
pub(super) fn of_mcp(mcp: &Mcp) -> Option<Failure> {
    match &mcp.error {
        Some(error) => Some(Failure::new(error.code.to_string(), &error.message)),
        None => mcp.is_error.then(|| Failure::new("tool_error", "the tool marked its result as an error")),
    }
}

/// What it means that an answer ended that way.
pub(super) fn of_end(completion: Completion) -> Option<Failure> {
    match completion {
        Completion::Complete => None,
        Completion::Partial => Some(Failure::new("incomplete_response", "the answer was cut off")),
        Completion::Cancelled => {
            Some(Failure::new("cancelled", "the client went away before the answer was whole"))
        }
        Completion::Unanswered => Some(Failure::new("no_response", "no response came")),
    }
}

/// Why a tool's result is an error, where the client or the result itself says so.
pub(super) fn of_result(result: &ToolResult) -> Option<Failure> {
    let message = if result.is_error {
        "the client marked the result as an error".to_owned()
    } else {
        marked(&result.response)?
    };
    Some(Failure::new("tool_error", &message))
}

fn marked(response: &Value) -> Option<String> {
    match response {
        Value::Object(members) => {
            let flag =
                ["isError", "is_error"].iter().any(|key| members.get(*key) == Some(&Value::Bool(true)));
            if flag {
                return Some("the result says that it is an error".to_owned());
            }
            let code = members
                .get("exit_code")
                .or_else(|| members.get("metadata").and_then(|metadata| metadata.get("exit_code")));
            code.and_then(Value::as_i64).filter(|code| *code != 0).map(exited)
        }
        Value::Array(items) => {
            items.iter().find_map(|item| item.get("text")).and_then(Value::as_str).and_then(stated_exit)
        }
        Value::String(text) => stated_exit(text),
        _ => None,
    }
}

/// A line such as `Exit code: 2` or `Process exited with code 2` among the first ones.
fn stated_exit(text: &str) -> Option<String> {
    let code = |line: &str| -> Option<i64> {
        let lower = line.trim().to_ascii_lowercase();
        let rest =
            ["exit code", "process exited with code"].iter().find_map(|mark| lower.strip_prefix(mark))?;
        rest.trim_start_matches([':', ' ']).trim_end_matches('.').parse().ok()
    };
    text.lines().take(HEAD_LINES).find_map(code).filter(|code| *code != 0).map(exited)
}

fn exited(code: i64) -> String {
    format!("exited with code {code}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(response: Value, expect: Option<&str>) {
        let result = ToolResult { id: None, name: None, response, is_error: false };
        assert_eq!(of_result(&result).map(|failure| failure.message).as_deref(), expect);
    }

    #[test]
    fn only_what_is_explicit_is_an_error() {
        check(json!("Exit code: 2\nOutput:\nno"), Some("exited with code 2"));
        check(
            json!("Chunk ID: x\nWall time: 1\nProcess exited with code 1\nOutput"),
            Some("exited with code 1"),
        );
        check(json!("Exit code: 0\nOutput:\nExit code: 1"), None);
        check(json!("it failed terribly with an error"), None);
        check(json!({"output": "", "metadata": {"exit_code": 3}}), Some("exited with code 3"));
        check(json!({"output": "", "metadata": {"exit_code": 0}}), None);
        check(json!([{"type": "text", "text": "Exit code 4"}]), Some("exited with code 4"));
        check(json!({"isError": true}), Some("the result says that it is an error"));
    }
}
