//! A provider over TLS that answers by a script and remembers what it said.

pub mod chat;
pub mod chop;
pub mod coding;
pub mod mcp;
pub mod messages;
pub mod recorded;
pub mod responses;
pub mod script;
mod serve;
mod socket;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::namespace::{Namespace, ORIGIN, ORIGIN6};
use script::{Answer, Api, Ask, Script, Shell, two_tools};

/// How the provider behaves as a server.
#[derive(Clone)]
pub struct Behaviour {
    /// What it says.
    pub script: Script,
    /// ALPN protocols that it offers, best first.
    pub alpn: Vec<&'static str>,
    /// Whether it compresses where the client allows it.
    pub gzip: bool,
    /// Cuts everything that it writes at random places.
    pub chop: bool,
    /// Offers the WebSocket transport.
    pub socket: bool,
    /// Answers nothing before so many calls have come, so that their streams run at the same time.
    pub together: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            script: Arc::new(two_tools),
            alpn: vec!["h2", "http/1.1"],
            gzip: false,
            chop: true,
            socket: true,
            together: 0,
        }
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behaviour").field("alpn", &self.alpn).finish_non_exhaustive()
    }
}

/// One answer that was given, as a span should tell it.
#[derive(Clone, Debug)]
pub struct Served {
    /// What was asked.
    pub ask: Ask,
    /// What was said; tools have their ids.
    pub answer: Answer,
    /// The answer's id.
    pub id: String,
    /// The model that the request named.
    pub requested_model: String,
    /// The model that the answer named.
    pub model: String,
    /// Whether it was streamed.
    pub stream: bool,
    /// Name under which the client reached us.
    pub host: String,
    /// The request's `traceparent`.
    pub traceparent: Option<String>,
}

/// A request that was no inference call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Name under which the client reached us.
    pub host: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Bytes of the body.
    pub size: usize,
    /// Status that it got.
    pub status: u16,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The request's `traceparent`.
    pub traceparent: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    served: Vec<Served>,
    plain: Vec<Plain>,
    /// Where an answer or a tool call belongs, by its id.
    turns: HashMap<String, Turn>,
    /// What prewarms announced, by the id of their answer.
    warm: HashMap<String, (Option<u64>, Option<Shell>)>,
    connections: u64,
}

/// What a request's headers say of where it belongs.
#[derive(Clone, Debug, Default)]
struct Origin {
    host: String,
    traceparent: Option<String>,
}

/// A place in a conversation.
#[derive(Clone, Copy, Debug)]
struct Turn {
    number: usize,
    agent: u64,
    shell: Option<Shell>,
}

/// The part that connections share.
pub(crate) struct Shared {
    behaviour: Behaviour,
    state: Mutex<State>,
    ids: AtomicU64,
    changed: watch::Sender<u64>,
}

/// The provider.
pub struct Provider {
    shared: Arc<Shared>,
    authority: Arc<Authority>,
    acceptor: TlsAcceptor,
}

