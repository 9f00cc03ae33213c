//! Functions as instructions: what can be reached from an entry, and what the kernel emulates.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use crate::elf::Code;

/// More instructions than any function that we look into.
const INSTRUCTIONS: usize = 16 * 1024;

/// The reachable instructions of one function.
pub(crate) struct Function {
    pub(crate) entry: u64,
    /// Where it ends, when a table says so.
    pub(crate) end: Option<u64>,
    instructions: BTreeMap<u64, Step>,
    before: BTreeMap<u64, BTreeSet<u64>>,
    /// Whether everything that can be reached was decoded, with no jump of unknown target.
    pub(crate) closed: bool,
}

/// One instruction, and whether the kernel emulates it under a uprobe.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) instruction: Instruction,
    pub(crate) emulated: bool,
}

impl Function {
    /// Decodes what can be reached from `entry` without leaving `size` bytes (or a generous bound).
    pub(crate) fn decode(code: &Code<'_>, entry: u64, size: Option<u64>) -> Self {
        let size = size.filter(|size| *size > 0);
        let end = size.map(|size| entry.saturating_add(size));
        let bound = end.unwrap_or(entry.saturating_add(16 * 1024));
        let mut function =
            Self { entry, end, instructions: BTreeMap::new(), before: BTreeMap::new(), closed: true };
        let mut ahead = vec![entry];
        while let Some(at) = ahead.pop() {
            if function.instructions.contains_key(&at) {
                continue;
            }
            let Some(step) = code.step(at).filter(|_| function.instructions.len() < INSTRUCTIONS) else {
                function.closed = false;
                continue;
            };
            function.instructions.insert(at, step);
            let inside = |to: &u64| (entry..bound).contains(to);
            for to in follows(&step.instruction).into_iter().flatten().filter(inside) {
                function.before.entry(to).or_default().insert(at);
                ahead.push(to);
            }
            function.closed &= step.instruction.flow_control() != FlowControl::IndirectBranch;
        }
        function
    }

    pub(crate) fn at(&self, address: u64) -> Option<&Step> {
        self.instructions.get(&address)
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = (u64, &Step)> {
        self.instructions.iter().map(|(at, step)| (*at, step))
    }

    /// The instructions that run right before the one at `address`.
    pub(crate) fn before(&self, address: u64) -> impl Iterator<Item = u64> {
        self.before.get(&address).into_iter().flatten().copied()
    }

    /// Whether some jump leads into the stretch after `from` up to and with `to`, so that it may run again.
    pub(crate) fn entered_between(&self, from: u64, to: u64) -> bool {
        self.steps().any(|(_, step)| {
            target(&step.instruction).is_some_and(|target| target > from && target <= to)
                && step.instruction.flow_control() != FlowControl::Call
        })
    }

    /// Whether the instruction is a jump of known target out of the function.
    pub(crate) fn leaves(&self, instruction: &Instruction) -> bool {
        matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
        ) && target(instruction).is_some_and(|to| !self.instructions.contains_key(&to))
    }
}

/// Where control goes after an instruction, calls being taken to return: the next one, and the target.
pub(crate) fn follows(instruction: &Instruction) -> [Option<u64>; 2] {
    let next = Some(instruction.next_ip());
    match instruction.flow_control() {
        FlowControl::UnconditionalBranch => [None, target(instruction)],
        FlowControl::ConditionalBranch => [next, target(instruction)],
        FlowControl::Return
        | FlowControl::IndirectBranch
        | FlowControl::Exception
        | FlowControl::Interrupt => [None, None],
        _ => [next, None],
    }
}

/// The target of a near jump or call.
pub(crate) fn target(instruction: &Instruction) -> Option<u64> {
    matches!(instruction.op0_kind(), OpKind::NearBranch64).then(|| instruction.near_branch_target())
}

impl Code<'_> {
    /// The instruction at an address.
    pub(crate) fn step(&self, address: u64) -> Option<Step> {
        let bytes = self.at(address)?;
        let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
        let instruction = decoder.decode();
        (!instruction.is_invalid()).then(|| Step { instruction, emulated: emulated(bytes) })
    }
}

/// Whether x86-64 kernels since 4.17 emulate this instruction under a uprobe (arch/x86/kernel/uprobes.c:
/// `branch_setup_xol_ops`, `push_setup_xol_ops`). Newer kernels emulate long nops too; that is not counted on.
fn emulated(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x50..=0x57 | 0x90 | 0xeb | 0xe8 | 0xe9 | 0x70..=0x7f, ..]
            | [0x41, 0x50..=0x57, ..]
            | [0x0f, 0x80..=0x8f, ..]
    )
}

#[cfg(test)]
mod tests {
    use super::emulated;

    #[test]
    fn what_kernels_emulate() {
        let yes: [&[u8]; 9] = [
            &[0x55],
            &[0x41, 0x57],
            &[0x90],
            &[0xeb, 0x10],
            &[0xe9, 0, 0, 0, 0],
            &[0xe8, 0, 0, 0, 0],
            &[0x74, 0x10],
            &[0x7f, 0x10],
            &[0x0f, 0x84, 0, 0, 0, 0],
        ];
        // pop, ret, endbr64, a long nop, xchg r8 with rax, jmp through a register, a branch with a 16-bit prefix,
        // jrcxz, push of memory
        let no: [&[u8]; 9] = [
            &[0x5d],
            &[0xc3],
            &[0xf3, 0x0f, 0x1e, 0xfa],
            &[0x0f, 0x1f, 0x00],
            &[0x49, 0x90],
            &[0xff, 0xe0],
            &[0x66, 0xe8, 0, 0],
            &[0xe3, 0x10],
            &[0xff, 0x75, 0x08],
        ];
        for bytes in yes {
            assert!(emulated(bytes), "{bytes:x?}");
        }
        for bytes in no {
            assert!(!emulated(bytes), "{bytes:x?}");
        }
    }
}
