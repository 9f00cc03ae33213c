//! Looking into the local store: `trackway runs`, `show`, `find` and `export`.

pub mod export;
pub mod find;
mod har;
pub(crate) mod json;
pub mod runs;
pub mod show;
mod table;

use std::io::{self, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use trackway_core::flow::Time;

use crate::cli::Where;
use crate::say;
use crate::sink::console::{Look, text};
use crate::store::{self, Pick, Store, Summary, place};

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is to be none.
    #[error(
        "there is no local store: TRACKWAY_STORE says none, or there is no home for it; name one with --store FILE"
    )]
    NoStore,
    /// No run of that name.
    #[error("no run {name} in {path}; trackway runs lists them, and runs go after some days")]
    NoRun { name: String, path: String },
    /// Several.
    #[error("{count} runs begin with {name}; give more digits:\n{list}")]
    Several { name: String, count: u64, list: String },
    /// No span of that name.
    #[error("{what} in run {run}; trackway show {run} --ids lists them")]
    Span { what: String, run: String },
    /// A word that is no time.
    #[error("{0:?} is no time; write 2h, 7d, today, 14:30, 2026-11-24 or \"2026-11-24 14:30\"")]
    Time(String),
    /// Words without a letter.
    #[error("{0:?} holds nothing to look for: the words need a letter or a digit")]
    Words(String),
    /// The file to write to.
    #[error("cannot write {path}: {source}; name a file in a folder that you may write to")]
    File { path: String, source: io::Error },
    /// The output.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl Error {
    fn exit_code(&self) -> i32 {
        match self {
            Error::Time(_) | Error::Words(_) => 2,
            _ => 1,
        }
    }
}

/// Prints what `verb` has to say and gives the exit code.
fn print(verb: impl FnOnce(&mut dyn Write) -> Result<i32, Error>) -> i32 {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = verb(&mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    match result {
        Ok(code) => code,
        // Whoever listened has heard enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            // What was found before stands above.
            out.flush().ok();
            say(&error.to_string());
            error.exit_code()
        }
    }
}

fn open(place: &Where) -> Result<Store, Error> {
    let path = place::of(place.store.as_deref()).ok_or(Error::NoStore)?;
    Ok(Store::open(&path)?)
}

fn pick(store: &Store, name: &str) -> Result<Summary, Error> {
    let path = store.path().display().to_string();
    match store.pick(name)? {
        Pick::One(run) => Ok(*run),
        Pick::Nothing => Err(Error::NoRun { name: name.to_owned(), path }),
        Pick::Many(runs, count) => {
            let lines = runs.iter().map(|run| {
                let task = run.task.as_deref().map(text::clean).unwrap_or_default();
                let task = text::fit(&task, 50);
                format!("  {}  {}  {}  {}  {task}", run.trace, run.local, text::clean(&run.agent), run.state)
                    .trim_end()
                    .to_owned()
            });
            let mut list: Vec<String> = lines.collect();
            if count > list.len() as u64 {
                list.push(format!("  … and {} older ones", count - list.len() as u64));
            }
            Err(Error::Several { name: name.to_owned(), count, list: list.join("\n") })
        }
    }
}

fn moment(store: &Store, word: Option<&str>, end: bool) -> Result<Option<u64>, Error> {
    let Some(word) = word else { return Ok(None) };
    match store.moment(word, now().0, end)? {
        Some(moment) => Ok(Some(moment)),
        None => Err(Error::Time(word.to_owned())),
    }
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn stdout_look(no_color: bool) -> Look {
    let mut look = Look::stdout(crate::settings::get);
    look.color &= !no_color;
    look
}

/// A local time as tables show it: of today the time alone, of another day its date too.
fn when(local: &str, today: bool) -> &str {
    match local.split_once(' ') {
        Some((_, time)) if today => time,
        _ => local.get(..16).unwrap_or(local),
    }
}

#[expect(clippy::cast_precision_loss, reason = "dollars to twelve places")]
fn usd(pico: u64) -> f64 {
    pico as f64 / 1e12
}
