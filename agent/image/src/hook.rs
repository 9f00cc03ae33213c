//! What is found: libraries, and the places where probes go.

use std::fmt;

/// The TLS library that a function belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Library {
    /// OpenSSL 1.1 or 3.
    OpenSsl,
    /// BoringSSL, with symbols or without.
    BoringSsl,
    /// GnuTLS.
    GnuTls,
    /// Go's `crypto/tls`.
    Go,
    /// rustls.
    Rustls,
}

impl fmt::Display for Library {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::OpenSsl => "OpenSSL",
            Self::BoringSsl => "BoringSSL",
            Self::GnuTls => "GnuTLS",
            Self::Go => "Go crypto/tls",
            Self::Rustls => "rustls",
        })
    }
}

/// How the functions were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The table of exported symbols.
    Dynsym,
    /// The full table of symbols.
    Symtab,
    /// The symbols of the build-id debug file.
    DebugFile,
    /// Go's own table of functions, which stripping leaves.
    Pclntab,
    /// Byte signatures alone, for want of references.
    Signature,
    /// References to what the library says of itself in its errors. Signatures agree, or none fits.
    CrossReference,
}

/// One TLS library inside an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Which one.
    pub library: Library,
    /// Its version as far as the image tells.
    pub version: Option<String>,
    /// How its functions were found.
    pub method: Method,
    /// Where probes go.
    pub hooks: Vec<Hook>,
}

/// Something that looks like TLS and cannot be read, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The library, when it is known.
    pub library: Option<Library>,
    /// Why, in words for a user.
    pub reason: String,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The public function that this probe serves.
    pub function: &'static str,
    /// Where the function that holds the probe begins, in the file. Not always the public one: without symbols it is
    /// the inner one that the public functions share.
    pub symbol_offset: u64,
    /// Where the probe goes, in the file.
    pub offset: u64,
    /// Whether the probe is to fire on return (a uretprobe set at that place) and not at the place itself.
    pub returning: bool,
    /// Whether the kernel emulates the instruction there, in place of single-stepping it at 40 times the price.
    pub emulated: bool,
    /// What can be read there.
    pub site: Site,
}

/// What a probe finds at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// What the probe is for.
    pub kind: Kind,
    /// What names the thread of execution besides the OS thread: Go's goroutine.
    pub thread: Place,
    /// The connection object. On `Leave` it is with the saved state.
    pub connection: Place,
    /// Where the plaintext is, or goes.
    pub buffer: Place,
    /// How long the buffer is.
    pub length: Place,
    /// Whether `buffer` points to that many pairs of pointer and length (`struct iovec`) instead.
    pub vectored: bool,
    /// The pointer to the count that the `_ex` forms fill.
    pub out: Place,
    /// When a `Leave` means that bytes were transferred.
    pub ok: Ok,
    /// How many, when it does.
    pub count: Place,
}

impl Site {
    /// A site at which nothing is known yet.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            thread: Place::None,
            connection: Place::None,
            buffer: Place::None,
            length: Place::None,
            vectored: false,
            out: Place::None,
            ok: Ok::Always,
            count: Place::None,
        }
    }
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A write begins: save connection, buffer, length.
    EnterWrite,
    /// A read begins: likewise.
    EnterRead,
    /// Bytes were read and lie in the buffer already, all of its length: there is no `Leave`.
    Received,
    /// The write or read that the same thread began in the same function is over.
    Leave,
    /// The connection object goes away: its address will be used again.
    Free,
}

/// Where a value is when the probe fires. Registers are counted as 8-byte words of x86-64's `struct pt_regs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nowhere, or not needed.
    None,
    /// The low half of a register.
    Register32(u8),
    /// A whole register.
    Register64(u8),
    /// A register plus an offset, itself.
    Sum {
        /// The register.
        register: u8,
        /// What is added to it.
        offset: i32,
    },
    /// Four bytes at a register plus an offset.
    Memory32 {
        /// The register.
        register: u8,
        /// What is added to it.
        offset: i16,
    },
    /// Eight bytes at a register plus an offset.
    Memory64 {
        /// The register.
        register: u8,
        /// What is added to it.
        offset: i16,
    },
    /// Four bytes at the `out` pointer that was saved on entry.
    Out32,
    /// Eight bytes at the `out` pointer that was saved on entry.
    Out64,
}

/// When a `Leave` means success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ok {
    /// Always.
    Always,
    /// When the value, signed and of the place's width, is above zero.
    Positive(Place),
    /// When the value is zero.
    Zero(Place),
}
