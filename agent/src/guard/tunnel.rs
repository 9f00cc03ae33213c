//! A proxy that reads nothing: `CONNECT` and absolute-form requests (RFC 9110, section 9.3.6; RFC 9112, section
//! 3.2.2), for programs whose environment still names a listener of a run that is over.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::limits::{GUARD_CONNECTIONS, GUARD_HEAD_BYTES};

/// Serves until the process ends.
pub(super) fn serve(listener: StdListener) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let places = Arc::new(Semaphore::new(GUARD_CONNECTIONS));
        if listener.set_nonblocking(true).is_ok()
            && let Ok(listener) = TcpListener::from_std(listener)
        {
            accept(listener, places).await;
        }
    });
}

async fn accept(listener: TcpListener, places: Arc<Semaphore>) {
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            carry(client).await.ok();
            drop(place);
        });
    }
}

async fn carry(mut client: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if head.len() > GUARD_HEAD_BYTES || client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let body = head.split_off(end);
    let head = String::from_utf8_lossy(&head).into_owned();
    let Some(request) = Request::parse(&head) else {
        return client
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
    };
    let mut origin = match TcpStream::connect((request.host.as_str(), request.port)).await {
        Ok(origin) => origin,
        Err(_) => {
            let answer = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return client.write_all(answer).await;
        }
    };
    match &request.head {
        Some(head) => origin.write_all(head.as_bytes()).await?,
        None => client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?,
    }
    origin.write_all(&body).await?;
    copy_bidirectional(&mut client, &mut origin).await?;
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    host: String,
    port: u16,
    /// What the origin gets; `None` for a tunnel.
    head: Option<String>,
}

impl Request {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if method == "CONNECT" {
            let (host, port) = authority(target, None)?;
            return Some(Self { host, port, head: None });
        }
        let rest = target.strip_prefix("http://")?;
        let slash = rest.find(['/', '?']).unwrap_or(rest.len());
        let (named, path) = rest.split_at_checked(slash)?;
        let (host, port) = authority(named, Some(80))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut head = format!("{method} {slash}{path} {version}\r\n");
        // One request for each connection: the next may be for another origin.
        for line in lines.take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if !matches!(
                name.as_str(),
                "connection" | "proxy-connection" | "proxy-authorization" | "keep-alive"
            ) {
                head.push_str(line);
                head.push_str("\r\n");
            }
        }
        head.push_str("connection: close\r\n\r\n");
        Some(Self { host, port, head: Some(head) })
    }
}

fn authority(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let (host, port) = match text.rsplit_once(':') {
        // The colons of a bare IPv6 address are not a port's.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, default?),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expect: Option<(&str, u16, Option<&str>)>) {
        let expect = expect.map(|(host, port, head)| Request {
            host: host.to_owned(),
            port,
            head: head.map(str::to_owned),
        });
        assert_eq!(Request::parse(head), expect, "{head:?}");
    }

    #[test]
    fn reads_tunnels() {
        check("CONNECT api.openai.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", Some(("api.openai.com", 443, None)));
        check("CONNECT [::1]:8443 HTTP/1.1\r\n\r\n", Some(("::1", 8443, None)));
        check("CONNECT api.openai.com HTTP/1.1\r\n\r\n", None);
        check("GET / HTTP/1.1\r\nHost: x\r\n\r\n", None);
        check("", None);
    }

    #[test]
    fn turns_absolute_form_into_origin_form() {
        check(
            "GET http://h.test/p?q=1 HTTP/1.1\r\nHost: h.test\r\nProxy-Connection: keep-alive\r\n\r\n",
            Some(("h.test", 80, Some("GET /p?q=1 HTTP/1.1\r\nHost: h.test\r\nconnection: close\r\n\r\n"))),
        );
        check(
            "POST http://u:p@[::1]:81?x HTTP/1.1\r\nHost: h\r\n\r\n",
            Some(("::1", 81, Some("POST /?x HTTP/1.1\r\nHost: h\r\nconnection: close\r\n\r\n"))),
        );
    }
}
