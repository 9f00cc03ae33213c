//! Names of values, and what flags tell of them.

use iced_x86::{ConditionCode, Register};

/// How much of a value is meant, and how it was widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// The low 32 bits, the high ones zero.
    Low,
    /// The low 32 bits, the high ones copies of the sign.
    Signed,
    /// All 64 bits.
    Full,
}

/// A value, named by where it was when the walk began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Unknown,
    Constant(i64),
    /// What a register held.
    Register(u8, Width),
    /// What a stack slot held, that many bytes from where the stack pointer was.
    Slot(i64, Width),
    /// An address on the stack, that many bytes from where the stack pointer was.
    Stack(i64),
    /// What a register held, plus an offset.
    Sum(u8, i32),
    /// What was in memory where a register pointed, plus an offset, unless a store through another pointer hit it.
    Field(u8, i32),
    /// The stack's canary.
    Canary,
}

impl Value {
    pub(super) fn low(self) -> Self {
        match self {
            Self::Register(register, _) => Self::Register(register, Width::Low),
            Self::Slot(slot, _) => Self::Slot(slot, Width::Low),
            Self::Constant(value) => Self::Constant(value & 0xffff_ffff),
            Self::Unknown | Self::Stack(_) | Self::Sum(..) | Self::Field(..) | Self::Canary => Self::Unknown,
        }
    }

    pub(super) fn signed(self) -> Self {
        match self.low() {
            Self::Register(register, _) => Self::Register(register, Width::Signed),
            Self::Slot(slot, _) => Self::Slot(slot, Width::Signed),
            other => other,
        }
    }
}

/// What the flags tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flags {
    Unknown,
    /// A value was compared with zero, over so many bits.
    Zero(Value),
    /// The stack's canary was compared: unequal never returns.
    Canary,
}

/// The number that the instruction set gives a general register.
pub(crate) fn general(register: Register) -> Option<u8> {
    let whole = register.full_register();
    whole.is_gpr64().then(|| u8::try_from(whole.number()).ok()).flatten()
}

/// The set of signs (below, at, above zero, as bits) for which a condition holds after a comparison with zero.
pub(crate) fn signs(condition: ConditionCode) -> Option<u8> {
    Some(match condition {
        ConditionCode::e | ConditionCode::be => 0b010,
        ConditionCode::ne | ConditionCode::a => 0b101,
        ConditionCode::l | ConditionCode::s => 0b001,
        ConditionCode::ge | ConditionCode::ns => 0b110,
        ConditionCode::le => 0b011,
        ConditionCode::g => 0b100,
        ConditionCode::b | ConditionCode::o => 0b000,
        ConditionCode::ae | ConditionCode::no => 0b111,
        _ => return None,
    })
}
