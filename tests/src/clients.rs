//! The real clients: what to start, and what they are expected to say on the wire.

pub mod gate;
mod trust;
pub mod version;
mod words;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::job::Job;
use crate::namespace::{CLIENTS, open_to_all};
use crate::provider::script::Api;

/// A word that stands in every credential of the tests; no output may contain it.
pub const CANARY: &str = "TRACKWAYLEAKCANARY";

/// The key that clients of OpenAI are given.
pub const OPENAI_KEY: &str = "sk-proj-TRACKWAYLEAKCANARY0123456789abcdefghijklmnopqrstuv";
const ANTHROPIC_KEY: &str = "sk-ant-api03-TRACKWAYLEAKCANARY0123456789abcdefghijklmnopqrstuv";

/// Where `cargo xtask setup` puts the clients.
pub(crate) fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".setup")
}

/// One client, and how it is asked to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `openai` for Python, Chat Completions.
    PythonChat {
        /// `AsyncOpenAI`.
        asynchronous: bool,
        /// With server-sent events.
        stream: bool,
        /// With `stream_options.include_usage`.
        usage: bool,
    },
    /// `openai` for Python, Responses.
    PythonResponses {
        /// `AsyncOpenAI`.
        asynchronous: bool,
        /// With server-sent events.
        stream: bool,
        /// The server keeps the history.
        chain: bool,
    },
    /// `anthropic` for Python.
    Anthropic {
        /// `AsyncAnthropic`.
        asynchronous: bool,
        /// With server-sent events.
        stream: bool,
    },
    /// `requests`, without an SDK.
    Requests,
    /// `curl_cffi`, without an SDK: a wheel with BoringSSL linked into it.
    CurlCffi,
    /// `aiohttp`, without an SDK.
    Aiohttp,
    /// `websockets` for Python, Responses.
    PythonSocket,
    /// `openai` for Node, Chat Completions.
    NodeChat {
        /// With server-sent events.
        stream: bool,
    },
    /// `openai` for Node, Responses.
    NodeResponses {
        /// With server-sent events.
        stream: bool,
    },
    /// `codex exec`.
    Codex {
        /// With a model whose tools are plain functions, not scripts for `exec`.
        functions: bool,
    },
    /// `opencode run`.
    Opencode,
    /// Go's `net/http`.
    Go {
        /// With the Go of `tests/clients/go.txt`, else with Debian's.
        newest: bool,
        /// Without a table of symbols.
        stripped: bool,
        /// Over HTTP/2.
        second: bool,
    },
    /// `rustls` on a blocking socket, with symbols.
    Rustls,
    /// `java.net.http`; one call without tools.
    Java,
    /// `curl`; one call without tools.
    Curl {
        /// Over HTTP/2.
        second: bool,
    },
    /// `wget`, which has its TLS from GnuTLS; one call without tools.
    Wget,
}

impl Client {
    /// The interface that it speaks.
    pub fn api(self) -> Api {
        match self {
            Self::PythonResponses { .. } | Self::NodeResponses { .. } | Self::Opencode => Api::Responses,
            Self::Anthropic { .. } => Api::Messages,
            Self::Codex { .. } | Self::PythonSocket => Api::ResponsesSocket,
            _ => Api::Chat,
        }
    }

    /// Whether its answers say how many tokens they took.
    pub fn has_usage(self) -> bool {
        !matches!(self, Self::PythonChat { stream: true, usage: false, .. })
    }

    /// Whether it runs the tools that it is asked for, until there are none; else it makes one call.
    pub fn has_tools(self) -> bool {
        !matches!(self, Self::Java | Self::Curl { .. } | Self::Wget)
    }

    /// What the answer to agent `agent` ends with.
    pub fn last_words(self, agent: u64) -> String {
        if self.has_tools() {
            format!("notes.txt has three lines; missing-{agent}.txt is not there.")
        } else {
            "Lines of a file".to_owned()
        }
    }

