//! Tool calls that wait for their results.
//!
//! Requests resend their history, so a result counts where it is first seen, and a tool call inside a request
//! is no new one. Some wires have no ids and some clients use one id again and again; then what was said
//! before decides, and the position in the history: the n-th result belongs to the n-th execution.

mod fit;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::history::Found;
use super::past::{Past, Scope};
use super::turn::{Digest, Mark, canonical, digest};
use super::{Answered, CallNumber, Rule, Said, Step, ToolNumber, Waypoint, blank, sub};
use crate::call::{Call, Llm};
use crate::flow::Time;
use crate::limits;

/// A tool call that waits for its result.
#[derive(Debug)]
struct Open {
    producer: CallNumber,
    beginning: Digest,
    scope: Scope,
    key: Key,
    name: String,
    arguments: Digest,
    /// Texts of the arguments that may be somebody's first message.
    prompts: Vec<String>,
    /// First byte of the answer that asked: clients may start a tool while the rest still streams.
    early: Time,
    asked: Time,
    /// Results with the same key that stood in the history before this call was made.
    prior: usize,
    /// Messages in the request whose answer made this call.
    history: usize,
}

/// What a result finds its call by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Id(String),
    Name(String),
}

impl Key {
    fn new(id: Option<&str>, name: &str) -> Self {
        match id.filter(|id| !id.is_empty()) {
            Some(id) => Key::Id(id.to_owned()),
            None => Key::Name(name.to_owned()),
        }
    }

    fn of(mark: &Mark) -> Self {
        Self::new(mark.id.as_deref(), mark.name.as_deref().unwrap_or_default())
    }

    fn rule(&self) -> Rule {
        match self {
            Key::Id(_) => Rule::ToolCallId,
            Key::Name(_) => Rule::NameAndOrder,
        }
    }
}

/// Every tool call that is open, or lately was.
#[derive(Debug, Default)]
pub(super) struct Tools {
    open: BTreeMap<ToolNumber, Open>,
    keys: HashMap<Key, Vec<ToolNumber>>,
    /// Who asked for each, and when at the earliest it began.
    producers: HashMap<ToolNumber, (CallNumber, Time)>,
    order: VecDeque<ToolNumber>,
    /// Open ones that a tool server is seen to carry out.
    carried: HashSet<ToolNumber>,
    /// Open ones under which a conversation stands by its first message.
    prompted: HashSet<ToolNumber>,
    next: ToolNumber,
}

impl Tools {
    /// The call whose answer asked for a tool.
    pub(super) fn producer(&self, tool: ToolNumber) -> Option<CallNumber> {
        self.producers.get(&tool).map(|(number, _)| *number)
    }

    /// When a tool began, at the earliest.
    pub(super) fn early(&self, tool: ToolNumber) -> Option<Time> {
        self.producers.get(&tool).map(|(_, early)| *early)
    }

    /// Opens the tool calls of an answer.
    pub(super) fn ask(&mut self, call: &Call, llm: &Llm, step: &Step, said: &Said) -> Vec<ToolNumber> {
        let mut numbers = Vec::new();
        let mut seen: HashMap<Key, usize> = HashMap::new();
        let mut before: Option<HashMap<Key, usize>> = None;
        for tool in llm.tool_calls() {
            let number = self.next;
            self.next += 1;
            let key = Key::new(tool.id.as_deref(), &tool.name);
            let before = before.get_or_insert_with(|| results(llm));
            let ordinal = seen.entry(key.clone()).or_default();
            let prior = before.get(&key).copied().unwrap_or(0) + *ordinal;
            *ordinal += 1;
            let open = Open {
                producer: step.number,
                beginning: said.beginning,
                scope: said.scope.clone(),
                key: key.clone(),
                name: tool.name.clone(),
                arguments: digest(&[&canonical(&tool.arguments)]),
                prompts: sub::prompts(&tool.arguments, limits::PROMPT_LETTERS),
                early: call.first_byte.unwrap_or(call.end),
                asked: call.end,
                prior,
                history: llm.input.pieces(),
            };
            self.open.insert(number, open);
            self.keys.entry(key).or_default().push(number);
            self.producers.insert(number, (step.number, call.first_byte.unwrap_or(call.end)));
            self.order.push_back(number);
            numbers.push(number);
        }
        while self.order.len() > limits::LINEAGE_CALLS {
            if let Some(number) = self.order.pop_front() {
                self.producers.remove(&number);
            }
        }
        numbers
    }

