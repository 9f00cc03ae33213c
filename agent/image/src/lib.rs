//! Where TLS can be read in an executable or library, from the bytes of its ELF file.
//!
//! Invariants:
//! - Pure: bytes go in, answers come out. The one look outside is the argument that fetches a debug file.
//! - Total: every input gives an answer or an error; nothing panics, and no length that a file claims is allocated.
//! - Exact or absent: a probe is named only where the decoded instructions show that every value is in its place.
//!   What looks like TLS and cannot be read so is a [`Refusal`] with the reason.
//! - No table of offsets: places come from decoding the function at hand.
//!
//! How probes pair: an `Enter` saves connection, buffer, length and `out` under (thread, direction); the next `Leave`
//! of the same thread and function takes what was saved and, if [`Site::ok`] holds, the count. Some ends have no
//! `Leave`: those on which nothing was transferred, as the decoded paths show. That is harmless, since the next
//! `Enter` overwrites what was saved; a wrong count would not be. A second `Leave` finds nothing saved and is to be
//! ignored. [`Kind::Received`] stands alone.
//!
//! Why inside the function: a uprobe on an instruction that the kernel emulates (a `push`, a relative jump or call)
//! costs 0.2 to 0.5 µs, on another one, which it single-steps, 16 µs. [`Hook::emulated`] tells which it is.
//!
//! What whoever sets the probes has to know:
//! - A return probe changes a return address. Whatever unwinds the stack through it ends the program or skips what
//!   was to be cleaned up (a C++ exception or a panic out of a callback, a thread's cancellation), and stacks that
//!   are switched inside of the function end it too. So it is set only where no places inside are known to cover
//!   every end, and never in Go, which moves its stacks.
//! - A GnuTLS client may repeat a send that was interrupted with no buffer; the bytes are those of the first try.
//! - An object of rustls moves when its owner moves it, mostly after the handshake and before the first byte.
//! - A BoringSSL or OpenSSL without symbols has no [`Kind::Free`]: its connections are told apart by what the socket
//!   says.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod boring;
mod code;
mod elf;
mod enter;
mod gnutls;
mod go;
mod hook;
mod leave;
mod openssl;
mod pclntab;
mod rustls;
mod signature;
mod signs;
mod site;
mod state;
mod xref;

use std::collections::BTreeMap;
use std::ops::Range;

use elf::{Elf, Symbol};
pub use hook::{Hook, Kind, Library, Method, Ok, Place, Refusal, Site, Tls};
use object::ReadRef;

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Its build id.
    pub build_id: Option<Vec<u8>>,
    /// The TLS libraries in it, each with the probes for it.
    pub libraries: Vec<Tls>,
    /// What looks like TLS and cannot be read.
    pub refused: Vec<Refusal>,
}

impl Image {
    fn add(&mut self, found: Option<Result<Tls, Refusal>>) {
        match found {
            Some(Result::Ok(tls)) => self.libraries.push(tls),
            Some(Err(refusal)) => self.refused.push(refusal),
            None => {}
        }
    }
}

/// Why a file gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a 64-bit ELF file, or a broken one.
    #[error("not a readable 64-bit ELF file: {0}")]
    Elf(String),
    /// Code for another processor.
    #[error("only x86-64 code can be read")]
    Machine,
}

/// The ranges of an ELF file that [`look`] reads, so that a caller may leave the rest zero: debug information is often
/// the most of a file. They may overlap, and reach beyond the file's end where it is broken.
///
/// # Errors
/// When the bytes are no ELF file.
pub fn parts<'d>(file: impl ReadRef<'d>) -> Result<Vec<Range<u64>>, Error> {
    elf::parts(file)
}

/// Looks for TLS in an ELF file. `debug` gives the bytes of the debug file of a build id, if there is one.
///
/// # Errors
/// When the bytes are no ELF file. A machine other than x86-64 is a [`Refusal`].
pub fn look(file: &[u8], debug: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Result<Image, Error> {
    let elf = match Elf::open(file) {
        Result::Ok(elf) => elf,
        Err(error @ Error::Machine) => {
            let refusal = Refusal { library: None, reason: error.to_string() };
            return Result::Ok(Image { refused: vec![refusal], ..Image::default() });
        }
        Err(error) => return Err(error),
    };
    let mut image = Image { build_id: elf.build_id().map(<[u8]>::to_vec), ..Image::default() };
    for method in [Method::Dynsym, Method::Symtab] {
        by_symbols(&elf, &elf, file, method, &mut image);
    }
    if image.libraries.is_empty()
        && let Some(bytes) = image.build_id.as_deref().and_then(debug)
        && let Result::Ok(symbols) = Elf::open(&bytes)
        && symbols.build_id() == elf.build_id()
    {
        by_symbols(&elf, &symbols, file, Method::DebugFile, &mut image);
    }
    if !image.libraries.iter().any(|tls| matches!(tls.library, Library::OpenSsl | Library::BoringSsl)) {
        image.add(boring::find(&elf));
        image.add(openssl::stripped(&elf, file));
    }
    image.add(go::find(&elf));
    let unread = signs::unread(file, &image);
    image.refused.extend(unread);
    Result::Ok(image)
}

/// Libraries whose functions have symbols in one table, and were not found in one before.
fn by_symbols(elf: &Elf<'_>, table: &Elf<'_>, file: &[u8], method: Method, image: &mut Image) {
    let mut symbols: BTreeMap<&'static str, Symbol> = BTreeMap::new();
    let wanted = || openssl::NAMES.into_iter().chain(gnutls::NAMES);
    let source = if method == Method::DebugFile { Method::Symtab } else { method };
    let mut of_rustls = rustls::Functions::default();
    table.symbols(source, |name, symbol| {
        of_rustls.add(name, symbol);
        if let Some(name) = wanted().find(|wanted| *wanted == name) {
            symbols.entry(name).or_insert(symbol);
        }
    });
    if image.libraries.iter().all(|known| known.library != Library::Rustls) {
        image.add(of_rustls.find(elf, file, method));
    }
    let mut add = |library: Library, version: Option<String>, hooks: Vec<Hook>| {
        if !hooks.is_empty() && image.libraries.iter().all(|known| known.library != library) {
            image.libraries.push(Tls { library, version, method, hooks });
        }
    };
    if symbols.contains_key("SSL_write") {
        let library = openssl::library(&symbols);
        let version = if library == Library::OpenSsl { openssl::version(elf, file) } else { None };
        add(library, version, openssl::find(elf, &symbols));
    }
    if symbols.contains_key("gnutls_record_send") {
        add(Library::GnuTls, None, gnutls::find(elf, &symbols));
    }
}
