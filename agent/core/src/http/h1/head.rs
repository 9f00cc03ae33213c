//! Heads of HTTP/1 messages: collecting, reading, and what they say of the body.

use bytes::{Buf, Bytes};
use httparse::{EMPTY_HEADER, Header, ParserConfig};

use crate::flow::Time;
use crate::http::{Headers, RequestHead, ResponseHead};
use crate::limits;

/// Collects the bytes of a head until its empty line.
#[derive(Debug, Default)]
pub(super) struct Collector {
    bytes: Vec<u8>,
    first_byte: Time,
    /// Whether the current line is empty so far.
    line_empty: bool,
}

/// What [`Collector::take`] found.
pub(super) enum Taken {
    More,
    TooLong,
    Whole { head: Vec<u8>, first_byte: Time },
}

/// How a body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    UntilClose,
    /// No HTTP follows.
    Tunnel,
}

/// A request's head and what it says of what follows.
pub(super) struct Request {
    pub(super) head: RequestHead,
    pub(super) body: Body,
    pub(super) doubtful: bool,
    pub(super) head_only: bool,
    pub(super) connect: bool,
    pub(super) upgrade: bool,
}

/// A response's head and what it says of what follows.
pub(super) struct Response {
    pub(super) head: ResponseHead,
    pub(super) body: Body,
    pub(super) doubtful: bool,
}

impl Collector {
    /// Whether no head has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes off the front of `bytes` up to the end of the head.
    pub(super) fn take(&mut self, bytes: &mut Bytes, time: Time) -> Taken {
        if self.bytes.is_empty() {
            // RFC 9112, section 2.2: empty lines before a message are skipped.
            let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            bytes.advance(blank);
            if bytes.is_empty() {
                return Taken::More;
            }
            self.first_byte = time;
            self.line_empty = false;
        }
        let mut end = None;
        for (index, &byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.line_empty => {
                    end = Some(index + 1);
                    break;
                }
                b'\n' => self.line_empty = true,
                b'\r' => {}
                _ => self.line_empty = false,
            }
        }
        let take = end.unwrap_or(bytes.len());
        if self.bytes.len() + take > limits::HEAD_BYTES {
            return Taken::TooLong;
        }
        self.bytes.extend_from_slice(&bytes[..take]);
        bytes.advance(take);
        match end {
            Some(_) => Taken::Whole { head: std::mem::take(&mut self.bytes), first_byte: self.first_byte },
            None => Taken::More,
        }
    }
}

/// Reads a request's head; the error is the fault's kind.
pub(super) fn request(head: &[u8]) -> Result<Request, &'static str> {
    let head = unfold(head);
    let mut fields = [EMPTY_HEADER; limits::HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    let mut config = ParserConfig::default();
    config.ignore_invalid_headers_in_requests(true).allow_multiple_spaces_in_request_line_delimiters(true);
    config.parse_request(&mut parsed, &head).map_err(kind)?;
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err("http.head") };
    let headers = own(parsed.headers);
    let framing = Framing::new(&headers)?;
    let body = match (framing.coding, framing.length) {
        (Some(Coding::Chunked), _) => Body::Chunked,
        // A server has to refuse this: where the body ends is unknown.
        (Some(Coding::Other), _) => return Err("http.framing"),
        (None, length) => Body::Length(length.unwrap_or(0)),
    };
    Ok(Request {
        body,
        doubtful: framing.coding.is_some() && framing.length.is_some(),
        head_only: method == "HEAD",
        connect: method == "CONNECT",
        upgrade: find(&headers, "upgrade").is_some(),
        head: RequestHead {
            method: method.to_owned(),
            target: target.to_owned(),
            authority: find(&headers, "host").map(str::to_owned),
            version: if parsed.version == Some(0) { "1.0" } else { "1.1" },
            headers,
        },
    })
}

/// Reads the head of a response to a request of this kind; the error is the fault's kind.
pub(super) fn response(head: &[u8], head_only: bool, connect: bool) -> Result<Response, &'static str> {
    let head = unfold(head);
    let mut fields = [EMPTY_HEADER; limits::HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    let mut config = ParserConfig::default();
    config
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    config.parse_response(&mut parsed, &head).map_err(kind)?;
    let Some(status) = parsed.code else { return Err("http.head") };
    let headers = own(parsed.headers);
    let bodiless = head_only || matches!(status, 100..=199 | 204 | 304);
    let mut doubtful = false;
    let body = if bodiless {
        Body::Length(0)
    } else if connect && (200..300).contains(&status) {
        Body::Tunnel
    } else {
        let framing = Framing::new(&headers)?;
        doubtful = framing.coding.is_some() && framing.length.is_some();
        match (framing.coding, framing.length) {
            (Some(Coding::Chunked), _) => Body::Chunked,
            (None, Some(length)) => Body::Length(length),
            (Some(Coding::Other), _) | (None, None) => Body::UntilClose,
        }
    };
    Ok(Response { head: ResponseHead { status, headers }, body, doubtful })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

struct Framing {
    coding: Option<Coding>,
    length: Option<u64>,
}

impl Framing {
    fn new(headers: &Headers) -> Result<Self, &'static str> {
        let mut framing = Framing { coding: None, length: None };
        for (name, value) in headers {
            match name.as_str() {
                "transfer-encoding" => {
                    for coding in value.split(',').map(str::trim).filter(|c| !c.is_empty()) {
                        let chunked = coding.eq_ignore_ascii_case("chunked");
                        let identity = coding.eq_ignore_ascii_case("identity");
                        framing.coding = match framing.coding {
                            kept if identity => kept,
                            _ if chunked => Some(Coding::Chunked),
                            _ => Some(Coding::Other),
                        };
                    }
                }
                "content-length" => {
                    // The same number several times is one number (RFC 9110, section 8.6).
                    for number in value.split(',').map(str::trim) {
                        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                        let number: u64 = number.parse().ok().filter(|_| digits).ok_or("http.framing")?;
                        if framing.length.is_some_and(|length| length != number) {
                            return Err("http.framing");
                        }
                        framing.length = Some(number);
                    }
                }
                _ => {}
            }
        }
        Ok(framing)
    }
}

fn kind(error: httparse::Error) -> &'static str {
    if error == httparse::Error::TooManyHeaders { "limit.headers" } else { "http.head" }
}

/// Replaces obsolete line folding by spaces (RFC 9112, section 5.2).
fn unfold(head: &[u8]) -> Vec<u8> {
    let mut head = head.to_vec();
    for index in 0..head.len().saturating_sub(1) {
        if head[index] == b'\n' && matches!(head[index + 1], b' ' | b'\t') {
            head[index] = b' ';
            if index > 0 && head[index - 1] == b'\r' {
                head[index - 1] = b' ';
            }
        }
    }
    head
}

fn own(fields: &[Header<'_>]) -> Headers {
    let own = |field: &Header<'_>| {
        (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned())
    };
    fields.iter().map(own).collect()
}

/// The first field of this name.
pub(super) fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// All fields of this name as one list.
pub(super) fn all(headers: &Headers, name: &str) -> String {
    let values: Vec<_> = headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect();
    values.join(",")
}
