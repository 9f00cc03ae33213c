//! Every bound of the live view, in one place.

use std::time::Duration;

/// How often the store is looked at.
pub const POLL: Duration = Duration::from_millis(500);
/// How often the frame is drawn while a run goes on.
pub const FRAME: Duration = Duration::from_millis(250);
/// How long keys are asked for once they may be there. With no time at all, crossterm does not look.
pub const KEYS: Duration = Duration::from_millis(1);
/// Looks after which it is checked whether a running run's process is still there, and the store the same file.
pub const CHECK: u32 = 4;
/// Most runs that go on, and most others, that are shown.
pub const RUNS: usize = 200;
/// Most spans of a run that goes on that are read when it is seen for the first time: its latest.
pub const HISTORY: usize = 2_000;
/// Likewise of a run that has ended, of which the root says what matters.
pub const ENDED_HISTORY: usize = 32;
/// Most spans that one look reads; the rest waits for the next.
pub const LOOK_SPANS: usize = 1_000;
/// Most tool calls of a run that are awaited at once.
pub const ASKS: usize = 64;
/// Answers that came before their questions, which are remembered.
pub const ANSWERS: usize = 256;
/// Most bytes of a tool's arguments that are kept.
pub const ARGUMENT_BYTES: usize = 512;
/// What one column of the graph covers.
pub const BEAT: Duration = Duration::from_secs(5);
/// Columns of it that are kept.
pub const BEATS: usize = 120;
/// Most spans of the run that is open.
pub const TREE_SPANS: usize = 2_000;
/// Longest filter.
pub const FILTER: usize = 64;
