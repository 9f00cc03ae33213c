//! OpenSSL and BoringSSL by their symbols.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use crate::elf::{Code, Elf, Symbol};
use crate::hook::{Hook, Kind, Library, Method, Refusal, Tls};
use crate::leave::Outcome;
use crate::site::{Call, hooks, inner};
use crate::xref::{Owners, references, texts};

const WRITES: [Call; 2] = [
    Call::plain("SSL_write", Kind::EnterWrite, false, Outcome::Int),
    Call::counted("SSL_write_ex", Kind::EnterWrite),
];
const READS: [Call; 2] = [
    Call::plain("SSL_read", Kind::EnterRead, false, Outcome::Int),
    Call::counted("SSL_read_ex", Kind::EnterRead),
];
const FREE: Call = Call::free("SSL_free");

/// The names that are looked for. `SSL_peek` is never hooked: what it shows is read again.
pub(crate) const NAMES: [&str; 8] = [
    "SSL_write",
    "SSL_write_ex",
    "SSL_read",
    "SSL_read_ex",
    "SSL_free",
    "SSL_peek",
    "SSL_peek_ex",
    "SSL_CTX_set_grease_enabled",
];

pub(crate) fn library(symbols: &BTreeMap<&'static str, Symbol>) -> Library {
    if symbols.contains_key("SSL_CTX_set_grease_enabled") { Library::BoringSsl } else { Library::OpenSsl }
}

/// The version, from the text that OpenSSL answers with or from the names of its symbols' versions.
pub(crate) fn version(elf: &Elf<'_>, bytes: &[u8]) -> Option<String> {
    if let Some((_, names)) = elf.section(".dynstr") {
        for (name, version) in [(&b"\0OPENSSL_3.0.0\0"[..], "3"), (b"\0OPENSSL_1_1_0\0", "1.1")] {
            // libssl itself defines these; others that only use them hold no `SSL_write` of their own.
            if memmem::find(names, name).is_some() {
                return Some(version.to_owned());
            }
        }
    }
    memmem::find_iter(bytes, b"OpenSSL ").find_map(|at| release(bytes.get(at + 8..)?))
}

/// Reads `3.0.17` or `1.1.1w` at the start of a text.
fn release(text: &[u8]) -> Option<String> {
    let text = text.get(..24).unwrap_or(text);
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'a'..=b'z'))?;
    let version = std::str::from_utf8(text.get(..end)?).ok()?;
    let numbers = version.split('.').filter(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    (numbers.count() == 3).then(|| version.to_owned())
}

pub(crate) fn find(elf: &Elf<'_>, symbols: &BTreeMap<&'static str, Symbol>) -> Vec<Hook> {
    let mut found = Vec::new();
    for family in [WRITES, READS] {
        let present: Vec<_> =
            family.iter().filter_map(|call| Some((*symbols.get(call.name)?, call))).collect();
        // In some forks one of the two is a face of the other: both hooked would count twice.
        let face = |from: &Symbol| {
            present.iter().any(|(to, call)| from.address != to.address && elf.reaches(*from, *to, call.name))
        };
        let plain: Vec<_> = present.iter().copied().filter(|(symbol, _)| !face(symbol)).collect();
        found.extend(plain.iter().filter_map(|(symbol, call)| hooks(&elf.code, *symbol, call)).flatten());
    }
    found.extend(
        symbols.get(FREE.name).and_then(|symbol| hooks(&elf.code, *symbol, &FREE)).into_iter().flatten(),
    );
    found
}

/// How the path ends under which OpenSSL reports errors of its public functions. BoringSSL's ends in `.cc`.
const PATH: &[u8] = b"ssl/ssl_lib.c\0";

/// Looks for an OpenSSL 3 that is linked in without symbols. Its functions report errors under their own names, and
/// hand their work to inner functions that the `_ex` forms share. `None` when there is no sign of one.
pub(crate) fn stripped(elf: &Elf<'_>, file: &[u8]) -> Option<Result<Tls, Refusal>> {
    let paths = texts(&elf.code, PATH, false);
    if paths.is_empty() {
        return None;
    }
    let found = by_names(&elf.code, &paths).ok_or_else(|| {
        let reason =
            "OpenSSL is linked in without symbols, and its functions were not told apart; use the proxy";
        Refusal { library: Some(Library::OpenSsl), reason: reason.to_owned() }
    });
    Some(found.map(|hooks| Tls {
        library: Library::OpenSsl,
        version: version(elf, file),
        method: Method::CrossReference,
        hooks,
    }))
}

fn by_names(code: &Code<'_>, paths: &[u64]) -> Option<Vec<Hook>> {
    let calls = [&WRITES[0], &READS[0]];
    let names = calls.map(|call| texts(code, format!("{}\0", call.name).as_bytes(), true));
    let wanted: Vec<u64> = names.iter().flatten().chain(paths).copied().collect();
    let references = references(code, &wanted);
    let mut owners = Owners::new(code, &references);
    let mut owned: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for reference in references {
        if let Some(start) = owners.of(reference) {
            owned.entry(start).or_default().insert(reference.text);
        }
    }
    let mut found = Vec::new();
    for (call, names) in calls.into_iter().zip(names) {
        let both = |texts: &BTreeSet<u64>| {
            names.iter().any(|name| texts.contains(name)) && paths.iter().any(|path| texts.contains(path))
        };
        let mut candidates = owned.iter().filter(|(_, texts)| both(texts)).map(|(start, _)| *start);
        let (Some(address), None) = (candidates.next(), candidates.next()) else { return None };
        // The `_ex` form has no text of its own: it is covered only where the work is done for both.
        let (address, inner) = inner(code, Symbol { address, size: 0 }, call)?;
        found.extend(hooks(code, Symbol { address, size: 0 }, &inner)?);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn versions() {
        assert_eq!(release(b"3.0.17 1 Jul 2025\0").as_deref(), Some("3.0.17"));
        assert_eq!(release(b"1.1.1w  11 Sep 2023\0").as_deref(), Some("1.1.1w"));
        assert_eq!(release(b"3.0 and later\0"), None);
        assert_eq!(release(b"library\0"), None);
        assert_eq!(release(b"3.0.17"), None, "where it ends is not seen");
    }
}
