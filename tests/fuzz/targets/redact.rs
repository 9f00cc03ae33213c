//! Redaction: no panic, and what was taken out stays out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::redact;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _once = redact::text(text);
    let _query = redact::query(text);
    let _url = redact::url(text);
    let _arguments = redact::arguments(&text.split('\n').map(str::to_owned).collect::<Vec<_>>());
});
