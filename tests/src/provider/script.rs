//! What the provider answers: a script is a function from what was asked to what is said.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// The interfaces that the provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/responses`.
    Responses,
    /// The same over a WebSocket.
    ResponsesSocket,
    /// `POST /v1/messages`.
    Messages,
}

/// A request as a script sees it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Interface.
    pub api: Api,
    /// How many answers the conversation had before.
    pub turn: usize,
    /// The number that the agent was given (`agent-17` somewhere in the request), else 0.
    pub agent: u64,
    /// The tool through which the client runs commands; clients without one ask for words only.
    pub shell: Option<Shell>,
    /// The request's body.
    pub body: Value,
}

/// How a client offers its shell to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// The scripts of these tests: `run_command` with `command`.
    RunCommand,
    /// Codex with older models: `exec_command` with `cmd`.
    ExecCommand,
    /// Codex: a custom tool `exec` that takes JavaScript.
    Exec,
    /// opencode: `bash` with `command` and `description`.
    Bash,
}

impl Shell {
    /// Finds the tool in a request.
    pub(super) fn offered(text: &str) -> Option<Self> {
        let kinds = [
            ("\"name\":\"run_command\"", Self::RunCommand),
            ("\"name\":\"exec_command\"", Self::ExecCommand),
            ("\"name\":\"exec\"", Self::Exec),
            ("\"name\":\"bash\"", Self::Bash),
        ];
        kinds.into_iter().find(|(mark, _)| text.contains(mark)).map(|(_, shell)| shell)
    }

    /// A call of the tool that runs `command`.
    pub fn call(self, command: &str) -> ToolUse {
        let (name, input) = match self {
            Self::RunCommand => ("run_command", ToolInput::Json(json!({ "command": command }))),
            Self::ExecCommand => ("exec_command", ToolInput::Json(json!({ "cmd": command }))),
            Self::Bash => (
                "bash",
                ToolInput::Json(json!({ "command": command, "description": "Runs it", "timeout": 30000 })),
            ),
            Self::Exec => {
                let command = json!({ "cmd": command });
                let script =
                    format!("const done = await tools.exec_command({command});\ntext(done.output);\n");
                ("exec", ToolInput::Text(script))
            }
        };
        ToolUse { name: name.to_owned(), input, ..ToolUse::default() }
    }
}

/// A tool that the model asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolUse {
    /// Tool.
    pub name: String,
    /// The namespace that it stands in (Responses).
    pub namespace: Option<&'static str>,
    /// The provider gives each call an id; scripts leave it empty.
    pub id: String,
    /// Arguments, or the text that a custom tool takes.
    pub input: ToolInput,
}

impl ToolUse {
    /// A call of a function.
    pub fn function(name: &str, arguments: Value) -> Self {
        Self { name: name.to_owned(), input: ToolInput::Json(arguments), ..Self::default() }
    }
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolInput {
    /// A function's arguments.
    Json(Value),
    /// A custom tool's text.
    Text(String),
}

impl Default for ToolInput {
    fn default() -> Self {
        Self::Json(json!({}))
    }
}

/// Numbers of one answer, as the conventions count them: input with cached, output with reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens.
    pub input: u64,
    /// All output tokens.
    pub output: u64,
    /// Of the input, read from a cache.
    pub cached: u64,
    /// Of the input, written to a cache (Anthropic).
    pub written: u64,
    /// Of the output, reasoning (OpenAI).
    pub reasoning: u64,
}

/// What goes wrong with an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// An error object with this status, instead of an answer.
    Status(u16),
    /// An error event inside a stream that began well.
    ErrorInStream,
    /// The connection is reset after half of the answer.
    Reset,
    /// The stream ends in good order after half of its events.
    Cut,
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Text before the tools.
    pub text: String,
    /// Tools asked for.
    pub tools: Vec<ToolUse>,
    /// Numbers.
    pub usage: Usage,
    /// Fault.
    pub fault: Fault,
    /// Pause between the parts of a stream.
    pub pace: Option<Duration>,
}

impl Answer {
    /// Words only.
    pub fn text(text: impl Into<String>, usage: Usage) -> Self {
        Self { text: text.into(), usage, ..Self::default() }
    }

    /// Words, then a command.
    pub fn command(text: impl Into<String>, shell: Shell, command: &str, usage: Usage) -> Self {
        Self { tools: vec![shell.call(command)], ..Self::text(text, usage) }
    }

    /// The same with a fault.
    pub fn with(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }
}

/// A script.
pub type Script = Arc<dyn Fn(&Ask) -> Answer + Send + Sync>;

/// Usage that cannot be mistaken for another turn's or another agent's.
pub fn usage(ask: &Ask) -> Usage {
    let turn = ask.turn as u64;
    let written = if ask.api == Api::Messages { 11 + turn } else { 0 };
    let reasoning = if ask.api == Api::Messages { 0 } else { 7 + turn };
    Usage {
        input: 1234 + 1000 * turn + 10_000 * ask.agent,
        output: 56 + 100 * turn + 10_000 * ask.agent,
        cached: 789 + turn,
        written,
        reasoning,
    }
}

/// The command of each tool call of [`two_tools`].
pub fn commands(agent: u64) -> [String; 2] {
    [
        "wc -l notes.txt".to_owned(),
        format!("printf 'agent {agent} wrote this\\n'; sh -c 'cat missing-{agent}.txt'; exit 3"),
    ]
}

/// A conversation of three answers with two commands in between; the second command fails.
pub fn two_tools(ask: &Ask) -> Answer {
    let usage = usage(ask);
    let agent = ask.agent;
    let Some(shell) = ask.shell else {
        return Answer::text("Lines of a file", usage);
    };
    let [first, second] = commands(agent);
    match ask.turn {
        0 => Answer::command(
            format!("I count the lines of notes.txt for agent {agent} first."),
            shell,
            &first,
            usage,
        ),
        1 => Answer::command(
            format!("The count is known. Now I look for missing-{agent}.txt, größer als nötig."),
            shell,
            &second,
            usage,
        ),
        _ => Answer::text(format!("notes.txt has three lines; missing-{agent}.txt is not there."), usage),
    }
}
