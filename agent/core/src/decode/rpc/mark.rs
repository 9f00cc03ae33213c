//! What the head of a request says of MCP and A2A, before its body is there.

use super::{a2a, value};
use crate::decode::Target;

/// The signs in a request's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    pub(super) verb: Verb,
    /// Fields that only MCP has.
    pub(super) mcp: bool,
    /// Fields that only A2A has.
    pub(super) a2a: bool,
    /// `application/json, text/event-stream`: MCP demands both, and hardly anything else asks for both.
    pub(super) both: bool,
    /// `A2A-Version`
    pub(super) version: Option<String>,
    /// What the path asks for in A2A's binding to HTTP.
    pub(super) rest: Option<&'static str>,
    /// Nothing else has this path.
    pub(super) sure: bool,
    /// `Mcp-Session-Id`, or the session in the URL that MCP's first transport has.
    pub(super) session: Option<String>,
    /// `MCP-Protocol-Version`
    pub(super) revision: Option<String>,
    /// `Mcp-Method`, and `Mcp-Name` after it.
    pub(super) method: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verb {
    #[default]
    Post,
    Get,
    Delete,
}

impl Mark {
    /// Reads the head; `None` where the request cannot be either.
    pub(crate) fn new(target: &Target<'_>, query: Option<&str>) -> Option<Self> {
        let verb = match target.method {
            "POST" => Verb::Post,
            "GET" => Verb::Get,
            "DELETE" => Verb::Delete,
            _ => return None,
        };
        let field = |name: &str| value(target.headers, name).map(str::to_owned);
        let accept = value(target.headers, "accept").unwrap_or_default();
        let events = accept.contains("text/event-stream");
        let rest = a2a::path(target);
        let sure = rest == Some(a2a::CARD) && target.path.ends_with("/agent-card.json");
        let mut it = Self { verb, rest, sure, ..Self::default() };
        let json =
            verb == Verb::Post && value(target.headers, "content-type").is_some_and(|kind| has(kind, "json"));
        let named = target.headers.iter().any(|(name, _)| name.starts_with("mcp-") || name.contains("a2a-"));
        if !json && !events && !named && it.rest.is_none() {
            return None;
        }
        it.both = events && accept.contains("application/json");
        if named {
            it.session = field("mcp-session-id");
            it.revision = field("mcp-protocol-version");
            it.method = field("mcp-method");
            it.name = field("mcp-name");
            it.mcp = it.session.is_some() || it.revision.is_some() || it.method.is_some();
            it.version = field("a2a-version");
            it.a2a = it.version.is_some() || field("a2a-extensions").or(field("x-a2a-extensions")).is_some();
        }
        let possible = match verb {
            Verb::Post => json || it.mcp || it.rest.is_some(),
            // Clients of MCP name its revision also where they look for a way to log in.
            Verb::Get => events || it.session.is_some() || it.rest.is_some(),
            Verb::Delete => it.session.is_some() || it.a2a && it.rest.is_some(),
        };
        if it.session.is_none() && verb == Verb::Post {
            it.session = query.and_then(session);
        }
        possible.then_some(it)
    }

    /// Whether a body may follow that is worth keeping.
    pub(crate) fn has_body(&self) -> bool {
        self.verb == Verb::Post
    }

    /// Whether the body has to begin like JSON-RPC.
    pub(crate) fn is_gated(&self) -> bool {
        self.rest.is_none()
    }

    /// Whether JSON-RPC of any method, or none, is MCP's here.
    pub(super) fn is_mcp(&self) -> bool {
        self.mcp || self.both && !self.a2a || self.session.is_some()
    }

    /// Whether any of the signs is more than a content type.
    pub(crate) fn is_said(&self) -> bool {
        self.is_mcp() || self.a2a
    }
}

/// Whether a field's value has a word, in any case of letters.
fn has(value: &str, word: &str) -> bool {
    value.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// The session that a query names.
pub(super) fn session(query: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(key, _)| matches!(*key, "sessionId" | "session_id"));
    named.map(|(_, id)| id.to_owned()).find(|id| !id.is_empty())
}
