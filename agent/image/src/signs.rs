//! Signs of a library whose functions were not found: reported, so that nobody takes silence for absence.

use memchr::memmem;

use crate::Image;
use crate::hook::{Library, Refusal};

/// Where Cargo keeps the source of rustls, which messages of panics name.
const RUSTLS: &[u8] = b"/rustls-0.";

/// Libraries that are in the file of which nothing is said yet.
pub(crate) fn unread(file: &[u8], image: &Image) -> Vec<Refusal> {
    let missing = |library: Library| {
        image.libraries.iter().all(|tls| tls.library != library)
            && image.refused.iter().all(|refusal| refusal.library != Some(library))
    };
    let mut refused = Vec::new();
    if missing(Library::Rustls)
        && let Some(version) = rustls(file)
    {
        let reason = format!("rustls {version} is linked in without symbols; use the proxy");
        refused.push(Refusal { library: Some(Library::Rustls), reason });
    }
    refused
}

/// The version of rustls, from the path of its source.
pub(crate) fn rustls(file: &[u8]) -> Option<String> {
    memmem::find_iter(file, RUSTLS).find_map(|at| {
        let text = file.get(at + 8..)?;
        let text = text.get(..24).unwrap_or(text);
        let end = memchr::memchr(b'/', text)?;
        let version = std::str::from_utf8(text.get(..end)?).ok()?;
        let plain = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        plain.then(|| version.to_owned())
    })
}
