//! The places before a function's returns where its result is known and a probe is cheap.
//!
//! A place is good when on every path from it to a return the result is one value that is known at the place, or
//! says that nothing was transferred. It is found by running the paths, never by their look.

mod judge;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic};

use crate::code::{Function, follows, target};
use crate::elf::Code;
use crate::enter::word;
use crate::hook::{Kind, Ok as Success, Place};
use crate::site::Call;
use crate::state::{Convention, Flags, State, Value, signs};
use judge::{Known, Path, judge, low};

/// Steps that are run from one place, over all paths.
const STEPS: usize = 512;
/// Steps that are run for one function, over all places.
const STEPS_IN_ALL: usize = 100_000;

const RAX: u8 = 0;
const RDX: u8 = 2;

/// How a function says what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `int`: the count when above zero.
    Int,
    /// `ssize_t`, or the first of Go's results: likewise, over 64 bits.
    Long,
    /// `int`: above zero when the count is at the pointer that was the last argument.
    Flag,
    /// rustls's `io::Result<usize>`: zero, and the count in the second register.
    Pair,
}

impl Outcome {
    /// The answer at the return itself.
    pub(crate) fn returned(self) -> Answer {
        let eax = Place::Register32(word(RAX));
        let rax = Place::Register64(word(RAX));
        let (ok, count) = match self {
            Self::Int => (Success::Positive(eax), eax),
            Self::Long => (Success::Positive(rax), rax),
            Self::Flag => (Success::Positive(eax), Place::Out64),
            Self::Pair => (Success::Zero(rax), Place::Register64(word(RDX))),
        };
        Answer { ok, count }
    }
}

/// When a place means success, and where the count is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) ok: Success,
    pub(crate) count: Place,
}

/// A probe for returns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leave {
    pub(crate) address: u64,
    pub(crate) emulated: bool,
    pub(crate) returning: bool,
    pub(crate) answer: Answer,
}

/// The ends of one function.
pub(crate) struct Ends<'a> {
    function: &'a Function,
    outcome: Outcome,
    convention: Convention,
    /// Whether the buffer is ready before the call, so that only the result matters.
    ready: bool,
    /// The stack pointer before each instruction, from where it was on entry.
    depths: BTreeMap<u64, i64>,
    /// The lowest stack address that is given away anywhere, likewise.
    given: Option<i64>,
    /// Steps that may still be run.
    left: Cell<usize>,
}

impl<'a> Ends<'a> {
    pub(crate) fn new(function: &'a Function, call: &Call) -> Self {
        let mut ends = Self {
            function,
            outcome: call.outcome,
            convention: call.convention,
            ready: call.kind == Kind::EnterWrite && call.outcome != Outcome::Flag,
            depths: BTreeMap::new(),
            given: None,
            left: Cell::new(STEPS_IN_ALL),
        };
        ends.measure();
        ends
    }

    /// Notes where the stack pointer is, and what is given away.
    fn measure(&mut self) {
        let mut depths = BTreeMap::new();
        let mut given: Option<i64> = None;
        self.each(|step, state| {
            depths.extend(state.stack().map(|depth| (step.ip(), depth)));
            given = match (given, state.given()) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        });
        (self.depths, self.given) = (depths, given);
    }

    /// Hands every instruction to `look`, with the state before it on one of the paths there.
    pub(crate) fn each(&self, mut look: impl FnMut(&Instruction, &State)) {
        let mut infos = InstructionInfoFactory::new();
        let mut seen = BTreeSet::new();
        let mut ahead = vec![(self.function.entry, State::entry(self.convention))];
        while let Some((at, mut state)) = ahead.pop() {
            let Some(step) = self.function.at(at).filter(|_| seen.insert(at)) else { continue };
            look(&step.instruction, &state);
            match step.instruction.flow_control() {
                FlowControl::Next => state.run(&step.instruction, &mut infos),
                FlowControl::Call | FlowControl::IndirectCall => state.called(),
                _ => {}
            }
            for to in follows(&step.instruction).into_iter().flatten() {
                ahead.push((to, state.clone()));
            }
        }
    }

