//! Chunks in the order of their times.
//!
//! A thread that writes a request may be stopped before its probe has handed the bytes over, and another thread reads
//! the answer meanwhile. So each chunk waits until nothing older can come any more, as far as scheduling goes.

use std::collections::BTreeMap;

use trackway_core::flow::Time;

use crate::kernel::Chunk;
use crate::limits::TAP_HOLD_NS;

/// Chunks that wait.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: BTreeMap<(Time, u64), Chunk>,
    count: u64,
}

impl Order {
    /// Takes a chunk. Those of one time stay in the order in which they came.
    pub(super) fn push(&mut self, chunk: Chunk) {
        self.count += 1;
        self.held.insert((chunk.time, self.count), chunk);
    }

    /// The next one that has waited long enough.
    pub(super) fn ripe(&mut self, now: Time) -> Option<Chunk> {
        self.until(Time(now.0.saturating_sub(TAP_HOLD_NS)))
    }

    /// All of a process that has ended.
    pub(super) fn of(&mut self, pid: u32) -> Vec<Chunk> {
        let own = self.held.extract_if(.., |_, chunk| chunk.process.pid == pid);
        own.map(|(_, chunk)| chunk).collect()
    }

    /// The next one that is not younger.
    pub(super) fn until(&mut self, time: Time) -> Option<Chunk> {
        let first = self.held.first_entry().filter(|first| first.key().0 <= time)?;
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests {
    use trackway_core::flow::Direction;
    use trackway_core::process::ProcessKey;

    use super::*;
    use crate::kernel::What;

    #[test]
    fn who_began_first_comes_first_however_late_it_is_handed_over() {
        let chunk = |time: u64, connection: u64| Chunk {
            time: Time(time),
            process: ProcessKey { pid: 1, started: Time(0) },
            tid: 1,
            connection,
            direction: Direction::ToOrigin,
            descriptor: None,
            site: None,
            what: What::Mapped,
        };
        let mut order = Order::default();
        for (time, connection) in [(30, 3), (10, 1), (30, 4), (20, 2)] {
            order.push(chunk(TAP_HOLD_NS + time, connection));
        }
        assert!(order.ripe(Time(2 * TAP_HOLD_NS + 9)).is_none());
        let mut taken: Vec<u64> = std::iter::from_fn(|| order.ripe(Time(2 * TAP_HOLD_NS + 20)))
            .map(|chunk| chunk.connection)
            .collect();
        assert_eq!(taken, [1, 2]);
        taken.extend(std::iter::from_fn(|| order.until(Time(u64::MAX))).map(|chunk| chunk.connection));
        assert_eq!(taken, [1, 2, 3, 4]);
    }
}
