//! What the live view reads: which runs there are and what came to them since, without a write.

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use trackway_core::telemetry::Content;

use super::alive::boot;
use super::query::{COLUMNS, summary};
use super::{Error, Store, Stored, Summary, count, id, limits, place, range, restore, schema, whole};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The run's number.
    pub run: i64,
    /// Spans stored of it.
    pub spans: u64,
    /// Whether its end is stored.
    pub ended: bool,
}

/// A span that came.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// Its number within the run. Later ones are larger.
    pub number: i64,
    /// Whether it is a call of a model that counts in the run's totals.
    pub counts: bool,
    /// The span, without the long texts of its request.
    pub stored: Stored,
}

impl Store {
    /// Opens the store so that nothing can be written to it.
    pub fn watch(path: &std::path::Path) -> Result<Self, Error> {
        let missing = || Error::Missing { path: path.to_owned(), hint: place::hint(path) };
        if !path.exists() {
            return Err(missing());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(limits::BUSY)?;
        db.set_prepared_statement_cache_capacity(limits::STATEMENTS);
        if schema::made(&db, path)? { Ok(Self { db, path: path.to_owned() }) } else { Err(missing()) }
    }

    /// A number that changes with every write of another process.
    pub fn version(&self) -> Result<i64, Error> {
        Ok(self.db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// The runs without an end and the newest others: so many of each at most.
    pub fn pulses(&self, most: usize) -> Result<Vec<Pulse>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, spans, status <> 'running' FROM
                (SELECT id, spans, status FROM runs WHERE status = 'running' ORDER BY start DESC LIMIT ?1)
             UNION SELECT id, spans, status <> 'running' FROM
                (SELECT id, spans, status FROM runs ORDER BY start DESC LIMIT ?1) ORDER BY id",
        )?;
        let rows = statement.query_map([whole(most as u64)], |row| {
            Ok(Pulse { run: row.get(0)?, spans: count(row.get(1)?), ended: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One run, as it stands now.
    pub fn run(&self, run: i64) -> Result<Option<Summary>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM runs r WHERE r.id = ?1");
        let here = boot();
        let found = self.db.prepare_cached(&sql)?.query_row([run], |row| summary(row, &here)).optional()?;
        let Some(mut found) = found else { return Ok(None) };
        self.name(&mut found)?;
        Ok(Some(found))
    }

    /// The number before the last `most` spans of a run: what is read after it is no more than these.
    pub fn before_last(&self, run: i64, most: usize) -> Result<i64, Error> {
        let (from, to) = range(run);
        let sql = "SELECT id FROM spans WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3";
        let before: Option<i64> = self
            .db
            .prepare_cached(sql)?
            .query_row(params![from, to, whole(most as u64)], |row| row.get(0))
            .optional()?;
        Ok(before.map_or(-1, |before| before - from))
    }

    /// Gives the spans of a run that came after that number, in the order in which they were stored: so many at
    /// most. Says how many there were.
    pub fn spans_after(
        &self,
        run: i64,
        after: i64,
        most: usize,
        mut each: impl FnMut(Fresh),
    ) -> Result<usize, Error> {
        let (from, to) = range(run);
        let mut statement = self.db.prepare_cached(
            "SELECT s.data, s.classes, s.id, s.counts FROM spans s WHERE s.id > ?1 AND s.id <= ?2
             ORDER BY s.id LIMIT ?3",
        )?;
        let mut rows = statement.query(params![id(run, 0) + after, to, whole(most as u64)])?;
        let mut given = 0;
        while let Some(row) = rows.next()? {
            let span = restore::span(row, Content::Full)?;
            let number = row.get::<_, i64>(2)? - from;
            each(Fresh {
                number,
                counts: row.get(3)?,
                stored: Stored { span, resource: std::sync::Arc::default() },
            });
            given += 1;
        }
        Ok(given)
    }
}
