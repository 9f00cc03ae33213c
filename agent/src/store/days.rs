//! What each day came to. Kept for good, also when its runs are long gone.

use rusqlite::{Connection, params};

use super::{Error, Store, count, range};

/// Counts of one day, agent and model. A model of no name stands for the runs themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// `2026-11-24`, in the local time of the machine.
    pub day: String,
    /// Agent.
    pub agent: String,
    /// Model; empty in the row that counts runs and tools.
    pub model: String,
    /// Runs, or runs that used the model.
    pub runs: u64,
    /// Of these, ended by an error or lost.
    pub failed: u64,
    /// Inference calls.
    pub calls: u64,
    /// Of these, failed.
    pub call_errors: u64,
    /// Tool executions.
    pub tool_calls: u64,
    /// Of these, failed.
    pub tool_errors: u64,
    /// Known input tokens.
    pub input: u64,
    /// Known output tokens.
    pub output: u64,
    /// Known cache reads.
    pub cached: u64,
    /// Known cache writes.
    pub written: u64,
    /// Known reasoning tokens.
    pub reasoning: u64,
    /// Known costs, in 10^-12 US dollars.
    pub cost: u64,
    /// Calls of unknown cost.
    pub unpriced: u64,
}

const ADD: &str = "ON CONFLICT DO UPDATE SET
    runs = runs + excluded.runs, failed = failed + excluded.failed, calls = calls + excluded.calls,
    call_errors = call_errors + excluded.call_errors, tool_calls = tool_calls + excluded.tool_calls,
    tool_errors = tool_errors + excluded.tool_errors, input = input + excluded.input,
    output = output + excluded.output, cached = cached + excluded.cached, written = written + excluded.written,
    reasoning = reasoning + excluded.reasoning, cost = cost + excluded.cost,
    unpriced = unpriced + excluded.unpriced";

/// Adds a run that has just ended.
pub(super) fn add(db: &Connection, run: i64) -> Result<(), Error> {
    let (from, to) = range(run);
    let own = format!(
        "INSERT INTO days
         SELECT date(start / 1000000000, 'unixepoch', 'localtime'), agent, '', 1, status <> 'ok', 0, 0,
                tool_calls, tool_errors, 0, 0, 0, 0, 0, 0, 0
         FROM runs WHERE id = ?1 {ADD}"
    );
    db.prepare_cached(&own)?.execute([run])?;
    let models = format!(
        "INSERT INTO days
         SELECT date(r.start / 1000000000, 'unixepoch', 'localtime'), r.agent, coalesce(nullif(s.model, ''), '?'),
                1, r.status <> 'ok', count(*), sum(s.failed), 0, 0, total(s.input), total(s.output),
                total(s.cached), total(s.written), total(s.reasoning), total(s.cost), sum(s.unpriced)
         FROM spans s, runs r WHERE r.id = ?1 AND s.id BETWEEN ?2 AND ?3 AND s.counts = 1
         GROUP BY 3 {ADD}"
    );
    // `total` gives a number where nothing is known; the columns are whole numbers.
    let models =
        ["input", "output", "cached", "written", "reasoning", "cost"].iter().fold(models, |sql, it| {
            sql.replace(&format!("total(s.{it})"), &format!("CAST(total(s.{it}) AS INTEGER)"))
        });
    db.prepare_cached(&models)?.execute(params![run, from, to])?;
    Ok(())
}

impl Store {
    /// All days from that time on, newest first.
    pub fn days(&self, since: Option<u64>) -> Result<Vec<Day>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT * FROM days WHERE ?1 IS NULL OR day >= date(?1 / 1000000000, 'unixepoch', 'localtime')
             ORDER BY day DESC, agent, model",
        )?;
        let rows = statement.query_map([since.map(super::whole)], |row| {
            let number = |place: usize| row.get::<_, i64>(place).map(count);
            Ok(Day {
                day: row.get(0)?,
                agent: row.get(1)?,
                model: row.get(2)?,
                runs: number(3)?,
                failed: number(4)?,
                calls: number(5)?,
                call_errors: number(6)?,
                tool_calls: number(7)?,
                tool_errors: number(8)?,
                input: number(9)?,
                output: number(10)?,
                cached: number(11)?,
                written: number(12)?,
                reasoning: number(13)?,
                cost: number(14)?,
                unpriced: number(15)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
