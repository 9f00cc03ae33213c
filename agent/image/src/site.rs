//! From a function and its calling convention to the probes for it.

use crate::code::Function;
use crate::elf::{Code, Symbol};
use crate::enter::{Argument, Stop, first, line, returning, word};
use crate::hook::{Hook, Kind, Ok as Success, Place, Site};
use crate::leave::{Answer, Ends, Leave, Outcome};
use crate::state::{Convention, RSP, State, Value, Width};

/// Probes before returns, past which one at the entry is better.
const LEAVES: usize = 8;
/// The same for Go, which has no other way.
const GO_LEAVES: usize = 64;

pub(crate) const RAX: u8 = 0;
pub(crate) const RCX: u8 = 1;
pub(crate) const RDX: u8 = 2;
pub(crate) const RSI: u8 = 6;
pub(crate) const RDI: u8 = 7;
/// The registers that carry arguments in C.
const ARGUMENTS: [u8; 6] = [RDI, RSI, RDX, RCX, 8, 9];

/// A function to hook, and what its arguments mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) connection: u8,
    pub(crate) buffer: u8,
    pub(crate) length: u8,
    /// Whether the length has 64 bits.
    pub(crate) long: bool,
    pub(crate) out: Option<u8>,
    pub(crate) outcome: Outcome,
    pub(crate) convention: Convention,
}

impl Call {
    /// `f(connection, buffer, length)` in C.
    pub(crate) const fn plain(name: &'static str, kind: Kind, long: bool, outcome: Outcome) -> Self {
        Self {
            name,
            kind,
            connection: RDI,
            buffer: RSI,
            length: RDX,
            long,
            out: None,
            outcome,
            convention: Convention::C,
        }
    }

    /// `f(connection, buffer, length, &count)` in C.
    pub(crate) const fn counted(name: &'static str, kind: Kind) -> Self {
        let plain = Self::plain(name, kind, true, Outcome::Flag);
        Self { out: Some(RCX), ..plain }
    }

    /// `f(connection)` in C, after which the connection is gone.
    pub(crate) const fn free(name: &'static str) -> Self {
        Self::plain(name, Kind::Free, true, Outcome::Int)
    }

    fn arguments(&self) -> Vec<Argument> {
        let whole = |register| Argument { register, whole: true };
        let mut arguments = vec![whole(self.connection)];
        if self.kind != Kind::Free {
            arguments.push(whole(self.buffer));
            arguments.push(Argument { register: self.length, whole: self.long });
            arguments.extend(self.out.map(whole));
        }
        arguments
    }

    fn enter(&self, stop: &Stop) -> Site {
        let find = |register, whole| stop.state.find(Argument { register, whole }).unwrap_or(Place::None);
        let mut site = Site { connection: find(self.connection, true), ..Site::new(self.kind) };
        if self.kind != Kind::Free {
            site.buffer = find(self.buffer, true);
            site.length = find(self.length, self.long);
            site.out = self.out.map_or(Place::None, |out| find(out, true));
        }
        site
    }

    fn leave(answer: Answer) -> Site {
        Site { ok: answer.ok, count: answer.count, ..Site::new(Kind::Leave) }
    }
}

/// The probes for one function. `None` when its bytes are no code.
pub(crate) fn hooks(code: &Code<'_>, symbol: Symbol, call: &Call) -> Option<Vec<Hook>> {
    let function = Function::decode(code, symbol.address, Some(symbol.size));
    let stops = line(code, &function, symbol.address, State::entry(call.convention), |_| false);
    hooks_at(code, &function, &stops, call)
}

/// The probes for a function that is entered on a given straight line.
pub(crate) fn hooks_at(
    code: &Code<'_>,
    function: &Function,
    stops: &[Stop],
    call: &Call,
) -> Option<Vec<Hook>> {
    let entry = stops.first()?;
    let symbol_offset = code.offset(function.entry)?;
    let hook = |address: u64, returning: bool, emulated: bool, site: Site| {
        let offset = code.offset(address)?;
        Some(Hook { function: call.name, symbol_offset, offset, returning, emulated, site })
    };
    let enter = first(stops, &call.arguments());
    let stop = enter.unwrap_or(entry);
    let mut hooks = vec![hook(stop.address, false, stop.emulated, call.enter(stop))?];
    if call.kind == Kind::Free {
        return Some(hooks);
    }
    let ends = Ends::new(function, call);
    let leaves = match call.convention {
        Convention::Go => ends.leaves(GO_LEAVES).unwrap_or_else(|| ends.rets(code)),
        // At the return itself only where nothing else is known to cover every end.
        Convention::C => ends.leaves(LEAVES).unwrap_or_else(|| {
            let Stop { address, emulated, .. } = *returning(stops).unwrap_or(entry);
            vec![Leave { address, emulated, returning: true, answer: call.outcome.returned() }]
        }),
    };
    for leave in leaves {
        hooks.push(hook(leave.address, leave.returning, leave.emulated, Call::leave(leave.answer))?);
    }
    Some(hooks)
}

/// The inner function that does a function's work with the same arguments and a pointer for the count, if it is
/// called first thing and what it says decides what the function says.
pub(crate) fn inner(code: &Code<'_>, symbol: Symbol, call: &Call) -> Option<(u64, Call)> {
    let function = Function::decode(code, symbol.address, Some(symbol.size));
    let ends = Ends::new(&function, call);
    let entry = State::entry(call.convention);
    let stops = line(code, &function, symbol.address, entry, |to| ends.fails(to));
    let stop = stops.iter().find(|stop| stop.calls.is_some())?;
    let state = &stop.state;
    let holds = |register: u8, whole: bool| {
        ARGUMENTS.into_iter().find(|argument| match state.get(*argument) {
            Value::Register(from, Width::Full) => from == register,
            Value::Register(from, Width::Signed) => from == register && !whole,
            _ => false,
        })
    };
    let answer = ends.after_call(stop.address)?;
    if answer.ok != Success::Positive(Place::Register32(word(RAX))) {
        return None;
    }
    let out = match (call.out, answer.count) {
        (Some(out), Place::Out64) => holds(out, true)?,
        (None, Place::Memory32 { register, offset }) if register == word(RSP) => {
            let slot = state.stack()?.checked_add(i64::from(offset))?;
            ARGUMENTS.into_iter().find(|argument| state.get(*argument) == Value::Stack(slot))?
        }
        _ => return None,
    };
    let inner = Call {
        connection: holds(call.connection, true)?,
        buffer: holds(call.buffer, true)?,
        length: holds(call.length, call.long)?,
        long: true,
        out: Some(out),
        outcome: Outcome::Flag,
        ..*call
    };
    Some((stop.calls?, inner))
}

#[cfg(test)]
mod tests;
