//! What one call says, as far as others can be recognised by it.

use super::past::Scope;
use super::turn::{Digest, Mark, Side, Turn, Turns, digest};
use super::{Base, sub};
use crate::call::{Call, Llm};
use crate::decode::identity::CACHE_KEY;
use crate::limits;

/// What one call says, as far as others can be recognised by it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) scope: Scope,
    /// The history: a place behind each turn of the model, the latest last.
    pub(super) waypoints: Vec<Waypoint>,
    /// The places after the answer, one for each choice.
    pub(super) states: Vec<Waypoint>,
    /// Equal for requests that ask the same.
    pub(super) request: Digest,
    pub(super) instructions: Digest,
    /// What kind of client asks.
    pub(super) client: Digest,
    pub(super) beginning: Digest,
    /// Whether it ends with words of the user, and not with results of tools.
    pub(super) asks: bool,
    /// Text of the first turn, without white space.
    pub(super) opening: String,
    pub(super) session: Option<Digest>,
    pub(super) first_exchange: Option<Digest>,
    /// Results that no turn of the model in the request asked for.
    pub(super) orphans: Vec<(usize, Mark)>,
}

/// A place in a history behind a turn of the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Waypoint {
    /// Everything that was said until here.
    pub(super) full: Digest,
    /// The first turn, and all that the model said.
    pub(super) answers: Digest,
    /// The first turn, and what the model said last.
    pub(super) tail: Option<Digest>,
    /// How much the model said last, as in [`Turn`].
    pub(super) weight: usize,
    /// The tool calls of the model's turn.
    pub(super) calls: Vec<Mark>,
    /// The provider's marks on it.
    pub(super) seals: Vec<u64>,
    /// The results that the client gave to it.
    pub(super) results: Vec<(usize, Mark)>,
    /// Whether nothing of the model follows.
    pub(super) last: bool,
}

impl Said {
    pub(super) fn new(call: &Call, llm: &Llm, scope: Scope, base: &Base) -> Self {
        let turns = Turns::of(&llm.input);
        let asked = turns.clone().close();
        let walk = Walk::new(base, &asked);
        let (waypoints, end) = walk.clone().along(&asked);
        let answers: Vec<Vec<Turn>> = llm
            .output
            .iter()
            .map(|message| {
                let mut turns = turns.clone();
                turns.push(message);
                turns.close()
            })
            .filter(|turns| turns.last().is_some_and(|turn| turn.side == Side::Model))
            .collect();
        let states = answers.iter().filter_map(|turns| walk.clone().along(turns).0.pop()).collect();
        let instructions = instructions(llm);
        let model = llm.request_model.as_deref().unwrap_or_default();
        let tools = (llm.tools.pieces() as u64).to_le_bytes();
        let request = digest(&[&end.full, &scope.place, model.as_bytes(), &instructions, &tools]);
        let agent = call.http.user_agent.as_deref().unwrap_or_default();
        let first = asked.first().map_or([0; 16], |turn| turn.digest);
        let orphans = asked.first().filter(|turn| turn.side == Side::Client);
        Self {
            states,
            request,
            instructions,
            client: digest(&[agent.as_bytes(), &[u8::from(llm.stream)]]),
            beginning: base.beginning.unwrap_or(first),
            asks: asked
                .last()
                .is_some_and(|turn| turn.side == Side::Client && turn.results.is_empty() && turn.weight > 0),
            opening: if waypoints.is_empty() { sub::opening(&llm.input) } else { String::new() },
            session: session(llm, &instructions),
            first_exchange: answers
                .first()
                .and_then(|turns| exchange(turns, llm.api))
                .or_else(|| exchange(&asked, llm.api)),
            orphans: orphans.map(|turn| turn.results.clone()).unwrap_or_default(),
            waypoints,
            scope,
        }
    }

    /// Whether this is how a conversation begins.
    pub(super) fn fresh(&self) -> bool {
        self.waypoints.is_empty()
    }

