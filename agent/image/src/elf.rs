//! The parts of an ELF file that the search needs, each with its bounds checked.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use object::elf::{EM_X86_64, PF_X, PT_LOAD, SHT_STRTAB, SHT_SYMTAB, SectionHeader64};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, ObjectSymbolTable as _, ReadRef,
    RelocationTarget,
};

use crate::Error;
use crate::code::{Function, target};
use crate::hook::Method;

/// A stretch of the file that is mapped.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) executable: bool,
}

/// What is mapped of an image.
pub(crate) struct Code<'a> {
    pub(crate) segments: Vec<Segment<'a>>,
}

impl<'a> Code<'a> {
    /// The bytes from an executable address to the end of its segment.
    pub(crate) fn at(&self, address: u64) -> Option<&'a [u8]> {
        self.find(address).filter(|(segment, _)| segment.executable).map(|(_, bytes)| bytes)
    }

    /// Where in the file an address comes from.
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        let (segment, _) = self.find(address)?;
        (address - segment.address).checked_add(segment.offset)
    }

    fn find(&self, address: u64) -> Option<(Segment<'a>, &'a [u8])> {
        self.segments.iter().find_map(|segment| {
            let from = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            let bytes = segment.bytes.get(from..).filter(|bytes| !bytes.is_empty())?;
            Some((*segment, bytes))
        })
    }
}

/// Where in an ELF file everything stands that the search reads: headers, what is mapped, and names of symbols. The
/// rest, such as debug information, may be zero; it is often the most.
pub(crate) fn parts<'d>(data: impl ReadRef<'d>) -> Result<Vec<Range<u64>>, Error> {
    let fault = |error: object::read::Error| Error::Elf(error.to_string());
    let file = ElfFile64::<Endianness, _>::parse(data).map_err(fault)?;
    let endian = file.endian();
    let header = file.elf_header();
    let (segments, sections) = (file.elf_program_headers(), file.elf_section_table());
    let table = |offset: u64, bytes: usize| (offset, bytes as u64);
    let heads = [
        table(0, size_of_val(header)),
        table(header.e_phoff(endian), size_of_val(segments)),
        table(header.e_shoff(endian), size_of::<SectionHeader64<Endianness>>() * sections.len()),
    ];
    let loaded = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
        .map(|segment| segment.file_range(endian));
    let names = sections
        .iter()
        .filter(|section| matches!(section.sh_type(endian), SHT_SYMTAB | SHT_STRTAB))
        .filter_map(|section| section.file_range(endian));
    let all = heads.into_iter().chain(loaded).chain(names);
    Ok(all.map(|(offset, bytes)| offset..offset.saturating_add(bytes)).collect())
}

/// A defined function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// An ELF file, opened.
pub(crate) struct Elf<'a> {
    file: ElfFile64<'a, Endianness>,
    pub(crate) code: Code<'a>,
    slots: OnceCell<HashMap<u64, &'a str>>,
    relative: OnceCell<HashMap<u64, u64>>,
}

impl<'a> Elf<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.starts_with(b"\x7fELF\x01") {
            return Err(Error::Machine);
        }
        let file = ElfFile64::<Endianness>::parse(bytes).map_err(|error| Error::Elf(error.to_string()))?;
        let endian = file.endian();
        if file.elf_header().e_machine(endian) != EM_X86_64 {
            return Err(Error::Machine);
        }
        // Segments may overlap, but not so much that a small file is searched for ever.
        let mut room = bytes.len().saturating_mul(2);
        let segments = file
            .elf_program_headers()
            .iter()
            .filter(|header| header.p_type(endian) == PT_LOAD)
            .filter_map(|header| {
                let bytes = header.data(endian, bytes).ok()?;
                room = room.checked_sub(bytes.len())?;
                Some(Segment {
                    address: header.p_vaddr(endian),
                    offset: header.p_offset(endian),
                    bytes,
                    executable: header.p_flags(endian) & PF_X != 0,
                })
            })
            .collect();
        Ok(Self { file, code: Code { segments }, slots: OnceCell::new(), relative: OnceCell::new() })
    }

    pub(crate) fn build_id(&self) -> Option<&'a [u8]> {
        self.file.build_id().ok().flatten()
    }

    /// The bytes of a section.
    pub(crate) fn section(&self, name: &str) -> Option<(u64, &'a [u8])> {
        let section = self.file.section_by_name(name)?;
        Some((section.address(), section.data().ok()?))
    }

    /// Hands every defined function with its name to `each`, from one table.
    pub(crate) fn symbols(&self, method: Method, mut each: impl FnMut(&'a str, Symbol)) {
        let table = if method == Method::Dynsym {
            self.file.dynamic_symbol_table()
        } else {
            self.file.symbol_table()
        };
        for symbol in table.iter().flat_map(|table| table.symbols()) {
            let function = symbol.kind() == object::SymbolKind::Text && symbol.is_definition();
            if let (true, Some(name)) = (function && symbol.address() != 0, symbol.name().ok()) {
                each(name, Symbol { address: symbol.address(), size: symbol.size() });
            }
        }
    }

    /// Whether a function jumps to or calls another, itself or through the linkage table.
    pub(crate) fn reaches(&self, from: Symbol, to: Symbol, name: &str) -> bool {
        let function = Function::decode(&self.code, from.address, Some(from.size));
        function
            .steps()
            .filter_map(|(_, step)| target(&step.instruction))
            .any(|target| target == to.address || self.imported(target) == Some(name))
    }

    /// The function that a stub of the procedure linkage table jumps to, by name.
    pub(crate) fn imported(&self, stub: u64) -> Option<&'a str> {
        let slot = (0..3).try_fold(stub, |at, _| {
            let step = self.code.step(at).ok_or(None)?;
            if step.instruction.flow_control() == iced_x86::FlowControl::IndirectBranch {
                return Err(step
                    .instruction
                    .is_ip_rel_memory_operand()
                    .then(|| step.instruction.ip_rel_memory_address()));
            }
            Ok(step.instruction.next_ip())
        });
        let slot = slot.err().flatten()?;
        self.slots.get_or_init(|| self.relocated()).get(&slot).copied()
    }

    /// Where an indirect call or jump through a fixed slot of memory goes, when the loader only adds its base.
    pub(crate) fn pointed(&self, instruction: &iced_x86::Instruction) -> Option<u64> {
        if !instruction.is_ip_rel_memory_operand() {
            return None;
        }
        let slot = instruction.ip_rel_memory_address();
        let relative = self.relative.get_or_init(|| {
            let relocations = self.file.dynamic_relocations().into_iter().flatten();
            let relative =
                relocations.filter(|(_, relocation)| relocation.target() == RelocationTarget::Absolute);
            relative.map(|(slot, relocation)| (slot, relocation.addend().cast_unsigned())).collect()
        });
        relative.get(&slot).copied().or_else(|| {
            let (_, bytes) = self.code.find(slot)?;
            bytes.first_chunk().map(|word| u64::from_le_bytes(*word)).filter(|to| *to != 0)
        })
    }

    fn relocated(&self) -> HashMap<u64, &'a str> {
        let Some(table) = self.file.dynamic_symbol_table() else { return HashMap::new() };
        let relocations = self.file.dynamic_relocations().into_iter().flatten();
        relocations
            .filter_map(|(slot, relocation)| {
                let RelocationTarget::Symbol(index) = relocation.target() else { return None };
                Some((slot, table.symbol_by_index(index).ok()?.name().ok()?))
            })
            .collect()
    }
}
