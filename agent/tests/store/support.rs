//! Runs to be stored.

use std::sync::Arc;

use tempfile::TempDir;
use trackway::store::{Batch, Birth, Writer};
use trackway_core::flow::Time;
use trackway_core::run::Totals;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Event, Resource, Span, SpanId, SpanKind, Status, TraceId,
};

/// When the runs begin: the first at this time, each next one a minute later.
pub(crate) const EPOCH: u64 = 1_790_000_000_000_000_000;
const MINUTE: u64 = 60_000_000_000;

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn attribute(key: &'static str, value: AttributeValue, class: Class) -> Attribute {
    Attribute { key: key.into(), value, class }
}

pub(crate) fn plain(key: &'static str, text: &str) -> Attribute {
    attribute(key, AttributeValue::Text(text.to_owned()), Class::Plain)
}

pub(crate) fn content(key: &'static str, text: &str) -> Attribute {
    attribute(key, AttributeValue::Text(text.to_owned()), Class::Content)
}

fn number(key: &'static str, number: i64) -> Attribute {
    attribute(key, AttributeValue::Int(number), Class::Plain)
}

/// A small run.
pub(crate) struct Sample {
    number: u8,
    agent: String,
    pub(crate) exit: i64,
    pub(crate) cost: f64,
    pub(crate) tool: &'static str,
    pub(crate) user: String,
    resource: Arc<Resource>,
}

impl Sample {
    pub(crate) fn new(number: u8, agent: &str) -> Self {
        let resource = Arc::new(Resource { attributes: vec![plain("service.name", agent)] });
        Self {
            number,
            agent: agent.to_owned(),
            exit: 0,
            cost: 0.5,
            tool: "bash",
            user: "ada".to_owned(),
            resource,
        }
    }

    pub(crate) fn trace(&self) -> TraceId {
        TraceId([self.number; 16])
    }

    pub(crate) fn start(&self) -> u64 {
        EPOCH + u64::from(self.number) * MINUTE
    }

    pub(crate) fn birth(&self) -> Birth {
        Birth {
            trace: self.trace(),
            agent: self.agent.clone(),
            command: vec!["python".to_owned(), format!("{}.py", self.agent)],
            service: None,
            start: Time(self.start()),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dollars")]
        let cost_pico_usd = (self.cost * 1e12) as u64;
        Totals {
            llm_calls: 1,
            tool_calls: 1,
            input_tokens: 10,
            output_tokens: 5,
            cost_pico_usd,
            ..Totals::default()
        }
    }

    /// A model call, a tool and the root.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let task = format!("Fix the tests of agent {}", self.number);
        let asked = format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{task}"}}]}}]"#);
        let mut call = span(
            self,
            2,
            Some(1),
            vec![
                plain("gen_ai.operation.name", "chat"),
                plain("gen_ai.request.model", "gpt-5"),
                plain("gen_ai.response.model", "gpt-5-2026"),
                plain("gen_ai.conversation.id", &format!("talk-{}", self.number)),
                attribute("user.id", AttributeValue::Text(self.user.clone()), Class::Metadata),
                number("gen_ai.usage.input_tokens", 10),
                number("gen_ai.usage.output_tokens", 5),
                attribute("gen_ai.usage.cost", AttributeValue::Double(self.cost), Class::Plain),
                attribute(
                    "gen_ai.response.finish_reasons",
                    AttributeValue::Texts(vec!["stop".to_owned()]),
                    Class::Plain,
                ),
                content("gen_ai.input.messages", &asked),
            ],
        );
        call.kind = SpanKind::Client;
        call.events.push(Event {
            name: "exec",
            time: Time(5),
            attributes: vec![content("gen_ai.tool.name", "said"), plain("process.command", "sh")],
        });
        let tool = span(
            self,
            3,
            Some(1),
            vec![
                plain("gen_ai.operation.name", "execute_tool"),
                plain("gen_ai.tool.name", self.tool),
                content("gen_ai.tool.call.arguments", r#"{"command":"make check"}"#),
            ],
        );
        let mut root = span(
            self,
            1,
            None,
            vec![
                plain("gen_ai.operation.name", "invoke_agent"),
                plain("gen_ai.agent.name", &self.agent),
                number("process.exit.code", self.exit),
                content("gen_ai.input.messages", &asked),
            ],
        );
        if self.exit != 0 {
            root.status = Status::Error(format!("exited with code {}", self.exit));
        }
        vec![call, tool, root]
    }
}

/// A span of a run. Number 1 is the root.
pub(crate) fn span(sample: &Sample, number: u8, parent: Option<u8>, attributes: Vec<Attribute>) -> Span {
    let trace = sample.trace();
    let id = |number: u8| match number {
        1 => SpanId::derive(trace, &[b"root"]),
        number => SpanId([number; 8]),
    };
    Span {
        trace,
        id: id(number),
        parent: parent.map(id),
        name: format!("span {number}"),
        kind: SpanKind::Internal,
        start: Time(sample.start()),
        end: Time(sample.start() + 1_500_000_000),
        status: Status::Unset,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        resource: Arc::clone(&sample.resource),
    }
}

/// Writes a whole run.
pub(crate) fn write(writer: &mut Writer, sample: &Sample, spans: &[Span]) {
    let (birth, totals) = (sample.birth(), sample.totals());
    let batch = Batch { birth: Some(&birth), spans, end: Some(&totals), unstored: 0 };
    writer.write(batch).unwrap();
}
