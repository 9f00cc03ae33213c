//! Probes as they are usually set: at a function's entry and, by a changed return address, on its return.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSegment, ObjectSymbol};
use trackway::kernel::Probe;
use trackway_abi::tap::{Place, Site, place, rule, site};

/// Words of `struct pt_regs` on x86-64.
const RDI: u8 = 14;
const RSI: u8 = 13;
const RDX: u8 = 12;
const RCX: u8 = 11;
const RAX: u8 = 10;

/// The functions that clients call, whether each writes, and whether it counts through a pointer.
const FUNCTIONS: [(&str, bool, bool); 4] = [
    ("SSL_write", true, false),
    ("SSL_read", false, false),
    ("SSL_write_ex", true, true),
    ("SSL_read_ex", false, true),
];

/// Two probes for each of its functions.
pub(super) fn classic(library: &Path) -> Result<Vec<Probe>> {
    let bytes = fs::read(library)?;
    let elf = object::File::parse(&*bytes)?;
    let mut probes = Vec::new();
    for (name, writes, counted) in FUNCTIONS {
        let symbol = elf.dynamic_symbols().find(|symbol| symbol.name() == Ok(name));
        let address = symbol.with_context(|| format!("{name} is not in {}", library.display()))?.address();
        let segment = elf
            .segments()
            .find(|segment| (segment.address()..segment.address() + segment.size()).contains(&address));
        let Some(segment) = segment else { bail!("{name} is in no segment") };
        let offset = address - segment.address() + segment.file_range().0;
        probes.push(Probe { offset, returning: false, site: enter(writes, counted) });
        probes.push(Probe { offset, returning: true, site: leave(writes, counted) });
    }
    Ok(probes)
}

fn at(kind: u8, register: u8) -> Place {
    Place { kind, register, ..Place::default() }
}

fn enter(writes: bool, counted: bool) -> Site {
    let length = if counted { at(place::REGISTER64, RDX) } else { at(place::REGISTER32, RDX) };
    Site {
        kind: if writes { site::ENTER_WRITE } else { site::ENTER_READ },
        connection: at(place::REGISTER64, RDI),
        buffer: at(place::REGISTER64, RSI),
        length,
        out: if counted { at(place::REGISTER64, RCX) } else { Place::default() },
        ..Site::default()
    }
}

fn leave(writes: bool, counted: bool) -> Site {
    Site {
        kind: if writes { site::LEAVE_WRITE } else { site::LEAVE_READ },
        rule: rule::POSITIVE,
        ok: at(place::REGISTER32, RAX),
        count: if counted { at(place::OUT64, 0) } else { at(place::REGISTER32, RAX) },
        ..Site::default()
    }
}
