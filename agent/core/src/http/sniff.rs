//! Which protocol the first bytes of the client announce.

/// The connection preface of HTTP/2 (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
    Other,
    /// It is not known whether this is a beginning, and it does not look like one.
    Middle,
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

/// Judges the first bytes that were seen of a connection, maybe not its first.
pub(super) fn classify_middle(start: &[u8]) -> Option<Spoken> {
    if start.starts_with(PREFACE) {
        Some(Spoken::Http2)
    } else if PREFACE.starts_with(start) {
        None
    } else if is_request_start(start) {
        Some(Spoken::Http1)
    } else {
        Some(Spoken::Middle)
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a slice begins as a request does. Used to find the way back after a gap, so it is strict: the whole
/// line has to fit, as far as the slice shows it.
pub(super) fn is_request_start(slice: &[u8]) -> bool {
    // None of them ends another, so that no request is found inside another's first word.
    const METHODS: [&[u8]; 9] =
        [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE"];
    let mut rests = METHODS.iter().filter_map(|method| slice.strip_prefix(*method)?.strip_prefix(b" "));
    let Some(rest) = rests.next() else { return false };
    let free = slice.starts_with(b"OPTIONS") || slice.starts_with(b"CONNECT");
    if !free && !rest.starts_with(b"/") && !rest.starts_with(b"http://") {
        return false;
    }
    let end = rest.iter().position(|b| !b.is_ascii_graphic());
    let (target, behind) = rest.split_at(end.unwrap_or(rest.len()));
    let version = behind.strip_prefix(b" ").unwrap_or(behind);
    !target.is_empty()
        && (behind.is_empty() || behind.len() > version.len())
        && [&b"HTTP/1.1\r\n"[..], b"HTTP/1.0\r\n", b"HTTP/1.1\n", b"HTTP/1.0\n"]
            .iter()
            .any(|line| version.starts_with(line) || line.starts_with(version))
}

/// Whether a slice begins as a response does.
pub(super) fn is_response_start(slice: &[u8]) -> bool {
    let rest = slice.strip_prefix(b"HTTP/1.1 ").or_else(|| slice.strip_prefix(b"HTTP/1.0 "));
    rest.is_some_and(|rest| {
        let (status, behind) = rest.split_at(rest.len().min(3));
        status.iter().all(u8::is_ascii_digit) && matches!(behind.first(), None | Some(b' ' | b'\r' | b'\n'))
    })
}

/// Whether more bytes can make it begin as a response does.
pub(super) fn may_be_response(slice: &[u8]) -> bool {
    b"HTTP/1.1 ".starts_with(slice) || b"HTTP/1.0 ".starts_with(slice)
}
/// Whether bytes begin with a SETTINGS frame that asks for something: the first thing that a server says in HTTP/2,
/// where a client says its preface before (RFC 9113, sections 3.4 and 6.5).
pub(super) fn is_settings(start: &[u8]) -> bool {
    let Some([high, middle, low, kind, flags, stream @ ..]) = start.first_chunk::<9>() else { return false };
    let length = u32::from_be_bytes([0, *high, *middle, *low]);
    (*kind, *flags, *stream) == (4, 0, [0; 4]) && length.is_multiple_of(6)
}