    fn midway(&self, at: u64) -> State {
        let given = match self.depths.get(&at) {
            Some(depth) => self.given.map(|given| given.saturating_sub(*depth)),
            None => Some(i64::MIN),
        };
        let mut state = State::midway(self.convention, given);
        // A comparison right before changes nothing but the flags, which are thus known here.
        let mut before = self.function.before(at).filter_map(|before| self.function.at(before));
        if let (Some(step), None) = (before.next(), before.next())
            && matches!(step.instruction.mnemonic(), Mnemonic::Test | Mnemonic::Cmp)
        {
            state.run(&step.instruction, &mut InstructionInfoFactory::new());
        }
        state
    }

    /// Places that cover every end of the function on which something may have been transferred. `None` when that
    /// cannot be shown, or takes more than `most`.
    pub(crate) fn leaves(&self, most: usize) -> Option<Vec<Leave>> {
        if !self.function.closed || self.function.end.is_none() {
            return None;
        }
        let mut found: BTreeMap<u64, Leave> = BTreeMap::new();
        for (at, step) in self.function.steps() {
            let instruction = &step.instruction;
            if instruction.flow_control() == FlowControl::Return {
                found.extend(self.cover(at).into_iter().map(|leave| (leave.address, leave)));
            } else if self.function.leaves(instruction) {
                // A jump to another function, whose return is ours: hooked there, if the stack is as on entry.
                if !step.emulated || self.depths.get(&at) != Some(&0) || self.convention == Convention::Go {
                    return None;
                }
                let answer = self.outcome.returned();
                found.insert(at, Leave { address: at, emulated: true, returning: true, answer });
            }
        }
        (found.len() <= most && !found.is_empty()).then(|| found.into_values().collect())
    }

    /// Every `ret` up to the function's end, probed where it stands. Those behind a jump of unknown target are
    /// among them, since Go puts nothing but code there.
    pub(crate) fn rets(&self, code: &Code<'_>) -> Vec<Leave> {
        let mut found = Vec::new();
        let mut at = self.function.entry;
        while let Some(step) = code.step(at).filter(|_| self.function.end.is_some_and(|end| at < end)) {
            if step.instruction.flow_control() == FlowControl::Return {
                found.push(self.ret(at));
            }
            at = step.instruction.next_ip();
        }
        found
    }

    fn ret(&self, address: u64) -> Leave {
        Leave { address, emulated: false, returning: false, answer: self.outcome.returned() }
    }

