//! What all exchanges came to.

use std::collections::{BTreeMap, HashSet};

use trackway_core::call::{Call, Kind, Llm};

use crate::decode::answer;
use crate::limits;
use crate::sink::console::text;

/// Hosts of plain calls that are named.
const NAMED: usize = 5;

/// Counts so far.
#[derive(Default)]
pub(super) struct Sum {
    exchanges: u64,
    calls: u64,
    /// Calls whose answer does not say what they used.
    silent: u64,
    input: u64,
    cached: u64,
    output: u64,
    reasoning: u64,
    cost: f64,
    priced: u64,
    tools: u64,
    errors: u64,
    faulty: u64,
    mcp: u64,
    a2a: u64,
    plain: u64,
    hosts: BTreeMap<String, u64>,
    /// Responses whose tokens were counted.
    counted: HashSet<String>,
}

impl Sum {
    /// Counts one call.
    pub(super) fn add(&mut self, call: &Call) {
        self.exchanges += 1;
        self.faulty += u64::from(!call.faults.is_empty());
        match &call.kind {
            Kind::Llm(llm) => self.model(call, llm),
            Kind::Mcp(_) => self.mcp += 1,
            Kind::A2a(_) => self.a2a += 1,
            Kind::Plain => {
                self.plain += 1;
                if self.hosts.len() < limits::PLAIN_HOSTS || self.hosts.contains_key(&call.http.host) {
                    *self.hosts.entry(call.http.host.clone()).or_default() += 1;
                }
            }
        }
    }

    fn model(&mut self, call: &Call, llm: &Llm) {
        self.calls += 1;
        self.tools += llm.tool_calls().count() as u64;
        self.errors += u64::from(llm.error.is_some() || call.http.status.is_some_and(|status| status >= 400));
        if llm.auxiliary || !self.first(llm) {
            return;
        }
        if llm.usage.input.is_none() && llm.usage.output.is_none() {
            self.silent += 1;
        }
        let known = |value: Option<u64>| value.unwrap_or(0);
        self.input = self.input.saturating_add(known(llm.usage.input));
        self.cached = self.cached.saturating_add(known(llm.usage.cache_read));
        self.output = self.output.saturating_add(known(llm.usage.output));
        self.reasoning = self.reasoning.saturating_add(known(llm.usage.reasoning));
        if let Some(cost) = answer::cost(llm) {
            self.cost += cost;
            self.priced += 1;
        }
    }

    /// A response may be fetched again and again; its tokens were used once.
    fn first(&mut self, llm: &Llm) -> bool {
        let Some(id) = llm.response_id.as_ref().filter(|_| llm.api == "openai.responses") else {
            return true;
        };
        if llm.operation == "fetch_response" && self.counted.contains(id) {
            return false;
        }
        if llm.usage.output.is_some() && self.counted.len() < limits::COUNTED_IDS {
            self.counted.insert(id.clone());
        }
        true
    }

    /// The last lines, none wider than the terminal unless a single number is.
    pub(super) fn lines(&self, all: bool, width: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for part in self.parts() {
            match lines.last_mut() {
                Some(line) if text::width(line) + 3 + text::width(&part) <= width => {
                    line.push_str(" · ");
                    line.push_str(&part);
                }
                _ => lines.push(part),
            }
        }
        if self.plain > 0 && !all {
            lines.push(text::fit(&self.others(), width));
        }
        lines
    }

    fn parts(&self) -> Vec<String> {
        let mut parts = vec![
            text::plural(self.exchanges, "exchange", "exchanges"),
            text::plural(self.calls, "model call", "model calls"),
        ];
        if self.mcp > 0 {
            parts.push(text::plural(self.mcp, "MCP message", "MCP messages"));
        }
        if self.a2a > 0 {
            parts.push(text::plural(self.a2a, "A2A message", "A2A messages"));
        }
        if self.calls > self.silent {
            let detail = |name: &str, number: u64| match number {
                0 => String::new(),
                _ => format!(" ({name} {})", text::count(number)),
            };
            parts.push(format!(
                "in {}{} out {}{}",
                text::count(self.input),
                detail("cached", self.cached),
                text::count(self.output),
                detail("reasoning", self.reasoning)
            ));
        }
        if self.silent > 0 {
            parts.push(format!("tokens of {} unknown", text::plural(self.silent, "call", "calls")));
        }
        if self.priced > 0 {
            let rest = match self.calls.saturating_sub(self.silent).saturating_sub(self.priced) {
                0 => String::new(),
                some => format!(" (without {})", text::plural(some, "call", "calls")),
            };
            parts.push(text::dollars(self.cost) + &rest);
        }
        if self.tools > 0 {
            parts.push(text::plural(self.tools, "tool call", "tool calls"));
        }
        if self.errors > 0 {
            parts.push(text::plural(self.errors, "error", "errors"));
        }
        if self.faulty > 0 {
            parts.push(format!("{} with faults", text::count(self.faulty)));
        }
        parts
    }

    fn others(&self) -> String {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        hosts.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let named: Vec<String> = hosts
            .iter()
            .take(NAMED)
            .map(|(name, count)| format!("{} {}", text::clean(name), text::count(**count)))
            .collect();
        let more = if hosts.len() > NAMED { ", …" } else { "" };
        format!("{} no AI calls (--all lists them): {}{more}", text::count(self.plain), named.join(", "))
    }
}
