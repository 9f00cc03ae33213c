//! Chunks in the order of their times.
//!
//! A thread that writes a request may be stopped before its probe has handed the bytes over, and another thread reads
//! the answer meanwhile. So each chunk waits until nothing older can come any more, as far as scheduling goes.

use std::collections::BTreeMap;

use trackway_core::flow::Time;

use crate::kernel::Chunk;
use crate::limits::{TAP_HOLD_BYTES, TAP_HOLD_NS};

/// Chunks that wait.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: BTreeMap<(Time, u64), Chunk>,
    count: u64,
    /// Bytes of what is held.
    bytes: usize,
    /// Chunks that went on before their time, because too much was held.
    pub(super) hurried: u64,
}

impl Order {
    /// Takes a chunk. Those of one time stay in the order in which they came.
    pub(super) fn push(&mut self, chunk: Chunk) {
        self.count += 1;
        self.bytes += chunk.size();
        self.held.insert((chunk.time, self.count), chunk);
    }

    /// The next one that has waited long enough.
    pub(super) fn ripe(&mut self, now: Time) -> Option<Chunk> {
        let due = Time(now.0.saturating_sub(TAP_HOLD_NS));
        if self.bytes <= TAP_HOLD_BYTES {
            return self.until(due);
        }
        self.hurried += u64::from(self.held.first_key_value().is_some_and(|((time, _), _)| *time > due));
        self.until(Time(u64::MAX))
    }

    /// All of a process that has ended.
    pub(super) fn of(&mut self, pid: u32) -> Vec<Chunk> {
        let own = self.held.extract_if(.., |_, chunk| chunk.process.pid == pid);
        let own: Vec<Chunk> = own.map(|(_, chunk)| chunk).collect();
        self.bytes -= own.iter().map(Chunk::size).sum::<usize>();
        own
    }

    /// The next one that is not younger.
    pub(super) fn until(&mut self, time: Time) -> Option<Chunk> {
        let first = self.held.first_entry().filter(|first| first.key().0 <= time)?;
        let chunk = first.remove();
        self.bytes -= chunk.size();
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use trackway_core::flow::Direction;
    use trackway_core::process::ProcessKey;

    use super::*;
    use crate::kernel::What;

    fn chunk(time: u64, connection: u64) -> Chunk {
        Chunk {
            time: Time(time),
            process: ProcessKey { pid: 1, started: Time(0) },
            tid: 1,
            connection,
            direction: Direction::ToOrigin,
            socket: None,
            site: None,
            what: What::Mapped,
        }
    }

    #[test]
    fn what_is_held_has_a_bound_and_what_could_not_wait_is_counted() {
        let mut order = Order::default();
        let large = |time| {
            let bytes = vec![0; TAP_HOLD_BYTES / 2];
            Chunk { what: What::Text { offset: 0, bytes }, ..chunk(time, time) }
        };
        for time in 1..=3 {
            order.push(large(time));
        }
        // Nothing has waited long enough, and there is too much: the oldest goes until the rest has room.
        let gone: Vec<u64> =
            std::iter::from_fn(|| order.ripe(Time(1))).map(|chunk| chunk.connection).collect();
        assert_eq!((gone, order.hurried), (vec![1], 1));
        assert_eq!(order.of(1).len(), 2);
        assert_eq!((order.bytes, order.held.len()), (0, 0));
    }

    #[test]
    fn who_began_first_comes_first_however_late_it_is_handed_over() {
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