    /// The probes for one `ret`: the emulated places nearest before it on all paths, or the `ret` itself.
    fn cover(&self, ret: u64) -> Vec<Leave> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([ret]);
        let mut behind = vec![ret];
        while let Some(at) = behind.pop() {
            if at == self.function.entry && !self.fails(at) {
                return vec![self.ret(ret)];
            }
            for before in self.function.before(at) {
                if !seen.insert(before) {
                    continue;
                }
                let Some(step) = self.function.at(before) else { return vec![self.ret(ret)] };
                let flow = step.instruction.flow_control();
                let calls = matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
                match if step.emulated { self.known(before) } else { Known::No } {
                    Known::Answer(answer) => {
                        found.push(Leave { address: before, emulated: true, returning: false, answer });
                    }
                    Known::Nothing => {}
                    // The result may be this call's.
                    Known::No if calls && !self.survives(at) => {
                        if !self.fails(at) {
                            return vec![self.ret(ret)];
                        }
                    }
                    Known::No => behind.push(before),
                }
            }
        }
        found
    }

    /// Whether the answer after a call was there before it: not in what calls return.
    fn survives(&self, after: u64) -> bool {
        let fixed = |place: Place| matches!(place, Place::Memory32 { .. } | Place::Memory64 { .. });
        self.ready
            && match self.known(after) {
                Known::Answer(Answer { ok: Success::Positive(ok), count }) => fixed(ok) && fixed(count),
                _ => false,
            }
    }

    /// Whether every path from `from` ends with nothing transferred.
    pub(crate) fn fails(&self, from: u64) -> bool {
        self.known(from) == Known::Nothing
    }

    /// What is known of the end right after the call at `call`: the answer in terms of the callee's result, with the
    /// stack pointer as it was at the call.
    pub(crate) fn after_call(&self, call: u64) -> Option<Answer> {
        match self.known(self.function.at(call)?.instruction.next_ip()) {
            Known::Answer(answer) => Some(answer),
            Known::Nothing | Known::No => None,
        }
    }

    /// What is known at `from` about the end.
    fn known(&self, from: u64) -> Known {
        if self.outcome == Outcome::Pair {
            return Known::No;
        }
        self.paths(from).map_or(Known::No, |paths| judge(&paths, self.outcome, self.ready))
    }

    fn paths(&self, from: u64) -> Option<Vec<Path>> {
        let mut infos = InstructionInfoFactory::new();
        let mut done = Vec::new();
        let mut ahead = vec![(from, self.midway(from), BTreeMap::<Value, u8>::new())];
        let most = STEPS.min(self.left.get());
        let mut steps = 0;
        while let Some((at, mut state, held)) = ahead.pop() {
            if steps >= most {
                return None;
            }
            steps += 1;
            self.left.set(self.left.get().saturating_sub(1));
            let instruction = &self.function.at(at)?.instruction;
            let next = instruction.next_ip();
            match instruction.flow_control() {
                FlowControl::Return => {
                    let result = state.get(RAX);
                    let result = if self.outcome == Outcome::Long { result } else { low(result) };
                    done.push(Path { result, signs: held, settled: state.untouched() });
                }
                FlowControl::Next if moves_if(instruction) => {
                    let (mut moved, flags) = (state.clone(), state.flags);
                    moved.moves(instruction);
                    state.keeps(instruction);
                    let [no, yes] = split(instruction, flags, &held);
                    ahead.extend(yes.map(|held| (next, moved, held)));
                    ahead.extend(no.map(|held| (next, state, held)));
                }
                FlowControl::Next => {
                    state.run(instruction, &mut infos);
                    ahead.push((next, state, held));
                }
                FlowControl::UnconditionalBranch => ahead.push((target(instruction)?, state, held)),
                FlowControl::ConditionalBranch => {
                    let [no, yes] = split(instruction, state.flags, &held);
                    let to = target(instruction)?;
                    ahead.extend(yes.map(|held| (to, state.clone(), held)));
                    ahead.extend(no.map(|held| (next, state, held)));
                }
                // Nothing comes after it: it does not return.
                FlowControl::Call if self.function.end == Some(next) => {}
                FlowControl::Call | FlowControl::IndirectCall => {
                    state.called();
                    ahead.push((next, state, held));
                }
                _ => return None,
            }
        }
        Some(done)
    }
}

/// What must hold for a condition to fail, and to be met; `None` for what cannot be.
fn split(
    instruction: &Instruction,
    flags: Flags,
    held: &BTreeMap<Value, u8>,
) -> [Option<BTreeMap<Value, u8>>; 2] {
    let condition = instruction.condition_code();
    let Some(met) = signs(condition) else { return [Some(held.clone()), Some(held.clone())] };
    match flags {
        Flags::Unknown => [Some(held.clone()), Some(held.clone())],
        // The canary held, or the program is being killed.
        Flags::Canary => [0b111 & !met, met].map(|signs| (signs & 0b010 != 0).then(|| held.clone())),
        Flags::Zero(value) => [0b111 & !met, met].map(|signs| {
            let signs = signs & held.get(&value).copied().unwrap_or(0b111);
            let mut held = held.clone();
            held.insert(value, signs);
            (signs != 0).then_some(held)
        }),
    }
}

/// Whether it is a `cmovcc`: the one conditional instruction with two operands that is no jump.
fn moves_if(instruction: &Instruction) -> bool {
    instruction.condition_code() != iced_x86::ConditionCode::None && instruction.op_count() == 2
}
