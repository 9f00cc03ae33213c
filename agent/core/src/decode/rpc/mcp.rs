//! The Model Context Protocol: with sessions (until 2025-11-25) and without (2026-07-28).

use serde_json::Value;

use super::mark::{Mark, Verb};
use super::{Room, error, is_rpc};
use crate::call::Mcp;
use crate::decode::json::{Get, Object};
use crate::limits;
use crate::observe::is_traceparent;

/// Methods whose names no other protocol has.
const METHODS: &[&str] = &[
    "completion/complete",
    "elicitation/create",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/initialized",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "roots/list",
    "sampling/createMessage",
    "server/discover",
    "subscriptions/listen",
    "tasks/result",
    "tools/call",
    "tools/list",
];

/// Prefix of the stateless revision's own members of `_meta`.
const META: &str = "io.modelcontextprotocol/";

/// Whether a method may be MCP's where nothing but the body tells.
pub(super) fn is_known(method: &str) -> bool {
    METHODS.contains(&method) || matches!(method, "initialize" | "tasks/get" | "tasks/cancel" | "tasks/list")
}

/// Whether a message is MCP's, by itself.
pub(super) fn is_ours(call: &Object) -> bool {
    let Some(method) = call.text("method") else { return false };
    let params = call.object("params");
    let says = |key: &str| params.is_some_and(|params| params.text(key).is_some());
    // Its parameters have names.
    let fits = call.member("params").is_none_or(Value::is_object);
    match method {
        // Language servers initialize as well, without a version of the protocol.
        "initialize" => says("protocolVersion"),
        // A2A calls the task `id`.
        "tasks/get" | "tasks/cancel" => says("taskId"),
        method if METHODS.contains(&method) => fits,
        _ => params
            .and_then(|params| params.object("_meta"))
            .is_some_and(|meta| meta.keys().any(|key| key.starts_with(META))),
    }
}

/// One exchange.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    mcp: Mcp,
    /// Ids of requests that have no answer yet, and where they stand: zero is the first.
    open: Vec<(Value, usize)>,
    asked: bool,
    listens: bool,
    full: bool,
}

impl Talk {
    /// Reads a request's messages: what begins with a method first.
    pub(super) fn asked(calls: &[&Object], mark: &Mark, room: &mut Room) -> Self {
        let first = calls.iter().position(|call| call.contains_key("method")).unwrap_or(0);
        let mut order: Vec<&Object> = calls.to_vec();
        if !order.is_empty() {
            order.swap(0, first);
        }
        let mut it = Self::head(mark);
        for (place, call) in order.into_iter().enumerate() {
            let mut mcp = message(call, room);
            if let (Some(id), Some(_)) = (&mcp.id, &mcp.method) {
                it.asked = true;
                it.open.push((id.clone(), place));
            }
            it.listens |= mcp.method.as_deref() == Some("subscriptions/listen");
            mcp.session_id.clone_from(&it.mcp.session_id);
            mcp.protocol_version = mark.revision.clone().or(mcp.protocol_version.take());
            if place == 0 {
                it.mcp = mcp;
            } else {
                it.mcp.others.push(mcp);
            }
        }
        it
    }

    /// One message apart from any exchange of HTTP.
    pub(super) fn alone(call: &Object, room: &mut Room) -> Self {
        let mcp = message(call, room);
        let open = mcp.id.iter().map(|id| (id.clone(), 0)).collect();
        Self { mcp, open, asked: true, ..Self::default() }
    }

    /// What the head of a request says.
    pub(super) fn head(mark: &Mark) -> Self {
        let tool = mark.method.as_deref() == Some("tools/call");
        let mcp = Mcp {
            method: mark.method.clone(),
            session_id: mark.session.clone(),
            protocol_version: mark.revision.clone(),
            tool_name: mark.name.clone().filter(|_| tool),
            target: mark.name.clone().filter(|_| !tool),
            ..Mcp::default()
        };
        Self { mcp, listens: mark.verb == Verb::Get, ..Self::default() }
    }

    /// Whether there is nothing to answer, and the exchange lasts as long as somebody listens.
    pub(super) fn listens(&self) -> bool {
        self.listens
    }

    /// Whether an answer is due.
    pub(super) fn waits(&self) -> bool {
        self.asked
    }

    /// Whether every request was answered.
    pub(super) fn is_answered(&self) -> bool {
        self.open.is_empty()
    }

    /// A notification of how far the work is came.
    pub(super) fn progressed(&mut self) {
        self.mcp.messages += 1;
        self.mcp.notifications += 1;
        self.mcp.progress += 1;
    }

    /// The revision of the protocol that was agreed on before.
    pub(super) fn revision(&mut self, revision: Option<&str>) {
        if self.mcp.protocol_version.is_none() {
            self.mcp.protocol_version = revision.map(str::to_owned);
        }
    }