    /// Names the conversation by what every part of it shows.
    pub(super) fn key(&self, llm: &Llm) -> Option<Digest> {
        let thread = llm.thread.as_ref().map_or("", |thread| thread.id.as_str());
        match (&self.session, llm.previous_response_id.is_some()) {
            (Some(session), _) => Some(digest(&[b"session", session, thread.as_bytes()])),
            // The beginning is on the server.
            (None, true) => None,
            (None, false) => {
                self.first_exchange.map(|first| digest(&[b"exchange", &first, thread.as_bytes()]))
            }
        }
    }
}

/// What was said first, and what the model said to it, with the marks that it gave out: ids where the format
/// always has them, else the seal. Where a format has no ids clients make up their own.
fn exchange(turns: &[Turn], api: &str) -> Option<Digest> {
    match turns {
        [first, second, ..] if first.side == Side::Client && second.side == Side::Model => {
            let numbered = ["openai", "anthropic", "bedrock", "aws"].iter().any(|name| api.starts_with(name));
            let ids = second.calls.iter().filter_map(|mark| mark.id.as_deref()).filter(|_| numbered);
            let ids: Vec<&[u8]> = ids.map(str::as_bytes).collect();
            let seal = second.seals.first().filter(|_| !numbered).map(|seal| seal.to_le_bytes());
            let seal: &[u8] = seal.as_ref().map_or(&[], <[u8; 8]>::as_slice);
            Some(digest(&[&first.digest, &second.digest, &digest(&ids), seal]))
        }
        _ => None,
    }
}

/// The way through a history.
#[derive(Clone)]
struct Walk {
    full: Digest,
    beginning: Digest,
    answers: Digest,
}

impl Walk {
    fn new(base: &Base, turns: &[Turn]) -> Self {
        let first = turns.first().map_or([0; 16], |turn| turn.digest);
        let beginning = base.beginning.unwrap_or(first);
        Self { full: base.chain.unwrap_or([0; 16]), beginning, answers: beginning }
    }

    fn along(mut self, turns: &[Turn]) -> (Vec<Waypoint>, Self) {
        let mut waypoints: Vec<Waypoint> = Vec::new();
        for turn in turns {
            self.full = digest(&[&self.full, &turn.digest]);
            if turn.side == Side::Client {
                if let Some(before) = waypoints.last_mut() {
                    before.results.clone_from(&turn.results);
                }
                continue;
            }
            self.answers = digest(&[&self.answers, &turn.digest]);
            // A short word fits anywhere.
            let tail = (turn.weight >= limits::TAIL_WEIGHT)
                .then(|| digest(&[b"tail", &self.beginning, &turn.digest]));
            waypoints.iter_mut().for_each(|before| before.last = false);
            waypoints.push(Waypoint {
                full: self.full,
                answers: self.answers,
                tail,
                weight: turn.weight,
                calls: turn.calls.clone(),
                seals: turn.seals.clone(),
                results: Vec::new(),
                last: true,
            });
        }
        (waypoints, self)
    }
}

fn instructions(llm: &Llm) -> Digest {
    let apart = llm.system.iter().filter_map(sub::text_of);
    let inside = llm.input.iter().filter(|message| matches!(message.role.as_str(), "system" | "developer"));
    let inside = inside.flat_map(|message| &message.parts).filter_map(sub::text_of);
    let texts: Vec<&[u8]> = apart.chain(inside).map(str::as_bytes).collect();
    digest(&texts)
}

/// A session or conversation that the wire names. A key of a cache is none: applications share one among all.
fn session(llm: &Llm, instructions: &Digest) -> Option<Digest> {
    let named = llm.conversation.as_ref().filter(|named| named.source != CACHE_KEY)?;
    let id = named.id.as_bytes();
    // Who records traffic blanks its ids, and then many have the same.
    Some(if blank(&named.id) { digest(&[id, instructions]) } else { digest(&[id]) })
}

/// Whether an id holds nothing that would tell it from another.
pub(super) fn blank(id: &str) -> bool {
    let core = id.rsplit(['_', '-']).next().unwrap_or(id).as_bytes();
    let mut seen = [false; 256];
    core.iter().for_each(|byte| seen.iter_mut().skip(usize::from(*byte)).take(1).for_each(|it| *it = true));
    let different = seen.iter().filter(|it| **it).count();
    core.len() >= 8 && different <= 2 || id.eq_ignore_ascii_case("scrubbed")
}
