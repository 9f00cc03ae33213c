//! Prints where probes would go: `cargo run -p trackway-image --example hooks -- FILE…`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::time::Instant;

use iced_x86::{Decoder, DecoderOptions, Formatter as _, IntelFormatter};
use trackway_image::{Hook, Kind, Ok, Place, look};

const WORDS: [&str; 21] = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss",
];

fn main() {
    for path in std::env::args().skip(1) {
        let file = match std::fs::read(&path) {
            Result::Ok(file) => file,
            Err(error) => {
                eprintln!("{path}: {error}");
                continue;
            }
        };
        let start = Instant::now();
        let debug = |id: &[u8]| {
            let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            let (folder, rest) = id.split_at_checked(2)?;
            std::fs::read(format!("/usr/lib/debug/.build-id/{folder}/{rest}.debug")).ok()
        };
        match look(&file, debug) {
            Err(error) => println!("{path}: {error}"),
            Result::Ok(image) => {
                println!("{path} ({:.0?})", start.elapsed());
                for tls in image.libraries {
                    println!("  {} {:?} by {:?}", tls.library, tls.version, tls.method);
                    for hook in tls.hooks {
                        println!("    {}", line(&file, &hook));
                    }
                }
                for refusal in image.refused {
                    println!("  refused {:?}: {}", refusal.library, refusal.reason);
                }
            }
        }
    }
}

fn line(file: &[u8], hook: &Hook) -> String {
    let mut text = String::new();
    let bytes = usize::try_from(hook.offset).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let instruction = Decoder::with_ip(64, bytes, hook.offset, DecoderOptions::NONE).decode();
    IntelFormatter::new().format(&instruction, &mut text);
    let site = &hook.site;
    let named = [
        ("thread", site.thread),
        ("connection", site.connection),
        ("buffer", site.buffer),
        ("length", site.length),
        ("out", site.out),
        ("count", site.count),
    ];
    let places: Vec<String> = named
        .into_iter()
        .filter(|(_, place)| *place != Place::None)
        .map(|(name, place)| format!("{name}={}", show(place)))
        .collect();
    let ok = match site.ok {
        Ok::Always => String::new(),
        Ok::Positive(place) => format!(" if {}>0", show(place)),
        Ok::Zero(place) => format!(" if {}=0", show(place)),
    };
    let vectored = if site.vectored { " vectored" } else { "" };
    let kind = match (site.kind, hook.returning) {
        (Kind::Leave, true) => "Leave (uretprobe)".to_owned(),
        (kind, _) => format!("{kind:?}"),
    };
    let price = if hook.emulated { "emulated" } else { "STEPPED" };
    let inside = hook.offset.wrapping_sub(hook.symbol_offset);
    format!(
        "{:<20} {:#x}+{inside:#x}  {kind:<18} {price:<9} {text:<28} {}{vectored}{ok}",
        hook.function,
        hook.symbol_offset,
        places.join(" ")
    )
}

fn show(place: Place) -> String {
    let name = |register: u8| WORDS.get(usize::from(register)).copied().unwrap_or("?");
    match place {
        Place::None => "-".to_owned(),
        Place::Register32(register) => format!("{}:32", name(register)),
        Place::Register64(register) => name(register).to_owned(),
        Place::Sum { register, offset } => format!("({}{offset:+})", name(register)),
        Place::Memory32 { register, offset } => format!("[{}{offset:+}]:32", name(register)),
        Place::Memory64 { register, offset } => format!("[{}{offset:+}]", name(register)),
        Place::Out32 => "*out:32".to_owned(),
        Place::Out64 => "*out".to_owned(),
    }
}
