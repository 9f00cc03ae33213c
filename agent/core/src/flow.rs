//! One connection and the bytes on it.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::process::ProcessKey;

/// Nanoseconds since the Unix epoch. The capture layer stamps it; the core only compares and subtracts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Nanoseconds from `earlier` to `self`, zero where the clock went back.
    pub fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Identifies a connection within one process of Trackway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {}", self.0)
    }
}

/// Which way bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the observed client to the origin server.
    ToOrigin,
    /// From the origin server to the observed client.
    ToClient,
}

/// How a connection was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Redirected by the kernel to the proxy.
    Redirect,
    /// The client was told of the proxy by its environment.
    Explicit,
    /// Read inside the process: by probes where it hands its bytes to this TLS library, or else from its socket.
    Tap(Option<Probe>),
}

impl Plane {
    /// Its name in telemetry.
    pub fn name(self) -> &'static str {
        match self {
            Plane::Redirect => "redirect",
            Plane::Explicit => "explicit",
            Plane::Tap(_) => "tap",
        }
    }
}

/// Which TLS library's functions gave bytes, and how they were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// The library's name.
    pub library: &'static str,
    /// How its functions were found (`dynsym`, `symtab`, …).
    pub method: &'static str,
}

/// Whether a connection's bytes were seen from the first on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Start {
    /// They were: offset 0 is the connection's first byte.
    #[default]
    Seen,
    /// Whoever gave the bytes does not know: offset 0 is where it began to look. What the client says first
    /// decides, and the same name may be given to another connection later.
    Unknown,
    /// They were not: the connection was there before anybody looked.
    Late,
}

/// One connection: who opened it, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its identity.
    pub id: FlowId,
    /// The process that opened it, where it is known.
    pub process: Option<ProcessKey>,
    /// How it was captured.
    pub plane: Plane,
    /// Whether it was seen from its start.
    pub start: Start,
    /// The name that the client asked for (SNI, CONNECT authority), without port.
    pub host: Option<String>,
    /// The address that the client connected to.
    pub destination: Option<SocketAddr>,
    /// The destination port, known even where only a name is.
    pub port: u16,
    /// Whether TLS lay under the bytes.
    pub tls: bool,
    /// The ALPN protocol that the origin chose.
    pub alpn: Option<String>,
    /// When the client connected.
    pub opened: Time,
}

/// Bytes as they passed, in order for each direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Which way.
    pub direction: Direction,
    /// Position of the first byte in this direction's stream. A jump ahead is a gap: bytes that were lost.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
    /// When they passed.
    pub time: Time,
}

/// How a direction or a whole connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// An orderly end (FIN, close_notify).
    Clean,
    /// A reset or an error on the client's side.
    ClientReset,
    /// A reset or an error on the origin's side.
    OriginReset,
    /// Trackway itself ended it (shutdown, internal fault), or has stopped to look at it.
    Proxy,
}

/// A connection that was relayed without being read, and why. Reported, never silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The connection.
    pub flow: Flow,
    /// Why it was not read.
    pub reason: UnreadReason,
    /// Bytes from the client.
    pub bytes_to_origin: u64,
    /// Bytes to the client.
    pub bytes_to_client: u64,
    /// When it ended.
    pub closed: Time,
    /// How it ended.
    pub close: Close,
}

/// Why a connection was not read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnreadReason {
    /// The client refused the run's certificate; the text is the sign that it gave (`alert unknown_ca`, …).
    ClientRefused(String),
    /// This executable refused the run's certificate for this host before, so it is tunnelled now.
    RefusedBefore,
    /// TLS without a server name: the origin could not be verified as the client would have.
    NoServerName,
    /// Neither TLS nor HTTP.
    Opaque,
    /// The origin could not be reached or refused the connection; the text says how.
    OriginFailed(String),
    /// The origin's certificate did not verify; the text is the verifier's.
    OriginUntrusted(String),
    /// The origin asks the client for a certificate, which only the client has.
    ClientCertificate,
    /// The operator's configuration says so.
    Configured,
    /// A limit of the proxy was hit; the text names it.
    Limit(String),
    /// The executable has no TLS function that a probe can be set on; the text says why.
    NoProbe(String),
    /// It was joined so late that its bytes made no sense any more.
    Joined,
    /// Too many of its bytes were lost.
    Lost,
}
