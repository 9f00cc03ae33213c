//! Who calls: agent, session, thread and user, from what clients say deterministically.

use serde_json::Value;

use super::json::{Get, Object};
use crate::call::{Conversation, Llm, Thread};
use crate::http::Headers;

/// Where a cache key stood in for a conversation id: the weakest source, which any other one replaces.
pub(crate) const CACHE_KEY: &str = "body:prompt_cache_key";

/// Headers that name a session whoever sends them, and the source that they are reported as.
const SESSIONS: &[(&str, &str)] = &[
    ("x-claude-code-session-id", "header:x-claude-code-session-id"),
    ("x-opencode-session", "header:x-opencode-session"),
    ("x-qwen-code-session-id", "header:x-qwen-code-session-id"),
    ("x-grok-conv-id", "header:x-grok-conv-id"),
];

/// What Codex calls a sub-agent that another one started.
const SPAWNED: &str = "collab_spawn";

/// User agents, by how they begin, and the agent behind them.
const AGENTS: &[(&str, &str)] = &[
    ("claude-cli/", "claude-code"),
    ("claude-code/", "claude-code"),
    ("codex_", "codex"),
    ("codex-", "codex"),
    ("codex/", "codex"),
    ("opencode/", "opencode"),
    ("GeminiCLI", "gemini-cli"),
    ("QwenCode/", "qwen-code"),
];

/// Reads the headers. To be done before the body.
pub(crate) fn from_headers(headers: &Headers, llm: &mut Llm) {
    let get = |wanted: &str| {
        headers
            .iter()
            .find(|(name, value)| name == wanted && !value.is_empty())
            .map(|(_, value)| value.as_str())
    };
    let named =
        |text: &str| AGENTS.iter().find(|(start, _)| text.starts_with(start)).map(|(_, agent)| *agent);
    let agent = ["originator", "user-agent"].iter().filter_map(|key| get(key)).find_map(named);
    llm.organization = get("openai-organization").map(str::to_owned);
    llm.project =
        ["openai-project", "x-goog-user-project"].iter().find_map(|key| get(key)).map(str::to_owned);
    llm.agent = agent.or_else(|| get("x-claude-code-session-id").map(|_| "claude-code")).map(str::to_owned);
    for (name, source) in SESSIONS {
        set(&mut llm.conversation, get(name), source);
    }
    // These two names are too common to be taken for a session id from just anyone.
    if codex(headers) {
        set(&mut llm.conversation, get("session-id").or_else(|| get("session_id")), "header:session-id");
    }
    if agent == Some("opencode") {
        set(&mut llm.conversation, get("x-session-id"), "header:x-session-id");
        if let (Some(id), Some(parent)) = (get("x-session-id"), get("x-parent-session-id")) {
            llm.thread = Some(Thread { id: id.to_owned(), parent: Some(parent.to_owned()), spawned: true });
        }
    }
    if let Some(id) = get("x-claude-code-agent-id") {
        let parent = get("x-claude-code-parent-agent-id").map(str::to_owned);
        // Only sub-agents have one.
        llm.thread = Some(Thread { id: id.to_owned(), parent, spawned: true });
    }
    thread(get, llm);
}

