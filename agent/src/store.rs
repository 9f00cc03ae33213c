//! The local store: every run of this machine in one SQLite file, found again by one command.
//!
//! Invariants: a transaction is short and whole, so that a killed writer loses at most what came since its last one
//! and never corrupts; what belongs to a run has ids that begin with the run's, so that it is read and deleted as one
//! range; days are kept for good, everything else within an age and a size.

mod alive;
mod days;
mod find;
pub mod limits;
mod live;
mod pick;
mod pieces;
pub mod place;
mod query;
mod restore;
mod retention;
mod schema;
mod text;
mod when;
mod writer;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use self::days::Day;
pub use self::find::{Match, Search, Words};
pub use self::live::{Fresh, Pulse};
pub use self::pick::Pick;
pub use self::query::{Filter, Sort, State, Summary};
pub use self::restore::Stored;
pub use self::retention::{Keep, Swept};
pub use self::text::Place;
pub use self::writer::{Batch, Birth, Writer};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder cannot be made.
    #[error("cannot make the folder {}: {source}; name another file with --store FILE, or leave the store out with --no-store", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be opened or made.
    #[error("cannot open the store {}: {source}; name another file with --store FILE", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none yet.
    #[error("no run is stored in {} yet{hint}", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
        /// What to do next.
        hint: &'static str,
    },
    /// A file of somebody else.
    #[error("{} is no store of Trackway; name another file with --store FILE", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Made by a later version.
    #[error("the store {} was made by a newer Trackway (form {found}; this one knows {known}); use that version, or another file with --store FILE", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest that is known here.
        known: i64,
    },
    /// What SQLite says.
    #[error("the store: {0}")]
    Sql(#[from] rusqlite::Error),
    /// What was stored cannot be read back.
    #[error("the store holds a span that cannot be read: {0}")]
    Span(#[from] prost::DecodeError),
}

impl Error {
    /// Whether another writer was in the way and the same may succeed later.
    pub(crate) fn passing(&self) -> bool {
        matches!(self, Error::Sql(error) if matches!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
        ))
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store for reading, and for the small notes that readers make: runs whose process is gone.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Missing { path: path.to_owned(), hint: place::hint(path) });
        }
        let store = Self::connect(path)?;
        // Where nothing can be written, a lost run is told from a running one when it is read.
        if let Err(error) = store.settle() {
            tracing::debug!(%error, "lost runs were not settled");
        }
        Ok(store)
    }

    /// Opens the store for writing; makes it, readable by its owner alone, where it is not there.
    pub fn create(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        }
        // SQLite gives the files beside it the same mode.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        Self::connect(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What SQLite itself says of the file: `ok`, or what is broken.
    pub fn check(&self) -> Result<String, Error> {
        Ok(self.db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?)
    }

    fn connect(path: &Path) -> Result<Self, Error> {
        let mut tries = 0;
        loop {
            match Self::try_connect(path) {
                // To switch to the log is a moment in which SQLite does not wait for others.
                Err(error) if error.passing() && tries < limits::OPEN_TRIES => {
                    tries += 1;
                    std::thread::sleep(limits::OPEN_PAUSE);
                }
                result => return result,
            }
        }
    }

    fn try_connect(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(limits::BUSY)?;
        db.set_prepared_statement_cache_capacity(limits::STATEMENTS);
        schema::prepare(&db, path)?;
        Ok(Self { db, path: path.to_owned() })
    }
}

/// How a run's number and a number within the run make one id.
fn id(run: i64, number: i64) -> i64 {
    run << limits::NUMBER_BITS | number
}

/// The ids that belong to a run: from, and up to and including.
fn range(run: i64) -> (i64, i64) {
    (id(run, 0), id(run, limits::NUMBERS - 1))
}

/// A count as SQLite keeps it.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
