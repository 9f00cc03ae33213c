//! Every bound of the command itself, in one place. The core's stand in `trackway_core::limits`.

use std::time::Duration;

/// Most events that the tap's queue holds.
pub const TAP_EVENTS: usize = 16 * 1024;
/// Most of them that the recording thread takes at once.
pub const TAP_BATCH: usize = 4 * 1024;
/// Most bytes that the tap's queue holds.
pub const TAP_BYTES: usize = 64 * 1024 * 1024;
/// Most attributes of every resource that the environment adds.
pub const RESOURCE_ATTRIBUTES: usize = 64;
/// Most processes that are looked at for whether they serve others.
pub const SERVERS: usize = 4 * 1024;
/// How long it is believed where a process listens.
pub const LISTENING_NS: u64 = 10_000_000_000;
/// Most processes whose standard input and output are read at once.
pub const PIPES: usize = 256;
/// Most processes whose parent is remembered in order to find who talks to them.
pub const PARENTS: usize = 16 * 1024;
/// About how many bytes the recording thread takes from the kernel's tap at once.
pub const CHUNK_BATCH: usize = 8 * 1024 * 1024;
/// Most runs that `attach` records at once.
pub const ATTACHED: usize = 64;
/// Size of the kernel's ring buffer for the tap.
pub const TAP_RING_BYTES: u32 = 32 * 1024 * 1024;
/// How long bytes of the tap wait for older ones that are handed over later.
pub const TAP_HOLD_NS: u64 = 20_000_000;
/// Most bytes that wait so.
pub const TAP_HOLD_BYTES: usize = 64 * 1024 * 1024;
/// Most connections that the tap follows at once.
pub const TAP_FLOWS: usize = 16 * 1024;
/// Most hosts that clients may refuse us for, and the tap reads instead.
pub const TAKEN_HOSTS: usize = 1024;
/// Most calls to each of them that are remembered, in order to tell which connections were read.
pub const TAKEN_CALLS: usize = 1024;
/// How long a tunnelled connection waits for the tap to have read it, and how many of them do.
pub const TAKEN_WAIT_NS: u64 = 200_000_000;
pub const TAKEN_HELD: usize = 1024;
/// Most sockets whose server's name the tap remembers.
pub const TAP_SOCKETS: usize = 16 * 1024;
/// Most processes that the tap knows.
pub const TAPPED: usize = 16 * 1024;
/// Most processes with TLS that was not read that have a line of their own at the end.
pub const MISSED: usize = 10;
/// Most hosts that such a line names.
pub const MISSED_HOSTS: usize = 3;
/// Most files of code that have probes.
pub const IMAGES: usize = 1024;
/// Largest file of code that is looked into.
pub const IMAGE_BYTES: u64 = 1024 * 1024 * 1024;
/// How long probes stay in a file that no watched process uses.
pub const IMAGE_IDLE: Duration = Duration::from_secs(60);
/// Most requests that wait for the thread which looks for libraries, and that it takes at once.
pub const SCANS: usize = 4096;
/// How often the recording thread looks, while there is something to see.
pub const RECORD_BUSY: Duration = Duration::from_millis(5);
/// How often it looks after nothing was seen for a while.
pub const RECORD_IDLE: Duration = Duration::from_millis(10);
/// Looks without a find after which it counts as idle.
pub const RECORD_PATIENCE: u32 = 200;
/// Most threads of the proxy.
pub const WORKERS: usize = 4;
/// How long connections of the run may go on after the command ended, before the run is closed. The proxy gives
/// them a little less.
pub const DRAIN: Duration = Duration::from_millis(500);
/// How long the last facts of the kernel are waited for after the command ended.
pub const LAST_FACTS: Duration = Duration::from_millis(50);
/// Largest certificate bundle that is read.
pub const BUNDLE_BYTES: u64 = 16 * 1024 * 1024;
/// Most files of a certificate directory that are read.
pub const CERTIFICATE_FILES: usize = 4096;
/// Longest request head that the guard reads before it gives up on a connection.
pub const GUARD_HEAD_BYTES: usize = 64 * 1024;
/// Most connections that the guard carries at once.
pub const GUARD_CONNECTIONS: usize = 1024;
/// How often the guard looks whether the run's processes are gone, at first and at most.
pub const GUARD_LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long `doctor` waits for a collector to accept a connection.
pub const DOCTOR_CONNECT: Duration = Duration::from_secs(1);
/// How long `doctor` searches a file before it says so.
pub const DOCTOR_PATIENCE: Duration = Duration::from_secs(1);
/// Most addresses of one process that `doctor` names.
pub const DOCTOR_PEERS: usize = 256;
/// Longest that the demonstration may take.
pub const DEMO: Duration = Duration::from_secs(20);
/// Largest HTTP archive that is read, unpacked: it is one JSON document, and so it is held as a whole.
pub const ARCHIVE_BYTES: u64 = 1024 * 1024 * 1024;
/// Rows of `decode`'s table that are aligned to each other.
pub const TABLE_ROWS: usize = 1000;
/// Broken lines and entries of one file that are named one by one.
pub const BROKEN_NAMED: u64 = 10;
/// Response ids that `decode` remembers, so that a response fetched again is not counted again.
pub const COUNTED_IDS: usize = 65_536;
/// Hosts of plain calls that `decode` counts apart.
pub const PLAIN_HOSTS: usize = 1024;

/// Longest file of prices.
pub const PRICES_BYTES: u64 = 4 * 1024 * 1024;
