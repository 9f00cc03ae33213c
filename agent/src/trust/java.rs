//! Java's own trust stores.
//!
//! Written in the JKS format, which every Java reads (`keystore.type.compat`): magic, version, entries, and a
//! SHA-1 over the password, a fixed phrase and all that (sun.security.provider.JavaKeyStore).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use super::der::take;

/// Where options for every Java virtual machine are given.
pub const VARIABLE: &str = "JAVA_TOOL_OPTIONS";
/// The conventional password of trust stores; it protects nothing.
const PASSWORD: &str = "changeit";
const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
const TRUSTED: u32 = 2;
/// `certBag` value of type x509Certificate (RFC 7292, section 4.2.3), as its encoded identifier.
const X509_BAG: [u8; 12] = [0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// Stores that distributions share between their Java packages.
const SHARED: [&str; 2] = ["/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts"];

/// The stores that exist here, links resolved, each once.
pub fn stores() -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = SHARED.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    out.extend(executable().as_deref().and_then(store_of));
    out.sort_unstable();
    out.dedup();
    out
}

/// Where a Java is found whose store is none of `covered`: the certificates of that store. Its trust must be told
/// by [`VARIABLE`] then, at the price of the line that each Java prints about it.
pub fn uncovered(covered: &[PathBuf]) -> Option<Vec<Vec<u8>>> {
    let store = store_of(&executable()?);
    match store {
        Some(store) if covered.contains(&store) => None,
        Some(store) => Some(fs::read(store).ok().and_then(|bytes| certificates(&bytes)).unwrap_or_default()),
        None => Some(Vec::new()),
    }
}

/// The variable with our store appended. The last of several equal options wins; a user's own store stays.
pub fn variable(keystore: &Path, theirs: Option<OsString>) -> (OsString, OsString) {
    let mut value = theirs.unwrap_or_default();
    let chosen = value.as_bytes().windows(TRUST_OPTION.len()).any(|window| window == TRUST_OPTION.as_bytes());
    if !chosen {
        if !value.is_empty() {
            value.push(" ");
        }
        value.push(TRUST_OPTION);
        value.push(keystore);
        value.push(format!(" -Djavax.net.ssl.trustStorePassword={PASSWORD}"));
    }
    (VARIABLE.into(), value)
}

const TRUST_OPTION: &str = "-Djavax.net.ssl.trustStore=";

/// A JKS file with these certificates.
pub fn keystore<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut unique: Vec<&[u8]> = Vec::new();
    for certificate in certificates {
        if !unique.contains(&certificate) {
            unique.push(certificate);
        }
    }
    let mut out = Vec::new();
    for number in [MAGIC, VERSION, u32::try_from(unique.len()).unwrap_or(u32::MAX)] {
        out.extend(number.to_be_bytes());
    }
    for (index, certificate) in unique.into_iter().enumerate() {
        out.extend(TRUSTED.to_be_bytes());
        text(&format!("trackway-{index}"), &mut out);
        out.extend(0_u64.to_be_bytes());
        text("X.509", &mut out);
        out.extend(u32::try_from(certificate.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(certificate);
    }
    let digest = digest(&out);
    out.extend(digest);
    out
}

/// The certificates of a store, JKS or PKCS #12 without encryption. `None` where it cannot be read.
pub fn certificates(store: &[u8]) -> Option<Vec<Vec<u8>>> {
    if store.starts_with(&MAGIC.to_be_bytes()) { jks(store) } else { pkcs12(store) }
}

fn jks(store: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = store.get(4..)?;
    let version = number(&mut rest)?;
    let count = number(&mut rest)?;
    let mut out = Vec::new();
    for _ in 0..count {
        // A private key has no place in a trust store: what else it holds is not for us to judge.
        if number(&mut rest)? != TRUSTED {
            return None;
        }
        skip_text(&mut rest)?;
        rest = rest.get(8..)?;
        if version == VERSION {
            skip_text(&mut rest)?;
        }
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let (certificate, after) = rest.split_at_checked(length)?;
        out.push(certificate.to_vec());
        rest = after;
    }
    Some(out)
}

/// Since Java 18 `cacerts` is PKCS #12 without password: its bags lie open. An encrypted one shows none.
fn pkcs12(store: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    for (position, window) in store.windows(X509_BAG.len()).enumerate() {
        if window == X509_BAG {
            let mut rest = store.get(position + X509_BAG.len()..)?;
            let mut wrapped = take(&mut rest)?.content;
            out.push(take(&mut wrapped)?.content.to_vec());
        }
    }
    (!out.is_empty()).then_some(out)
}

fn digest(content: &[u8]) -> [u8; 20] {
    let mut sha = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        sha.update(unit.to_be_bytes());
    }
    sha.update(b"Mighty Aphrodite");
    sha.update(content);
    sha.finalize().into()
}

fn text(value: &str, out: &mut Vec<u8>) {
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(value.as_bytes());
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}

fn skip_text(rest: &mut &[u8]) -> Option<()> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after.get(usize::from(u16::from_be_bytes(*bytes))..)?;
    Some(())
}

/// The `java` that the command would find.
fn executable() -> Option<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    home.filter(|path| path.is_file()).or_else(|| crate::path::find(OsStr::new("java")))
}

/// The store that belongs to a `java` executable: `lib/security/cacerts`, under `jre` in Java 8.
fn store_of(java: &Path) -> Option<PathBuf> {
    let java = fs::canonicalize(java).ok()?;
    let home = java.parent()?.parent()?;
    ["lib/security/cacerts", "jre/lib/security/cacerts"]
        .iter()
        .find_map(|name| fs::canonicalize(home.join(name)).ok())
}
