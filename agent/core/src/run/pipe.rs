//! Calls of tool servers over pipes: MCP's stdio transport, in the shape of MCP over HTTP, without what HTTP says.

use super::attributes::Attributes;
use super::evidence::Haystack;
use super::outcome::{self, Failure};
use super::{Run, rpc};
use crate::call::Completion;
use crate::names;
use crate::observe::PipeCall;
use crate::process::ProcessKey;
use crate::telemetry::{SpanId, SpanKind};

/// A call, and who speaks with whom.
#[derive(Debug)]
pub(super) struct Piped {
    pub(super) call: PipeCall,
    pub(super) client: ProcessKey,
    pub(super) server: Option<ProcessKey>,
}

impl Run {
    pub(super) fn tie_pipe(&mut self, piped: &Piped) {
        let Piped { call, client, server } = piped;
        self.heard(call.until);
        let (mut parent, mut rule) = self.caller(Some(*client));
        if let Some((tool, named)) = self.carried_out(&call.mcp, call.start, Some(*client)) {
            (parent, rule) = (tool, named);
        } else if let Some(tool) = self.tools.only(call.start, Some(*client), Haystack::says) {
            (parent, rule) = (tool, "window");
        }
        self.tally(parent, |totals| totals.pipe_calls += 1);
        let completion = match call.end {
            Some(_) => Completion::Complete,
            None if call.cancelled => Completion::Cancelled,
            None => Completion::Unanswered,
        };
        let mut set = Attributes::default();
        set.plain(names::NETWORK_TRANSPORT, "pipe");
        set.plain(names::CAPTURE_PLANE, "pipe");
        set.maybe(names::COMPLETION, outcome::completion(completion));
        set.plain(names::LINK_RULE, rule);
        if let Some(server) = server {
            // The conventions have no name for it; the process's own span has the same number.
            set.int(names::MCP_SERVER_PID, server.pid);
        }
        let name = rpc::tool(&call.mcp, &mut set).unwrap_or_else(|| "MCP".to_owned());
        let resource = self.resource(Some(*client));
        let links = self.named(call.mcp.traceparent.as_deref(), parent).into_iter().collect();
        let id = self.pipe_id(piped);
        if let (Some(server), Some(end), true) = (server, call.end, call.alone)
            && call.mcp.method.as_deref() == Some("tools/call")
        {
            self.attach_served(*server, id, (call.start, end));
        }
        let draft = self.draft(id, parent, name, call.start..call.until, set, &resource);
        let draft = draft.links(links);
        let end = || match completion {
            Completion::Cancelled => Some(Failure::new("cancelled", "the client took the request back")),
            other => outcome::of_end(other),
        };
        let failure = outcome::of_mcp(&call.mcp).or_else(end);
        self.emit(draft.kind(SpanKind::Client).failed(failure));
    }

    fn pipe_id(&self, piped: &Piped) -> SpanId {
        let Piped { call, client, server } = piped;
        let server = server.unwrap_or(*client);
        // Several requests may come in one piece, and so at one time.
        let id = call.mcp.id.as_ref().map(ToString::to_string).unwrap_or_default();
        self.id(&[
            b"pipe",
            &client.pid.to_le_bytes(),
            &client.started.0.to_le_bytes(),
            &server.pid.to_le_bytes(),
            &call.start.0.to_le_bytes(),
            id.as_bytes(),
        ])
    }
}