impl Provider {
    /// A provider with a new authority.
    pub fn new(behaviour: Behaviour) -> Result<Self> {
        let authority = Authority::new()?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&authority) as Arc<_>);
        config.alpn_protocols = behaviour.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let shared = Arc::new(Shared {
            behaviour,
            state: Mutex::default(),
            ids: AtomicU64::new(1),
            changed: watch::Sender::new(0),
        });
        Ok(Self { shared, authority, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Its root, PEM.
    pub fn root(&self) -> String {
        self.authority.root()
    }

    /// Listens inside `namespace`: TLS on 443, cleartext on 80 and 11434, both address families.
    pub async fn serve(&self, namespace: &Namespace) -> Result<()> {
        for (address, port, tls) in
            [(ORIGIN, 443, true), (ORIGIN6, 443, true), (ORIGIN, 80, false), (ORIGIN, 11434, false)]
        {
            let listener = namespace.listen(SocketAddr::new(address, port)).await?;
            let acceptor = tls.then(|| self.acceptor.clone());
            serve::listen(listener, acceptor, Arc::clone(&self.shared));
        }
        Ok(())
    }

    /// What was said so far, in order.
    pub fn served(&self) -> Vec<Served> {
        self.shared.state().served.clone()
    }

    /// What else was asked.
    pub fn plain(&self) -> Vec<Plain> {
        self.shared.state().plain.clone()
    }

    /// How many connections arrived.
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// Waits until at least `count` answers were given (or begun).
    pub async fn until_served(&self, count: usize) {
        self.shared.until_served(count).await;
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_served(&self, count: usize) {
        let mut changes = self.changed.subscribe();
        while self.state().served.len() < count {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn connected(&self) {
        self.state().connections += 1;
        self.touch();
    }

    fn plain(&self, plain: Plain) {
        self.state().plain.push(plain);
        self.touch();
    }

    fn number(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// An id for the answer to a prewarm: it has no words, but the tools that the conversation will use.
    fn prewarmed(&self, body: &Value) -> String {
        let id = format!("resp_warm{:06}", self.number());
        let text = body.to_string();
        self.state().warm.insert(id.clone(), (agent(&text), Shell::offered(&text)));
        id
    }

    /// Decides the answer to `body` and remembers it.
    fn decide(&self, api: Api, from: &Origin, stream: bool, body: Value) -> Served {
        let before = self.before(&body);
        let text = body.to_string();
        let warm = body["previous_response_id"].as_str().and_then(|id| self.state().warm.get(id).copied());
        let (warm_agent, warm_shell) = warm.unwrap_or_default();
        let turn = Turn {
            number: before.map_or(0, |turn| turn.number + 1),
            agent: agent(&text).or(before.map(|turn| turn.agent)).or(warm_agent).unwrap_or(0),
            shell: Shell::offered(&text).or(before.and_then(|turn| turn.shell)).or(warm_shell),
        };
        let ask = Ask { api, turn: turn.number, agent: turn.agent, shell: turn.shell, body };
        let mut answer = (self.behaviour.script)(&ask);
        let prefix = match api {
            Api::Chat => "chatcmpl-",
            Api::Responses | Api::ResponsesSocket => "resp_",
            Api::Messages => "msg_",
        };
        let id = format!("{prefix}{:06}", self.number());
        for tool in &mut answer.tools {
            let prefix = if api == Api::Messages { "toolu_" } else { "call_" };
            tool.id = format!("{prefix}{:06}", self.number());
        }
        let requested_model = ask.body["model"].as_str().unwrap_or_default().to_owned();
        let model = format!("{requested_model}-2026-05-05");
        let Origin { host, traceparent } = from.clone();
        let served = Served { ask, answer, id, requested_model, model, stream, host, traceparent };
        let mut state = self.state();
        state.turns.insert(served.id.clone(), turn);
        for tool in &served.answer.tools {
            state.turns.insert(tool.id.clone(), turn);
        }
        state.served.push(served.clone());
        drop(state);
        self.touch();
        served
    }

    /// The latest turn that the request refers to, by a tool call's or an answer's id.
    fn before(&self, body: &Value) -> Option<Turn> {
        let state = self.state();
        let known = |id: &Value| id.as_str().and_then(|id| state.turns.get(id)).copied();
        let mut latest = known(&body["previous_response_id"]);
        let lists = ["messages", "input"].into_iter().filter_map(|key| body[key].as_array());
        for item in lists.flatten() {
            let blocks = item["content"].as_array().into_iter().flatten();
            let ids =
                blocks.map(|block| &block["tool_use_id"]).chain([&item["tool_call_id"], &item["call_id"]]);
            latest = ids.filter_map(known).chain(latest).max_by_key(|turn| turn.number);
        }
        latest
    }
}

/// The provider's error object.
fn error(status: u16) -> Value {
    let kind = if status == 429 { "rate_limit_exceeded" } else { "server_error" };
    json!({ "error": { "message": "the mock failed on purpose", "type": kind, "code": kind, "param": null } })
}

/// The last number `N` of `agent-N` in the text.
fn agent(text: &str) -> Option<u64> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.rsplit("agent-").find_map(|rest| digits(rest).parse().ok())
}

/// `text` in pieces of `size` characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}
