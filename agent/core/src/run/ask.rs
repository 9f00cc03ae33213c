//! Tool calls: asked for by an answer, answered by a later request.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::attributes::Attributes;
use super::tool::Asked;
use super::{Run, messages, outcome};
use crate::call::{Call, Llm, Part, ToolCall, ToolResult};
use crate::lineage::Step;
use crate::names;
use crate::telemetry::{Class, SpanId};

impl Run {
    /// Ends the tools whose results a request carries.
    pub(super) fn answer(&mut self, call: &Call, llm: &Llm, step: &Step) {
        if step.answered.is_empty() {
            return;
        }
        let results: Vec<&ToolResult> = llm.tool_results().collect();
        for answered in &step.answered {
            let Some(result) = results.get(answered.result) else { continue };
            let Some(open) = self.tools.take(answered.tool, Some(call.start)) else { continue };
            let mut set = open.attributes;
            set.plain(names::LINK_RULE, answered.rule.word());
            set.json(names::TOOL_RESULT, result.response.clone(), Class::Content);
            let failure = outcome::of_result(result);
            self.tally(open.parent, |totals| totals.tool_errors += u64::from(failure.is_some()));
            let times = open.asked..call.start.max(open.asked);
            let trace = self.trace_of(open.parent);
            trace.signals.answered(open.same, (times.start, times.end), failure.is_some());
            let name = format!("execute_tool {}", open.name);
            let draft = self.draft(open.span, open.parent, name, times, set, &open.resource);
            self.emit(draft.links(open.links).failed(failure));
        }
    }

    /// Opens the tools that an answer asks for, and shows those that the provider ran itself.
    pub(super) fn ask(&mut self, call: &Call, llm: &Llm, id: SpanId, parent: SpanId, step: Option<&Step>) {
        let mut ordinal: u64 = 0;
        let mut numbers = step.map(|step| step.asked.as_slice()).unwrap_or_default().iter();
        let mut asked = false;
        for message in &llm.output {
            let mut rationale: Vec<&str> = Vec::new();
            let mut calling = false;
            for part in &message.parts {
                match part {
                    Part::Text(text) | Part::Reasoning(text) if !text.trim().is_empty() => {
                        if std::mem::take(&mut calling) {
                            rationale.clear();
                        }
                        rationale.push(text);
                    }
                    Part::ToolCall(tool) => {
                        (calling, asked) = (true, true);
                        ordinal += 1;
                        let span = self.tool_id(id, ordinal);
                        let attributes = tool_attributes(tool, llm, &rationale);
                        let resource = self.resource(call.process);
                        self.tally(id, |totals| totals.tool_calls += 1);
                        if let Some(trace) = self.traces.of_span(id) {
                            self.traces.keep(span, trace);
                        }
                        if let Some(number) = numbers.next() {
                            let same = same(&tool.name, &tool.arguments);
                            let asked = Asked { span, parent, attributes, resource, same };
                            self.tools.ask(*number, call, tool, asked);
                        }
                    }
                    Part::ServerTool { id: tool, name, item } if !messages::is_server_result(item) => {
                        calling = true;
                        ordinal += 1;
                        let result = server_result(&message.parts, tool.as_deref());
                        let span = self.tool_id(id, ordinal);
                        let named = (tool.as_deref(), name.as_str(), llm.agent.as_deref());
                        self.server_tool(call, (id, span), named, (item, result), &rationale);
                    }
                    _ => {}
                }
            }
        }
        for number in step.map(|step| step.given_up.as_slice()).unwrap_or_default() {
            if let Some(open) = self.tools.take(*number, None) {
                self.hits.tools += 1;
                self.unanswered(open);
            }
        }
        if asked {
            self.attach_earlier(call.first_byte.unwrap_or(call.end));
        }
    }
}

/// Equal for tool calls that ask for the same.
pub(super) fn same(name: &str, arguments: &serde_json::Value) -> u64 {
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    // Members come in one order.
    arguments.to_string().hash(&mut hash);
    hash.finish()
}

fn tool_attributes(tool: &ToolCall, llm: &Llm, rationale: &[&str]) -> Attributes {
    let mut set = Attributes::default();
    set.plain(names::OPERATION_NAME, "execute_tool");
    set.plain(names::TOOL_NAME, tool.name.as_str());
    set.plain(names::TOOL_TYPE, "function");
    set.maybe(names::TOOL_CALL_ID, tool.id.as_deref());
    set.maybe(names::AGENT_NAME, llm.agent.as_deref());
    let definition = llm.tools.iter().find(|definition| definition.name == tool.name);
    if let Some(description) = definition.and_then(|definition| definition.description.as_deref()) {
        set.text(names::TOOL_DESCRIPTION, description, Class::Metadata);
    }
    set.json(names::TOOL_ARGUMENTS, tool.arguments.clone(), Class::Content);
    if !rationale.is_empty() {
        set.text(names::DECISION_RATIONALE, &rationale.join("\n"), Class::Content);
    }
    set.plain(names::TOOL_TIMES, "bounds");
    set
}

fn server_result<'a>(parts: &'a [Part], call: Option<&str>) -> Option<&'a serde_json::Value> {
    let call = call?;
    parts.iter().find_map(|part| match part {
        Part::ServerTool { id: Some(id), item, .. } if id == call && messages::is_server_result(item) => {
            Some(item)
        }
        _ => None,
    })
}
