//! Where values are while a function runs: registers and stack slots, followed through moves.
//!
//! A value is named by where it was when the walk began. What an instruction does that is not a plain move makes
//! the places that it writes unknown, so that everything that is still known is known for certain.

mod value;

use std::collections::BTreeMap;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

pub(crate) use value::{Flags, Value, Width, general, signs};

/// What a call leaves as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Convention {
    /// System V's: RBX, RBP, R12 to R15.
    C,
    /// Go's: RBP and the goroutine.
    Go,
}

/// The stack pointer's number.
pub(crate) const RSP: u8 = 4;
const RBP: u8 = 5;

/// Registers and stack, at one instruction.
#[derive(Debug, Clone)]
pub(crate) struct State {
    registers: [Value; 16],
    /// Stores since the walk began, by distance from the first stack pointer, each with its bytes.
    stores: BTreeMap<i64, (u8, Value)>,
    /// Whether others may have written since: a call, or a store to an unknown place.
    touched: bool,
    /// Whether one of them was a call.
    called: bool,
    /// The lowest stack address that was given away, so that others may write there and above.
    given: Option<i64>,
    convention: Convention,
    pub(crate) flags: Flags,
}

impl State {
    /// The entry of a function: no address of its frame was given away yet.
    pub(crate) fn entry(convention: Convention) -> Self {
        Self::midway(convention, None)
    }

    /// Somewhere in a function. Everything is named by where it is now. `given` is the lowest stack address that was
    /// given away before, from where the stack pointer is.
    pub(crate) fn midway(convention: Convention, given: Option<i64>) -> Self {
        let mut registers = [Value::Unknown; 16];
        for (number, register) in (0..).zip(registers.iter_mut()) {
            *register = Value::Register(number, Width::Full);
        }
        let mut state = Self {
            registers,
            stores: BTreeMap::new(),
            touched: false,
            called: false,
            given,
            convention,
            flags: Flags::Unknown,
        };
        state.set(RSP, Value::Stack(0));
        state
    }

    pub(crate) fn get(&self, number: u8) -> Value {
        self.registers.get(usize::from(number)).copied().unwrap_or(Value::Unknown)
    }

    fn set(&mut self, number: u8, value: Value) {
        if let Some(register) = self.registers.get_mut(usize::from(number)) {
            *register = value;
        }
    }

    /// Where the stack pointer is, from where it was.
    pub(crate) fn stack(&self) -> Option<i64> {
        match self.get(RSP) {
            Value::Stack(offset) => Some(offset),
            _ => None,
        }
    }

    /// A register that holds the value, or some bits of it that are enough; its own register first.
    pub(crate) fn register_of(&self, number: u8, whole: bool) -> Option<u8> {
        let holds = |value: Value| match value {
            Value::Register(from, Width::Full) => from == number,
            Value::Register(from, _) => from == number && !whole,
            _ => false,
        };
        std::iter::once(number).chain(0..16).find(|register| holds(self.get(*register)))
    }

    /// A slot that holds the value, by distance from the stack pointer as it is now.
    pub(crate) fn slot_of(&self, number: u8, whole: bool) -> Option<i64> {
        let now = self.stack()?;
        self.stores.iter().find_map(|(at, (_, value))| match value {
            Value::Register(from, width) if *from == number && (*width == Width::Full || !whole) => {
                Some(at - now)
            }
            _ => None,
        })
    }

    fn load(&self, at: i64, bytes: u8) -> Value {
        let overlap = self
            .stores
            .iter()
            .find(|(from, (size, _))| **from < at + i64::from(bytes) && **from + i64::from(*size) > at);
        match overlap {
            Some((from, (size, value))) if *from == at => match (size, bytes) {
                (8, 8) => *value,
                (4 | 8, 4) => value.low(),
                _ => Value::Unknown,
            },
            Some(_) => Value::Unknown,
            None if self.touched && self.given.is_some_and(|given| at + i64::from(bytes) > given) => {
                Value::Unknown
            }
            None if bytes == 8 => Value::Slot(at, Width::Full),
            None => Value::Slot(at, Width::Low),
        }
    }

    fn store(&mut self, at: i64, bytes: i64, value: Value) {
        self.stores.retain(|from, (size, _)| *from >= at + bytes || *from + i64::from(*size) <= at);
        match u8::try_from(bytes) {
            Ok(bytes) if self.stores.len() < 256 => {
                self.stores.insert(at, (bytes, value));
            }
            _ => self.forget_stack(),
        }
    }

    /// Something wrote to an unknown place: slots may have changed, but for those that nobody else can name.
    fn forget_stack(&mut self) {
        self.touched = true;
        if let Some(given) = self.given {
            self.stores.retain(|at, (size, _)| *at + i64::from(*size) <= given);
        }
    }

