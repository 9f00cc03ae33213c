//! Tells by a connection's first bytes what will be spoken on it.

use crate::hello::{self, Hello};

/// What the client's first bytes begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// TLS, with the client's offer.
    Tls(Box<Hello>),
    /// HTTP/1.
    Http1,
    /// HTTP/2 without TLS (RFC 9113 section 3.3).
    Http2,
    /// Something else.
    Opaque,
}

/// Longest method that is taken for one; the longest registered has 17 letters (UPDATEREDIRECTREF).
const METHOD_BYTES: usize = 20;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `None`: more bytes are needed to tell.
pub(crate) fn speech(bytes: &[u8]) -> Option<Speech> {
    match hello::parse(bytes) {
        Err(hello::Incomplete) => return None,
        Ok(Some(hello)) => return Some(Speech::Tls(Box::new(hello))),
        Ok(None) => {}
    }
    if bytes.first() == Some(&0x16) {
        return Some(Speech::Opaque);
    }
    let shared = bytes.len().min(PREFACE.len());
    if bytes[..shared] == PREFACE[..shared] && shared > 3 {
        return (shared == PREFACE.len()).then_some(Speech::Http2);
    }
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    if method > METHOD_BYTES {
        return Some(Speech::Opaque);
    }
    match bytes.get(method..method + 2) {
        // A request target begins with a slash, a scheme or an asterisk (RFC 9112 section 3.2).
        Some([b' ', b'/' | b'*' | b'h' | b'H']) if method > 0 => Some(Speech::Http1),
        Some([b' ', _]) if &bytes[..method] == b"CONNECT" => Some(Speech::Http1),
        Some(_) => Some(Speech::Opaque),
        None if matches!(bytes.get(method), None | Some(b' ')) => None,
        None => Some(Speech::Opaque),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<Speech>) {
        assert_eq!(speech(bytes), expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn protocols_are_told_apart() {
        check(b"", None);
        check(b"G", None);
        check(b"GET", None);
        check(b"GET ", None);
        check(b"GET /", Some(Speech::Http1));
        check(b"M-SEARCH * HTTP/1.1", Some(Speech::Http1));
        check(b"GET http://example.com/", Some(Speech::Http1));
        check(b"CONNECT example.com:443 HTTP/1.1", Some(Speech::Http1));
        check(b"PRI * HTT", None);
        check(PREFACE, Some(Speech::Http2));
        check(b"PING\r\n", Some(Speech::Opaque));
        check(b"*1\r\n", Some(Speech::Opaque));
        check(b"EHLO me\r\n", Some(Speech::Opaque));
        check(b"get / HTTP/1.1", Some(Speech::Opaque));
        check(b"SSH-2.0-OpenSSH_9.2\r\n", Some(Speech::Opaque));
        check(b"\x16\x03\x01", None);
        check(b"\x16\x05", Some(Speech::Opaque));
        check(b"AAAAAAAAAAAAAAAAAAAAAAAAA", Some(Speech::Opaque));
    }

    proptest! {
        /// More bytes never change an answer, and no endless stream stays undecided.
        #[test]
        fn answers_are_final(bytes in proptest::collection::vec(any::<u8>(), 0..200), more in any::<u8>()) {
            if let Some(answer) = speech(&bytes) {
                let mut longer = bytes.clone();
                longer.push(more);
                prop_assert_eq!(speech(&longer), Some(answer));
            }
        }
    }
}
