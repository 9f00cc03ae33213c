//! The real clients: what to start, and what they are expected to say on the wire.

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
}

impl Client {
    /// The interface that it speaks.
    pub fn api(self) -> Api {
        match self {
            Self::PythonChat { .. } | Self::Requests | Self::NodeChat { .. } => Api::Chat,
            Self::PythonResponses { .. } | Self::NodeResponses { .. } | Self::Opencode => Api::Responses,
            Self::Anthropic { .. } => Api::Messages,
            Self::Codex { .. } => Api::ResponsesSocket,
        }
    }

    /// Whether its answers say how many tokens they took.
    pub fn has_usage(self) -> bool {
        !matches!(self, Self::PythonChat { stream: true, usage: false, .. })
    }

    /// The name that its root span should carry.
    pub fn agent_name(self) -> &'static str {
        match self {
            Self::PythonChat { .. } => "openai_chat.py",
            Self::PythonResponses { .. } => "openai_responses.py",
            Self::Anthropic { .. } => "anthropic_messages.py",
            Self::Requests => "requests_chat.py",
            Self::NodeChat { .. } | Self::NodeResponses { .. } => "openai_node.mjs",
            Self::Codex { .. } => "codex",
            Self::Opencode => "opencode",
        }
    }

    /// The interpreter with the Python packages.
    pub fn python() -> String {
        format!("{CLIENTS}/python/bin/python")
    }

    fn words(self, agent: u64) -> Vec<String> {
        let python = |script: &str, flags: &[(bool, &str)]| {
            let mut words = vec![Self::python(), script.to_owned()];
            words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()));
            words.extend(["--agent".to_owned(), agent.to_string()]);
            words
        };
        let node = |api: &str, stream: bool| {
            let mut words = vec!["node".to_owned(), "openai_node.mjs".to_owned(), api.to_owned()];
            words.extend(stream.then(|| "--stream".to_owned()));
            words.extend(["--agent".to_owned(), agent.to_string()]);
            words
        };
        // The package's own launcher is made by an install script, which is not run.
        let machine = if cfg!(target_arch = "x86_64") { "x64-baseline" } else { "arm64" };
        let modules = format!("{CLIENTS}/node/node_modules");
        let task =
            format!("Count the lines of notes.txt, then look for the missing file. You are agent-{agent}.");
        match self {
            Self::PythonChat { asynchronous, stream, usage } => python(
                "openai_chat.py",
                &[(asynchronous, "--async"), (stream, "--stream"), (usage, "--usage")],
            ),
            Self::PythonResponses { asynchronous, stream, chain } => {
                let flags = [(asynchronous, "--async"), (stream, "--stream"), (chain, "--chain")];
                python("openai_responses.py", &flags)
            }
            Self::Anthropic { asynchronous, stream } => {
                python("anthropic_messages.py", &[(asynchronous, "--async"), (stream, "--stream")])
            }
            Self::Requests => python("requests_chat.py", &[]),
            Self::NodeChat { stream } => node("chat", stream),
            Self::NodeResponses { stream } => node("responses", stream),
            Self::Codex { .. } => {
                let flags = ["exec", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check"];
                let mut words = vec![format!("{modules}/.bin/codex")];
                words.extend(flags.map(str::to_owned));
                words.push(task);
                words
            }
            Self::Opencode => {
                let mut words = vec![format!("{modules}/opencode-linux-{machine}/bin/opencode")];
                words.extend(["run", "--model", "openai/gpt-5.1"].map(str::to_owned));
                words.push(task);
                words
            }
        }
    }

    /// The command as number `agent`, in a folder of its own below `parent`.
    pub fn job(self, agent: u64, parent: &Path) -> Result<Job> {
        let folder = workplace(parent, &format!("{}-{agent}", self.agent_name()))?;
        let job = Job::new(self.words(agent), &folder)
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
        if let (Some(name), Some("py" | "mjs")) =
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
