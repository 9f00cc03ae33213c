//! The place near a function's entry where its arguments are known and a probe is cheap.

use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic};

use crate::code::{Function, target};
use crate::elf::Code;
use crate::hook::Place;
use crate::state::{RSP, State};

/// How far the straight line is followed.
const STEPS: usize = 64;

/// An argument that must be known where the probe goes: its register on entry, and whether all 64 bits count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument {
    pub(crate) register: u8,
    pub(crate) whole: bool,
}

/// One instruction of the straight line from the entry, with the state before it.
pub(crate) struct Stop {
    pub(crate) address: u64,
    pub(crate) emulated: bool,
    pub(crate) state: State,
    /// Where it calls, if it does.
    pub(crate) calls: Option<u64>,
    /// Whether it is a `push`, so that the stack says that it is not in a loop.
    prologue: bool,
}

/// The instructions that every path from `from` passes exactly once before anything else. Conditional jumps to where
/// `dead` says that no path counts are passed by. `state` is that on entry.
pub(crate) fn line(
    code: &Code<'_>,
    function: &Function,
    from: u64,
    mut state: State,
    dead: impl Fn(u64) -> bool,
) -> Vec<Stop> {
    let mut infos = InstructionInfoFactory::new();
    let mut stops: Vec<Stop> = Vec::new();
    let mut at = from;
    while let Some(step) = code.step(at).filter(|_| stops.len() < STEPS) {
        let flow = step.instruction.flow_control();
        let calls = (flow == FlowControl::Call).then(|| target(&step.instruction)).flatten();
        let prologue = step.instruction.mnemonic() == Mnemonic::Push;
        stops.push(Stop { address: at, emulated: step.emulated, state: state.clone(), calls, prologue });
        match flow {
            FlowControl::Next => state.run(&step.instruction, &mut infos),
            FlowControl::Call | FlowControl::IndirectCall => state.called(),
            FlowControl::ConditionalBranch if target(&step.instruction).is_some_and(&dead) => {}
            _ => break,
        }
        at = step.instruction.next_ip();
    }
    // A jump of unknown target might lead back behind the prologue, but not into it.
    let again = |stop: &Stop| {
        function.entered_between(from, stop.address)
            || (!function.closed && !stop.prologue && stop.state.stack() != Some(0))
    };
    let once = stops.iter().position(again).unwrap_or(stops.len());
    stops.truncate(once);
    stops
}

/// The first stop that the kernel emulates with every argument still known.
pub(crate) fn first<'a>(stops: &'a [Stop], arguments: &[Argument]) -> Option<&'a Stop> {
    stops
        .iter()
        .find(|stop| stop.emulated && arguments.iter().all(|argument| stop.state.find(*argument).is_some()))
}

/// The first stop that the kernel emulates with the stack pointer still at the return address.
pub(crate) fn returning(stops: &[Stop]) -> Option<&Stop> {
    stops.iter().find(|stop| stop.emulated && stop.state.stack() == Some(0))
}

impl State {
    /// Where an argument is now.
    pub(crate) fn find(&self, argument: Argument) -> Option<Place> {
        let Argument { register, whole } = argument;
        if let Some(now) = self.register_of(register, whole) {
            return Some(if whole { Place::Register64(word(now)) } else { Place::Register32(word(now)) });
        }
        let offset = i16::try_from(self.slot_of(register, whole)?).ok()?;
        let register = word(RSP);
        Some(if whole { Place::Memory64 { register, offset } } else { Place::Memory32 { register, offset } })
    }
}

/// The word of `struct pt_regs` that holds a general register, by the register's number.
pub(crate) fn word(number: u8) -> u8 {
    const WORDS: [u8; 16] = [10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0];
    WORDS.get(usize::from(number)).copied().unwrap_or(u8::MAX)
}
