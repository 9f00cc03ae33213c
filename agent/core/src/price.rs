//! What a call cost, in US dollars.
//!
//! - A cost that the response itself states wins, and is marked as stated.
//! - Else what the operator says of a model, else the table (`price/table.json`, whose first member names its
//!   source and licence; `cargo xtask prices` refreshes it).
//! - Where counts, model or service tier are not known there is no cost, and the reason is told. A part of the
//!   sum is never given for the whole.
//!
//! Sums are doubles: their error is below one in 10^12, far below what a table can be off.

mod entry;
mod table;

use std::sync::OnceLock;

use serde_json::Value;

pub use table::Broken;

use crate::call::{Call, Kind, Llm, Part, Usage};
use crate::decode::json::{Get, Object};
use crate::flow::Time;
use table::Table;

/// What a call cost, and who says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// US dollars.
    pub usd: f64,
    /// Who says so.
    pub source: Source,
}

/// Who says what a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The response.
    Stated,
    /// The operator's prices.
    Operator,
    /// The table that Trackway brings.
    Table,
}

impl Source {
    /// A word for it: `stated`, `operator`, `table`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Operator => "operator",
            Self::Table => "table",
        }
    }
}

/// Why a call has no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// The response does not say what was used.
    #[error("the response says no token counts")]
    Counts,
    /// No model is named, or no price is known for it.
    #[error("no price is known for the model; add one with --prices")]
    Model,
    /// No price is known for this service tier of it.
    #[error("no price is known for the service tier; add one with --prices")]
    Tier,
    /// Tokens were read from a cache or written to it, and no price is known for that.
    #[error("no price is known for cached tokens of the model; add one with --prices")]
    Cache,
    /// Something was used for which the price is not known: a search, a picture, a cache for an hour.
    #[error("no price is known for a part of what was used")]
    Part,
}

/// All prices that are known.
#[derive(Debug, Default)]
pub struct Book {
    operator: Option<Table>,
}

impl Book {
    /// The built-in table alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with prices of the operator before it: an object of the shape
    /// `{"models": [{"match": {"equals": "my-model"}, "input": 1.5, "output": 6}]}`, in dollars for a million
    /// tokens. `match` is a name, or one of `equals`, `starts_with`, `ends_with`, `contains`, `regex`.
    pub fn with(operator: &Value) -> Result<Self, Broken> {
        Ok(Self { operator: Some(Table::of_operator(operator)?) })
    }

    /// Writes what a call cost into it. A call that only asks again for an answer, or warms a cache, has none.
    pub fn apply(&self, call: &mut Call) {
        let at = call.start;
        if let Kind::Llm(llm) = &mut call.kind
            && !llm.auxiliary
        {
            llm.cost = Some(self.whole(llm, at));
        }
    }

    /// What a call cost, with what was billed beside it.
    fn whole(&self, llm: &Llm, at: Time) -> Result<Cost, Unpriced> {
        let mut cost = self.cost(llm, at)?;
        if cost.source == Source::Stated {
            return Ok(cost);
        }
        for outside in &llm.outside {
            let model = outside.model.clone().or_else(|| llm.response_model.clone());
            let beside = Llm {
                operation: llm.operation,
                provider: llm.provider.clone(),
                provider_said: llm.provider_said,
                response_model: model,
                request_model: llm.request_model.clone().filter(|_| outside.model.is_none()),
                service_tier: llm.service_tier.clone(),
                usage: outside.usage,
                ..Llm::default()
            };
            cost.usd += self.cost(&beside, at)?.usd;
        }
        Ok(cost)
    }

    /// What a call cost that began at `at`.
    pub fn cost(&self, llm: &Llm, at: Time) -> Result<Cost, Unpriced> {
        if let Some(usd) = llm.stated_cost {
            return Ok(Cost { usd, source: Source::Stated });
        }
        let usage = &llm.usage;
        // Vectors and ranks have no output.
        let silent = matches!(llm.operation, "embeddings" | "rerank");
        let (Some(input), Some(output)) = (usage.input, usage.output.or(silent.then_some(0))) else {
            return Err(Unpriced::Counts);
        };
        // What the provider did beside generating is billed beside it, by the search, the run or the picture.
        let beside = |part: &Part| {
            matches!(part, Part::ServerTool { .. } | Part::Media { modality: "image" | "video", .. })
        };
        if llm.output.iter().flat_map(|message| &message.parts).any(beside) {
            return Err(Unpriced::Part);
        }
        let names = [llm.response_model.as_deref(), llm.request_model.as_deref()];
        let tier = tier(llm.service_tier.as_deref());
        let mut why = Unpriced::Model;
        for (table, source) in [(self.operator.as_ref(), Source::Operator), (built_in(), Source::Table)] {
            let Some(table) = table else { continue };
            let provider = if llm.provider_said { llm.provider.as_str() } else { "" };
            for name in names.iter().flatten() {
                let Some((model, lent)) = table.find(provider, name) else { continue };
                // A house lends its list to another one, but not what it takes off for waiting.
                match model.at(at, tier).filter(|_| !lent || tier.is_none()) {
                    Some(prices) => {
                        let usd =
                            prices.sum(&Usage { input: Some(input), output: Some(output), ..*usage })?;
                        return Ok(Cost { usd, source });
                    }
                    None => why = Unpriced::Tier,
                }
            }
        }
        Err(why)
    }
}

/// The table that Trackway brings, read once. A test holds that it can be read.
fn built_in() -> Option<&'static Table> {
    static TABLE: OnceLock<Option<Table>> = OnceLock::new();
    TABLE.get_or_init(|| Table::built_in().ok()).as_ref()
}

/// Where the built-in prices come from: package, version, licence.
pub fn source() -> &'static str {
    built_in().map_or("", |table| table.source.as_str())
}

/// A service tier in the table's words; `None` for the usual one.
fn tier(said: Option<&str>) -> Option<&str> {
    let tier = said?;
    match tier.to_ascii_lowercase().as_str() {
        "" | "default" | "standard" | "auto" | "on_demand" | "on-demand" | "none" => None,
        // Vertex's words for the kinds of its traffic.
        "on_demand_flex" => Some("flex"),
        "on_demand_priority" => Some("priority"),
        _ => Some(tier),
    }
}

/// The cost that a usage object states: OpenRouter and the Vercel gateway `cost`, Perplexity
/// `cost.total_cost`, xAI `cost_in_usd_ticks` of 10^-10 dollars.
pub(crate) fn stated(usage: &Object) -> Option<f64> {
    // With a key of one's own, it is the gateway's fee and no more.
    if usage.is_true("is_byok") {
        return None;
    }
    let cost = match usage.member("cost") {
        Some(Value::Object(parts)) => parts.number("total_cost"),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_f64(),
        None => None,
    };
    cost.or_else(|| usage.number("cost_in_usd_ticks").map(|ticks| ticks / 1e10))
        .filter(|usd: &f64| usd.is_finite() && *usd >= 0.0)
}

#[cfg(test)]
mod tests;
