//! Executables, also broken ones: an answer or an error, and no probe outside the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_image::look;

fuzz_target!(|data: &[u8]| {
    let Ok(image) = look(data, |_| Some(data.to_vec())) else { return };
    for hook in image.libraries.iter().flat_map(|tls| &tls.hooks) {
        assert!(hook.offset < data.len() as u64, "{hook:?}");
    }
});
