//! What is too old, or too much, goes: the oldest runs first, in steps so small that no writer waits for long.

use std::time::{Duration, Instant};

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

/// What a visit of the retention came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Runs that went.
    pub runs: u64,
    /// Whether nothing is left to do.
    pub done: bool,
}

impl Store {
    /// Deletes runs that began too long before `now`, and the oldest ones while the file is too large, for about so
    /// long. A run that is being written stays.
    pub fn sweep(&self, keep: Keep, now: u64, budget: Duration) -> Result<Swept, Error> {
        let (begun, mut swept) = (Instant::now(), Swept::default());
        let spent = || begun.elapsed() >= budget;
        let age = u64::from(keep.days).saturating_mul(86_400_000_000_000);
        for run in self.oldest(now.saturating_sub(age), limits::SWEEP_RUNS)? {
            if spent() {
                return Ok(swept);
            }
            swept.runs += u64::from(self.delete(run)?);
        }
        while self.used()? > keep.bytes {
            // What was deleted stays in the index until it is merged: that first, or too much would go.
            let merged = loop {
                if spent() {
                    return Ok(swept);
                }
                if self.merge()? {
                    break self.used()? <= keep.bytes;
                }
            };
            if merged {
                break;
            }
            // A little more than is needed, so that not every run pays for a merge.
            let mut over = whole(self.used()?.saturating_sub(keep.bytes - keep.bytes / 32));
            let runs = self.oldest(now, limits::SWEEP_RUNS)?;
            if runs.is_empty() {
                break;
            }
            for run in runs {
                if over > 0 && !spent() {
                    over -= self.weight(run)?;
                    swept.runs += u64::from(self.delete(run)?);
                }
            }
        }
        self.shrink()?;
        swept.done = true;
        Ok(swept)
    }

    /// The oldest runs that have ended and began before that time.
    fn oldest(&self, before: u64, most: usize) -> Result<Vec<i64>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT id FROM runs WHERE start < ?1 AND status <> 'running' ORDER BY start LIMIT ?2",
        )?;
        let runs = statement.query_map(params![whole(before), whole(most as u64)], |row| row.get(0))?;
        Ok(runs.collect::<Result<_, _>>()?)
    }

    /// About the bytes that a run takes, its part of the index included.
    fn weight(&self, run: i64) -> Result<i64, Error> {
        let (from, to) = range(run);
        let mut statement = self.db.prepare_cached(
            "SELECT (SELECT total(octet_length(data)) FROM spans WHERE id BETWEEN ?1 AND ?2)
                  + (SELECT total(octet_length(text)) FROM pieces WHERE id BETWEEN ?1 AND ?2)
                  + (SELECT total(octet_length(c0)) * 1.5 FROM said_content WHERE id BETWEEN ?1 AND ?2)",
        )?;
        let bytes: f64 = statement.query_row([from, to], |row| row.get(0))?;
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        Ok((bytes as i64).max(1))
    }

    /// Merges a part of the index. Whether there is nothing left to merge.
    fn merge(&self) -> Result<bool, Error> {
        let sql = format!("INSERT INTO said (said, rank) VALUES ('merge', -{})", limits::MERGE_PAGES);
        let before = self.db.total_changes();
        self.db.prepare_cached(&sql)?.execute([])?;
        // As the documentation of FTS5 has it.
        Ok(self.db.total_changes() - before < 2)
    }

    /// Gives pages back to the file system. Some stay, to be used again.
    fn shrink(&self) -> Result<(), Error> {
        let free: i64 = self.db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        if free > i64::from(limits::SWEEP_PAGES) / 4 {
            let mut statement =
                self.db.prepare(&format!("PRAGMA incremental_vacuum({})", limits::SWEEP_PAGES))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
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
