//! What a client is called in the table of what is covered, and how it says its version.

use super::{Client, words};

impl Client {
    /// Its name in the table.
    pub fn label(self) -> String {
        let http = |second: bool| if second { "HTTP/2" } else { "HTTP/1.1" };
        match self {
            Self::PythonChat { asynchronous, .. } => {
                format!("Python `openai`, {}", if asynchronous { "asynchronous" } else { "synchronous" })
            }
            Self::PythonResponses { .. } => "Python `openai`, Responses".to_owned(),
            Self::PythonSocket => "Python `websockets`, Responses".to_owned(),
            Self::Anthropic { .. } => "Python `anthropic`".to_owned(),
            Self::Requests => "Python `requests`".to_owned(),
            Self::CurlCffi => "Python `curl_cffi`".to_owned(),
            Self::Aiohttp => "Python `aiohttp`".to_owned(),
            Self::NodeChat { .. } => "Node `openai`".to_owned(),
            Self::NodeResponses { .. } => "Node `openai`, Responses".to_owned(),
            Self::Codex { .. } => "Codex".to_owned(),
            Self::Opencode => "opencode (Bun)".to_owned(),
            Self::Go { newest, stripped, second } => {
                let go = if newest { "newest" } else { "Debian" };
                let symbols = if stripped { ", stripped" } else { "" };
                format!("Go ({go}{symbols}), {}", http(second))
            }
            Self::Rustls => "rustls with symbols".to_owned(),
            Self::Java => "Java `java.net.http`".to_owned(),
            Self::Curl { second } => format!("`curl`, {}", http(second)),
            Self::Wget => "`wget`".to_owned(),
        }
    }

    /// A command that prints its version in its first line; `None` for rustls, whose version the lock file says.
    pub(crate) fn version(self) -> Option<Vec<String>> {
        let module = match self {
            Self::Anthropic { .. } => "anthropic",
            Self::Requests => "requests",
            Self::CurlCffi => "curl_cffi",
            Self::Aiohttp => "aiohttp",
            Self::PythonSocket => "websockets",
            _ => "openai",
        };
        let python = format!(
            "import platform as p, importlib.metadata as m; print(p.python_version(), m.version('{module}'))"
        );
        let words: &[&str] = match self {
            Self::Codex { .. } => &[&words::codex(), "--version"],
            Self::Opencode => &[&words::opencode(), "--version"],
            Self::NodeChat { .. } | Self::NodeResponses { .. } => &["node", "--version"],
            Self::Go { .. } => &[&words::go(self), "-version"],
            Self::Java => &["java", "--version"],
            Self::Curl { .. } => &["curl", "--version"],
            Self::Wget => &["wget", "--version"],
            Self::Rustls => return None,
            _ => &[&Self::python(), "-c", &python],
        };
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }
}
