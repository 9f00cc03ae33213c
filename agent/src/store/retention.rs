//! What is too old, or too much, goes: the oldest runs first, in steps so small that no writer waits for long.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::alive::{Owner, boot};
use super::{Error, Store, days, limits, range, whole};

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Days.
    pub days: u32,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { days: limits::DAYS, bytes: limits::BYTES }
    }
}

impl Store {
    /// Deletes runs that ended too long before `now`, and the oldest ones while the file is too large. A run that is
    /// being written stays. Gives the number of runs that went.
    pub fn sweep(&self, keep: Keep, now: u64) -> Result<u64, Error> {
        let age = u64::from(keep.days).saturating_mul(86_400_000_000_000);
        let before = whole(now.saturating_sub(age));
        let mut gone = 0;
        for _ in 0..limits::SWEEP_STEPS {
            let step = if self.used()? > keep.bytes { i64::MAX } else { before };
            let mut statement = self.db.prepare_cached(
                "SELECT id FROM runs WHERE start < ?1 AND status <> 'running' ORDER BY start LIMIT ?2",
            )?;
            let many = if step == before { limits::SWEEP_RUNS } else { 1 };
            let runs = statement.query_map(params![step, whole(many as u64)], |row| row.get::<_, i64>(0))?;
            let runs: Vec<i64> = runs.collect::<Result<_, _>>()?;
            if runs.is_empty() {
                break;
            }
            for run in runs {
                gone += u64::from(self.delete(run)?);
            }
        }
        let free: i64 = self.db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        // Free pages are used again; many of them go back.
        if free > i64::from(limits::SWEEP_PAGES) / 4 {
            let sql = format!("PRAGMA incremental_vacuum({})", limits::SWEEP_PAGES);
            let mut statement = self.db.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(gone)
    }

    /// Bytes in use.
    pub fn used(&self) -> Result<u64, Error> {
        let number = |name: &str| {
            self.db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).map(super::count)
        };
        Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
    }

    fn delete(&self, run: i64) -> Result<bool, Error> {
        let (from, to) = range(run);
        let transaction = rusqlite::Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        for table in ["spans", "resources", "pieces"] {
            transaction
                .prepare_cached(&format!("DELETE FROM {table} WHERE id BETWEEN ?1 AND ?2"))?
                .execute([from, to])?;
        }
        transaction.prepare_cached("DELETE FROM said WHERE rowid BETWEEN ?1 AND ?2")?.execute([from, to])?;
        transaction.prepare_cached("DELETE FROM tags WHERE run = ?1")?.execute([run])?;
        let gone = transaction
            .prepare_cached("DELETE FROM runs WHERE id = ?1 AND status <> 'running'")?
            .execute([run])?;
        transaction.commit()?;
        Ok(gone > 0)
    }

    /// Marks the runs whose process is gone as lost, and adds them to their days.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let mut statement =
            self.db.prepare_cached("SELECT id, pid, born, boot FROM runs WHERE status = 'running'")?;
        let here = boot();
        let runs = statement.query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, Owner { pid: row.get(1)?, born: row.get(2)?, boot: row.get(3)? }))
        })?;
        let runs: Vec<(i64, Owner)> = runs.collect::<Result<_, _>>()?;
        for (run, _) in runs.into_iter().filter(|(_, owner)| !owner.may_live(&here)) {
            let (from, to) = range(run);
            let transaction = rusqlite::Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
            let end: Option<i64> = transaction
                .query_row("SELECT max(end) FROM spans WHERE id BETWEEN ?1 AND ?2", [from, to], |row| {
                    row.get(0)
                })
                .optional()?
                .flatten();
            let changed = transaction.execute(
                "UPDATE runs SET status = 'lost', end = max(start, coalesce(?2, start)),
                 reason = 'trackway ended before the run did: killed, or the machine went down'
                 WHERE id = ?1 AND status = 'running'",
                params![run, end],
            )?;
            if changed > 0 {
                days::add(&transaction, run)?;
            }
            transaction.commit()?;
        }
        Ok(())
    }
}
