//! Requests to which something is added, and requests in absolute form: pingora's HTTP proxy, behind the
//! same accept loop and the same tap.
//!
//! An HTTP proxy cannot be exact: `Date` and `Connection` of HTTP/1 responses are pingora's, repeated
//! header names are regrouped, and an HTTP/1.0 client gets HTTP/1.1 framing. That is why only the hosts that
//! the operator lists come here. The tap stands between the client and pingora, so it sees what the client
//! sent and received, without what was added.

mod phases;
mod tapped;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use pingora_core::apps::{HttpServerApp, ServerApp};
use pingora_core::server::configuration::ServerConf;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use pingora_proxy::{HttpProxy, http_proxy};
use trackway_core::flow::{Close, Flow};

use crate::config::{self, Config};
use crate::connection::Connection;
use crate::explicit::{self, authority};
use crate::origin::Target;
use crate::standing::Party;
use crate::stream::{Side, Wire};
use crate::tap::Probe;
use phases::Phases;
use tapped::Tapped;

/// The proxy of rewrite mode, built when it is first needed.
pub(crate) struct Rewriter {
    config: Config,
    app: OnceLock<Arc<HttpProxy<Phases>>>,
}

/// Where the requests of one connection go.
#[derive(Debug)]
struct Route {
    flow: Flow,
    target: Target,
    tls: bool,
    http2: bool,
    /// Whether requests name their own targets.
    forward: bool,
    shared: Arc<crate::Shared>,
}

impl Rewriter {
    pub(crate) fn new(config: &Config) -> Rewriter {
        Rewriter { config: config.clone(), app: OnceLock::new() }
    }

    fn app(&self) -> Arc<HttpProxy<Phases>> {
        let app = self.app.get_or_init(|| {
            // Every peer brings its roots. pingora would load the system's besides, and panic over a
            // certificate that it cannot read; from an empty file it takes none.
            let ca_file = Some("/dev/null".to_owned());
            let conf = ServerConf { max_retries: 1, ca_file, ..ServerConf::default() };
            let phases =
                Phases { roots: wrapped(&self.config), traceparent: self.config.traceparent.clone() };
            Arc::new(http_proxy(&Arc::new(conf), phases))
        });
        Arc::clone(app)
    }

    /// Lets idle connections go.
    pub(crate) async fn stop(&self) {
        if let Some(app) = self.app.get() {
            app.http_cleanup().await;
        }
    }
}

/// The roots as pingora takes them. Its parser panics on what it cannot read, so each is tried alone.
fn wrapped(config: &Config) -> Arc<[WrappedX509]> {
    let certificates = config::certificates(config).unwrap_or_default();
    let wrap = |der: Vec<u8>| catch_unwind(AssertUnwindSafe(|| WrappedX509::new(der, parse_x509))).ok();
    certificates.iter().filter_map(|der| wrap(der.to_vec())).collect()
}

/// Whether a cleartext connection is to be rewritten, and as which host. HTTP/1 says its host in the first
/// request; HTTP/2 is known by its address only.
pub(crate) async fn wanted(connection: &Connection, wire: &mut Wire, http2: bool) -> Option<String> {
    let shared = &connection.shared;
    if !shared.rewrites_any() {
        return None;
    }
    let named = [
        connection.target.host.clone(),
        connection.target.address.map(|address| address.ip().to_string()).unwrap_or_default(),
    ];
    if let Some(host) = named.into_iter().find(|host| shared.rewrites(host)) {
        return Some(host);
    }
    if http2 {
        return None;
    }
    let length = explicit::head(wire).await.ok()??;
    let host = host(&wire.ahead()[..length])?;
    shared.rewrites(&host).then_some(host)
}

fn host(head: &[u8]) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).ok()?;
    let value = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"))?.value;
    authority(std::str::from_utf8(value).ok()?, Some(80)).map(|(host, _)| host)
}

/// Serves a cleartext connection to a listed host.
pub(crate) async fn cleartext(mut connection: Connection, wire: Wire, host: String, http2: bool) {
    let flow = connection.flow(Some(host.clone()), false, None);
    let probe = Probe::read(connection.shared.tap.as_ref(), flow.clone());
    connection.target.host = host;
    serve(&connection, Side::Plain(wire), probe, flow, http2, false).await;
}

/// Serves a TLS connection to a listed host.
pub(crate) async fn secured(connection: Connection, client: Side, party: Party, alpn: Option<Vec<u8>>) {
    let flow = connection.flow(Some(party.host.clone()), true, alpn.as_deref());
    let mut probe = connection.watch(&party, alpn.as_deref());
    let spoken = probe.spoken();
    let http2 = alpn.as_deref() == Some(b"h2");
    let mut connection = connection;
    connection.target.host.clone_from(&party.host);
    serve(&connection, client, probe, flow, http2, false).await;
    if !spoken.load(Ordering::Relaxed)
        && let Some(reason) = connection.silent(&party)
    {
        connection.report(None, true, reason, Close::Clean);
    }
}

/// Serves requests in absolute form.
pub(crate) async fn forward(connection: Connection, wire: Wire) {
    let flow = connection.flow(None, false, None);
    let probe = Probe::read(connection.shared.tap.as_ref(), flow.clone());
    serve(&connection, Side::Plain(wire), probe, flow, false, true).await;
}

async fn serve(connection: &Connection, client: Side, probe: Probe, flow: Flow, http2: bool, forward: bool) {
    connection.shared.counts.rewritten.add();
    let route = Route {
        tls: flow.tls,
        flow,
        target: connection.target.clone(),
        http2,
        forward,
        shared: Arc::clone(&connection.shared),
    };
    let stream = Tapped::new(client, probe, Arc::new(route));
    let app = connection.shared.rewriter.app();
    app.process_new(Box::new(stream), &connection.shutdown).await;
}

impl Route {
    /// Connections to origins are shared only among those for which every one of these is the same;
    /// pingora's own key leaves out protocol and trust.
    fn group(&self, target: &Target, address: SocketAddr) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&target.host, target.port, address, self.tls, self.http2, self.flow.process).hash(&mut hasher);
        hasher.finish()
    }
}
