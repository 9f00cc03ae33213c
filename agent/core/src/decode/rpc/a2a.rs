//! The Agent2Agent protocol: JSON-RPC with names of 0.3 (`message/send`) or of 1.0 (`SendMessage`), and its
//! binding to plain HTTP.

use serde_json::Value;

use super::mark::Mark;
use super::{Room, Target, error};
use crate::call::A2a;
use crate::decode::json::{Get, Object};
use crate::decode::segments;
use crate::limits;

/// The method of fetching an agent's card.
pub(super) const CARD: &str = "GET agent-card";

/// Methods until 0.3. The first two are those of the drafts before 0.2.
const FORMER: &[&str] = &[
    "tasks/send",
    "tasks/sendSubscribe",
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotification/set",
    "tasks/pushNotification/get",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
    "agent/authenticatedExtendedCard",
];

/// Methods of 1.0.
const METHODS: &[&str] = &[
    "SendMessage",
    "SendStreamingMessage",
    "GetTask",
    "ListTasks",
    "CancelTask",
    "SubscribeToTask",
    "CreateTaskPushNotificationConfig",
    "GetTaskPushNotificationConfig",
    "ListTaskPushNotificationConfigs",
    "DeleteTaskPushNotificationConfig",
    "GetExtendedAgentCard",
];

