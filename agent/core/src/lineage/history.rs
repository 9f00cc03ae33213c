//! Finding the call that a request continues by what the request repeats.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::past::{Past, Scope, response_key};
use super::{CallNumber, Lineage, Rule, Said, Waypoint};
use crate::call::{Call, Llm, Part};
use crate::limits;
use crate::lineage::turn::{Digest, digest};

/// Calls by what they can be recognised by.
#[derive(Debug, Default)]
pub(super) struct Index {
    full: HashMap<Digest, Vec<CallNumber>>,
    answers: HashMap<Digest, Vec<CallNumber>>,
    tails: HashMap<Digest, Vec<CallNumber>>,
    responses: HashMap<Digest, Vec<CallNumber>>,
    requests: HashMap<Digest, Vec<CallNumber>>,
    sessions: HashMap<Digest, Vec<CallNumber>>,
}

fn put(map: &mut HashMap<Digest, Vec<CallNumber>>, key: Digest, number: CallNumber) {
    let numbers = map.entry(key).or_default();
    // Answers that are all alike, as in a test, must not make every look longer than the last.
    if numbers.len() >= limits::LINEAGE_ALIKE {
        numbers.remove(0);
    }
    numbers.push(number);
}

fn drop_from(map: &mut HashMap<Digest, Vec<CallNumber>>, key: &Digest, number: CallNumber) {
    if let Some(numbers) = map.get_mut(key) {
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            map.remove(key);
        }
    }
}

fn list<'a>(map: &'a HashMap<Digest, Vec<CallNumber>>, key: &Digest) -> &'a [CallNumber] {
    map.get(key).map_or(&[], Vec::as_slice)
}

impl Index {
    pub(super) fn add(&mut self, number: CallNumber, past: &Past) {
        for state in &past.states {
            put(&mut self.full, state.full, number);
            put(&mut self.answers, state.answers, number);
            state.tail.iter().for_each(|tail| put(&mut self.tails, *tail, number));
        }
        past.response.iter().for_each(|key| put(&mut self.responses, *key, number));
        past.session.iter().for_each(|key| put(&mut self.sessions, *key, number));
        put(&mut self.requests, past.request, number);
    }

    pub(super) fn remove(&mut self, number: CallNumber, past: &Past) {
        for state in &past.states {
            drop_from(&mut self.full, &state.full, number);
            drop_from(&mut self.answers, &state.answers, number);
            state.tail.iter().for_each(|tail| drop_from(&mut self.tails, tail, number));
        }
        past.response.iter().for_each(|key| drop_from(&mut self.responses, key, number));
        past.session.iter().for_each(|key| drop_from(&mut self.sessions, key, number));
        drop_from(&mut self.requests, &past.request, number);
    }

    /// The call whose response a request names as the one that it continues.
    pub(super) fn response(&self, llm: &Llm, scope: &Scope) -> &[CallNumber] {
        let key = llm.previous_response_id.as_deref().map(|id| response_key(id, scope));
        key.map_or(&[], |key| list(&self.responses, &key))
    }

    /// The latest call with a response of this id.
    pub(super) fn same_response(&self, id: &str, scope: &Scope) -> Option<CallNumber> {
        list(&self.responses, &response_key(id, scope)).last().copied()
    }

    /// The calls that asked the same.
    pub(super) fn requests(&self, said: &Said) -> &[CallNumber] {
        list(&self.requests, &said.request)
    }

    /// The latest call of the session that a sub-agent's names as its parent's.
    pub(super) fn above(&self, llm: &Llm) -> Option<CallNumber> {
        let parent = llm.thread.as_ref().and_then(|thread| thread.parent.as_deref())?;
        list(&self.sessions, &digest(&[parent.as_bytes()])).last().copied()
    }

    /// The latest call of the same session.
    pub(super) fn session(&self, said: &Said) -> Option<CallNumber> {
        said.session.and_then(|key| list(&self.sessions, &key).last().copied())
    }
}

/// What a request continues.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the response's id, or by the whole history.
    pub(super) previous: Option<(CallNumber, Rule)>,
    /// By the conversation's id, which the server keeps.
    pub(super) named: Option<(CallNumber, Rule)>,
    /// For each turn of the model in the request, the call whose answer it was.
    pub(super) places: Vec<Option<CallNumber>>,
    /// The calls before, as far as they are known.
    pub(super) ancestors: HashSet<CallNumber>,
}

impl Lineage {
    pub(super) fn predecessor(&self, call: &Call, llm: &Llm, said: &Said) -> Found {
        let mut found = Found { places: vec![None; said.waypoints.len()], ..Found::default() };
        let seeker = Seeker { call, llm, said };
        let named = self.best(self.index.response(llm, &said.scope), &seeker, None, None);
        found.previous = named.map(|number| (number, Rule::PreviousResponse));
        let mut before = None;
        for (waypoint, place) in said.waypoints.iter().zip(&mut found.places) {
            *place = self.best(list(&self.index.full, &waypoint.full), &seeker, Some(waypoint), before);
            before = place.or(before);
        }
        let mut expected = found.previous.map(|(number, _)| number);
        for (waypoint, place) in said.waypoints.iter().zip(&mut found.places).rev() {
            // What the later turns continue goes before what only looks the same.
            let same = list(&self.index.full, &waypoint.full);
            *place = expected.filter(|number| same.contains(number)).or(*place);
            found.previous = found.previous.or(place.map(|number| (number, Rule::History)));
            expected = place.or(expected).and_then(|number| self.calls.get(&number)?.previous);
        }
        // What went before the predecessor is known even where the request does not repeat it.
        let mut next = found.previous.map(|(number, _)| number);
        while let Some(number) = next.filter(|_| found.ancestors.len() < limits::LINEAGE_ANCESTORS) {
            next = self
                .calls
                .get(&number)
                .and_then(|past| past.previous)
                .filter(|_| found.ancestors.insert(number));
        }
        found.ancestors.extend(found.places.iter().flatten());
        let kept = llm.conversation.as_ref().is_some_and(|it| it.source.starts_with("body:conversation"));
        if kept && let Some(session) = &said.session {
            let same = list(&self.index.sessions, session);
            // The server appends: the latest is what is continued.
            let before =
                |number: &&CallNumber| self.calls.get(number).is_some_and(|past| fits(past, &seeker));
            found.named = same.iter().rev().find(before).map(|number| (*number, Rule::ConversationId));
        }
        found
    }