    /// The session's id, as the server gives it.
    pub(super) fn session(&mut self, id: &str) {
        self.mcp.session_id.get_or_insert_with(|| id.to_owned());
    }

    /// Reads one message of the answer.
    pub(super) fn answer(&mut self, mut given: Object, whole: bool, room: &mut Room) {
        if !is_rpc(&given) {
            // A proxy or a door keeper speaks, not the server.
            return;
        }
        self.mcp.messages += 1;
        if let Some(method) = given.text("method") {
            if given.member("id").is_some() {
                self.mcp.questions += 1;
                let asked = Mcp { by_server: true, ..message(&given, room) };
                self.keep(asked, room);
            } else {
                self.mcp.notifications += 1;
                self.mcp.progress += u64::from(method == "notifications/progress");
            }
            return;
        }
        let id = given.member("id").cloned();
        let mut place = self.open.iter().position(|(open, _)| Some(open) == id.as_ref());
        // A message that could not even be parsed is refused without its id.
        if place.is_none() && id.is_none() && !self.open.is_empty() {
            place = Some(0);
        }
        match place {
            Some(open) => {
                let (_, place) = if whole { self.open.remove(open) } else { self.open[open].clone() };
                let place = place.checked_sub(1).filter(|place| *place < self.mcp.others.len());
                let asked = match place {
                    Some(place) => &mut self.mcp.others[place],
                    None => &mut self.mcp,
                };
                result(asked, &mut given, room);
            }
            None => {
                let mut stray = Mcp { id, by_server: true, ..Mcp::default() };
                result(&mut stray, &mut given, room);
                self.keep(stray, room);
            }
        }
    }

    /// Keeps a message beside the first.
    fn keep(&mut self, mut mcp: Mcp, room: &mut Room) {
        if self.mcp.others.len() < limits::RPC_BATCH {
            mcp.session_id.clone_from(&self.mcp.session_id);
            mcp.protocol_version = mcp.protocol_version.or(self.mcp.protocol_version.clone());
            self.mcp.others.push(mcp);
        } else if !std::mem::replace(&mut self.full, true) {
            room.take(usize::MAX);
        }
    }

    pub(super) fn finish(mut self, stream: bool) -> Mcp {
        for other in &mut self.mcp.others {
            other.stream = stream;
        }
        Mcp { stream, ..self.mcp }
    }
}

/// What one message says.
fn message(call: &Object, room: &mut Room) -> Mcp {
    let none = Object::new();
    let params = call.object("params").unwrap_or(&none);
    let meta = params.object("_meta").unwrap_or(&none);
    let own = |key: &str| meta.member(&format!("{META}{key}"));
    let method = call.text("method").map(|method| room.text(method).to_owned());
    let tool = method.as_deref() == Some("tools/call");
    let name = params.text("name").map(|name| room.text(name).to_owned());
    let mut mcp = Mcp {
        id: call.member("id").cloned().and_then(|id| room.value(id)),
        protocol_version: own("protocolVersion")
            .or_else(|| params.member("protocolVersion"))
            .and_then(Value::as_str)
            .map(|text| room.text(text).to_owned()),
        client_info: own("clientInfo")
            .or_else(|| params.member("clientInfo"))
            .and_then(|info| room.value(info.clone())),
        tool_arguments: params
            .member("arguments")
            .filter(|_| tool)
            .and_then(|arguments| room.value(arguments.clone())),
        tool_name: name.clone().filter(|_| tool),
        target: name.filter(|_| !tool).or_else(|| params.text("uri").map(|uri| room.text(uri).to_owned())),
        traceparent: meta.text("traceparent").filter(|text| is_traceparent(text)).map(str::to_owned),
        method,
        ..Mcp::default()
    };
    if mcp.method.is_none() {
        // The client answers a question of the server.
        result(&mut mcp, &mut call.clone(), room);
    }
    mcp
}

/// Puts an answer to what it answers.
fn result(mcp: &mut Mcp, given: &mut Object, room: &mut Room) {
    if let Some(error) = error(given, room) {
        mcp.error = Some(error);
        return;
    }
    let Some(result) = given.remove("result") else { return };
    mcp.is_error = result.is_true("isError");
    let meta = result.object("_meta").and_then(|meta| meta.member("io.modelcontextprotocol/serverInfo"));
    mcp.server_info = result
        .member("serverInfo")
        .or(meta)
        .and_then(|info| room.value(info.clone()))
        .or(mcp.server_info.take());
    if let Some(version) = result.filled("protocolVersion") {
        mcp.protocol_version = Some(room.text(version).to_owned());
    }
    mcp.result = room.value(result);
}
