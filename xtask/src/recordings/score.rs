//! Counts of equal and differing answers, and whether they suffice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::compare::{self, Difference};

/// Longest example of a value, in characters.
const EXAMPLE: usize = 160;

/// Equal and differing.
#[derive(Clone, Copy, Default)]
struct Count {
    compared: u64,
    equal: u64,
    doubtful: u64,
}

/// All counts so far.
#[derive(Default)]
pub(super) struct Score {
    all: Count,
    providers: BTreeMap<String, Count>,
    apis: BTreeMap<String, Count>,
    fields: BTreeMap<String, Count>,
    /// By API and field: the exchanges that differ.
    differing: BTreeMap<(String, String), Vec<(String, Difference)>>,
    /// MCP and A2A, of which every one has to be equal.
    rpc: Count,
    negatives: u64,
    /// Negatives that were taken for an AI call.
    taken: Vec<String>,
}

impl Count {
    fn add(&mut self, equal: bool) {
        self.compared += 1;
        self.equal += u64::from(equal);
    }

    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    fn share(self) -> f64 {
        if self.compared == 0 { 1.0 } else { self.equal as f64 / self.compared as f64 }
    }

    fn json(self) -> Value {
        json!({"compared": self.compared, "equal": self.equal, "differing": self.compared - self.equal,
            "doubtful": self.doubtful})
    }
}

impl Score {
    /// Compares an answer. `local`: it is of the recordings made for MCP and A2A alone, which have no share in
    /// the model calls' threshold.
    pub(super) fn add(&mut self, want: &Value, got: Option<&Value>, local: bool) {
        let text = |name: &str| want[name].as_str().unwrap_or_default().to_owned();
        let (id, api) = (text("id"), text("api_format"));
        let mut api_name = api.clone();
        if local {
            api_name.push_str(" (local)");
        }
        let provider = text("provider");
        if compare::doubtful(want) || got.is_some_and(|got| compare::compaction(want, got)) {
            self.all.doubtful += 1;
            self.providers.entry(provider).or_default().doubtful += 1;
            self.apis.entry(api_name).or_default().doubtful += 1;
            return;
        }
        let nothing = json!({"kind": "unread"});
        let fields = compare::fields(want, got.unwrap_or(&nothing));
        let differing = compare::differences(&fields);
        let equal = differing.is_empty();
        if !local {
            self.all.add(equal);
        }
        self.providers.entry(provider).or_default().add(equal);
        self.apis.entry(api_name.clone()).or_default().add(equal);
        if matches!(compare::kind(&api), "mcp" | "a2a") {
            self.rpc.add(equal);
        }
        for field in fields.keys() {
            let same = differing.iter().all(|difference| difference.field != *field);
            self.fields.entry(field.clone()).or_default().add(same);
        }
        for difference in differing {
            let key = (api_name.clone(), difference.field.clone());
            self.differing.entry(key).or_default().push((id.clone(), difference));
        }
    }

    /// Counts an exchange that is no AI call.
    pub(super) fn negative(&mut self, id: String, none: bool) {
        self.negatives += 1;
        if !none {
            self.taken.push(id);
        }
    }

    /// What does not suffice.
    pub(super) fn failures(&self, share: f64) -> Vec<String> {
        let mut out = Vec::new();
        if self.all.compared == 0 && self.rpc.compared == 0 {
            out.push("nothing was compared".to_owned());
        }
        if self.all.share() < share {
            let (equal, wanted) = (self.all.share() * 100.0, share * 100.0);
            out.push(format!("{equal:.2} % of the exchanges are equal, and {wanted} % are demanded"));
        }
        if self.rpc.equal < self.rpc.compared {
            let count = self.rpc.compared - self.rpc.equal;
            out.push(format!("{count} of {} MCP and A2A exchanges differ", self.rpc.compared));
        }
        if !self.taken.is_empty() {
            out.push(format!("{} of {} negatives are taken for AI calls", self.taken.len(), self.negatives));
        }
        out
    }

    /// The counts for programs.
    pub(super) fn json(&self) -> Value {
        let group = |counts: &BTreeMap<String, Count>| -> Value {
            counts
                .iter()
                .map(|(name, count)| (name.clone(), count.json()))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let differing: Vec<Value> = self
            .differing
            .iter()
            .flat_map(|((api, field), list)| {
                list.iter().map(move |(id, difference)| {
                    json!({"api": api, "field": field, "id": id, "want": difference.want, "got": difference.got})
                })
            })
            .collect();
        json!({"all": self.all.json(), "rpc": self.rpc.json(), "apis": group(&self.apis),
            "providers": group(&self.providers), "fields": group(&self.fields), "differing": differing,
            "negatives": {"compared": self.negatives, "taken": self.taken}})
    }

    /// The counts for people, with this many examples for each API and field.
    pub(super) fn text(&self, show: usize) -> String {
        let mut out = String::new();
        for (title, counts) in [("provider", &self.providers), ("api", &self.apis), ("field", &self.fields)] {
            line(&mut out, &format!("{title:30}  compared   equal  differing  doubtful"));
            for (name, count) in counts {
                let Count { compared, equal, doubtful } = count;
                let differing = compared - equal;
                line(&mut out, &format!("{name:30}  {compared:8}  {equal:6}  {differing:9}  {doubtful:8}"));
            }
            out.push('\n');
        }
        for ((api, field), list) in &self.differing {
            line(&mut out, &format!("{api} {field}: {} differ", list.len()));
            for (id, difference) in list.iter().take(show) {
                let (want, got) = (brief(&difference.want), brief(&difference.got));
                line(&mut out, &format!("  {id}  want {want}  got {got}"));
            }
        }
        let Count { compared, equal, doubtful } = self.all;
        let share = self.all.share() * 100.0;
        line(
            &mut out,
            &format!("\n{equal} of {compared} exchanges equal ({share:.2} %), {doubtful} set aside"),
        );
        line(&mut out, &format!("{} of {} MCP and A2A exchanges equal", self.rpc.equal, self.rpc.compared));
        let taken = self.taken.iter().take(show).cloned().collect::<Vec<_>>().join(" ");
        line(
            &mut out,
            &format!("{} of {} negatives taken for AI calls {taken}", self.taken.len(), self.negatives),
        );
        out
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    writeln!(out, "{}", text.trim_end()).ok();
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(EXAMPLE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
