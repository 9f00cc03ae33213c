//! Which protocol the first bytes of the client announce.

/// The connection preface of HTTP/2 (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
    Other,
}

/// Judges the first bytes, at most as many as the preface has; `None` where more are needed.
pub(super) fn classify(start: &[u8]) -> Option<Spoken> {
    if start.len() >= PREFACE.len() && start.starts_with(PREFACE) {
        return Some(Spoken::Http2);
    }
    if PREFACE.starts_with(start) {
        return None;
    }
    // RFC 9112, section 2.2: empty lines before a request line are to be skipped.
    let blank = start.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let line = &start[blank..];
    match line.iter().position(|&b| !is_token(b)) {
        Some(end) if end > 0 && line[end] == b' ' => Some(Spoken::Http1),
        Some(_) => Some(Spoken::Other),
        None if start.len() >= PREFACE.len() => Some(Spoken::Other),
        None => None,
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a slice begins as a request does. Used to find the way back after a gap, so it is strict.
pub(super) fn is_request_start(slice: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [
        b"GET /",
        b"POST /",
        b"PUT /",
        b"DELETE /",
        b"PATCH /",
        b"HEAD /",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE /",
    ];
    METHODS.iter().any(|method| slice.starts_with(method)) || {
        let method = slice.iter().take_while(|b| b.is_ascii_uppercase()).count();
        method > 2 && slice[method..].starts_with(b" http://")
    }
}

/// Whether a slice begins as a response does.
pub(super) fn is_response_start(slice: &[u8]) -> bool {
    slice.starts_with(b"HTTP/1.0 ") || slice.starts_with(b"HTTP/1.1 ")
}
