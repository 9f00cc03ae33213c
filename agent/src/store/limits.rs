//! Every bound of the store, in one place.

use std::time::Duration;

/// Days for which a run is kept, where nobody says otherwise.
pub const DAYS: u32 = 7;
/// Bytes that the file may take, where nobody says otherwise.
pub const BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Most spans that wait for the writer. More are dropped and counted.
pub const QUEUE_SPANS: usize = 32_768;
/// Most bytes of text in them.
pub const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How long spans wait for others before they are committed.
pub const COMMIT: Duration = Duration::from_millis(500);
/// How long the end of a run waits for its last spans to be written.
pub const FLUSH: Duration = Duration::from_secs(5);
/// How long a transaction waits for another writer.
pub const BUSY: Duration = Duration::from_secs(2);
/// Statements that stay prepared.
pub const STATEMENTS: usize = 64;
/// How often opening is tried again while another process makes the file.
pub const OPEN_TRIES: u32 = 100;
/// The pause between two tries.
pub const OPEN_PAUSE: Duration = Duration::from_millis(10);
/// Bits of an id that number what belongs to one run.
pub const NUMBER_BITS: u32 = 20;
/// Most spans, texts or pieces of one run, each. What comes after is counted as not stored.
pub const NUMBERS: i64 = 1 << NUMBER_BITS;
/// Most spans of one transaction.
pub const BATCH_SPANS: usize = 1_024;
/// Texts of one run that are remembered, so that a history that is sent again is neither stored nor indexed again.
pub const REMEMBERED: usize = 65_536;
/// Attributes shorter than this are stored where they are.
pub const PIECE_BYTES: usize = 512;
/// Most bytes of one text that the index reads.
pub const SAID_BYTES: usize = 256 * 1024;
/// Most models, tools, users or sessions of one run by which it can be found.
pub const TAGS: usize = 256;
/// Longest of them.
pub const TAG_BYTES: usize = 256;
/// Most bytes of a run's task that its row shows.
pub const TASK_BYTES: usize = 200;
/// Most words of one search.
pub const WORDS: usize = 32;
/// Shortest word that also means the longer words which begin with it, in bytes.
pub const BEGINNING_BYTES: usize = 3;
/// Words around a match.
pub const SNIPPET_WORDS: u32 = 16;
/// Runs that the retention looks at in one step. Each is deleted in a transaction of its own.
pub const SWEEP_RUNS: usize = 256;
/// About how long it works before the run's own spans have their turn again.
pub const SWEEP: Duration = Duration::from_millis(100);
/// Pages of the index that are merged in one transaction.
pub const MERGE_PAGES: u32 = 500;
/// Pages that one step gives back to the file system.
pub const SWEEP_PAGES: u32 = 4_096;
/// Bytes that the write-ahead log keeps after a checkpoint.
pub const LOG_BYTES: u64 = 16 * 1024 * 1024;
/// Runs that an ambiguous name lists.
pub const CANDIDATES: usize = 10;
/// Levels of parents that are looked at for a run in which we run ourselves.
pub const ANCESTORS: usize = 64;
