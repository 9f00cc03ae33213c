//! Content codings: no panic, no more than the limit, and the same bytes whatever the cuts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_core::encoding::Decoder;

const CODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "gzip, br"];

fuzz_target!(|data: &[u8]| {
    let [coding, cut, body @ ..] = data else { return };
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let decode = |size: usize| {
        let mut decoder = Decoder::new(Some(coding));
        let mut out = Vec::new();
        let whole = body.chunks(size).try_for_each(|piece| decoder.push(piece, &mut out));
        (whole.is_ok() && decoder.finish().is_ok(), out)
    };
    let (one, many) = (decode(body.len().max(1)), decode(usize::from(*cut).max(1)));
    assert_eq!(one.0, many.0, "{coding}");
    if one.0 {
        assert_eq!(one.1, many.1, "{coding}");
    }
});
