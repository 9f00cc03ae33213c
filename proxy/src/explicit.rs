//! The proxy's part in HTTP for clients that know of it (RFC 9110 section 9.3.6, RFC 9112 section 3.2).

use std::io;

use tokio::io::AsyncWriteExt;
use trackway_core::flow::{Close, UnreadReason};

use crate::connection::Connection;
use crate::stream::Wire;
use crate::{limits, rewrite};

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";
const MISDIRECTED: &str = "This is Trackway's proxy for outbound connections: send CONNECT host:port, or a \
                           request whose target begins with http://.\n";

/// What a client asks of its proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    /// A tunnel.
    Connect { host: String, port: u16 },
    /// A request with its target in absolute form.
    Forward { host: String, port: u16 },
    /// Nothing that a proxy does.
    Other,
}

/// Serves a connection from its first request on.
pub(crate) async fn run(mut connection: Connection, mut wire: Wire) {
    let head = match tokio::time::timeout(limits::PROXY_HEAD, head(&mut wire)).await {
        Ok(Ok(length)) => length,
        Ok(Err(error)) => return tracing::debug!(%error, "no request to the proxy"),
        Err(_) => return,
    };
    let wish = head.map_or(Wish::Other, |length| wish(&wire.ahead()[..length]));
    match (wish, head) {
        (Wish::Connect { host, port }, Some(length)) => {
            connection.target.host = host;
            connection.target.port = port;
            wire.skip(length);
            match connection.shared.origins.dial(&connection.target).await {
                Ok(origin) => {
                    if wire.write_all(ESTABLISHED).await.is_ok() {
                        connection.run(wire, Some(origin)).await;
                    }
                }
                Err(error) => {
                    connection.shared.counts.unreachable.add();
                    let reason = UnreadReason::OriginFailed(error.to_string());
                    connection.report(None, false, reason, Close::OriginReset);
                    let target = &connection.target;
                    let text = format!("Trackway cannot reach {}:{}: {error}\n", target.host, target.port);
                    answer(&mut wire, "502 Bad Gateway", &text).await;
                }
            }
        }
        (Wish::Forward { host, port }, _) => {
            connection.target.host = host;
            connection.target.port = port;
            rewrite::forward(connection, wire).await;
        }
        _ => {
            connection.shared.counts.misdirected.add();
            answer(&mut wire, "400 Bad Request", MISDIRECTED).await;
        }
    }
}

/// Reads an HTTP/1 head ahead and gives its length; `None` if there is none within the limit.
pub(crate) async fn head(wire: &mut Wire) -> io::Result<Option<usize>> {
    loop {
        let ahead = wire.ahead();
        if let Some(end) = ahead.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if ahead.len() >= limits::HEAD_BYTES || ahead.first() == Some(&0x16) {
            return Ok(None);
        }
        if wire.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn wish(head: &[u8]) -> Wish {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(head).is_err() {
        return Wish::Other;
    }
    let (Some(method), Some(target)) = (request.method, request.path) else { return Wish::Other };
    if method == "CONNECT" {
        return match authority(target, None) {
            Some((host, port)) => Wish::Connect { host, port },
            None => Wish::Other,
        };
    }
    match absolute(target) {
        Some((host, port)) => Wish::Forward { host, port },
        None => Wish::Other,
    }
}

/// Host and port of an absolute `http` target.
pub(crate) fn absolute(target: &str) -> Option<(String, u16)> {
    let (scheme, rest) = target.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    authority(host.rsplit_once('@').map_or(host, |(_, host)| host), Some(80))
}

/// Host and port of an authority, `default` standing in for a port that is not said.
pub(crate) fn authority(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" => default?,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/\\@?#[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| (host.to_ascii_lowercase(), port))
}

/// Answers in our own name and closes; only where the client speaks to us as its proxy.
async fn answer(wire: &mut Wire, status: &str, text: &str) {
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let sent = async {
        wire.write_all(response.as_bytes()).await?;
        wire.shutdown().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "the client did not wait for our answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, expected: Wish) {
        assert_eq!(wish(format!("{request}\r\nHost: x\r\n\r\n").as_bytes()), expected, "{request}");
    }

    #[test]
    fn wishes_are_understood() {
        let connect = |host: &str, port| Wish::Connect { host: host.to_owned(), port };
        let forward = |host: &str, port| Wish::Forward { host: host.to_owned(), port };
        check("CONNECT api.example.com:443 HTTP/1.1", connect("api.example.com", 443));
        check("CONNECT [::1]:8443 HTTP/1.1", connect("::1", 8443));
        check("CONNECT api.example.com HTTP/1.1", Wish::Other);
        check("CONNECT api.example.com:0 HTTP/1.1", Wish::Other);
        check("CONNECT /x:1 HTTP/1.1", Wish::Other);
        check("GET http://Example.com/path HTTP/1.1", forward("example.com", 80));
        check("GET HTTP://user:pass@example.com:8080?q HTTP/1.1", forward("example.com", 8080));
        check("POST http://[::1]:81 HTTP/1.1", forward("::1", 81));
        check("GET / HTTP/1.1", Wish::Other);
        check("GET https://example.com/ HTTP/1.1", Wish::Other);
        check("GET http:/// HTTP/1.1", Wish::Other);
        check("nonsense", Wish::Other);
    }
}
