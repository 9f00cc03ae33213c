//! The command line of each client.

use super::{Client, OPENAI_KEY};
use crate::namespace::CLIENTS;

const CHAT: &str = "https://api.openai.com/v1/chat/completions";

/// The words with which `client` is started as number `agent`, in the folder with the scripts.
pub(super) fn of(client: Client, agent: u64) -> Vec<String> {
    let task =
        format!("Count the lines of notes.txt, then look for the missing file. You are agent-{agent}.");
    let number = agent.to_string();
    let script = |words: &[&str], flags: &[(bool, &str)]| -> Vec<String> {
        let set = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag);
        words.iter().copied().chain(set).chain(["--agent", &number]).map(str::to_owned).collect()
    };
    let plain = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let python = Client::python();
    let body = format!(r#"{{"model":"gpt-mock","messages":[{{"role":"user","content":"agent-{agent}"}}]}}"#);
    let key = format!("authorization: Bearer {OPENAI_KEY}");
    let json = "content-type: application/json";
    match client {
        Client::PythonChat { asynchronous, stream, usage } => script(
            &[&python, "openai_chat.py"],
            &[(asynchronous, "--async"), (stream, "--stream"), (usage, "--usage")],
        ),
        Client::PythonResponses { asynchronous, stream, chain } => script(
            &[&python, "openai_responses.py"],
            &[(asynchronous, "--async"), (stream, "--stream"), (chain, "--chain")],
        ),
        Client::Anthropic { asynchronous, stream } => {
            script(&[&python, "anthropic_messages.py"], &[(asynchronous, "--async"), (stream, "--stream")])
        }
        Client::Requests | Client::Aiohttp | Client::PythonSocket => {
            script(&[&python, client.agent_name()], &[])
        }
        Client::CurlCffi => script(&[&python, client.agent_name(), "--module", "curl_cffi.requests"], &[]),
        Client::NodeChat { stream } => script(&["node", "openai_node.mjs", "chat"], &[(stream, "--stream")]),
        Client::NodeResponses { stream } => {
            script(&["node", "openai_node.mjs", "responses"], &[(stream, "--stream")])
        }
        Client::Codex { .. } => {
            let flags = ["--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check"];
            plain(&[&codex(), "exec", flags[0], flags[1], &task])
        }
        Client::Opencode => plain(&[&opencode(), "run", "--model", "openai/gpt-5.1", &task]),
        Client::Go { second, .. } => script(&[&go(client)], &[(!second, "-http1")]),
        Client::Rustls => script(&["./rustls_chat"], &[]),
        Client::Java => script(&["java", "Chat.java"], &[]),
        Client::Curl { second } => {
            let version = if second { "--http2" } else { "--http1.1" };
            plain(&["curl", "-sS", "-f", version, "-H", &key, "-H", json, "-d", &body, CHAT])
        }
        Client::Wget => {
            let start = ["wget", "--quiet", "--tries=1", "--output-document=-", "--header", &key];
            [plain(&start), plain(&["--header", json, "--post-data", &body, CHAT])].concat()
        }
    }
}

/// A program of `tests/clients/chat.go`.
pub(super) fn go(client: Client) -> String {
    format!("{CLIENTS}/go/{}", client.agent_name())
}

/// Codex' launcher.
pub(super) fn codex() -> String {
    format!("{CLIENTS}/node/node_modules/.bin/codex")
}

/// The package's own launcher is made by an install script, which is not run.
pub(super) fn opencode() -> String {
    let machine = if cfg!(target_arch = "x86_64") { "x64-baseline" } else { "arm64" };
    format!("{CLIENTS}/node/node_modules/opencode-linux-{machine}/bin/opencode")
}
