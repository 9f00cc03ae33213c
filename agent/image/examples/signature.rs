//! Prints a masked signature: `cargo run -p trackway-image --example signature -- FILE OFFSET LENGTH` (hexadecimal
//! offset in the file, decimal length).
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example prints, and is run by hand")]

use iced_x86::{Decoder, DecoderOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, offset, length] = arguments.as_slice() else {
        println!("usage: signature FILE OFFSET LENGTH");
        return;
    };
    let file = std::fs::read(path).unwrap();
    let start = usize::from_str_radix(offset.trim_start_matches("0x"), 16).unwrap();
    let length: usize = length.parse().unwrap();
    let bytes = file.get(start..).unwrap_or_default();
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let mut text = Vec::new();
    while text.len() < length {
        let at = decoder.position();
        let instruction = decoder.decode();
        let constants = decoder.get_constant_offsets(&instruction);
        let spans = [
            (constants.displacement_offset(), constants.displacement_size()),
            (constants.immediate_offset(), constants.immediate_size()),
        ];
        for index in 0..instruction.len() {
            let moving = spans.iter().any(|(from, size)| *size == 4 && (*from..from + size).contains(&index));
            let byte = bytes.get(at + index).copied().unwrap_or_default();
            text.push(if moving { "??".to_owned() } else { format!("{byte:02x}") });
        }
    }
    println!("{}", text.join(" "));
}
