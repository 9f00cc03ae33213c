//! Two traces of the same work, field by field. What names a span in one trace only (its id) is told by its place
//! in the tree, and so are ids wherever they stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;

use crate::spans::{Span, Spans};

/// What tells a span from its siblings; the first that it has.
const MARKS: [&str; 5] =
    ["gen_ai.response.id", "gen_ai.tool.call.id", "jsonrpc.request.id", "url.full", "process.command_args"];

/// A trace without what is its own by chance: the fields of each span by its place.
#[derive(Clone, Debug, Default)]
pub struct Fields(BTreeMap<String, BTreeMap<String, Value>>);

impl Fields {
    /// The fields of `spans`, of a job that ran in `folder`.
    pub fn new(spans: &Spans, folder: &Path) -> Self {
        let folder = folder.to_string_lossy();
        let mut places = HashMap::new();
        let mut taken = BTreeSet::new();
        for span in &spans.0 {
            let wanted = place(spans, span).replace(&*folder, ".");
            // What is alike is told apart by its order.
            let free = (1..).map(|n| format!("{wanted} #{n}")).find(|place| taken.insert(place.clone()));
            places.insert(span.id.as_slice(), free.unwrap_or_default());
        }
        let told = |value: &Value| neutral(value, &folder, &places);
        let mut fields = Self::default();
        for span in &spans.0 {
            let own = fields.0.entry(places[span.id.as_slice()].clone()).or_default();
            let parent = places.get(span.parent.as_slice()).cloned();
            own.insert("parent".to_owned(), parent.into());
            own.insert("name".to_owned(), span.name.as_str().into());
            own.insert("kind".to_owned(), span.kind.into());
            own.insert("error".to_owned(), told(&span.error.clone().into()));
            let mut add = |group: &str, attributes: &BTreeMap<String, Value>| {
                let named = attributes.iter().map(|(key, value)| (format!("{group}{key}"), told(value)));
                own.extend(named);
            };
            add("", &span.attributes);
            add("resource ", &span.resource);
            for (number, (name, attributes)) in span.events.iter().enumerate() {
                add(&format!("event {number} {name} "), attributes);
            }
            for (number, (to, attributes)) in span.links.iter().enumerate() {
                let to = places.get(to.as_slice()).map_or("another trace", String::as_str);
                add(&format!("link {number} to {to} "), attributes);
            }
        }
        fields
    }

    /// What the two tell differently, one line for each field whose name is not in `but`.
    pub fn differences(&self, other: &Self, but: &[&str]) -> Vec<String> {
        let places: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut lines = Vec::new();
        for place in places {
            let (Some(one), Some(two)) = (self.0.get(place), other.0.get(place)) else {
                let which = if self.0.contains_key(place) { "first" } else { "second" };
                lines.push(format!("only in the {which}: {place}"));
                continue;
            };
            let keys: BTreeSet<_> = one.keys().chain(two.keys()).collect();
            for key in keys.into_iter().filter(|key| !but.contains(&key.as_str())) {
                let (one, two) = (one.get(key), two.get(key));
                if one != two {
                    lines.push(format!("{place}: {key}: {} | {}", shown(one), shown(two)));
                }
            }
        }
        lines
    }

    /// How many fields there are.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "missing".to_owned(), ToString::to_string)
}

/// The names from the root down to `span`, each with what marks it.
fn place(spans: &Spans, span: &Span) -> String {
    let mark = MARKS.iter().map(|key| span.get(key)).find(|mark| !mark.is_null());
    let mark = mark.map(|mark| format!(" [{mark}]")).unwrap_or_default();
    let above = spans.0.iter().find(|other| other.id == span.parent);
    let above = above.map(|above| place(spans, above) + " > ").unwrap_or_default();
    format!("{above}{}{mark}", span.name)
}

/// `value` with the job's folder and ids of spans replaced.
fn neutral(value: &Value, folder: &str, places: &HashMap<&[u8], String>) -> Value {
    match value {
        Value::String(text) => {
            let named = hex(text).and_then(|id| places.get(id.as_slice()).cloned());
            named.unwrap_or_else(|| text.replace(folder, ".")).into()
        }
        Value::Array(items) => items.iter().map(|item| neutral(item, folder, places)).collect(),
        other => other.clone(),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    if text.len() == 16 { (0..8).map(|n| byte(2 * n)).collect() } else { None }
}
