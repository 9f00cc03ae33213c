//! Every bound of the sinks, in one place.

use std::time::Duration;

/// Most spans that wait for the collector. More are dropped and counted.
pub const QUEUE_SPANS: usize = 32_768;
/// Most bytes of encoded spans that wait for the collector.
pub const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Most spans of one request.
pub const BATCH_SPANS: usize = 512;
/// Most bytes of one request, unless a single span is larger. Collectors refuse gRPC messages over 4 MiB
/// by default, and the resources of the batch come on top.
pub const BATCH_BYTES: usize = 3 * 1024 * 1024;
/// Most points of one request.
pub const BATCH_POINTS: usize = 4096;
/// How often metrics are reported where the environment does not say it.
pub const METRIC_INTERVAL: Duration = Duration::from_secs(60);
/// How long a span waits for others before it is sent.
pub const BATCH_DELAY: Duration = Duration::from_secs(1);
/// Time limit of one request, and of the last flush, where the environment sets none.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long one batch is tried before it is given up.
pub const RETRY_TOTAL: Duration = Duration::from_secs(60);
/// First pause between two tries.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest pause between two tries, also where the collector asks for more.
pub const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// Most bytes read of a collector's answer.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// Longest text of a collector's own that is repeated to the user, in characters.
pub const REASON_CHARS: usize = 200;
/// Most spans that the terminal's tree holds. More are left out and counted.
pub const TREE_SPANS: usize = 10_000;
/// Longest text of one attribute that the terminal's tree holds, in bytes.
pub const TREE_TEXT_BYTES: usize = 2_048;
/// Deepest level of the terminal's tree; what lies deeper is shown at this level.
pub const TREE_DEPTH: usize = 32;
