//! Where fields stand in this kernel's structs, from its own type information (`Documentation/bpf/btf.rst`).
//!
//! Rust programs carry no relocations for struct fields, so user space looks the offsets up and hands them over.

use std::fs;

use trackway_abi::{Layout, tap};

const PATH: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// Type, name, info, size: three words, then what the kind adds.
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
/// Deepest nesting of unnamed structs and unions that is followed.
const DEPTH: usize = 8;

const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;

/// What the kernel says of its own types, each part or why it is not known.
pub(super) struct Known {
    /// The offsets that the programs of processes read.
    pub(super) processes: Result<Layout, String>,
    /// The offsets that the tap's programs of sockets read.
    pub(super) sockets: Result<tap::Layout, String>,
    /// Whether it tells what sockets move (`include/trace/events/sock.h`, Linux 6.3).
    pub(super) moves: bool,
}

/// Reads them.
pub(super) fn read() -> Known {
    let bytes = fs::read(PATH).map_err(|error| format!("cannot read {PATH}: {error}"));
    let types = match &bytes {
        Ok(bytes) => Types::parse(bytes).ok_or_else(|| format!("{PATH} is not understood")),
        Err(why) => Err(why.clone()),
    };
    let find = |of: &str, field: &str| {
        let types = types.as_ref().map_err(Clone::clone)?;
        types.offset(of, field).ok_or_else(|| format!("this kernel has no {of}.{field}"))
    };
    let has = |name: &str| types.as_ref().is_ok_and(|types| types.of(name, TYPEDEF).is_some());
    Known {
        processes: processes(find),
        sockets: sockets(find),
        moves: has("btf_trace_sock_send_length") && has("btf_trace_sock_recv_length"),
    }
}

fn processes(find: impl Fn(&str, &str) -> Result<u32, String>) -> Result<Layout, String> {
    Ok(Layout {
        task_tgid: find("task_struct", "tgid")?,
        task_pid: find("task_struct", "pid")?,
        task_leader: find("task_struct", "group_leader")?,
        task_started: find("task_struct", "start_boottime")?,
        task_comm: find("task_struct", "comm")?,
        task_mm: find("task_struct", "mm")?,
        task_signal: find("task_struct", "signal")?,
        task_exit_code: find("task_struct", "exit_code")?,
        signal_live: find("signal_struct", "live")?,
        signal_flags: find("signal_struct", "flags")?,
        signal_exit_code: find("signal_struct", "group_exit_code")?,
        mm_arg_start: find("mm_struct", "arg_start")?,
        mm_arg_end: find("mm_struct", "arg_end")?,
        binprm_filename: find("linux_binprm", "filename")?,
    })
}

fn sockets(find: impl Fn(&str, &str) -> Result<u32, String>) -> Result<tap::Layout, String> {
    Ok(tap::Layout {
        family: find("sock_common", "skc_family")?,
        protocol: find("sock", "sk_protocol")?,
        peer_port: find("sock_common", "skc_dport")?,
        local_port: find("sock_common", "skc_num")?,
        peer_v4: find("sock_common", "skc_daddr")?,
        local_v4: find("sock_common", "skc_rcv_saddr")?,
        peer_v6: find("sock_common", "skc_v6_daddr")?,
        local_v6: find("sock_common", "skc_v6_rcv_saddr")?,
        files: find("task_struct", "files")?,
        table: find("files_struct", "fdt")?,
        descriptors: find("fdtable", "max_fds")?,
        descriptor: find("fdtable", "fd")?,
        inode: find("file", "f_inode")?,
        mode: find("inode", "i_mode")?,
        private: find("file", "private_data")?,
        sock: find("socket", "sk")?,
    })
}

/// Type information, with the place of each type.
struct Types<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offsets into `types`; the type with id `n` is at `n - 1`, because zero is `void`.
    at: Vec<usize>,
}

