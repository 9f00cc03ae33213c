//! BoringSSL inside stripped executables, found in two ways that check each other.
//!
//! The library says where an error arose by the path of its source. Code that loads that path together with
//! `ERR_LIB_SSL` and a reason belongs to a function that raises that reason, and the sets of reasons tell the
//! functions apart. Compilers may change, the reasons stay. Byte signatures are the other way.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use crate::code::{Function, target};
use crate::elf::{Code, Elf, Symbol};
use crate::hook::{Kind, Library, Method, Refusal, Tls};
use crate::leave::Outcome;
use crate::signature;
use crate::site::{Call, hooks};
use crate::xref::{Owners, references, texts};

const WRITE: Call = Call::plain("SSL_write", Kind::EnterWrite, false, Outcome::Int);
const READ: Call = Call::plain("SSL_read", Kind::EnterRead, false, Outcome::Int);

/// How the path of `ssl_lib.cc` ends.
const PATH: &[u8] = b"ssl/ssl_lib.cc\0";
/// A text that TLS 1.3 itself prescribes.
const CONTEXT: &[u8] = b"TLS 1.3, client CertificateVerify\0";
/// `ERR_LIB_SSL`.
const LIBRARY: u32 = 0x10;
/// `ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED`: on a connection of QUIC, both functions refuse.
const FORBIDDEN: u32 = 0x42;
/// `SSL_R_UNINITIALIZED`.
const UNINITIALIZED: u32 = 0xe2;
/// `SSL_R_SSL_HANDSHAKE_FAILURE`.
const HANDSHAKE: u32 = 0xd7;
/// Looks for a BoringSSL without symbols. `None` when there is no sign of one.
pub(crate) fn find(elf: &Elf<'_>) -> Option<Result<Tls, Refusal>> {
    let paths = texts(&elf.code, PATH, false);
    if paths.is_empty() {
        return by_signatures(&elf.code).map(Ok);
    }
    Some(search(&elf.code, &paths).map_err(|reason| Refusal { library: Some(Library::BoringSsl), reason }))
}

/// Where a build has no paths: only what the signatures find exactly once, in a file that speaks of TLS at all.
fn by_signatures(code: &Code<'_>) -> Option<Tls> {
    if texts(code, CONTEXT, false).is_empty() {
        return None;
    }
    let mut found = Vec::new();
    for call in [WRITE, READ] {
        let [address] = signature::find(code, call.name)[..] else { return None };
        found.extend(hooks(code, Symbol { address, size: 0 }, &call)?);
    }
    Some(Tls { library: Library::BoringSsl, version: None, method: Method::Signature, hooks: found })
}

fn search(code: &Code<'_>, paths: &[u64]) -> Result<Tls, String> {
    let (write, read) = by_references(code, paths);
    let mut method = Method::CrossReference;
    let mut found = Vec::new();
    for (call, by_reference) in [(WRITE, write), (READ, read)] {
        let by_signature = signature::find(code, call.name);
        let address = match (by_reference.as_slice(), by_signature.as_slice()) {
            ([one], [other]) if one == other => *one,
            ([one], []) => *one,
            ([], [one]) => {
                method = Method::Signature;
                *one
            }
            (references, signatures) => {
                return Err(format!(
                    "{} of BoringSSL was not told apart: {} by reference, {} by signature; use the proxy",
                    call.name,
                    count(references),
                    count(signatures)
                ));
            }
        };
        let symbol = Symbol { address, size: 0 };
        let probes = hooks(code, symbol, &call).ok_or("BoringSSL's functions are not mapped")?;
        found.extend(probes);
    }
    Ok(Tls { library: Library::BoringSsl, version: None, method, hooks: found })
}

fn count(places: &[u64]) -> String {
    match places {
        [] => "none".to_owned(),
        places => format!("{} ({:#x}…)", places.len(), places.first().unwrap_or(&0)),
    }
}

