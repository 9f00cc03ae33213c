//! Which prices belong to a model.

use serde::Deserialize;
use serde_json::Value;

use super::entry::{Entry, Prices};
use crate::flow::Time;

/// A table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

/// Prices of many models.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    #[serde(default)]
    pub(super) source: String,
    providers: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    id: String,
    #[serde(default)]
    fallback: Vec<String>,
    models: Vec<Model>,
}

/// The prices of one model.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
    #[serde(rename = "match")]
    names: Names,
    entries: Vec<Entry>,
}

/// Which names a model has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Names {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(Pattern),
    Or(Vec<Names>),
    And(Vec<Names>),
    Not(Box<Names>),
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(regex_lite::Regex);

impl TryFrom<String> for Pattern {
    type Error = regex_lite::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        regex_lite::Regex::new(&text).map(Self)
    }
}

/// One model of the operator's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    #[serde(rename = "match")]
    names: OwnNames,
    tier: Option<String>,
    from: Option<String>,
    input: f64,
    output: Option<f64>,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
    cache_write_1h: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OwnNames {
    Name(String),
    Rule(Names),
}

/// Our names of providers, and the table's.
const PROVIDERS: &[(&str, &str)] = &[
    ("aws.bedrock", "aws"),
    ("azure.ai.inference", "azure"),
    ("azure.ai.openai", "azure"),
    ("gcp.gemini", "google"),
    ("gcp.vertex_ai", "google"),
    ("mistral_ai", "mistral"),
    ("moonshot_ai", "moonshotai"),
    ("github_copilot", "github-copilot"),
    ("x_ai", "x-ai"),
];

impl Table {
    /// The one that Trackway brings.
    pub(super) fn built_in() -> Result<Self, Broken> {
        serde_json::from_str(include_str!("table.json")).map_err(|error| Broken(error.to_string()))
    }

    /// What an operator wrote.
    pub(super) fn of_operator(value: &Value) -> Result<Self, Broken> {
        let list = value.get("models").and_then(Value::as_array);
        let list =
            list.ok_or_else(|| Broken("`models` is missing: a list of models and their prices".to_owned()))?;
        let mut models = Vec::new();
        for (number, one) in (1..).zip(list) {
            let own = Own::deserialize(one).map_err(|error| Broken(format!("model {number}: {error}")))?;
            let known = [Some(own.input), own.output, own.cache_read, own.cache_write, own.cache_write_1h];
            if known.iter().flatten().any(|price| !price.is_finite() || *price < 0.0) {
                return Err(Broken(format!(
                    "model {number}: a price is a number of dollars, not less than 0"
                )));
            }
            let prices =
                Prices::flat(own.input, own.output, own.cache_read, own.cache_write, own.cache_write_1h);
            let entry = Entry::new(own.tier, own.from, prices)
                .map_err(|error| Broken(format!("model {number}: {error}")))?;
            let names = match own.names {
                OwnNames::Name(name) => Names::Equals(name),
                OwnNames::Rule(names) => names,
            };
            models.push(Model { names, entries: vec![entry] });
        }
        let any = Provider { id: String::new(), fallback: Vec::new(), models };
        Ok(Self { source: String::new(), providers: vec![any] })
    }

    /// The model of this name at a provider, and whether its prices are another's. The operator's models are
    /// anybody's.
    pub(super) fn find(&self, provider: &str, name: &str) -> Option<(&Model, bool)> {
        let id = PROVIDERS.iter().find(|(ours, _)| *ours == provider).map_or(provider, |(_, theirs)| theirs);
        let own = self.providers.iter().find(|known| known.id == id || known.id.is_empty())?;
        let others = own.fallback.iter().filter_map(|id| self.providers.iter().find(|known| known.id == *id));
        std::iter::once((own, false))
            .chain(others.map(|other| (other, true)))
            .find_map(|(provider, lent)| Some((provider.find(name)?, lent)))
    }
}

impl Provider {
    fn find(&self, name: &str) -> Option<&Model> {
        let lower = name.to_ascii_lowercase();
        let find = |name: &str| self.models.iter().find(|model| model.names.fit(name));
        find(name).or_else(|| find(&lower))
    }
}

impl Model {
    /// The prices that hold at a time for a tier: of dated ones the last, of tiers the first, as in the source.
    /// A tier's prices are laid over the usual ones: what it does not change stays.
    pub(super) fn at(&self, time: Time, tier: Option<&str>) -> Option<Prices> {
        let usual = self.entries.iter().rfind(|entry| entry.holds(time, None));
        if tier.is_none() {
            return usual.map(|entry| entry.prices.clone());
        }
        let own =
            self.entries.iter().filter(|entry| entry.holds(time, tier)).map(|entry| entry.prices.clone());
        let own = own.reduce(|first, next| first.over(&next))?;
        Some(usual.map_or_else(|| own.clone(), |usual| own.over(&usual.prices)))
    }
}

impl Names {
    fn fit(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text.as_str()),
            Self::EndsWith(text) => name.ends_with(text.as_str()),
            Self::Contains(text) => name.contains(text.as_str()),
            Self::Regex(pattern) => pattern.0.is_match(name),
            Self::Or(list) => list.iter().any(|one| one.fit(name)),
            Self::And(list) => list.iter().all(|one| one.fit(name)),
            Self::Not(one) => !one.fit(name),
        }
    }
}