    /// Whether nothing was written since the walk began but to known places on the stack.
    pub(crate) fn untouched(&self) -> bool {
        !self.touched
    }

    /// The lowest stack address that was given away.
    pub(crate) fn given(&self) -> Option<i64> {
        self.given
    }

    /// A call came back: what it may change is unknown now.
    pub(crate) fn called(&mut self) {
        self.called = true;
        let kept: &[u8] = match self.convention {
            Convention::C => &[3, RSP, RBP, 12, 13, 14, 15],
            Convention::Go => &[RSP, RBP, 14],
        };
        for scratch in (0..16).filter(|register| !kept.contains(register)) {
            self.set(scratch, Value::Unknown);
        }
        self.forget_stack();
        self.flags = Flags::Unknown;
    }

    /// A memory operand's place on the stack, if it is one.
    fn place(&self, instruction: &Instruction) -> Option<i64> {
        let plain = instruction.memory_index() == Register::None
            && !matches!(instruction.segment_prefix(), Register::FS | Register::GS);
        let base = general(instruction.memory_base())?;
        match self.get(base) {
            Value::Stack(from) if plain => {
                from.checked_add(i64::from_ne_bytes(instruction.memory_displacement64().to_ne_bytes()))
            }
            _ => None,
        }
    }

    /// A memory operand as a register's first value plus an offset.
    fn relative(&self, instruction: &Instruction) -> Option<(u8, i32)> {
        let plain = instruction.memory_index() == Register::None
            && !matches!(instruction.segment_prefix(), Register::FS | Register::GS);
        let by = i64::from_ne_bytes(instruction.memory_displacement64().to_ne_bytes());
        match self.get(general(instruction.memory_base())?) {
            Value::Register(register, Width::Full) if plain => Some((register, i32::try_from(by).ok()?)),
            _ => None,
        }
    }

    /// Whether an address that is not known may be one on the stack.
    fn on_stack(&self, instruction: &Instruction) -> bool {
        [instruction.memory_base(), instruction.memory_index()]
            .into_iter()
            .filter_map(general)
            .any(|register| [RSP, RBP].contains(&register) || matches!(self.get(register), Value::Stack(_)))
    }

    fn operand(&self, instruction: &Instruction, index: u32) -> Value {
        if index >= instruction.op_count() {
            return Value::Unknown;
        }
        match instruction.op_kind(index) {
            OpKind::Register => {
                let register = instruction.op_register(index);
                match (general(register), register.size()) {
                    (Some(number), 8) => self.get(number),
                    (Some(number), 4) => self.get(number).low(),
                    _ => Value::Unknown,
                }
            }
            OpKind::Memory => match (self.place(instruction), instruction.memory_size().size()) {
                (Some(at), 8) => self.load(at, 8),
                (Some(at), 4) => self.load(at, 4),
                (None, 8) if !self.called => match self.relative(instruction) {
                    Some((register, by)) => Value::Field(register, by),
                    None => Value::Unknown,
                },
                _ => Value::Unknown,
            },
            OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64 => {
                Value::Constant(i64::from_ne_bytes(instruction.immediate(index).to_ne_bytes()))
            }
            _ => Value::Unknown,
        }
    }

    /// Runs one instruction that is neither jump, call nor return.
    pub(crate) fn run(&mut self, instruction: &Instruction, infos: &mut InstructionInfoFactory) {
        let flags = self.compared(instruction);
        let result = self.result(instruction);
        let moved = match instruction.mnemonic() {
            Mnemonic::Push => self.stack().map(|at| (at - 8, self.operand(instruction, 0))),
            _ => None,
        };
        let stack = self.moved_stack(instruction);
        let stored = (instruction.op0_kind() == OpKind::Memory).then(|| self.place(instruction)).flatten();
        if instruction.mnemonic() == Mnemonic::Lea && result == Value::Unknown && self.on_stack(instruction) {
            self.given = Some(i64::MIN);
        }
        let used = infos.info(instruction);
        for register in used.used_registers() {
            if let (true, Some(number)) = (writes(register.access()), general(register.register())) {
                self.set(number, Value::Unknown);
            }
        }
        for memory in used.used_memory().iter().filter(|memory| writes(memory.access())) {
            match (stored, moved) {
                (_, Some((at, value))) => self.store(at, 8, value),
                (Some(at), _) => {
                    let bytes = i64::try_from(memory.memory_size().size()).unwrap_or(i64::MAX >> 1);
                    let value = if instruction.mnemonic() == Mnemonic::Mov { result } else { Value::Unknown };
                    self.store(at, bytes, value);
                }
                (None, None) => self.forget_stack(),
            }
        }
        if instruction.op0_kind() == OpKind::Register {
            let register = instruction.op0_register();
            if let (Some(number), true) = (general(register), writes_whole(instruction, register)) {
                self.set(number, result);
                if let (Value::Stack(at), false) = (result, [RSP, RBP].contains(&number)) {
                    self.given = Some(self.given.map_or(at, |given| given.min(at)));
                }
            }
        }
        if let Some(stack) = stack {
            self.set(RSP, stack);
        }
        if instruction.rflags_modified() != 0 {
            self.flags = flags;
        }
    }