/// Candidates for `SSL_write` and for `SSL_read`.
fn by_references(code: &Code<'_>, paths: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let references = references(code, paths);
    let mut owners = Owners::new(code, &references);
    let mut reasons: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    for reference in references {
        if let Some(start) = owners.of(reference)
            && let Some(function) = owners.functions.get(&start)
        {
            reasons.entry(start).or_default().extend(reason(function, reference.at));
        }
    }
    let with = |wanted: &dyn Fn(&BTreeSet<u32>) -> bool| -> Vec<u64> {
        reasons.iter().filter(|(_, raised)| wanted(raised)).map(|(start, _)| *start).collect()
    };
    let write = with(&|raised| [FORBIDDEN, UNINITIALIZED, HANDSHAKE].iter().all(|one| raised.contains(one)));
    // `SSL_read` leaves the work to a function that raises the other two, then takes the bytes off the record.
    let works = with(&|raised| {
        [UNINITIALIZED, HANDSHAKE].iter().all(|one| raised.contains(one)) && !raised.contains(&FORBIDDEN)
    });
    let read = with(&|raised| *raised == BTreeSet::from([FORBIDDEN]))
        .into_iter()
        .filter(|start| owners.functions.get(start).is_some_and(|function| consumes(function, &works)))
        .collect();
    (write, read)
}

/// The reason that is raised with the path that is loaded at `reference`.
fn reason(function: &Function, reference: u64) -> Option<u32> {
    let mut constants = BTreeMap::new();
    let mut at = reference;
    for _ in 0..4 {
        let mut before = function.before(at);
        match (before.next(), before.next()) {
            (Some(one), None) if straight(function, one) => at = one,
            _ => break,
        }
    }
    while let Some(step) = function.at(at).filter(|_| at < reference.saturating_add(48)) {
        let instruction = &step.instruction;
        if instruction.flow_control() != FlowControl::Next {
            break;
        }
        if instruction.op0_kind() == OpKind::Register {
            let register = instruction.op0_register().full_register();
            let value = match (instruction.mnemonic(), instruction.op1_kind()) {
                (Mnemonic::Mov, OpKind::Immediate32) => Some(instruction.immediate32()),
                (Mnemonic::Xor, OpKind::Register)
                    if instruction.op1_register() == instruction.op0_register() =>
                {
                    Some(0)
                }
                _ => None,
            };
            constants.insert(register, value);
        }
        at = instruction.next_ip();
    }
    let constant = |register| constants.get(&register).copied().flatten();
    if constant(Register::RDI) != Some(LIBRARY) {
        return None;
    }
    // The second argument was the function's number once, and is zero since; Bun's fork leaves it out.
    constant(Register::RSI).filter(|reason| *reason != 0).or_else(|| constant(Register::RDX))
}

fn straight(function: &Function, at: u64) -> bool {
    function.at(at).is_some_and(|step| step.instruction.flow_control() == FlowControl::Next)
}

/// Whether a function calls one of `works` and then writes to an object, as taking bytes off does and a mere look
/// at them does not.
fn consumes(function: &Function, works: &[u64]) -> bool {
    let calls = |instruction: &Instruction| target(instruction).is_some_and(|to| works.contains(&to));
    let writes = |instruction: &Instruction| {
        instruction.flow_control() == FlowControl::Next
            && instruction.op0_kind() == OpKind::Memory
            && matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Add | Mnemonic::Sub)
            && !matches!(instruction.memory_base(), Register::RSP | Register::RBP | Register::RIP)
    };
    function.steps().any(|(_, step)| calls(&step.instruction))
        && function.steps().any(|(_, step)| writes(&step.instruction))
}

#[cfg(test)]
mod tests {
    use super::{PATH, by_references};
    use crate::elf::Elf;
    use crate::signature;
    use crate::xref::texts;

    /// The client that `cargo xtask setup` installs; `TRACKWAY_IMAGES` names more, one after another with colons.
    #[test]
    fn both_ways_find_the_same_functions() {
        let setup = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/.setup/node/node_modules/opencode-linux-x64-baseline/bin/opencode"
        );
        let more = std::env::var("TRACKWAY_IMAGES").unwrap_or_default();
        for path in std::iter::once(setup).chain(more.split(':').filter(|path| !path.is_empty())) {
            let Ok(file) = std::fs::read(path) else {
                println!("skipped: {path} is not there; `cargo xtask setup` installs it");
                continue;
            };
            let elf = Elf::open(&file).unwrap();
            let (write, read) = by_references(&elf.code, &texts(&elf.code, PATH, false));
            assert_eq!(write.len(), 1, "{path}");
            assert_eq!(read.len(), 1, "{path}");
            assert_eq!(write, signature::find(&elf.code, "SSL_write"), "{path}");
            assert_eq!(read, signature::find(&elf.code, "SSL_read"), "{path}");
        }
    }
}