    /// By the answers alone, then by the first message and the last answer.
    pub(super) fn by_tail(&self, said: &Said, call: &Call, llm: &Llm) -> Option<(CallNumber, Rule)> {
        let last = said.waypoints.last()?;
        let seeker = Seeker { call, llm, said };
        let best = |numbers: &[CallNumber]| {
            let near = |number: &&CallNumber| {
                self.calls.get(number).is_some_and(|past| {
                    past.scope.process == call.process && past.scope.place == said.scope.place
                })
            };
            let near: Vec<CallNumber> = numbers.iter().filter(near).copied().collect();
            self.best(&near, &seeker, Some(last), None)
        };
        let answers = || best(list(&self.index.answers, &last.answers)).map(|it| (it, Rule::HistoryAnswers));
        let tail = || best(list(&self.index.tails, last.tail.as_ref()?)).map(|it| (it, Rule::HistoryTail));
        answers().or_else(tail)
    }

    /// Whether a call stands later in the conversation whose beginning a request repeats, and the request goes
    /// on where the repetition ends: its history was changed on the way.
    pub(super) fn after(&self, number: CallNumber, found: &Found) -> bool {
        let changed = found.places.last().is_some_and(Option::is_none);
        let Some((previous, Rule::History)) = found.previous.filter(|_| changed) else { return false };
        let conversation = |number: &CallNumber| self.calls.get(number).map(|past| past.conversation);
        number > previous && conversation(&number) == conversation(&previous)
    }

    /// The one among calls that look the same which the request continues. `None` where nothing tells two of
    /// them apart that are not the same.
    fn best(
        &self,
        numbers: &[CallNumber],
        seeker: &Seeker<'_>,
        waypoint: Option<&Waypoint>,
        before: Option<CallNumber>,
    ) -> Option<CallNumber> {
        let mut ranked: Vec<_> = numbers
            .iter()
            .filter_map(|number| {
                let past = self.calls.get(number).filter(|past| fits(past, seeker))?;
                let marks =
                    waypoint.map_or(Some((false, false)), |waypoint| marks(past, waypoint, seeker.call))?;
                let (call, said) = (seeker.call, seeker.said);
                // Another provider may go on, but a short answer may be everybody's.
                let elsewhere = past.scope.place != said.scope.place;
                if elsewhere && waypoint.is_none_or(|it| it.weight < limits::ALIEN_WEIGHT) {
                    return None;
                }
                let alike = (
                    elsewhere,
                    marks,
                    before.is_some() && past.previous != before,
                    past.scope.process != call.process,
                    past.scope.thread != said.scope.thread,
                    past.instructions != said.instructions,
                    past.model != seeker.llm.request_model,
                    past.client != said.client,
                    past.continued > 0,
                    past.flow != call.flow,
                );
                Some((alike, Reverse(*number), past))
            })
            .collect();
        ranked.sort_by_key(|(alike, latest, _)| (*alike, *latest));
        let mut ranked = ranked.into_iter();
        let (alike, Reverse(number), first) = ranked.next()?;
        let twin = ranked
            .take_while(|other| other.0 == alike)
            .any(|(_, _, past)| past.conversation != first.conversation && past.response != first.response);
        (!twin).then_some(number)
    }
}

/// Who looks for what it continues.
struct Seeker<'a> {
    call: &'a Call,
    llm: &'a Llm,
    said: &'a Said,
}

/// Whether the ids and seals that an answer gave out do not come back; `None` where other ones do.
fn marks(past: &Past, waypoint: &Waypoint, call: &Call) -> Option<(bool, bool)> {
    let sealed = past.seals.iter().any(|seal| waypoint.seals.contains(seal));
    // Some are left out; where as many come back as went out, they are another answer's.
    if !sealed && !past.seals.is_empty() && waypoint.seals.len() >= past.seals.len() {
        return None;
    }
    let mut ids = waypoint.calls.iter().filter_map(|mark| mark.id.as_ref()).peekable();
    let numbered = ids.peek().is_some() && !past.ids.is_empty();
    // Some clients send the id of the item in place of that of the call.
    let of_item = |id: &str| matches!(Part::seal(id), Part::Seal(seal) if past.seals.contains(&seal));
    let known = ids.any(|id| past.ids.contains(id) || of_item(id));
    // Other ids are another conversation's, unless one process says both and so has changed them itself.
    let own = past.scope.process.is_some() && past.scope.process == call.process;
    if numbered && !known && !own {
        return None;
    }
    Some((!sealed, !known))
}

/// Whether a call can be what another continues.
fn fits(past: &Past, seeker: &Seeker<'_>) -> bool {
    let (call, said) = (seeker.call, seeker.said);
    let threads = match (&past.scope.thread, &said.scope.thread) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    threads && past.times.1.0 <= call.start.0 + limits::SKEW_NANOS
}
