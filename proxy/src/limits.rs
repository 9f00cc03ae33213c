//! Every bound of the proxy, in one place. Sizes in bytes unless the name says otherwise.

use std::time::Duration;

/// Most connections that are open at once; more wait in the listener's backlog.
pub const CONNECTIONS: usize = 16 * 1024;
/// Longest ClientHello that is read before the connection counts as opaque.
pub const HELLO_BYTES: usize = 64 * 1024;
/// Longest HTTP/1 head that is read from a client that speaks to us as its proxy.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Most bytes that a client may send before its origin has answered our handshake.
pub const AHEAD_BYTES: usize = 256 * 1024;
/// How long first bytes may stay undecided before the connection counts as opaque.
pub const SNIFF: Duration = Duration::from_secs(5);
/// How long the client of an origin that cannot be reached may take to say whom it wanted.
pub const LAST_WORDS: Duration = Duration::from_millis(250);
/// How long a client may take to say its first proxy request.
pub const PROXY_HEAD: Duration = Duration::from_secs(60);
/// How long one of several addresses of a name may take to answer.
pub const ADDRESS: Duration = Duration::from_secs(5);
/// How long open connections may go on after shutdown was asked for.
pub const DRAIN: Duration = Duration::from_millis(250);
/// Pause after an `accept` that failed for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Most hosts whose certificate is kept.
pub const LEAVES: usize = 1024;
/// Most pairs of host and protocol whose TLS settings are kept, for each side.
pub const SETTINGS: usize = 1024;
/// Most pairs of executable and host whose opinion of our certificate is remembered.
pub const STANDINGS: usize = 4096;
/// Handshakes completed and then abandoned without a byte, after which a client counts as refusing.
pub const SILENT_HANDSHAKES: u8 = 2;
/// Bytes that one read may take at most. One such buffer per thread, none per connection.
pub const READ_BYTES: usize = 64 * 1024;
/// Events that must not be lost and wait beside a full queue.
pub const OVERFLOW_EVENTS: usize = 64 * 1024;
/// Most HTTP/2 streams on one connection to an origin in rewrite mode.
pub const REWRITE_STREAMS: usize = 100;
/// How long a connection rests unused in rewrite mode before we close it.
pub const REWRITE_KEEPALIVE: Duration = Duration::from_secs(300);
