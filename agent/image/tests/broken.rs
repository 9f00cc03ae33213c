//! Files that are cut short or altered: an answer or an error, never a panic.

use proptest::prelude::*;
use trackway_image::look;

/// A library of a few kilobytes with the functions of two TLS libraries, and a real one if it is there.
fn samples() -> Vec<Vec<u8>> {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/image/ssl");
    [seed, "/usr/lib/x86_64-linux-gnu/libssl.so.3"]
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

#[test]
fn the_seed_holds_what_is_altered() {
    let found = samples().first().and_then(|file| look(file, |_| None).ok());
    assert!(found.is_some_and(|image| image.libraries.len() == 2));
}

fn patches() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn noise(file in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _answer = look(&file, |_| None);
    }

    /// Altered where it hurts: the headers at the start, the tables at the end, the code between.
    #[test]
    fn altered(near in patches(), tables in patches(), anywhere in patches(), cut in any::<Option<prop::sample::Index>>()) {
        for mut file in samples() {
            let length = file.len();
            for (at, byte) in &near {
                file[at.index(4096)] = *byte;
            }
            for (at, byte) in &tables {
                file[length - 1 - at.index(4096)] = *byte;
            }
            for (at, byte) in &anywhere {
                file[at.index(length)] = *byte;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(length));
            }
            let _answer = look(&file, |_| Some(file.clone()));
        }
    }

    /// Only the headers altered, one byte at a time, so that much of the rest is still believed.
    #[test]
    fn barely_altered(at in 0..1024_usize, byte in any::<u8>(), table in any::<prop::sample::Index>()) {
        for mut file in samples() {
            let end = file.len() - 1 - table.index(2048);
            file[at] = byte;
            let _answer = look(&file, |_| None);
            file[end] = byte;
            let _answer = look(&file, |_| None);
        }
    }
}
