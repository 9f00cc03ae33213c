//! Recorded exchanges sorted into the runs that they belong to.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{CallNumber, Lineage, Rule, Step, ToolNumber, digest};
use crate::call::{Call, Kind, Llm};

/// One run, as far as its exchanges tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The same for the same first exchange, with a number behind it where several runs begin alike.
    pub id: String,
    /// Its exchanges, in their order.
    pub exchanges: Vec<String>,
    /// What continues what.
    pub links: Vec<Link>,
    /// The tool calls that its answers asked for, in their order.
    pub tools: Vec<Tool>,
}

/// One tie between two exchanges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The earlier exchange.
    pub from: String,
    /// The later one.
    pub to: String,
    /// The evidence.
    pub rule: Rule,
}

/// One tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// The id that the wire gave it.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
    /// The exchange whose answer asked for it.
    pub produced_by: String,
    /// The exchange with a tool server that carried it out.
    pub executed_by: Option<String>,
    /// The exchange whose request was the first to carry its result, and how that was found.
    pub consumed_by: Option<(String, Rule)>,
}

/// Sorts exchanges, which come in the order of their ends.
#[derive(Debug, Default)]
pub struct Groups {
    lineage: Lineage,
    groups: BTreeMap<CallNumber, Group>,
    /// The exchange and the group of each call.
    calls: HashMap<CallNumber, (String, CallNumber)>,
    /// Where each tool call stands.
    tools: HashMap<ToolNumber, (CallNumber, usize)>,
    keys: HashMap<CallNumber, [u8; 16]>,
    links: HashSet<Link>,
}

impl Groups {
    /// Takes one call of a recorded exchange. Plain calls belong to no run.
    pub fn add(&mut self, exchange: &str, call: &Call) {
        match &call.kind {
            Kind::Llm(llm) if !llm.auxiliary || llm.response_id.is_some() => {
                let step = self.lineage.take(call, llm);
                self.step(exchange, llm, &step);
            }
            Kind::Mcp(mcp) => {
                if let Some((tool, rule)) = self.lineage.carried_out(mcp, call.start, call.process) {
                    self.carried_out(exchange, tool, rule);
                }
            }
            Kind::Llm(_) | Kind::A2a(_) | Kind::Plain => {}
        }
    }

    fn step(&mut self, exchange: &str, llm: &Llm, step: &Step) {
        self.calls.insert(step.number, (exchange.to_owned(), step.group));
        if let Some(key) = step.key {
            self.keys.entry(step.group).or_insert(key);
        }
        let group = self.groups.entry(step.group).or_default();
        if group.exchanges.last().is_none_or(|last| last != exchange) {
            group.exchanges.push(exchange.to_owned());
        }
        for (tool, number) in llm.tool_calls().zip(&step.asked) {
            self.tools.insert(*number, (step.group, group.tools.len()));
            group.tools.push(Tool {
                id: tool.id.clone(),
                name: tool.name.clone(),
                arguments: tool.arguments.clone(),
                produced_by: exchange.to_owned(),
                executed_by: None,
                consumed_by: None,
            });
        }
        for answered in &step.answered {
            let consumer = (exchange.to_owned(), answered.rule);
            if let Some(tool) = self.tool(answered.tool) {
                tool.consumed_by = Some(consumer);
            }
            self.link(self.lineage.producer(answered.tool), exchange, answered.rule);
        }
        if let Some((previous, rule)) = step.previous {
            self.link(Some(previous), exchange, rule);
        }
        if let Some((again, rule)) = step.retry {
            self.link(Some(again), exchange, rule);
        }
        if let Some((tool, rule)) = step.parent {
            self.link(self.lineage.producer(tool), exchange, rule);
        }
    }

    fn carried_out(&mut self, exchange: &str, tool: ToolNumber, rule: Rule) {
        if let Some(tool) = self.tool(tool) {
            tool.executed_by = Some(exchange.to_owned());
        }
        let Some((group, _)) = self.tools.get(&tool) else { return };
        if let Some(group) = self.groups.get_mut(group) {
            group.exchanges.push(exchange.to_owned());
        }
        self.link(self.lineage.producer(tool), exchange, rule);
    }

    fn tool(&mut self, tool: ToolNumber) -> Option<&mut Tool> {
        let (group, place) = self.tools.get(&tool)?;
        self.groups.get_mut(group)?.tools.get_mut(*place)
    }

    fn link(&mut self, from: Option<CallNumber>, to: &str, rule: Rule) {
        let Some((from, group)) = from.and_then(|from| self.calls.get(&from)) else { return };
        let link = Link { from: from.clone(), to: to.to_owned(), rule };
        if link.from != link.to
            && self.links.insert(link.clone())
            && let Some(group) = self.groups.get_mut(group)
        {
            group.links.push(link);
        }
    }

    /// The runs, in the order in which they began.
    pub fn finish(self) -> Vec<Group> {
        let mut used: HashMap<String, u64> = HashMap::new();
        let keys = self.keys;
        let name = |(number, mut group): (CallNumber, Group)| {
            let first = group.exchanges.first().map(String::as_bytes).unwrap_or_default();
            let key = keys.get(&number).copied().unwrap_or_else(|| digest(&[first]));
            let id: String = key.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            let count = used.entry(id.clone()).or_default();
            *count += 1;
            group.id = if *count == 1 { format!("run-{id}") } else { format!("run-{id}-{count}") };
            group
        };
        self.groups.into_iter().map(name).collect()
    }
}
