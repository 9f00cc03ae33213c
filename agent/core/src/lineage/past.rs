//! What is remembered of a call.

use super::{CallNumber, Digest, Said, Step, ToolNumber, Waypoint, digest};
use crate::call::{Call, Completion, Llm};
use crate::flow::{FlowId, Time};
use crate::process::ProcessKey;

/// Where a conversation lives, as far as the wire and the kernel say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// Host and format.
    pub(super) place: Digest,
    pub(super) process: Option<ProcessKey>,
    pub(super) thread: Option<String>,
}

impl Scope {
    pub(super) fn of(call: &Call, llm: &Llm) -> Self {
        Self {
            place: digest(&[call.http.host.as_bytes(), family(llm.api).as_bytes()]),
            process: call.process,
            thread: llm.thread.as_ref().map(|thread| thread.id.clone()),
        }
    }
}

/// A format without its variants: a history that is compacted goes on.
fn family(api: &str) -> &str {
    api.split('_').next().unwrap_or(api)
}

/// One earlier call.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) number: CallNumber,
    pub(super) conversation: CallNumber,
    pub(super) group: CallNumber,
    pub(super) key: Option<Digest>,
    pub(super) previous: Option<CallNumber>,
    /// Whether its conversation hangs under a tool call.
    pub(super) placed: bool,
    pub(super) scope: Scope,
    pub(super) flow: FlowId,
    pub(super) times: (Time, Time),
    pub(super) states: Vec<Waypoint>,
    pub(super) request: Digest,
    pub(super) instructions: Digest,
    pub(super) beginning: Digest,
    pub(super) session: Option<Digest>,
    pub(super) response: Option<Digest>,
    pub(super) model: Option<String>,
    pub(super) client: Digest,
    /// Whether it offered tools.
    pub(super) tools: bool,
    /// The tool calls of its answer.
    pub(super) asked: Vec<ToolNumber>,
    /// The provider's marks on its answer.
    pub(super) seals: Vec<u64>,
    /// The ids that it gave to tool calls.
    pub(super) ids: Vec<String>,
    /// Requests that continued it.
    pub(super) continued: u32,
    /// Whether it brought no answer.
    pub(super) failed: bool,
    /// Whether another call did it again.
    pub(super) repeated: bool,
    /// Whether the client gave it up.
    pub(super) given_up: bool,
}

impl Past {
    pub(super) fn new(step: &Step, said: &Said, call: &Call, llm: &Llm) -> Self {
        let status = call.http.status.is_none_or(|status| status >= 400);
        Self {
            number: step.number,
            conversation: step.conversation,
            group: step.group,
            key: step.key,
            previous: step.previous.map(|(number, _)| number),
            placed: step.parent.is_some(),
            scope: said.scope.clone(),
            flow: call.flow,
            times: (call.start, call.end),
            states: said.states.clone(),
            request: said.request,
            instructions: said.instructions,
            beginning: said.beginning,
            session: said.session,
            // A response's id means something to its own provider alone.
            response: llm.response_id.as_deref().map(|id| response_key(id, &said.scope)),
            model: llm.request_model.clone(),
            client: said.client,
            tools: llm.tools.pieces() > 0,
            asked: step.asked.clone(),
            seals: said.states.iter().flat_map(|state| &state.seals).copied().collect(),
            ids: llm.tool_calls().filter_map(|call| call.id.clone()).collect(),
            continued: 0,
            repeated: false,
            failed: status || llm.error.is_some() || call.completion != Completion::Complete,
            given_up: matches!(call.completion, Completion::Cancelled | Completion::Unanswered),
        }
    }
}

pub(super) fn response_key(id: &str, scope: &Scope) -> Digest {
    digest(&[&scope.place, id.as_bytes()])
}
