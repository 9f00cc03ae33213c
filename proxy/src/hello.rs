//! Reads a TLS ClientHello (RFC 8446 section 4.1.2) without taking part in the handshake.

#[cfg(test)]
mod tests;

use crate::limits;

/// What a client offers in its first message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The server name, in lower case; `None` where there is none or it is no ASCII name.
    pub(crate) server_name: Option<String>,
    /// The application protocols, in the client's order; empty where it offers none.
    pub(crate) alpn: Vec<Vec<u8>>,
    /// Whether we can take the server's part with the certificate that we mint.
    pub(crate) servable: bool,
}

/// More bytes are needed to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incomplete;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// RFC 8446 section 5.1.
const RECORD_BYTES: usize = 16 * 1024;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;
const ECDSA_P256_SHA256: u16 = 0x0403;

/// The server's name that a ClientHello asks for: the first bytes of a connection, as many as there are.
pub fn name_in_hello(bytes: &[u8]) -> Option<String> {
    parse(bytes).ok().flatten()?.server_name
}

/// Parses the first bytes of a connection. `Ok(None)`: they do not begin a ClientHello that can be read.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Hello>, Incomplete> {
    let Some(message) = message(bytes)? else { return Ok(None) };
    Ok(read(&message))
}

/// Gathers the handshake message from the records that carry it; it may span several.
fn message(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, Incomplete> {
    let mut message = Vec::new();
    loop {
        // Whatever is there must fit, so that other protocols are known by their first byte.
        let matches = |at: usize, fits: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| fits(*byte));
        if !matches(0, |b| b == HANDSHAKE) || !matches(1, |b| b == 3) || !matches(2, |b| b <= 4) {
            return Ok(None);
        }
        let (header, rest) = bytes.split_at_checked(5).ok_or(Incomplete)?;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > RECORD_BYTES {
            return Ok(None);
        }
        let part = &rest[..length.min(rest.len())];
        message.extend_from_slice(part);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Ok(None);
        }
        if let [_, a, b, c, ..] = message[..] {
            let total = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if total + 4 > limits::HELLO_BYTES {
                return Ok(None);
            }
            if message.len() >= total + 4 {
                message.truncate(total + 4);
                return Ok(Some(message));
            }
        }
        if part.len() < length {
            return Err(Incomplete);
        }
        bytes = &rest[length..];
    }
}

fn read(message: &[u8]) -> Option<Hello> {
    let mut body = Reader(message.get(4..)?);
    let legacy_version = body.u16()?;
    body.take(32)?; // random
    let session = body.u8()?;
    body.take(session.into())?;
    let ciphers = body.u16()?;
    let ciphers = Reader(body.take(ciphers.into())?);
    let compression = body.u8()?;
    body.take(compression.into())?;
    let mut hello = Hello::default();
    let mut versions = None;
    let mut signs = false;
    if !body.0.is_empty() {
        let length = body.u16()?;
        let mut extensions = Reader(body.take(length.into())?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let length = extensions.u16()?;
            let mut data = Reader(extensions.take(length.into())?);
            match kind {
                SERVER_NAME => hello.server_name = server_name(data)?,
                ALPN => hello.alpn = protocols(data)?,
                SUPPORTED_VERSIONS => {
                    let length = data.u8()?;
                    versions = Some(Reader(data.take(length.into())?));
                }
                SIGNATURE_ALGORITHMS => {
                    let length = data.u16()?;
                    signs = Reader(data.take(length.into())?).has(|scheme| scheme == ECDSA_P256_SHA256);
                }
                _ => {}
            }
        }
    }
    let modern = versions.is_some_and(|versions| versions.has(|version| version == TLS_1_3))
        && ciphers.has(|suite| matches!(suite, 0x1301..=0x1303));
    let classic = versions
        .map_or(legacy_version >= TLS_1_2, |versions| versions.has(|version| version == TLS_1_2))
        // RFC 5289 and RFC 7905: ECDHE-ECDSA with AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305.
        && ciphers.has(|suite| matches!(suite, 0xc02b | 0xc02c | 0xcca9));
    hello.servable = signs && (modern || classic);
    Some(hello)
}

/// RFC 6066 section 3. The outer `Option` is for what cannot be read.
fn server_name(mut data: Reader<'_>) -> Option<Option<String>> {
    let length = data.u16()?;
    let mut names = Reader(data.take(length.into())?);
    while !names.0.is_empty() {
        let kind = names.u8()?;
        let length = names.u16()?;
        let name = names.take(length.into())?;
        if kind == 0 {
            let name = std::str::from_utf8(name).ok().filter(|name| name.is_ascii() && !name.is_empty());
            return Some(name.map(str::to_ascii_lowercase));
        }
    }
    Some(None)
}

/// RFC 7301 section 3.1.
fn protocols(mut data: Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let length = data.u16()?;
    let mut names = Reader(data.take(length.into())?);
    let mut protocols = Vec::new();
    while !names.0.is_empty() {
        let length = names.u8()?;
        protocols.push(names.take(length.into())?.to_vec());
    }
    Some(protocols)
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn has(self, wanted: impl Fn(u16) -> bool) -> bool {
        self.0.chunks_exact(2).any(|pair| wanted(u16::from_be_bytes([pair[0], pair[1]])))
    }
}