/// Reads the body's identifiers, which count after the headers.
pub(crate) fn from_body(body: &Object, llm: &mut Llm) {
    if let Some(metadata) = body.object("client_metadata") {
        let get = |wanted: &str| {
            let found = metadata.iter().find(|(name, _)| name.replace('_', "-").eq_ignore_ascii_case(wanted));
            found.and_then(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        set(&mut llm.conversation, get("session-id"), "body:client_metadata.session_id");
        if llm.thread.is_none() {
            thread(get, llm);
        }
    }
    match body.member("conversation") {
        Some(Value::String(id)) => set(&mut llm.conversation, Some(id), "body:conversation"),
        Some(value) => set(&mut llm.conversation, value.filled("id"), "body:conversation"),
        None => {}
    }
    // OpenRouter's name for it.
    set(&mut llm.conversation, body.filled("session_id"), "body:session_id");
    if let Some(id) = body.object("metadata").and_then(|metadata| metadata.filled("user_id")) {
        metadata_user(id, llm);
    }
    set(&mut llm.conversation, body.filled("prompt_cache_key"), CACHE_KEY);
}

fn set(slot: &mut Option<Conversation>, id: Option<&str>, source: &'static str) {
    if slot.is_none() {
        *slot = id.filter(|id| !id.is_empty()).map(|id| Conversation { id: id.to_owned(), source });
    }
}

fn codex(headers: &Headers) -> bool {
    headers.iter().any(|(name, value)| {
        name.starts_with("x-codex-")
            || (name == "originator" || name == "user-agent")
                && value.to_ascii_lowercase().starts_with("codex")
    })
}

/// Codex's thread: said plainly, and again as JSON in the turn's metadata.
fn thread<'a>(get: impl Fn(&str) -> Option<&'a str>, llm: &mut Llm) {
    let turn = get("x-codex-turn-metadata").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let turn = |key: &str| turn.as_ref().and_then(|turn| turn.filled(key)).map(str::to_owned);
    let id = get("thread-id").map(str::to_owned).or_else(|| turn("thread_id"));
    let parent = get("x-codex-parent-thread-id").map(str::to_owned).or_else(|| turn("parent_thread_id"));
    if let Some(id) = id {
        let spawned = parent.is_some() || get("x-openai-subagent") == Some(SPAWNED);
        llm.thread = Some(Thread { id, parent, spawned });
    }
    if llm.conversation.is_none() {
        llm.conversation =
            turn("session_id").map(|id| Conversation { id, source: "header:x-codex-turn-metadata" });
    }
}

/// Anthropic's only identifier. Claude Code packs three into it: as JSON, before that with words between.
fn metadata_user(id: &str, llm: &mut Llm) {
    const SOURCE: &str = "body:metadata.user_id";
    if id.starts_with('{')
        && let Ok(packed) = serde_json::from_str::<Value>(id)
    {
        set(&mut llm.conversation, packed.filled("session_id"), SOURCE);
        llm.user = packed.filled("account_uuid").or_else(|| packed.filled("device_id")).map(str::to_owned);
    } else if id.starts_with("user_")
        && let Some((user, session)) = id.rsplit_once("_session_")
    {
        set(&mut llm.conversation, Some(session), SOURCE);
        llm.user = Some(user.to_owned());
    } else {
        llm.user = Some(id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn body(value: Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn codex_headers_name_session_and_threads() {
        let mut llm = Llm::default();
        let list = headers(&[
            ("originator", "codex_cli_rs"),
            ("session-id", "s1"),
            ("x-codex-turn-metadata", r#"{"turn_id":"t","thread_id":"th2","parent_thread_id":"th1"}"#),
        ]);
        from_headers(&list, &mut llm);
        assert_eq!(llm.agent.as_deref(), Some("codex"));
        assert_eq!(llm.conversation, Some(Conversation { id: "s1".into(), source: "header:session-id" }));
        assert_eq!(llm.thread, Some(Thread { id: "th2".into(), parent: Some("th1".into()), spawned: true }));
    }

    #[test]
    fn threads_say_whether_an_agent_started_them() {
        let spawned = |list: &[(&str, &str)]| {
            let mut llm = Llm::default();
            from_headers(&headers(list), &mut llm);
            llm.thread.map(|thread| thread.spawned)
        };
        let codex = ("originator", "codex_cli_rs");
        assert_eq!(spawned(&[codex, ("thread-id", "t1")]), Some(false));
        assert_eq!(spawned(&[codex, ("thread-id", "t2"), ("x-codex-parent-thread-id", "t1")]), Some(true));
        assert_eq!(spawned(&[codex, ("thread-id", "t2"), ("x-openai-subagent", "collab_spawn")]), Some(true));
        assert_eq!(spawned(&[codex, ("thread-id", "t1"), ("x-openai-subagent", "review")]), Some(false));
        assert_eq!(spawned(&[("x-claude-code-session-id", "s")]), None);
        assert_eq!(
            spawned(&[("x-claude-code-session-id", "s"), ("x-claude-code-agent-id", "a1")]),
            Some(true)
        );
    }

    #[test]
    fn a_session_header_of_a_stranger_is_no_conversation() {
        let mut llm = Llm::default();
        from_headers(&headers(&[("session-id", "secret"), ("user-agent", "shop/1")]), &mut llm);
        assert_eq!(llm.conversation, None);
    }

    #[test]
    fn client_metadata_repeats_the_headers() {
        let mut llm = Llm::default();
        let metadata = serde_json::json!({"client_metadata": {"session_id": "s", "thread_id": "t",
            "x-codex-parent-thread-id": "p"}, "prompt_cache_key": "k"});
        from_body(&body(metadata), &mut llm);
        assert_eq!(llm.conversation.map(|c| c.id).as_deref(), Some("s"));
        assert_eq!(llm.thread, Some(Thread { id: "t".into(), parent: Some("p".into()), spawned: true }));
    }

    #[test]
    fn claude_packs_session_and_user() {
        let check = |user_id: &str, session: Option<&str>, user: &str| {
            let mut llm = Llm::default();
            from_body(&body(serde_json::json!({"metadata": {"user_id": user_id}})), &mut llm);
            assert_eq!(llm.conversation.map(|c| c.id).as_deref(), session, "{user_id}");
            assert_eq!(llm.user.as_deref(), Some(user), "{user_id}");
        };
        check(r#"{"device_id":"d","account_uuid":"a","session_id":"s"}"#, Some("s"), "a");
        check(r#"{"device_id":"d","account_uuid":"","session_id":"s"}"#, Some("s"), "d");
        check("user_12_account_34_session_56", Some("56"), "user_12_account_34");
        check("123", None, "123");
    }
}
