use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const TEXT: &[u8] = b"data: {\"delta\":\"hello\"}\n\ndata: {\"delta\":\"hello hello hello\"}\n\n";

fn coded(coding: &str, plain: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            let params = ::brotli::enc::BrotliEncoderParams::default();
            ::brotli::BrotliCompress(&mut &plain[..], &mut out, &params).unwrap();
            out
        }
        "zstd" => ::zstd::encode_all(plain, 3).unwrap(),
        _ => plain.to_vec(),
    }
}

fn decode(header: &str, bytes: &[u8], cut: usize) -> (Vec<u8>, Result<(), Error>) {
    let mut decoder = Decoder::new(Some(header));
    let mut out = Vec::new();
    for piece in bytes.chunks(cut) {
        if let Err(error) = decoder.push(piece, &mut out) {
            return (out, Err(error));
        }
    }
    (out, decoder.finish())
}

fn name(coding: &str) -> &str {
    if matches!(coding, "zlib" | "raw") { "deflate" } else { coding }
}

const CODINGS: [&str; 6] = ["gzip", "zlib", "raw", "br", "zstd", "identity"];

#[test]
fn every_coding_at_every_cut() {
    let long: Vec<u8> = TEXT.iter().copied().cycle().take(200_000).collect();
    for coding in CODINGS {
        for plain in [TEXT, b"", long.as_slice()] {
            let bytes = coded(coding, plain);
            for cut in [1, 2, 3, 7, 1000, usize::MAX] {
                let (out, result) = decode(name(coding), &bytes, cut);
                assert!(out == plain, "{coding} cut at {cut}");
                assert_eq!(result, Ok(()), "{coding} cut at {cut}");
            }
        }
    }
}

#[test]
fn stacked() {
    let bytes = coded("br", &coded("gzip", TEXT));
    assert_eq!(decode("GZIP , br", &bytes, 5), (TEXT.to_vec(), Ok(())));
    assert_eq!(decode("identity, gzip", &coded("gzip", TEXT), 5), (TEXT.to_vec(), Ok(())));
}

#[test]
fn members_and_frames_in_a_row() {
    for coding in ["gzip", "zstd"] {
        let bytes = [coded(coding, b"one "), coded(coding, b"two")].concat();
        for cut in [1, 9, 1000] {
            assert_eq!(decode(coding, &bytes, cut), (b"one two".to_vec(), Ok(())), "{coding}");
        }
    }
    let padded = [coded("gzip", b"one"), vec![0; 20]].concat();
    assert_eq!(decode("gzip", &padded, 3), (b"one".to_vec(), Ok(())));
}

#[test]
fn gzip_with_every_optional_field() {
    let mut encoder = flate2::GzBuilder::new()
        .extra(vec![1; 300])
        .filename("name")
        .comment("comment")
        .write(Vec::new(), Compression::fast());
    encoder.write_all(TEXT).unwrap();
    let mut bytes = encoder.finish().unwrap();
    assert_eq!(decode("x-gzip", &bytes, 1), (TEXT.to_vec(), Ok(())));
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    assert_eq!(decode("gzip", &bytes, 1000), (TEXT.to_vec(), Err(Error::Corrupt("gzip"))));
}

/// What the encoder has flushed is out before any more bytes come.
#[test]
fn a_stream_does_not_wait_for_its_end() {
    fn check<W: Write>(name: &str, mut encoder: W, taken: impl Fn(&mut W) -> Vec<u8>) {
        let mut decoder = Decoder::new(Some(name));
        for part in TEXT.split_inclusive(|&b| b == b'\n') {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
            let mut out = Vec::new();
            decoder.push(&taken(&mut encoder), &mut out).unwrap();
            assert_eq!(out, part, "{name}");
        }
    }
    let level = Compression::default();
    check("gzip", GzEncoder::new(Vec::new(), level), |e| std::mem::take(e.get_mut()));
    check("deflate", ZlibEncoder::new(Vec::new(), level), |e| std::mem::take(e.get_mut()));
    check("deflate", DeflateEncoder::new(Vec::new(), level), |e| std::mem::take(e.get_mut()));
    check("zstd", ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap(), |e| {
        std::mem::take(e.get_mut())
    });
    check("br", ::brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22), |e| std::mem::take(e.get_mut()));
}

#[test]
fn bombs_stop() {
    let plain = vec![0; 1 << 20];
    for coding in ["gzip", "zlib", "raw", "br", "zstd"] {
        let mut decoder = Decoder::with_limit(Some(name(coding)), 100_000);
        let mut out = Vec::new();
        let result = decoder.push(&coded(coding, &plain), &mut out);
        assert_eq!(result, Err(Error::Limit), "{coding}");
        assert_eq!(Error::Limit.kind(), "limit.decoded");
        assert!(out.len() < 200_000, "{coding}");
        assert_eq!(decoder.push(b"more", &mut out), Err(Error::Limit));
    }
}

#[test]
fn truncated() {
    for coding in ["gzip", "zlib", "raw", "br", "zstd"] {
        let bytes = coded(coding, TEXT);
        let (_, result) = decode(name(coding), &bytes[..bytes.len() - 1], 10);
        assert_eq!(result, Err(Error::Truncated(name(coding))), "{coding}");
    }
}

#[test]
fn unknown() {
    assert_eq!(decode("snappy", b"x", 1).1, Err(Error::Unknown("snappy".to_owned())));
    assert!(Decoder::new(None).is_identity());
    assert!(Decoder::new(Some("identity")).is_identity());
    assert!(!Decoder::new(Some("br")).is_identity());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(
        coding in 0..CODINGS.len(), bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 1usize..50,
        start in 0usize..12,
    ) {
        let coding = CODINGS[coding];
        let mut input = coded(coding, TEXT);
        input.truncate(start);
        input.extend(bytes);
        let _outcome = decode(name(coding), &input, cut);
    }
}
