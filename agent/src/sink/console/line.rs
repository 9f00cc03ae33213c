//! What one span says on its line. Spans are told apart by their attributes, not by their names.

use trackway_core::names;
use trackway_core::telemetry::{Attribute, AttributeValue, Content, Event, Span, Status};

use super::text;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
}

/// One span in words.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// The words before what may be cut.
    pub(super) head: String,
    /// Cut first where the line is too long.
    pub(super) middle: String,
    /// Numbers, which stay.
    pub(super) tail: Vec<String>,
    /// Time it took, apart so that lines differing only in it can be folded.
    pub(super) length: u64,
    /// What went wrong.
    pub(super) error: Option<String>,
    /// Lines below it.
    pub(super) notes: Vec<String>,
    /// Whether equal neighbours may be folded into one line.
    pub(super) folds: bool,
}

/// What the line may read.
pub(super) struct View<'a> {
    pub(super) span: &'a Span,
    pub(super) policy: Content,
}

impl View<'_> {
    fn value(&self, key: &str) -> Option<&AttributeValue> {
        let shown = |class| self.policy.shows(class);
        self.span.attributes.iter().find(|a| a.key == key && shown(a.class)).map(|a| &a.value)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.value(key)?.as_text().map(text::clean).filter(|text| !text.is_empty())
    }

    fn number(&self, key: &str) -> Option<u64> {
        u64::try_from(self.value(key)?.as_int()?).ok()
    }

    fn texts(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Some(AttributeValue::Texts(texts)) => texts.iter().map(|text| text::clean(text)).collect(),
            _ => Vec::new(),
        }
    }

    /// The line for this span.
    pub(super) fn line(&self) -> Line {
        let mut line = match self.text(names::OPERATION_NAME).as_deref() {
            _ if self.value(names::UNREAD_REASON).is_some() => self.unread(),
            Some("invoke_agent") if self.value(names::RPC_METHOD).is_some() => self.rpc(),
            Some("invoke_agent") => self.agent(),
            Some("execute_tool") => self.tool(),
            Some(_) => self.model_call(),
            None if self.value(names::MCP_METHOD_NAME).or(self.value(names::RPC_METHOD)).is_some() => {
                self.rpc()
            }
            None if self.value(names::HTTP_METHOD).is_some() => self.http(),
            None if self.value(names::PROCESS_PID).is_some() => self.process(),
            None => Line { head: text::clean(&self.span.name), ..Line::default() },
        };
        line.notes.extend(self.loops());
        line.length = self.span.end.since(self.span.start);
        if let Status::Error(message) = &self.span.status {
            let kind = self.text(names::ERROR_TYPE);
            let message = Some(text::clean(message)).filter(|message| !message.is_empty());
            line.error = Some(message.or(kind).unwrap_or_else(|| "failed".to_owned()));
        }
        line
    }

    /// What the run turned out to be going round in.
    fn loops(&self) -> Vec<String> {
        let texts = |key: &str, attributes: &[Attribute]| {
            attributes.iter().find(|it| it.key == key).map(|it| match &it.value {
                AttributeValue::Texts(texts) => texts.iter().map(|text| text::clean(text)).collect(),
                AttributeValue::Int(value) => vec![value.to_string()],
                _ => Vec::new(),
            })
        };
        let events = self.span.events.iter().filter(|event| event.name == names::LOOP);
        let note = |event: &Event| {
            let tools = texts(names::LOOP_TOOLS, &event.attributes)?.join(" → ");
            let rounds = texts(names::LOOP_ROUNDS, &event.attributes)?.concat();
            Some(format!("⟳ a loop: {tools}, the same arguments, {rounds} times"))
        };
        events.filter_map(note).collect()
    }

    fn exit(&self) -> Option<String> {
        if let Some(AttributeValue::Int(code)) = self.value(names::PROCESS_EXIT_CODE) {
            return Some(format!("exit {code}"));
        }
        match self.value(names::EXIT_SIGNAL)? {
            AttributeValue::Int(signal) => Some(format!("signal {signal}")),
            AttributeValue::Text(signal) => Some(format!("signal {}", text::clean(signal))),
            _ => None,
        }
    }

    fn agent(&self) -> Line {
        let name = self.text(names::AGENT_NAME);
        let head = name.map_or_else(|| text::clean(&self.span.name), |name| format!("invoke_agent {name}"));
        Line { head, tail: self.exit().into_iter().collect(), ..Line::default() }
    }

    fn model_call(&self) -> Line {
        let operation = self.text(names::OPERATION_NAME).unwrap_or_default();
        let model = self.text(names::RESPONSE_MODEL).or_else(|| self.text(names::REQUEST_MODEL));
        let model = model.unwrap_or_else(|| "unknown model".to_owned());
        let mut tail = vec![self.tokens()];
        if self.value(names::RETRY_OF).is_some() {
            tail.insert(0, "retry".to_owned());
        }
        if let Some(AttributeValue::Double(usd)) = self.value(names::COST) {
            tail.push(text::dollars(*usd));
        }
        if let Some(AttributeValue::Double(seconds)) = self.value(names::TIME_TO_FIRST_CHUNK) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a duration, cut at zero"
            )]
            let first = (seconds * 1e9).max(0.0) as u64;
            tail.push(format!("first {}", text::duration(first)));
        }
        let unusual = |reason: &String| {
            !matches!(
                reason.as_str(),
                "stop" | "tool_call" | "tool_calls" | "tool_use" | "end_turn" | "completed"
            )
        };
        tail.extend(self.texts(names::FINISH_REASONS).into_iter().filter(unusual));
        Line { head: format!("{operation} {model}"), tail, ..Line::default() }
    }

    fn tokens(&self) -> String {
        let input = self.number(names::INPUT_TOKENS);
        let output = self.number(names::OUTPUT_TOKENS);
        if input.is_none() && output.is_none() {
            return "tokens ?".to_owned();
        }
        let known = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), text::count);
        let part = |name: &str, key| match self.number(key) {
            Some(number) if number > 0 => format!(" ({name} {})", text::count(number)),
            _ => String::new(),
        };
        let cached = part("cached", names::CACHE_READ_TOKENS);
        let reasoning = part("reasoning", names::REASONING_TOKENS);
        format!("in {}{cached} out {}{reasoning}", known(input), known(output))
    }

    fn tool(&self) -> Line {
        let name = self.text(names::TOOL_NAME).unwrap_or_else(|| text::clean(&self.span.name));
        let mut notes = Vec::new();
        notes.extend(self.text(names::DECISION_RATIONALE).map(|text| format!("“{text}”")));
        match self.text(names::TOOL_RESULT) {
            Some(result) => notes.push(format!("→ {result}")),
            // Without the right to see results, none can be missed.
            None if self.policy == Content::Full && self.value(names::TOOL_RESULT).is_none() => {
                notes.push("→ no result seen".to_owned());
            }
            None => {}
        }
        let middle = self.text(names::TOOL_ARGUMENTS).unwrap_or_default();
        Line { head: name, middle, notes, ..Line::default() }
    }

    fn process(&self) -> Line {
        let mut args = self.texts(names::PROCESS_COMMAND_ARGS);
        // A long path would take the room of what the command was told; the span has it whole.
        if let Some(program) = args.first_mut() {
            *program = program.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let args = args.join(" ");
        let named = || self.text(names::PROCESS_COMMAND).or_else(|| self.text(names::PROCESS_EXECUTABLE));
        let command = if args.is_empty() { named().unwrap_or_else(|| self.span.name.clone()) } else { args };
        let tail = self.exit().into_iter().collect();
        Line { head: "$".to_owned(), middle: text::clean(&command), tail, folds: true, ..Line::default() }
    }

    fn http(&self) -> Line {
        let sent = || self.text(names::HTTP_METHOD);
        let method = self.text(names::HTTP_METHOD_ORIGINAL).or_else(sent).unwrap_or_default();
        let url = self.text(names::URL_FULL).unwrap_or_else(|| {
            let host = self.text(names::SERVER_ADDRESS).unwrap_or_default();
            format!("{host}{}", self.text(names::URL_PATH).unwrap_or_default())
        });
        let url = url.strip_prefix("https://").unwrap_or(&url).to_owned();
        let status =
            self.number(names::HTTP_STATUS).map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        let size = self.number(names::HTTP_RESPONSE_BODY_SIZE).map(text::bytes);
        let tail = std::iter::once(status).chain(size).collect();
        Line { head: method, middle: url, tail, folds: true, ..Line::default() }
    }

    /// A message of MCP or A2A that calls no tool: what it asks for, and whom.
    fn rpc(&self) -> Line {
        let method = self.text(names::MCP_METHOD_NAME).map(|method| format!("mcp {method}"));
        let method = method.or_else(|| self.text(names::RPC_METHOD).map(|method| format!("a2a {method}")));
        let asked = self.text(names::PROMPT_NAME).or_else(|| self.text(names::MCP_RESOURCE_URI));
        let middle = asked.or_else(|| self.text(names::SERVER_ADDRESS)).unwrap_or_default();
        Line { head: method.unwrap_or_default(), middle, folds: true, ..Line::default() }
    }

    fn unread(&self) -> Line {
        let host = self.text(names::SERVER_ADDRESS).unwrap_or_else(|| "unknown host".to_owned());
        let number = |key| self.number(key).unwrap_or(0);
        let size = number(names::UNREAD_BYTES_OUT).saturating_add(number(names::UNREAD_BYTES_IN));
        let reason = self.text(names::UNREAD_REASON).unwrap_or_default();
        Line {
            head: format!("unread {host}"),
            middle: format!("({reason})"),
            tail: vec![text::bytes(size)],
            folds: true,
            ..Line::default()
        }
    }
}
