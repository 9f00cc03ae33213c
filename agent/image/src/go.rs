//! Go's `crypto/tls`, by the register convention of Go 1.17 on.
//!
//! Two things are special. A return probe would put its address on a stack that Go walks and moves, so returns are
//! probed where they are. And a function whose stack must grow is begun twice, so it is entered after that check.

use iced_x86::{FlowControl, Register};

use crate::code::{Function, target};
use crate::elf::{Code, Elf, Symbol};
use crate::enter::{Stop, line, word};
use crate::hook::{Hook, Kind, Library, Method, Place, Refusal, Tls};
use crate::leave::Outcome;
use crate::pclntab::{Table, version};
use crate::site::{Call, RAX, RCX, hooks_at};
use crate::state::{Convention, State};

const RBX: u8 = 3;
/// The goroutine.
const R14: u8 = 14;

const CALLS: [Call; 3] = [
    method("crypto/tls.(*Conn).Write", Kind::EnterWrite),
    method("crypto/tls.(*Conn).Read", Kind::EnterRead),
    method("crypto/tls.(*Conn).Close", Kind::Free),
];

const fn method(name: &'static str, kind: Kind) -> Call {
    Call {
        name,
        kind,
        connection: RAX,
        buffer: RBX,
        length: RCX,
        long: true,
        out: None,
        outcome: Outcome::Long,
        convention: Convention::Go,
    }
}

/// Looks for Go's TLS. `None` when the image is no Go program or has none.
pub(crate) fn find(elf: &Elf<'_>) -> Option<Result<Tls, Refusal>> {
    let table = Table::find(elf)?;
    let mut found: Vec<(Symbol, &Call)> = Vec::new();
    table.functions(|name, symbol| {
        let call = CALLS.iter().find(|call| call.name.as_bytes() == name);
        let new = call.filter(|call| found.iter().all(|(_, known)| known.name != call.name));
        found.extend(new.map(|call| (symbol, call)));
    });
    if found.is_empty() {
        return None;
    }
    let mut probes = Vec::new();
    for (symbol, call) in found {
        match probe(&elf.code, symbol, call) {
            Ok(hooks) => probes.extend(hooks),
            Err(reason) => return Some(Err(Refusal { library: Some(Library::Go), reason })),
        }
    }
    Some(Ok(Tls { library: Library::Go, version: version(elf), method: Method::Pclntab, hooks: probes }))
}

fn probe(code: &Code<'_>, symbol: Symbol, call: &Call) -> Result<Vec<Hook>, String> {
    let function = Function::decode(code, symbol.address, Some(symbol.size));
    let grows = |to: u64| grows(code, to, symbol.address);
    let stops = line(code, &function, symbol.address, State::entry(Convention::Go), grows);
    let check = stops.iter().position(|stop| checks(code, stop, &grows));
    let Some(stops) = check.and_then(|check| stops.get(check + 1..)) else {
        return Err(format!("{} does not begin as Go's do since 1.17; use the proxy", call.name));
    };
    let mut hooks = hooks_at(code, &function, stops, call).ok_or("Go's functions are not mapped")?;
    for hook in &mut hooks {
        hook.site.thread = Place::Register64(word(R14));
    }
    Ok(hooks)
}

/// Whether it is the jump that follows the comparison of the stack with the goroutine's limit.
fn checks(code: &Code<'_>, stop: &Stop, grows: &impl Fn(u64) -> bool) -> bool {
    code.step(stop.address).is_some_and(|step| {
        step.instruction.flow_control() == FlowControl::ConditionalBranch
            && target(&step.instruction).is_some_and(grows)
    })
}

/// Whether the code at an address grows the stack of a goroutine in R14 and begins the function anew.
fn grows(code: &Code<'_>, at: u64, entry: u64) -> bool {
    let mut at = at;
    let mut called = false;
    for _ in 0..32 {
        let Some(step) = code.step(at) else { return false };
        match step.instruction.flow_control() {
            FlowControl::UnconditionalBranch => {
                return called && target(&step.instruction) == Some(entry) && limited(code, entry);
            }
            FlowControl::Call => called = true,
            FlowControl::Next => {}
            _ => return false,
        }
        at = step.instruction.next_ip();
    }
    false
}

/// Whether a function begins by comparing with R14's limit.
fn limited(code: &Code<'_>, entry: u64) -> bool {
    let mut at = entry;
    (0..6).any(|_| {
        let Some(step) = code.step(at) else { return false };
        at = step.instruction.next_ip();
        step.instruction.memory_base() == Register::R14 && step.instruction.memory_displacement64() == 0x10
    })
}

#[cfg(test)]
mod tests {
    use super::{CALLS, probe};
    use crate::elf::{Code, Segment, Symbol};
    use crate::hook::{Hook, Place};

    fn probes(bytes: &[u8]) -> Result<Vec<Hook>, String> {
        let segment = Segment { address: 0x1000, offset: 0x400, bytes, executable: true };
        let code = Code { segments: vec![segment] };
        probe(&code, Symbol { address: 0x1000, size: bytes.len() as u64 }, &CALLS[0])
    }

    #[test]
    fn it_is_entered_after_the_check_of_the_stack_and_left_at_the_return() {
        let bytes = [
            0x49, 0x3b, 0x66, 0x10, // cmp rsp, [r14+10h]
            0x76, 0x0b, // jbe 1f
            0x55, // push rbp
            0x48, 0x89, 0xe5, // mov rbp, rsp
            0xe8, 0, 0x10, 0, 0, // call …
            0x5d, 0xc3, // pop rbp; ret
            0x48, 0x89, 0x44, 0x24, 0x08, // 1: mov [rsp+8], rax
            0xe8, 0, 0x20, 0, 0, // call runtime.morestack
            0x48, 0x8b, 0x44, 0x24, 0x08, // mov rax, [rsp+8]
            0xeb, 0xde, // jmp to the entry
        ];
        let hooks = probes(&bytes).unwrap();
        let short: Vec<_> = hooks.iter().map(|hook| (hook.offset - 0x400, hook.emulated)).collect();
        assert_eq!(short, [(6, true), (16, false)]);
        assert!(hooks.iter().all(|hook| !hook.returning && hook.site.thread == Place::Register64(1)));
        assert_eq!(hooks[0].site.connection, Place::Register64(10));
    }

    /// Before Go 1.17 the goroutine was in thread-local storage and arguments on the stack.
    #[test]
    fn another_convention_is_refused() {
        // mov rcx, fs:[-8]; cmp rsp, [rcx+10h]; jbe …; ret
        let bytes = [
            0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x48, 0x3b, 0x61, 0x10, 0x76, 0x01, 0xc3,
            0xc3,
        ];
        let reason = probes(&bytes).unwrap_err();
        assert!(reason.contains("1.17"), "{reason}");
    }
}
