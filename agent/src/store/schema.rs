//! The tables, and which form of them a file has.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, limits};

/// The form that is written here. Each change adds one.
const VERSION: i64 = 1;
/// Marks the file as ours: `TWAY`.
const APPLICATION: i64 = 0x5457_4159;

/// Ids of spans, texts, pieces and resources are the run's number and a number within the run.
const TABLES: &str = "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trace TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL COLLATE NOCASE,
    service TEXT,
    command TEXT NOT NULL,
    task TEXT,
    start INTEGER NOT NULL,
    end INTEGER,
    status TEXT NOT NULL,
    reason TEXT,
    exit INTEGER,
    signal INTEGER,
    pid INTEGER NOT NULL,
    born INTEGER NOT NULL,
    boot TEXT NOT NULL,
    spans INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    unstored INTEGER NOT NULL DEFAULT 0,
    llm_calls INTEGER NOT NULL DEFAULT 0,
    tool_calls INTEGER NOT NULL DEFAULT 0,
    tool_errors INTEGER NOT NULL DEFAULT 0,
    http_calls INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    processes INTEGER NOT NULL DEFAULT 0,
    input INTEGER NOT NULL DEFAULT 0,
    output INTEGER NOT NULL DEFAULT 0,
    cached INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0,
    reasoning INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    uncounted INTEGER NOT NULL DEFAULT 0,
    lost_facts INTEGER NOT NULL DEFAULT 0,
    loops INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_start ON runs (start);
CREATE INDEX runs_status ON runs (status, start);
CREATE INDEX runs_agent ON runs (agent, start);
CREATE INDEX runs_cost ON runs (cost);

CREATE TABLE tags (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL COLLATE NOCASE,
    run INTEGER NOT NULL,
    PRIMARY KEY (kind, value, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_run ON tags (run);

CREATE TABLE spans (
    id INTEGER PRIMARY KEY,
    span BLOB NOT NULL,
    parent BLOB,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    name TEXT NOT NULL,
    op TEXT,
    model TEXT,
    tool TEXT,
    failed INTEGER NOT NULL,
    error TEXT,
    counts INTEGER NOT NULL,
    input INTEGER,
    output INTEGER,
    cached INTEGER,
    written INTEGER,
    reasoning INTEGER,
    cost INTEGER,
    unpriced INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    data BLOB NOT NULL,
    classes BLOB NOT NULL
) STRICT;
CREATE TABLE resources (id INTEGER PRIMARY KEY, data BLOB NOT NULL, classes BLOB NOT NULL) STRICT;
CREATE TABLE pieces (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE VIRTUAL TABLE said USING fts5 (
    body, span UNINDEXED, place UNINDEXED, columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TABLE days (
    day TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    runs INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    call_errors INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    tool_errors INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    written INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (day, agent, model)
) STRICT, WITHOUT ROWID;
";

/// Makes an empty file a store, and refuses what is none.
pub(super) fn prepare(db: &Connection, path: &Path) -> Result<(), Error> {
    let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let found = match version(db) {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(Error::Foreign { path: path.to_owned() });
        }
        found => found?,
    };
    if found == 0 {
        make(db, path)?;
    } else {
        accept(db, path, found)?;
    }
    db.execute_batch(&format!(
        "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = FAST; PRAGMA cache_size = -16000;
         PRAGMA journal_size_limit = {};",
        limits::LOG_BYTES
    ))?;
    Ok(())
}

/// Whether the file is a store already; refuses what can be none. Writes nothing.
pub(super) fn made(db: &Connection, path: &Path) -> Result<bool, Error> {
    let version = match db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)) {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(Error::Foreign { path: path.to_owned() });
        }
        version => version?,
    };
    if version != 0 {
        return accept(db, path, version).map(|()| true);
    }
    match db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? {
        0 => Ok(false),
        _ => Err(Error::Foreign { path: path.to_owned() }),
    }
}

fn make(db: &Connection, path: &Path) -> Result<(), Error> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    if tables > 0 && version(db)? == 0 {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    // Before the first table: it decides the form of the file.
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    let transaction = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    // Another process may have been first.
    let found = version(&transaction)?;
    if found == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
        ))?;
        transaction.commit()?;
        return Ok(());
    }
    drop(transaction);
    accept(db, path, found)
}

fn accept(db: &Connection, path: &Path, found: i64) -> Result<(), Error> {
    let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != APPLICATION {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if found > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(())
}
