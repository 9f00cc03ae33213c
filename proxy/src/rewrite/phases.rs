//! pingora's phases: where a request goes, what is added to it, what is not said in our own name.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::utils::tls::WrappedX509;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use super::Route;
use crate::config::Traceparent;
use crate::explicit::absolute;
use crate::limits;
use crate::origin::Target;

pub(super) struct Phases {
    pub(super) roots: Arc<[WrappedX509]>,
    pub(super) traceparent: Option<Traceparent>,
}

#[async_trait]
impl ProxyHttp for Phases {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<()> {
        // How long a client may think is between it and the origin.
        session.set_read_timeout(None);
        // An HTTP/1.0 client may know an answer's end by the connection's (RFC 9112 section 9.3).
        let lasting = session.req_header().version > http::Version::HTTP_10;
        session.set_keepalive(lasting.then_some(limits::REWRITE_KEEPALIVE.as_secs()));
        Ok(())
    }

    async fn upstream_peer(&self, session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let route = route(session)?;
        let target = if route.forward { asked(session.req_header())? } else { route.target.clone() };
        let found = route.shared.origins.find(&target).await;
        let found = found.or_err(ErrorType::ConnectNoRoute, "the name has no address")?;
        let Some(address) = found.first().copied() else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "the name has no address");
        };
        // With an empty name pingora would not verify at all. It never is: TLS without one is tunnelled.
        if route.tls && target.host.is_empty() {
            return Error::e_explain(ErrorType::InvalidCert, "no name to verify");
        }
        let mut peer = HttpPeer::new(address, route.tls, target.host.clone());
        peer.group_key = route.group(&target, address);
        let options = &mut peer.options;
        options.ca = Some(Arc::clone(&self.roots));
        options.alpn = if route.http2 { ALPN::H2 } else { ALPN::H1 };
        options.max_h2_streams = limits::REWRITE_STREAMS;
        options.connection_timeout = None;
        options.total_connection_timeout = None;
        options.read_timeout = None;
        options.write_timeout = None;
        options.idle_timeout = Some(limits::REWRITE_KEEPALIVE);
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        if let Some(mark) = route.shared.origins.mark() {
            options.upstream_tcp_sock_tweak_hook = Some(Arc::new(move |socket| {
                nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Mark, &mark)
                    .or_err(ErrorType::SocketError, "SO_MARK")
            }));
        }
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut (),
    ) -> Result<()> {
        let route = route(session)?;
        if route.forward {
            localise(request)?;
        }
        if !request.headers.contains_key("traceparent")
            && let Some(value) = self.traceparent.as_ref().and_then(|give| give(&route.flow))
        {
            request.insert_header("traceparent", value)?;
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, _ctx: &mut ()) -> FailToProxy {
        tracing::debug!(%error, "a rewritten request failed");
        let silent = FailToProxy { error_code: 0, can_reuse_downstream: false };
        // Only a client that speaks to us as its proxy may hear of us.
        if session.response_written().is_none()
            && route(session).is_ok_and(|route| route.forward)
            && let Ok(mut response) = ResponseHeader::build(502, Some(1))
            && response.insert_header("Content-Length", "0").is_ok()
            && let Err(error) = session.write_response_header(Box::new(response), true).await
        {
            tracing::debug!(%error, "the client did not wait for our answer");
        }
        silent
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &(), _error: &Error) -> bool {
        true
    }
}

fn route(session: &Session) -> Result<Arc<Route>> {
    let digest = session.digest().and_then(|digest| digest.proxy_digest.as_ref());
    let route = digest.and_then(|digest| digest.user_data.as_ref()?.downcast_ref::<Arc<Route>>());
    route.cloned().ok_or_else(|| Error::explain(ErrorType::InternalError, "a stream without a route"))
}

/// The target that a request in absolute form names.
fn asked(request: &RequestHeader) -> Result<Target> {
    let target = std::str::from_utf8(request.raw_path()).ok().and_then(absolute);
    match target {
        Some((host, port)) => Ok(Target { host, port, address: None }),
        None => Error::e_explain(ErrorType::HTTPStatus(400), "the target is not absolute"),
    }
}

/// Turns a request to a proxy into one to its origin (RFC 9112 section 3.2.1, RFC 9110 section 7.2).
fn localise(request: &mut RequestHeader) -> Result<()> {
    let path = request.raw_path().to_vec();
    let text = String::from_utf8_lossy(&path).into_owned();
    let Some(rest) = text.get(7..).filter(|_| absolute(&text).is_some()) else { return Ok(()) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host).to_owned();
    let mut local = path[7 + end..].to_vec();
    if local.first() != Some(&b'/') {
        local.insert(0, b'/');
    }
    request.set_raw_path(&local)?;
    request.insert_header("Host", authority)?;
    request.remove_header("Proxy-Connection");
    request.remove_header("Proxy-Authorization");
    Ok(())
}