    /// Gives up the oldest, where too many wait.
    pub(super) fn surplus(&mut self) -> Vec<ToolNumber> {
        let mut gone = Vec::new();
        while self.open.len() > limits::OPEN_TOOLS
            && let Some(number) = self.open.keys().next().copied()
        {
            self.close(number);
            gone.push(number);
        }
        gone
    }

    /// Closes the tool calls that a request answers.
    pub(super) fn answer(
        &mut self,
        call: &Call,
        llm: &Llm,
        said: &Said,
        found: &Found,
        calls: &HashMap<CallNumber, Past>,
    ) -> Vec<Answered> {
        let mut answered = Vec::new();
        if self.open.is_empty() {
            return answered;
        }
        let asker = Asker { call, llm, said, found, calls };
        let mut counts: HashMap<Key, usize> = HashMap::new();
        let mut totals: HashMap<Key, usize> = HashMap::new();
        let all = || said.waypoints.iter().flat_map(|it| &it.results).chain(&said.orphans);
        all().for_each(|(_, mark)| *totals.entry(Key::of(mark)).or_default() += 1);
        let none = Waypoint::default();
        let orphans = (&none, &None, &said.orphans);
        let placed = said.waypoints.iter().zip(&found.places).map(|(it, place)| (it, place, &it.results));
        for (waypoint, place, results) in std::iter::once(orphans).chain(placed) {
            for ((result, mark), heard) in results.iter().zip(align(&waypoint.calls, results)) {
                let key = Key::of(mark);
                let index = counts.entry(key.clone()).or_default();
                let position = Position {
                    index: *index,
                    last: *index + 1 == totals.get(&key).copied().unwrap_or(0),
                    newest: waypoint.last || waypoint.calls.is_empty() && said.waypoints.len() < 2,
                    name: heard
                        .and_then(|heard| waypoint.calls.get(heard))
                        .and_then(|call| call.name.as_deref()),
                };
                *index += 1;
                let asked = place.and_then(|number| calls.get(&number));
                let tool = match asked.filter(|past| past.asked.len() == waypoint.calls.len()).zip(heard) {
                    // The turn is known, and with it the tool call, whatever ids the client gives them.
                    Some((past, heard)) => past.asked.get(heard).copied(),
                    None => self.find(&key, &position, &asker),
                };
                if let Some(tool) = tool
                    && let Some(open) = self.close(tool)
                {
                    let rule = if open.key == key { key.rule() } else { Rule::NameAndOrder };
                    answered.push(Answered { tool, result: *result, rule });
                }
            }
        }
        answered
    }

    /// The tool call that a result answers, where its turn is not known.
    fn find(&self, key: &Key, position: &Position<'_>, asker: &Asker<'_>) -> Option<ToolNumber> {
        let rank = |number: &ToolNumber| {
            let open = self.open.get(number)?;
            let kin = asker.kin(open);
            let renamed = position.name.is_some_and(|name| name != open.name);
            // With a server-side history only what is new is sent.
            let incremental = asker.llm.previous_response_id.is_some();
            let shortened = position.last && asker.llm.input.pieces() < open.history;
            let in_place = incremental || shortened || position.index >= open.prior;
            let alike = match key {
                // An id that tells nothing, as `call_1` or `functions.search:0`, is given out again and again.
                // A result that was given before is somebody else's.
                Key::Id(id) => kin < Kin::Strange || position.newest && !weak(id, &open.name),
                Key::Name(_) => kin < Kin::Strange,
            };
            if renamed || !alike || !in_place || asker.call.start < open.early {
                return None;
            }
            let elsewhere = open.scope != asker.said.scope;
            Some((kin, elsewhere, Reverse(open.asked), open.prior, *number))
        };
        let nameless = matches!(key, Key::Name(name) if name.is_empty());
        if nameless {
            // Neither id nor name: the oldest that waits in this conversation.
            let named = |(_, open): &(&ToolNumber, &Open)| matches!(open.key, Key::Name(_));
            let near = self.open.iter().filter(named).filter(|(_, open)| asker.kin(open) < Kin::Strange);
            return near.map(|(number, open)| (asker.kin(open), *number)).min().map(|(_, number)| number);
        }
        let ranked: Vec<_> = self.keys.get(key)?.iter().filter_map(rank).collect();
        let best = ranked.iter().min()?;
        // Where two conversations look the same and wait for the same, nothing tells whose result it is.
        let producer = |number: &ToolNumber| self.open.get(number).map(|open| open.producer);
        let rival = |other: &&(Kin, bool, Reverse<Time>, usize, ToolNumber)| {
            (other.0, other.1) == (best.0, best.1) && producer(&other.4) != producer(&best.4)
        };
        let guess =
            matches!(key, Key::Name(_)) && best.0 == Kin::Beginning && ranked.iter().any(|it| rival(&it));
        (!guess).then_some(best.4)
    }

