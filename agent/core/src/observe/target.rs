//! Where a request went, and what its headers say of it.

use crate::call::Http;
use crate::flow::Flow;
use crate::http::{Headers, RequestHead};
use crate::limits;
use crate::redact;

/// The value of the first field of this name.
pub(super) fn field<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The fields that tell of rate limits: providers name them alike, apart from prefix and unit.
pub(super) fn rate_limits(headers: &Headers) -> Vec<(String, String)> {
    let tells = |name: &str| {
        name.contains("ratelimit")
            || name.contains("rate-limit")
            || name == "retry-after"
            || name == "retry-after-ms"
    };
    headers.iter().filter(|(name, _)| tells(name)).take(limits::RATE_FIELDS).cloned().collect()
}

/// The HTTP side of a call, as far as the request tells it.
pub(super) fn http(flow: &Flow, head: &RequestHead) -> Http {
    let (scheme, authority, rest) = split(&head.target);
    let scheme = scheme.unwrap_or(if flow.tls { "https" } else { "http" });
    let named = authority.or(head.authority.as_deref()).map(port).unwrap_or_default();
    let host = match named.0 {
        "" => flow.host.clone().or_else(|| flow.destination.map(|address| address.ip().to_string())),
        name => Some(name.to_ascii_lowercase()),
    };
    let default = if scheme == "https" { 443 } else { 80 };
    // In absolute form the connection goes to a proxy, and its port says nothing of the origin's.
    let fallback = if authority.is_none() && flow.port != 0 { flow.port } else { default };
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    Http {
        method: head.method.clone(),
        scheme,
        host: host.unwrap_or_default(),
        port: named.1.unwrap_or(fallback),
        path: redact::text(path).into_owned(),
        query: query.map(|query| redact::query(query).into_owned()),
        version: head.version,
        user_agent: field(&head.headers, "user-agent").map(|agent| redact::text(agent).into_owned()),
        traceparent: field(&head.headers, "traceparent")
            .filter(|text| is_traceparent(text))
            .map(str::to_owned),
        resend_count: field(&head.headers, "x-stainless-retry-count")
            .and_then(|count| count.trim().parse().ok()),
        ..Http::default()
    }
}

/// RFC 9112 section 3.2: origin form, absolute form, or the authority alone for CONNECT.
pub(super) fn split(target: &str) -> (Option<&'static str>, Option<&str>, &str) {
    let target = target.split('#').next().unwrap_or_default();
    for (scheme, prefix) in
        [("http", "http://"), ("https", "https://"), ("http", "ws://"), ("https", "wss://")]
    {
        if target.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
            let rest = target.get(prefix.len()..).unwrap_or_default();
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            return (Some(scheme), Some(authority), path);
        }
    }
    if target.starts_with(['/', '*']) || target.is_empty() {
        (None, None, target)
    } else {
        (None, Some(target), "")
    }
}

/// Host and port of an authority; user and password are dropped.
fn port(authority: &str) -> (&str, Option<u16>) {
    let authority = authority.rsplit('@').next().unwrap_or_default();
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').unwrap_or((rest, ""));
        return (host, after.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.rsplit_once(':') {
        Some((host, digits)) if !host.contains(':') => (host, digits.parse().ok()),
        _ => (authority, None),
    }
}

/// W3C Trace Context section 3.2: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zero.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    match parts.as_slice() {
        [version, trace, span, flags, rest @ ..] => {
            hex(version, 2)
                && *version != "ff"
                && (rest.is_empty() || *version != "00")
                && hex(trace, 32)
                && some(trace)
                && hex(span, 16)
                && some(span)
                && hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowId, Plane, Start, Time};

    fn flow() -> Flow {
        Flow {
            id: FlowId(1),
            process: None,
            plane: Plane::Redirect,
            start: Start::Seen,
            host: Some("sni.example".into()),
            destination: None,
            port: 8443,
            tls: true,
            alpn: None,
            opened: Time(0),
        }
    }

    #[test]
    fn targets_of_every_form() {
        let check = |target: &str, authority: Option<&str>, expect: (&str, &str, u16, &str, Option<&str>)| {
            let head = RequestHead {
                method: "GET".into(),
                target: target.into(),
                authority: authority.map(str::to_owned),
                version: "1.1",
                headers: Vec::new(),
            };
            let http = http(&flow(), &head);
            let got = (http.scheme, http.host.as_str(), http.port, http.path.as_str(), http.query.as_deref());
            assert_eq!(got, expect, "{target}");
        };
        check(
            "/a?key=x&b=1",
            Some("Api.Example"),
            ("https", "api.example", 8443, "/a", Some("key=[redacted]&b=1")),
        );
        check("/a", None, ("https", "sni.example", 8443, "/a", None));
        check("/a", Some("[::1]:99"), ("https", "::1", 99, "/a", None));
        check("http://u:p@h:81/x?y", Some("proxy"), ("http", "h", 81, "/x", Some("y")));
        check("http://h", None, ("http", "h", 80, "", None));
        check("h:443", None, ("https", "h", 443, "", None));
        check("*", Some("h"), ("https", "h", 8443, "*", None));
    }

    #[test]
    fn only_a_well_formed_traceparent_counts() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
        assert!(!is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"));
        assert!(!is_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_traceparent("password"));
    }
}
