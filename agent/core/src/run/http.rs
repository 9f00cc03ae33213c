//! Attributes of the HTTP side of a call, of plain calls, and of connections that were not read.

use super::attributes::Attributes;
use super::outcome::{self, Failure};
use crate::call::{Call, Http};
use crate::flow::{Flow, Plane, Unread, UnreadReason};
use crate::telemetry::Class;
use crate::{limits, names, redact};

/// What every call says of its exchange.
pub(super) fn exchange(call: &Call, set: &mut Attributes) {
    let http = &call.http;
    if !http.host.is_empty() {
        set.plain(names::SERVER_ADDRESS, http.host.as_str());
        set.int(names::SERVER_PORT, http.port);
    }
    // Whose gateway a model was asked through shows in the address alone.
    if !http.method.is_empty() {
        match method(http) {
            Some(known) => set.plain(names::HTTP_METHOD, known),
            None => {
                set.plain(names::HTTP_METHOD, "_OTHER");
                set.text(names::HTTP_METHOD_ORIGINAL, &http.method, Class::Plain);
            }
        }
        set.text(names::URL_FULL, &url(http), Class::Metadata);
    }
    if let Some(status) = http.status {
        set.int(names::HTTP_STATUS, status);
    }
    set.int(names::HTTP_REQUEST_BODY_SIZE, http.request_bytes);
    set.int(names::HTTP_RESPONSE_BODY_SIZE, http.response_bytes);
    captured(call.plane, set);
    set.count(names::HTTP_RESEND_COUNT, http.resend_count.unwrap_or(0).into());
    let faults = call.faults.iter().take(limits::FAULTS);
    let faults = faults.map(|fault| format!("{}: {}", fault.kind, redact::text(&fault.detail))).collect();
    set.texts(names::FAULTS, faults, Class::Plain);
}

/// The request's method, where it is one of the conventions' (RFC 9110, and PATCH), which tell cases apart.
pub(super) fn method(http: &Http) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == http.method)
}

/// What a plain HTTP call says beyond that.
pub(super) fn plain(call: &Call, set: &mut Attributes) {
    let http = &call.http;
    set.maybe(names::URL_SCHEME, Some(http.scheme));
    // Some services put their credential into the path.
    set.text(names::URL_PATH, &http.path, Class::Metadata);
    match http.version {
        "" => {}
        "websocket" => set.plain(names::NETWORK_PROTOCOL, "websocket"),
        version => {
            set.plain(names::NETWORK_PROTOCOL, "http");
            set.plain(names::NETWORK_PROTOCOL_VERSION, version);
        }
    }
    if let Some(agent) = &http.user_agent {
        set.text(names::USER_AGENT, agent, Class::Plain);
    }
    set.maybe(names::COMPLETION, outcome::completion(call.completion));
}

/// The whole URL, its query without secrets.
fn url(http: &Http) -> String {
    let mut url = format!("{}{}", origin(http), http.path);
    if let Some(query) = &http.query {
        url.push('?');
        url.push_str(&redact::query(query));
    }
    url
}

/// Scheme, host, and port where it is not the scheme's own.
pub(super) fn origin(http: &Http) -> String {
    let host = if http.host.contains(':') { format!("[{}]", http.host) } else { http.host.clone() };
    match (http.scheme, http.port) {
        (_, 0) | ("https", 443) | ("http", 80) => format!("{}://{host}", http.scheme),
        (scheme, port) => format!("{scheme}://{host}:{port}"),
    }
}

/// Host of a connection: the name that was asked for, else the address.
pub(super) fn host(flow: &Flow) -> String {
    let address = || flow.destination.map(|destination| destination.ip().to_string());
    flow.host.clone().or_else(address).unwrap_or_else(|| "unknown".to_owned())
}

/// By which way the bytes came.
fn captured(by: Plane, set: &mut Attributes) {
    set.plain(names::CAPTURE_PLANE, by.name());
    if let Plane::Tap(Some(probe)) = by {
        set.plain(names::CAPTURE_LIBRARY, probe.library);
        set.plain(names::CAPTURE_METHOD, probe.method);
    }
}

/// What is known of a connection that was not read.
pub(super) fn unread(unread: &Unread, set: &mut Attributes) -> Option<Failure> {
    set.plain(names::SERVER_ADDRESS, host(&unread.flow));
    // A connection of which neither name nor address is known has no port that anybody knows either.
    if unread.flow.host.is_some() || unread.flow.destination.is_some() {
        set.int(names::SERVER_PORT, unread.flow.port);
    }
    captured(unread.flow.plane, set);
    let (reason, detail) = reason(&unread.reason);
    let said = if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") };
    set.text(names::UNREAD_REASON, &said, Class::Plain);
    set.int(names::UNREAD_BYTES_OUT, unread.bytes_to_origin);
    set.int(names::UNREAD_BYTES_IN, unread.bytes_to_client);
    match &unread.reason {
        UnreadReason::OriginFailed(_) | UnreadReason::OriginUntrusted(_) => Some(Failure::new(reason, &said)),
        _ => None,
    }
}

fn reason(reason: &UnreadReason) -> (&'static str, &str) {
    match reason {
        UnreadReason::ClientRefused(sign) => ("client_refused", sign),
        UnreadReason::RefusedBefore => ("refused_before", ""),
        UnreadReason::NoServerName => ("no_server_name", ""),
        UnreadReason::Opaque => ("opaque", ""),
        UnreadReason::OriginFailed(how) => ("origin_failed", how),
        UnreadReason::OriginUntrusted(why) => ("origin_untrusted", why),
        UnreadReason::ClientCertificate => ("client_certificate", ""),
        UnreadReason::Configured => ("configured", ""),
        UnreadReason::Limit(limit) => ("limit", limit),
        UnreadReason::NoProbe(why) => ("no_probe", why),
        UnreadReason::Joined => ("joined", ""),
        UnreadReason::Lost => ("lost", ""),
    }
}
