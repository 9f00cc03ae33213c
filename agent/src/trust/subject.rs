//! The name under which OpenSSL finds a certificate in a directory: `X509_NAME_hash`.
//!
//! SHA-1 over the canonical form of the subject (crypto/x509/x_name.c, `x509_name_canon`): every string becomes
//! UTF-8, lower case, trimmed, runs of white space one space; the outer SEQUENCE header is left out. The first
//! four bytes, read as a little-endian number.

use sha1::{Digest, Sha1};

use super::der::{put, take};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8: u8 = 0x0c;
const VERSION: u8 = 0xa0;

/// The hash of a certificate's subject as OpenSSL names files: eight hexadecimal digits.
pub fn hash(certificate: &[u8]) -> Option<String> {
    let canonical = canonical(subject(certificate)?)?;
    let digest = Sha1::digest(canonical);
    let first: [u8; 4] = digest.get(..4)?.try_into().ok()?;
    Some(format!("{:08x}", u32::from_le_bytes(first)))
}

/// Content of the subject's SEQUENCE (RFC 5280, section 4.1).
fn subject(mut certificate: &[u8]) -> Option<&[u8]> {
    let mut outer = take(&mut certificate)?.content;
    let mut fields = take(&mut outer)?.content;
    if fields.first() == Some(&VERSION) {
        take(&mut fields)?;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        take(&mut fields)?;
    }
    Some(take(&mut fields)?.content)
}

fn canonical(mut name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while !name.is_empty() {
        let mut set = take(&mut name)?.content;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let mut pair = take(&mut set)?.content;
            let kind = take(&mut pair)?;
            let value = take(&mut pair)?;
            let mut attribute = Vec::new();
            put(kind.tag, kind.content, &mut attribute);
            match text(value.tag, value.content) {
                Some(text) => put(UTF8, fold(&text).as_bytes(), &mut attribute),
                None => put(value.tag, value.content, &mut attribute),
            }
            put(SEQUENCE, &attribute, &mut attributes);
        }
        put(SET, &attributes, &mut out);
    }
    Some(out)
}

/// The string types that OpenSSL folds (`ASN1_MASK_CANON`), as UTF-8.
fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8 | 0x13 | 0x16 | 0x1a => std::str::from_utf8(content).ok().map(str::to_owned),
        // T61String: OpenSSL reads it as Latin-1.
        0x14 => Some(content.iter().copied().map(char::from).collect()),
        // BMPString.
        0x1e => {
            let units = content.chunks_exact(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            });
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

fn fold(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_ascii_whitespace() || c == '\x0b').filter(|w| !w.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}