    /// What the first operand holds afterwards, as far as that is a plain move.
    fn result(&self, instruction: &Instruction) -> Value {
        let first = instruction.op0_register();
        let narrow = instruction.op0_kind() == OpKind::Register && first.size() == 4;
        let value = match instruction.mnemonic() {
            Mnemonic::Mov if canary(instruction) => Value::Canary,
            Mnemonic::Mov => self.operand(instruction, 1),
            Mnemonic::Movsxd => self.operand(instruction, 1).signed(),
            Mnemonic::Cdqe => self.get(0).signed(),
            Mnemonic::Lea => match (self.place(instruction), self.relative(instruction)) {
                (Some(at), _) => Value::Stack(at),
                (None, Some((register, by))) => Value::Sum(register, by),
                (None, None) => Value::Unknown,
            },
            Mnemonic::Xor | Mnemonic::Sub if same(instruction) => Value::Constant(0),
            Mnemonic::Add | Mnemonic::Sub => {
                let sign = if instruction.mnemonic() == Mnemonic::Add { 1 } else { -1 };
                match (self.operand(instruction, 0), self.operand(instruction, 1)) {
                    (Value::Stack(at), Value::Constant(by)) => {
                        at.checked_add(sign * by).map_or(Value::Unknown, Value::Stack)
                    }
                    _ => Value::Unknown,
                }
            }
            Mnemonic::Pop => self.stack().map_or(Value::Unknown, |at| self.load(at, 8)),
            Mnemonic::Or if self.operand(instruction, 1) == Value::Constant(-1) => Value::Constant(-1),
            _ => Value::Unknown,
        };
        if narrow { value.low() } else { value }
    }

    fn moved_stack(&self, instruction: &Instruction) -> Option<Value> {
        let by = i64::from(instruction.stack_pointer_increment());
        match instruction.mnemonic() {
            Mnemonic::Leave => Some(match self.get(RBP) {
                Value::Stack(at) => Value::Stack(at + 8),
                _ => Value::Unknown,
            }),
            Mnemonic::Push | Mnemonic::Pop if instruction.op0_register() != Register::RSP => {
                Some(self.stack().map_or(Value::Unknown, |at| Value::Stack(at + by)))
            }
            _ => None,
        }
    }

    fn compared(&self, instruction: &Instruction) -> Flags {
        let guard = (0..2).any(|index| self.operand(instruction, index) == Value::Canary);
        if guard || canary(instruction) {
            return Flags::Canary;
        }
        let zero = match instruction.mnemonic() {
            Mnemonic::Test => same(instruction),
            Mnemonic::Cmp => self.operand(instruction, 1) == Value::Constant(0),
            _ => false,
        };
        match self.operand(instruction, 0) {
            value @ (Value::Register(..) | Value::Slot(..)) if zero => Flags::Zero(value),
            _ => Flags::Unknown,
        }
    }

    /// Applies `cmovcc` as if its condition held.
    pub(crate) fn moves(&mut self, instruction: &Instruction) {
        let value = self.operand(instruction, 1);
        if let Some(number) = general(instruction.op0_register()) {
            self.set(number, value);
        }
    }

    /// Applies `cmovcc` as if its condition did not hold: the high half goes all the same.
    pub(crate) fn keeps(&mut self, instruction: &Instruction) {
        let value = self.operand(instruction, 0);
        if let Some(number) = general(instruction.op0_register()) {
            self.set(number, value);
        }
    }
}

fn canary(instruction: &Instruction) -> bool {
    instruction.segment_prefix() == Register::FS && instruction.memory_displacement64() == 0x28
}

fn same(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

fn writes(access: OpAccess) -> bool {
    !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None)
}

/// Whether the instruction puts a result into all of its first operand, which `State::result` then knows.
fn writes_whole(instruction: &Instruction, register: Register) -> bool {
    register.size() >= 4
        && !matches!(
            instruction.mnemonic(),
            Mnemonic::Push | Mnemonic::Test | Mnemonic::Cmp | Mnemonic::Nop | Mnemonic::Bt
        )
        && instruction.flow_control() == FlowControl::Next
}