    /// The name that its root span should carry.
    pub fn agent_name(self) -> &'static str {
        match self {
            Self::PythonChat { .. } => "openai_chat.py",
            Self::PythonResponses { .. } => "openai_responses.py",
            Self::PythonSocket => "socket_responses.py",
            Self::Anthropic { .. } => "anthropic_messages.py",
            Self::Requests | Self::CurlCffi => "requests_chat.py",
            Self::Aiohttp => "aiohttp_chat.py",
            Self::NodeChat { .. } | Self::NodeResponses { .. } => "openai_node.mjs",
            Self::Codex { .. } => "codex",
            Self::Opencode => "opencode",
            Self::Go { newest: false, stripped: false, .. } => "chat-debian",
            Self::Go { newest: false, stripped: true, .. } => "chat-debian-stripped",
            Self::Go { newest: true, stripped: false, .. } => "chat-newest",
            Self::Go { newest: true, stripped: true, .. } => "chat-newest-stripped",
            Self::Rustls => "rustls_chat",
            Self::Java => "java",
            Self::Curl { .. } => "curl",
            Self::Wget => "wget",
        }
    }

    /// The interpreter with the Python packages.
    pub fn python() -> String {
        format!("{CLIENTS}/python/bin/python")
    }

    /// The command as number `agent`, in a folder of its own below `parent`.
    pub fn job(self, agent: u64, parent: &Path) -> Result<Job> {
        let folder = workplace(parent, &format!("{}-{agent}", self.agent_name()))?;
        let job = Job::new(words::of(self, agent), &folder)
            .env("OPENAI_API_KEY", OPENAI_KEY)
            .env("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(match self {
            Self::Codex { functions } => {
                let home = folder.join("home/.codex");
                fs::create_dir_all(&home)?;
                open_to_all(&home)?;
                let model = if functions { "model = \"gpt-5.1-codex\"\n" } else { "" };
                fs::write(home.join("config.toml"), format!("{model}check_for_update_on_startup = false\n"))?;
                let login = format!("{{\"OPENAI_API_KEY\":\"{OPENAI_KEY}\"}}");
                fs::write(home.join("auth.json"), login)?;
                job
            }
            Self::Opencode => {
                let settings = folder.join("opencode.json");
                fs::write(&settings, OPENCODE)?;
                job.env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            }
            Self::Rustls => {
                let built = crate::trackway::built().with_file_name(self.agent_name());
                let copy = folder.join(self.agent_name());
                fs::copy(&built, copy).with_context(|| {
                    let path = built.display();
                    format!("no {path}; build it as `trackway` itself, with --package trackway-rustls-client")
                })?;
                job
            }
            _ => job,
        })
    }
}

/// A folder with a home, the scripts and the file that the tasks speak of.
pub fn workplace(parent: &Path, name: &str) -> Result<PathBuf> {
    let folder = (0..).map(|n| parent.join(format!("{name}.{n}"))).find(|path| !path.exists());
    let folder = folder.context("no free name")?;
    fs::create_dir(&folder)?;
    for inner in ["", "home", "tmp"] {
        let path = folder.join(inner);
        fs::create_dir_all(&path)?;
        open_to_all(&path)?;
    }
    fs::write(folder.join("notes.txt"), "alpha\nbeta\ngamma\n")?;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients"))? {
        let path = entry?.path();
        if let (Some(name), Some("py" | "mjs" | "java")) =
            (path.file_name(), path.extension().and_then(|end| end.to_str()))
        {
            fs::copy(&path, folder.join(name))?;
        }
    }
    // Node looks for packages beside the script.
    symlink(format!("{CLIENTS}/node/node_modules"), folder.join("node_modules"))?;
    Ok(folder)
}

const OPENCODE: &str = r#"{
  "$schema": "https://opencode.ai/config.json",
  "autoupdate": false,
  "share": "disabled",
  "permission": { "bash": "allow", "edit": "allow" }
}"#;
