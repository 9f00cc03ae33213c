//! The Agent2Agent protocol: JSON-RPC with names of 0.3 (`message/send`) or of 1.0 (`SendMessage`), and its
//! binding to plain HTTP.

use serde_json::Value;

use super::{Target, error, filled, value};
use crate::call::A2a;
use crate::decode::json::{Get, Object, take_items, take_object};
use crate::decode::segments;
use crate::limits;

/// Methods of 0.3, of 1.0, and the verb of the HTTP binding.
const METHODS: &[(&str, &str)] = &[
    ("message/send", "SendMessage"),
    ("message/stream", "SendStreamingMessage"),
    ("tasks/get", "GetTask"),
    ("tasks/list", "ListTasks"),
    ("tasks/cancel", "CancelTask"),
    ("tasks/resubscribe", "SubscribeToTask"),
    ("tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig"),
    ("tasks/pushNotificationConfig/get", "GetTaskPushNotificationConfig"),
    ("tasks/pushNotificationConfig/list", "ListTaskPushNotificationConfigs"),
    ("tasks/pushNotificationConfig/delete", "DeleteTaskPushNotificationConfig"),
    ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"),
];

/// Names that are too common to be taken for this protocol's without more.
const COMMON: &[&str] = &["tasks/get", "tasks/list", "tasks/cancel"];

/// What the path of the HTTP binding asks for.
pub(super) fn verb(target: &Target<'_>) -> Option<&'static str> {
    let mut parts = segments(target.path);
    let (last, before) = (parts.next()?, parts.next());
    let marked = value(target.headers, "a2a-version").is_some();
    let (name, action) = last.rsplit_once(':').unwrap_or((last, ""));
    match (target.method, before, name, action) {
        ("GET", Some(".well-known"), "agent-card.json" | "agent.json", "") => Some("GET agent-card"),
        ("POST", _, "message", "send") => Some("SendMessage"),
        ("POST", _, "message", "stream") => Some("SendStreamingMessage"),
        ("GET", Some("tasks"), _, "") if marked => Some("GetTask"),
        ("GET", _, "tasks", "") if marked => Some("ListTasks"),
        ("POST", Some("tasks"), _, "cancel") if marked => Some("CancelTask"),
        ("POST" | "GET", Some("tasks"), _, "subscribe") if marked => Some("SubscribeToTask"),
        ("GET", _, "extendedAgentCard" | "card", "") if marked => Some("GetExtendedAgentCard"),
        _ => None,
    }
}

/// One exchange.
#[derive(Debug, Default)]
pub(super) struct Talk {
    a2a: A2a,
}

impl Talk {
    /// Reads a request: a call of JSON-RPC, or the body of the HTTP binding.
    pub(super) fn new(target: &Target<'_>, call: Option<&Object>, body: Option<&Object>) -> Option<Self> {
        let version = value(target.headers, "a2a-version").map(str::to_owned);
        if let Some(call) = call {
            let name = call.text("method")?;
            let known = METHODS.iter().find(|(first, second)| name == *first || name == *second);
            let (first, method) = known?;
            let params = call.object("params");
            let id = params.is_some_and(|params| params.text("id").is_some());
            if COMMON.contains(&name) && version.is_none() && !id {
                return None;
            }
            // Names in Pascal case are not rare; a message, a task or the field is.
            let message = params.and_then(|params| params.object("message"));
            if name == *method && version.is_none() && message.is_none() && !id {
                return None;
            }
            let said = version.or_else(|| (name == *first).then(|| "0.3".to_owned()));
            return Some(Self {
                a2a: A2a {
                    method: (*method).to_owned(),
                    id: call.member("id").cloned(),
                    version: said,
                    request_text: message.map(text).unwrap_or_default(),
                    ..A2a::default()
                },
            });
        }
        let method = verb(target)?;
        let message = body.and_then(|body| body.object("message"));
        let sends = method.starts_with("Send");
        if sends && message.is_none_or(|message| !message.contains_key("parts")) {
            return None;
        }
        let request_text = message.map(text).unwrap_or_default();
        Some(Self { a2a: A2a { method: method.to_owned(), version, request_text, ..A2a::default() } })
    }

    /// Reads one message of the answer; true where it is the last.
    pub(super) fn answer(&mut self, mut message: Object) -> bool {
        self.a2a.messages += 1;
        if let Some(error) = error(&message) {
            self.a2a.error = Some(error);
            return true;
        }
        if self.a2a.method == "GET agent-card" || self.a2a.method == "GetExtendedAgentCard" {
            return true;
        }
        let mut result = take_object(&mut message, "result").unwrap_or(message);
        // Version 1.0 names what it is by the member, 0.3 by `kind`.
        for kind in ["task", "message", "statusUpdate", "artifactUpdate", "msg"] {
            if let Some(inner) = take_object(&mut result, kind).filter(|_| !result.contains_key("kind")) {
                return self.object(kind, inner);
            }
        }
        let kind = result.text("kind").unwrap_or("task").to_owned();
        self.object(&kind, result)
    }

    fn object(&mut self, kind: &str, mut object: Object) -> bool {
        let a2a = &mut self.a2a;
        let task = if kind == "task" { "id" } else { "taskId" };
        a2a.task_id = filled(&mut object, task).or(a2a.task_id.take());
        a2a.context_id = filled(&mut object, "contextId").or(a2a.context_id.take());
        let mut ended = object.is_true("final");
        match kind {
            "message" | "msg" => {
                ended = true;
                self.said(text(&object));
            }
            "artifactUpdate" | "artifact-update" => {
                if let Some(artifact) = object.object("artifact") {
                    let said = text(artifact);
                    self.said(said);
                }
            }
            _ => {
                if let Some(status) = object.object("status") {
                    let state = status.filled("state").unwrap_or_default();
                    ended |= ends(state);
                    if self.a2a.states.len() < limits::RPC_STATES && !state.is_empty() {
                        self.a2a.states.push(state.to_owned());
                    }
                    let said = status.object("message").map(text).unwrap_or_default();
                    self.said(said);
                }
                for artifact in take_items(&mut object, "artifacts") {
                    if let Value::Object(artifact) = artifact {
                        self.said(text(&artifact));
                    }
                }
            }
        }
        ended
    }

    fn said(&mut self, text: String) {
        let texts = &mut self.a2a.result_texts;
        if !text.is_empty() && texts.len() < limits::RPC_STATES {
            texts.push(text);
        }
    }

    pub(super) fn finish(self, stream: bool) -> A2a {
        A2a { stream, ..self.a2a }
    }
}

/// Whether a task goes on no further by itself.
fn ends(state: &str) -> bool {
    let word = state.strip_prefix("TASK_STATE_").unwrap_or(state).to_ascii_lowercase().replace('_', "-");
    matches!(
        word.as_str(),
        "completed" | "canceled" | "cancelled" | "failed" | "rejected" | "input-required" | "auth-required"
    )
}

/// The text parts of a message or an artifact.
fn text(object: &Object) -> String {
    object.items("parts").iter().filter_map(|part| part.text("text")).collect()
}