    fn close(&mut self, number: ToolNumber) -> Option<Open> {
        let open = self.open.remove(&number)?;
        self.carried.remove(&number);
        self.prompted.remove(&number);
        if let Some(numbers) = self.keys.get_mut(&open.key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.keys.remove(&open.key);
            }
        }
        Some(open)
    }
}

/// How near the call that asked for a tool is to the request that may answer it; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kin {
    Predecessor,
    Ancestor,
    Conversation,
    /// The same first message, and no history that says otherwise.
    Beginning,
    Strange,
}

struct Asker<'a> {
    call: &'a Call,
    llm: &'a Llm,
    said: &'a Said,
    found: &'a Found,
    calls: &'a HashMap<CallNumber, Past>,
}

impl Asker<'_> {
    fn kin(&self, open: &Open) -> Kin {
        let conversation = |number: CallNumber| self.calls.get(&number).map(|past| past.conversation);
        let previous = self.found.previous.or(self.found.named).map(|(number, _)| number);
        if previous == Some(open.producer) {
            return Kin::Predecessor;
        }
        if self.found.ancestors.contains(&open.producer) {
            return Kin::Ancestor;
        }
        match previous {
            Some(previous) if conversation(previous) == conversation(open.producer) => Kin::Conversation,
            None if open.beginning == self.said.beginning && open.scope == self.said.scope => Kin::Beginning,
            _ => Kin::Strange,
        }
    }
}

struct Position<'a> {
    /// Its place among the results with the same key.
    index: usize,
    last: bool,
    /// Whether it is in the request's last turn.
    newest: bool,
    /// The tool, as the history names it.
    name: Option<&'a str>,
}

/// Which of a turn's tool calls each result answers: by id, then by name and order, then by order alone.
fn align(calls: &[Mark], results: &[(usize, Mark)]) -> Vec<Option<usize>> {
    let mut free: Vec<bool> = vec![true; calls.len()];
    let mut out: Vec<Option<usize>> = vec![None; results.len()];
    let same_id = |call: &Mark, result: &Mark| call.id.is_some() && call.id == result.id;
    let same_name =
        |call: &Mark, result: &Mark| (call.id.is_none() || result.id.is_none()) && call.name == result.name;
    let nameless = |_: &Mark, result: &Mark| result.id.is_none() && result.name.is_none();
    type Same<'a> = &'a dyn Fn(&Mark, &Mark) -> bool;
    let ways: [Same<'_>; 3] = [&same_id, &same_name, &nameless];
    for same in ways {
        for ((_, result), slot) in results.iter().zip(&mut out).filter(|(_, slot)| slot.is_none()) {
            let open = calls
                .iter()
                .zip(&mut free)
                .enumerate()
                .find(|(_, (call, free))| **free && same(call, result));
            if let Some((place, (_, free))) = open {
                (*free, *slot) = (false, Some(place));
            }
        }
    }
    out
}

fn results(llm: &Llm) -> HashMap<Key, usize> {
    let mut results = HashMap::new();
    for result in llm.tool_results() {
        *results
            .entry(Key::new(result.id.as_deref(), result.name.as_deref().unwrap_or_default()))
            .or_default() += 1;
    }
    results
}

/// Whether an id may well be another call's too.
fn weak(id: &str, name: &str) -> bool {
    id.len() < limits::ID_LETTERS || id.contains(name) || blank(id)
}
