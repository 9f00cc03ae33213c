//! `--runs`: the runs that recorded exchanges belong to, one JSON object per line.

use std::io::{self, Write};

use serde_json::{Value, json};
use trackway_core::call::Call;
use trackway_core::flow::Time;
use trackway_core::lineage::{Group, Groups};

/// The runs so far.
#[derive(Debug, Default)]
pub(super) struct Runs {
    groups: Groups,
    /// Exchanges without a time follow each other in the order of the file.
    clock: u64,
}

impl Runs {
    /// Adds the calls of one exchange.
    pub(super) fn add(&mut self, exchange: &str, calls: &mut [Call], dated: bool) {
        for call in calls {
            if !dated {
                self.clock += STEP_NANOS;
                (call.start, call.request_end) = (Time(self.clock), Time(self.clock));
                (call.first_byte, call.end) = (Some(Time(self.clock)), Time(self.clock));
            }
            self.groups.add(exchange, call);
        }
    }

    /// Prints them.
    pub(super) fn finish(self, out: &mut impl Write) -> io::Result<()> {
        for group in self.groups.finish() {
            serde_json::to_writer(&mut *out, &line(&group))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// More than clocks may disagree about.
const STEP_NANOS: u64 = 1_000_000_000;

fn line(group: &Group) -> Value {
    let link =
        |it: &trackway_core::lineage::Link| json!({"from": it.from, "to": it.to, "rule": it.rule.word()});
    let tool = |it: &trackway_core::lineage::Tool| {
        let (consumer, rule) = it.consumed_by.as_ref().map(|(id, rule)| (id, rule.word())).unzip();
        json!({
            "tool_call_id": it.id,
            "name": it.name,
            "arguments": it.arguments,
            "produced_by": it.produced_by,
            "executed_by": it.executed_by,
            "consumed_by": consumer,
            "matched_on": rule,
        })
    };
    json!({
        "run_id": group.id,
        "exchange_ids": group.exchanges,
        "links": group.links.iter().map(link).collect::<Vec<_>>(),
        "tool_calls": group.tools.iter().map(tool).collect::<Vec<_>>(),
    })
}
