//! A run by its name: the first digits of its id, or `last`.

use rusqlite::params;

use super::alive::{self, boot};
use super::query::{COLUMNS, summary};
use super::{Error, Store, Summary, limits, whole};

/// What a name means.
#[derive(Clone, Debug)]
pub enum Pick {
    /// One run.
    One(Box<Summary>),
    /// Several, of which the newest are listed, and how many there are.
    Many(Vec<Summary>, u64),
    /// None.
    Nothing,
}

impl Store {
    /// The run of that name. `last` is the latest to begin, but not one inside which this very command runs.
    pub fn pick(&self, name: &str) -> Result<Pick, Error> {
        let here = boot();
        if name == "last" {
            let above = ancestors();
            let sql = format!("SELECT {COLUMNS} FROM runs r ORDER BY r.start DESC, r.id DESC LIMIT ?1");
            let mut statement = self.db.prepare_cached(&sql)?;
            let most = whole(limits::ANCESTORS as u64);
            let runs = statement.query_map([most], |row| summary(row, &here))?;
            for run in runs {
                let run = run?;
                let inside = run.state == super::State::Running && above.contains(&run.pid);
                if !inside {
                    return self.named(run);
                }
            }
            return Ok(Pick::Nothing);
        }
        let digits = name.to_ascii_lowercase().replace('-', "");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Pick::Nothing);
        }
        // `g` follows the last digit.
        let (from, to) = (digits.clone(), format!("{digits}g"));
        let total: i64 = self.db.query_row(
            "SELECT count(*) FROM runs WHERE trace >= ?1 AND trace < ?2",
            params![from, to],
            |row| row.get(0),
        )?;
        let sql = format!(
            "SELECT {COLUMNS} FROM runs r WHERE r.trace >= ?1 AND r.trace < ?2 ORDER BY r.start DESC LIMIT ?3"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let most = whole(limits::CANDIDATES as u64);
        let runs = statement.query_map(params![from, to, most], |row| summary(row, &here))?;
        let mut runs: Vec<Summary> = runs.collect::<Result<_, _>>()?;
        if total > 1 {
            for run in &mut runs {
                self.name(run)?;
            }
            return Ok(Pick::Many(runs, super::count(total)));
        }
        match runs.pop() {
            Some(run) => self.named(run),
            None => Ok(Pick::Nothing),
        }
    }

    fn named(&self, mut run: Summary) -> Result<Pick, Error> {
        self.name(&mut run)?;
        Ok(Pick::One(Box::new(run)))
    }
}

/// The processes above this one.
fn ancestors() -> Vec<i64> {
    let mut chain = Vec::new();
    let mut at = i64::from(std::process::id());
    while let Some(parent) = alive::parent(at)
        && chain.len() < limits::ANCESTORS
    {
        chain.push(parent);
        at = parent;
    }
    chain
}