/// What the path of the HTTP binding asks for.
pub(super) fn path(target: &Target<'_>) -> Option<&'static str> {
    let mut parts = segments(target.path);
    let (last, before, third) = (parts.next()?, parts.next(), parts.next());
    let (name, action) = last.rsplit_once(':').unwrap_or((last, ""));
    match (target.method, third, before, name, action) {
        ("GET", _, Some(".well-known"), "agent-card.json" | "agent.json", "") => Some(CARD),
        ("POST", _, _, "message", "send") => Some("SendMessage"),
        ("POST", _, _, "message", "stream") => Some("SendStreamingMessage"),
        ("GET", _, Some("tasks"), _, "") => Some("GetTask"),
        ("GET", _, _, "tasks", "") => Some("ListTasks"),
        ("POST", _, Some("tasks"), _, "cancel") => Some("CancelTask"),
        ("POST" | "GET", _, Some("tasks"), _, "subscribe") => Some("SubscribeToTask"),
        ("POST", Some("tasks"), _, "pushNotificationConfigs", "") => Some("CreateTaskPushNotificationConfig"),
        ("GET", Some("tasks"), _, "pushNotificationConfigs", "") => Some("ListTaskPushNotificationConfigs"),
        ("GET", _, Some("pushNotificationConfigs"), _, "") => Some("GetTaskPushNotificationConfig"),
        ("DELETE", _, Some("pushNotificationConfigs"), _, "") => Some("DeleteTaskPushNotificationConfig"),
        ("GET", _, _, "extendedAgentCard", "") | ("GET", _, Some("v1"), "card", "") => {
            Some("GetExtendedAgentCard")
        }
        _ => None,
    }
}

/// Whether a method may be this protocol's.
pub(super) fn is_known(method: &str) -> bool {
    METHODS.contains(&method) || FORMER.contains(&method)
}

/// Whether a call of JSON-RPC is this protocol's, by itself.
pub(super) fn is_ours(call: &Object) -> bool {
    let Some(method) = call.text("method") else { return false };
    let params = call.object("params");
    let names = |key: &str| params.is_some_and(|params| params.text(key).is_some());
    match method {
        "message/send"
        | "message/stream"
        | "tasks/send"
        | "tasks/sendSubscribe"
        | "SendMessage"
        | "SendStreamingMessage" => params.is_some_and(is_send),
        // MCP has methods of these names too, and calls the task `taskId`.
        "tasks/get" | "tasks/cancel" => names("id"),
        // Names that anybody could choose, and nothing in them that tells.
        "tasks/list" | "ListTasks" => false,
        "GetTask" | "CancelTask" | "SubscribeToTask" => names("id"),
        method => is_known(method),
    }
}

/// Whether a method is one that sends a message.
pub(super) fn sends(method: &str) -> bool {
    matches!(method, "SendMessage" | "SendStreamingMessage")
}

/// Whether parameters, which are the body in the HTTP binding, hold a message.
pub(super) fn is_send(params: &Object) -> bool {
    let named = |message: &Object| message.contains_key("role") || message.contains_key("messageId");
    params.object("message").is_some_and(|message| parts(message).is_some() && named(message))
}

/// Whether an answer is what a path of the HTTP binding promises.
pub(super) fn is_answer(method: &str, body: &Object) -> bool {
    let state = |task: &Object| {
        let state = task.object("status").and_then(|status| status.text("state"));
        state.is_some_and(|state| state.starts_with("TASK_STATE_") || is_former(state))
    };
    match method {
        CARD => {
            let says = ["skills", "capabilities", "supportedInterfaces"];
            body.text("name").is_some() && says.iter().filter(|key| body.contains_key(**key)).count() > 1
        }
        "GetTask" | "CancelTask" => state(body) && body.text("contextId").is_some(),
        "SubscribeToTask" => ["task", "statusUpdate"].iter().any(|key| body.object(key).is_some_and(state)),
        // Lists and configurations look like those of anybody.
        _ => false,
    }
}

/// The state of a task until 0.3.
fn is_former(state: &str) -> bool {
    matches!(state, "submitted" | "working" | "unknown") || ends(state)
}

/// One exchange.
#[derive(Debug, Default)]
pub(super) struct Talk {
    a2a: A2a,
    /// The agent said that it says no more.
    ended: bool,
    /// A whole answer that is no event.
    answered: bool,
    full: bool,
}

impl Talk {
    /// Reads a request of JSON-RPC.
    pub(super) fn asked(call: &Object, mark: &Mark, room: &mut Room) -> Self {
        let method = call.text("method").unwrap_or_default();
        let former = FORMER.contains(&method).then(|| "0.3".to_owned());
        let mut it = Self::bound(method, call.object("params"), mark, room);
        it.a2a.id = call.member("id").cloned().and_then(|id| room.value(id));
        it.a2a.version = it.a2a.version.or(former);
        it
    }

    /// Reads a request of the HTTP binding, whose body is the parameters.
    pub(super) fn bound(method: &str, params: Option<&Object>, mark: &Mark, room: &mut Room) -> Self {
        let none = Object::new();
        let params = params.unwrap_or(&none);
        let message = params.object("message").unwrap_or(&none);
        let request_text = texts(message).map(|text| room.text(text)).collect();
        let mut id = |object: &Object, key: &str| {
            object.text(key).map(|id| room.text(id)).filter(|id| !id.is_empty()).map(str::to_owned)
        };
        let continued = id(message, "taskId");
        Self {
            a2a: A2a {
                method: method.to_owned(),
                version: mark.version.clone(),
                request_text,
                asked_task: continued.or_else(|| id(params, "id")).or_else(|| id(params, "taskId")),
                ..A2a::default()
            },
            ..Self::default()
        }
        .continues(message, room)
    }

    /// A message may continue a task and a conversation, which the answer need not name again.
    fn continues(mut self, message: &Object, room: &mut Room) -> Self {
        self.name(message, "taskId", room);
        self
    }

    /// Reads one message of the answer.
    pub(super) fn answer(&mut self, message: Object, whole: bool, room: &mut Room) {
        self.a2a.messages += 1;
        self.answered |= whole;
        if let Some(error) = error(&message, room) {
            self.a2a.error = Some(error);
            self.ended |= whole;
            return;
        }
        if matches!(self.a2a.method.as_str(), CARD | "GetExtendedAgentCard")
            || self.a2a.method.starts_with("agent/")
        {
            return;
        }
        let result = message.object("result").unwrap_or(&message);
        // Version 1.0 names what it is by the member, 0.3 by `kind`.
        let named = ["task", "message", "msg", "statusUpdate", "artifactUpdate"];
        let inner = named.iter().filter(|_| !result.contains_key("kind")).find_map(|key| result.object(key));
        self.object(inner.unwrap_or(result), room);
        if self.full {
            room.take(usize::MAX);
        }
    }

    /// Reads a task, a message or an update, told apart by what they have.
    fn object(&mut self, object: &Object, room: &mut Room) {
        if parts(object).is_some() {
            self.name(object, "taskId", room);
            self.said(object, room);
            // An agent that answers with a message has no task to go on with.
            self.ended = true;
            return;
        }
        let updates = object.contains_key("taskId");
        if object.contains_key("status")
            || object.contains_key("artifact")
            || object.contains_key("artifacts")
        {
            self.name(object, if updates { "taskId" } else { "id" }, room);
        }
        self.ended |= object.is_true("final");
        if let Some(status) = object.object("status") {
            if let Some(state) = status.filled("state") {
                self.ended |= ends(state);
                // They are short, and count more than the texts that may have taken the room.
                if self.a2a.states.len() >= limits::RPC_STATES || state.len() > limits::RPC_METHOD_BYTES {
                    self.full = true;
                } else {
                    self.a2a.states.push(state.to_owned());
                }
            }
            if let Some(message) = status.object("message") {
                self.said(message, room);
            }
        }
        let artifacts = object.items("artifacts").iter().filter_map(Value::as_object);
        for artifact in object.object("artifact").into_iter().chain(artifacts) {
            self.said(artifact, room);
        }
    }

    /// Takes the names of task and conversation.
    fn name(&mut self, object: &Object, task: &str, room: &mut Room) {
        for (key, place) in [(task, &mut self.a2a.task_id), ("contextId", &mut self.a2a.context_id)] {
            if let Some(id) = object.filled(key)
                && place.as_deref() != Some(id)
                && !room.text(id).is_empty()
            {
                *place = Some(id.to_owned());
            }
        }
    }

    fn said(&mut self, object: &Object, room: &mut Room) {
        for text in texts(object) {
            if self.a2a.result_texts.len() >= limits::RPC_STATES {
                self.full = true;
            } else if !text.is_empty() && room.take(text.len()) {
                self.a2a.result_texts.push(text.to_owned());
            }
        }
    }

    /// Whether everything was said that was to be said.
    pub(super) fn is_answered(&self, events: bool) -> bool {
        if events { self.ended } else { self.answered }
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

/// The parts of a message or an artifact; the HTTP binding of 0.3 calls a message's `content`.
fn parts(object: &Object) -> Option<&Vec<Value>> {
    object.member("parts").or_else(|| object.member("content"))?.as_array()
}

/// The text parts of a message or an artifact.
fn texts(object: &Object) -> impl Iterator<Item = &str> {
    parts(object).into_iter().flatten().filter_map(|part| part.text("text"))
}