impl<'a> Types<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..2)? != MAGIC.to_ne_bytes() {
            return None;
        }
        let header = word(bytes, 4)?;
        let section = |offset: usize, length: usize| {
            let start = usize::try_from(header.checked_add(word(bytes, offset)?)?).ok()?;
            bytes.get(start..start.checked_add(usize::try_from(word(bytes, length)?).ok()?)?)
        };
        let (types, strings) = (section(8, 12)?, section(16, 20)?);
        let mut at = Vec::new();
        let mut next = 0;
        while next < types.len() {
            at.push(next);
            let info = word(types, next + 4)?;
            next += TYPE_BYTES + extra(kind(info), count(info))?;
        }
        Some(Self { types, strings, at })
    }

    /// Offset in bytes of a field that may stand in an unnamed struct or union.
    fn offset(&self, of: &str, field: &str) -> Option<u32> {
        self.member(self.of(of, STRUCT)?, field, DEPTH).map(|bits| bits / 8)
    }

    /// The place of a type. A forward declaration has another kind, so the first struct of a name is the definition.
    fn of(&self, name: &str, wanted: u32) -> Option<usize> {
        let found = |at: &usize| {
            word(self.types, at + 4).is_some_and(|info| kind(info) == wanted)
                && self.name(*at) == Some(name.as_bytes())
        };
        self.at.iter().copied().find(found)
    }

    /// Offset in bits.
    fn member(&self, at: usize, field: &str, depth: usize) -> Option<u32> {
        let info = word(self.types, at + 4)?;
        if !matches!(kind(info), STRUCT | UNION) {
            return None;
        }
        for index in 0..count(info) {
            let member = at + TYPE_BYTES + index * MEMBER_BYTES;
            let raw = word(self.types, member + 8)?;
            // With the flag, the upper byte is the width of a bit field.
            let bits = if info >> 31 == 1 { raw & 0x00ff_ffff } else { raw };
            let name = self.name(member)?;
            if name == field.as_bytes() {
                return Some(bits);
            }
            if name.is_empty() && depth > 0 {
                let id = usize::try_from(word(self.types, member + 4)?).ok()?;
                let inner = self.at.get(id.checked_sub(1)?)?;
                if let Some(found) = self.member(*inner, field, depth - 1) {
                    return bits.checked_add(found);
                }
            }
        }
        None
    }

    fn name(&self, at: usize) -> Option<&'a [u8]> {
        let rest = self.strings.get(usize::try_from(word(self.types, at)?).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }
}

/// Bytes that follow a type's three words.
fn extra(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,                        // INT, VAR, DECL_TAG
        3 => 12,                                 // ARRAY
        STRUCT | UNION | 15 | 19 => 12 * count,  // and DATASEC, ENUM64
        6 | 13 => 8 * count,                     // ENUM, FUNC_PROTO
        2 | 7 | TYPEDEF | 9..=12 | 16 | 18 => 0, // PTR, FWD, TYPEDEF, qualifiers, FUNC, FLOAT, TYPE_TAG
        _ => return None,
    })
}

fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn count(info: u32) -> usize {
    usize::from(u16::try_from(info & 0xffff).unwrap_or_default())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct s { int a; struct { int b; union { int c; }; }; }` and a forward declaration of the same name.
    fn sample() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0c\0int\0";
        let types: [u32; 37] = [
            1,
            7 << 24,
            0, // 1: forward
            9,
            1 << 24,
            4,
            32, // 2: int
            0,
            (UNION << 24) | 1,
            4,
            7,
            2,
            0, // 3: union { int c; }
            0,
            (STRUCT << 24) | 2,
            8,
            5,
            2,
            0,
            0,
            3,
            32, // 4: struct { int b; union 3; }
            1,
            (STRUCT << 24) | 2,
            12,
            3,
            2,
            0,
            0,
            4,
            32, // 5: struct s
            0,
            10 << 24,
            2, // 6: const int
            0,
            10 << 24,
            2, // 7: const int
        ];
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let (types_len, strings_len) =
            (u32::try_from(types.len()).unwrap(), u32::try_from(strings.len()).unwrap());
        for word in [24, 0, types_len, types_len, strings_len] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_are_found_inside_unnamed_members() {
        let bytes = sample();
        let types = Types::parse(&bytes).unwrap();
        assert_eq!(types.offset("s", "a"), Some(0));
        assert_eq!(types.offset("s", "b"), Some(4));
        assert_eq!(types.offset("s", "c"), Some(8));
        assert_eq!(types.offset("s", "d"), None);
        assert_eq!(types.offset("t", "a"), None);
    }

    #[test]
    fn any_prefix_is_refused_without_harm() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(Types::parse(&bytes[..length]).is_none_or(|types| types.offset("s", "c").is_none()));
        }
    }

    #[test]
    fn this_kernel_has_every_field() {
        if !std::path::Path::new(PATH).exists() {
            eprintln!("skipped: no {PATH}");
            assert!(std::env::var_os("CI").is_none(), "CI must not skip this");
            return;
        }
        let Known { processes, sockets, .. } = read();
        let (processes, sockets) = (processes.unwrap(), sockets.unwrap());
        assert_ne!(processes.task_tgid, processes.task_pid);
        assert_ne!(processes.mm_arg_start, 0);
        assert_ne!(sockets.peer_v4, sockets.local_v4);
        assert_ne!(sockets.protocol, 0);
    }
}
