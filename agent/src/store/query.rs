//! Runs by what is known of them.

use std::collections::HashSet;
use std::fmt;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use trackway_core::flow::Time;
use trackway_core::run::Totals;

use super::alive::{Owner, boot};
use super::{Error, Store, Words, count, id, limits, range, whole};

/// What a run is found by, beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Model = 1,
    /// The model that was asked for, where the answer names another.
    Asked = 2,
    Provider = 3,
    Tool = 4,
    User = 5,
    Session = 6,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Running,
    /// The command ended well.
    Ok,
    /// It ended with an error code or by a signal.
    Error,
    /// Trackway was killed before the run ended.
    Lost,
}

const STATES: [(State, &str); 4] =
    [(State::Running, "running"), (State::Ok, "ok"), (State::Error, "error"), (State::Lost, "lost")];

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl State {
    /// Its word.
    pub fn word(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    fn read(word: &str) -> Self {
        STATES.iter().find(|(_, known)| *known == word).map_or(State::Lost, |(state, _)| *state)
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The newest.
    #[default]
    Time,
    /// The dearest.
    Cost,
    /// The one with the most tokens.
    Tokens,
    /// The longest.
    Duration,
}

/// Which runs. Everything that is set must hold. In names, `*` stands for anything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Begun at or after, in nanoseconds.
    pub since: Option<u64>,
    /// Begun before.
    pub until: Option<u64>,
    /// Agent.
    pub agent: Option<String>,
    /// A model that it asked for or was answered by.
    pub model: Option<String>,
    /// A tool that it called.
    pub tool: Option<String>,
    /// A user that its requests name.
    pub user: Option<String>,
    /// A session or conversation that its requests name.
    pub session: Option<String>,
    /// How it stands; empty for all.
    pub states: Vec<State>,
    /// Costs at least, in US dollars.
    pub min_cost: Option<f64>,
    /// Costs at most.
    pub max_cost: Option<f64>,
    /// Something that was said in it.
    pub text: Option<Words>,
    /// Order.
    pub sort: Sort,
    /// How many at most.
    pub limit: usize,
}

/// One run, without its spans.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its number in this store.
    pub id: i64,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Agent.
    pub agent: String,
    /// Service.
    pub service: Option<String>,
    /// The command.
    pub command: Vec<String>,
    /// The first words of what was asked.
    pub task: Option<String>,
    /// Begin.
    pub start: Time,
    /// End, once it has one.
    pub end: Option<Time>,
    /// How it stands.
    pub state: State,
    /// What went wrong.
    pub reason: Option<String>,
    /// Exit code.
    pub exit: Option<i64>,
    /// Signal that ended it.
    pub signal: Option<i64>,
    /// Spans stored.
    pub spans: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Spans that could not be stored.
    pub unstored: u64,
    /// Totals; of a run that goes on, those so far.
    pub totals: Totals,
    /// Known cache writes.
    pub written: u64,
    /// Begin in local time: `2026-11-24 12:40:11`.
    pub local: String,
    /// Whether that is today.
    pub today: bool,
    /// Models, as the answers name them.
    pub models: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
    /// Tools.
    pub tools: Vec<String>,
    /// Users.
    pub users: Vec<String>,
    /// Sessions and conversations.
    pub sessions: Vec<String>,
    pub(super) pid: i64,
}

impl Summary {
    /// From its start to its end, or to `now`.
    pub fn length(&self, now: Time) -> u64 {
        self.end.unwrap_or(now).since(self.start)
    }

    /// As many digits of the id as tables show.
    pub fn short(&self) -> &str {
        self.trace.get(..8).unwrap_or(&self.trace)
    }
}

pub(super) const COLUMNS: &str = "
    r.id, r.trace, r.agent, r.service, r.command, r.task, r.start, r.end, r.status, r.reason, r.exit, r.signal,
    r.spans, r.failed, r.unstored, r.llm_calls, r.tool_calls, r.tool_errors, r.http_calls, r.unread, r.processes,
    r.input, r.output, r.cached, r.reasoning, r.cost, r.unpriced, r.uncounted, r.lost_facts, r.written,
    r.pid, r.born, r.boot,
    datetime(r.start / 1000000000, 'unixepoch', 'localtime'),
    date(r.start / 1000000000, 'unixepoch', 'localtime') = date('now', 'localtime'),
    r.loops, r.retries, r.unanswered";

/// Conditions and their values, in one order.
#[derive(Default)]
struct Where {
    sql: String,
    values: Vec<Value>,
}

impl Where {
    fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(sql);
        self.values.extend(values);
    }

    fn of(filter: &Filter) -> Self {
        let mut all = Self::default();
        if let Some(since) = filter.since {
            all.and("r.start >= ?", [Value::Integer(whole(since))]);
        }
        if let Some(until) = filter.until {
            all.and("r.start < ?", [Value::Integer(whole(until))]);
        }
        if let Some(agent) = &filter.agent {
            let (test, values) = named("r.agent", agent);
            all.and(&test, values);
        }
        let tags = [
            ("(1, 2)", &filter.model),
            ("(4)", &filter.tool),
            ("(5)", &filter.user),
            ("(6)", &filter.session),
        ];
        for (kinds, name) in tags {
            if let Some(name) = name {
                let (test, values) = named("value", name);
                all.and(&format!("r.id IN (SELECT run FROM tags WHERE kind IN {kinds} AND {test})"), values);
            }
        }
        if !filter.states.is_empty() {
            let marks = vec!["?"; filter.states.len()].join(", ");
            let words = filter.states.iter().map(|state| Value::Text(state.word().to_owned()));
            all.and(&format!("r.status IN ({marks})"), words);
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates; nothing costs that much")]
        let pico = |usd: f64| Value::Integer((usd * 1e12).round() as i64);
        if let Some(least) = filter.min_cost {
            all.and("r.cost >= ?", [pico(least)]);
        }
        if let Some(most) = filter.max_cost {
            all.and("r.cost <= ?", [pico(most)]);
        }
        all
    }
}

/// A name, whatever its case; `*` stands for anything.
fn named(column: &str, name: &str) -> (String, Vec<Value>) {
    match name.split_once('*') {
        None => (format!("{column} = ?"), vec![Value::Text(name.to_owned())]),
        // The beginning of a name is a range of the index.
        Some((beginning, "")) if !beginning.is_empty() => {
            let end = format!("{beginning}{}", char::MAX);
            (format!("{column} BETWEEN ? AND ?"), vec![Value::Text(beginning.to_owned()), Value::Text(end)])
        }
        Some(_) => {
            let mut pattern = String::new();
            for c in name.chars() {
                match c {
                    '*' => pattern.push('%'),
                    '%' | '_' | '\\' => pattern.extend(['\\', c]),
                    c => pattern.push(c),
                }
            }
            (format!("{column} LIKE ? ESCAPE '\\'"), vec![Value::Text(pattern)])
        }
    }
}

impl Store {
    /// The runs that a filter leaves. First which, by what the indexes hold, then the whole rows of those alone.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<Summary>, Error> {
        let which = match &filter.text {
            None => self.sorted(filter, filter.limit)?,
            Some(words) if filter.sort == Sort::Time => {
                // Walked backwards, the index gives the newest first, and the walk ends with the last that is wanted.
                let fit = match Where::of(filter).sql.is_empty() {
                    true => None,
                    false => Some(self.sorted(filter, usize::MAX)?.into_iter().collect()),
                };
                self.saying(words, fit.as_ref(), filter.limit)?
            }
            Some(words) => {
                let all = self.sorted(filter, usize::MAX)?;
                let said: HashSet<i64> = self.saying(words, None, usize::MAX)?.into_iter().collect();
                all.into_iter().filter(|run| said.contains(run)).take(filter.limit).collect()
            }
        };
        let sql = format!("SELECT {COLUMNS} FROM runs r WHERE r.id = ?1");
        let mut statement = self.db.prepare_cached(&sql)?;
        let here = boot();
        let mut found = Vec::with_capacity(which.len());
        for run in which {
            // Between two statements the retention may have come by.
            if let Some(mut run) = statement.query_row([run], |row| summary(row, &here)).optional()? {
                self.name(&mut run)?;
                found.push(run);
            }
        }
        if filter.sort == Sort::Time {
            found.sort_by_key(|run| std::cmp::Reverse((run.start, run.id)));
        }
        Ok(found)
    }

    /// Runs for which everything but the text holds, in the order that is wanted.
    fn sorted(&self, filter: &Filter, limit: usize) -> Result<Vec<i64>, Error> {
        let mut all = Where::of(filter);
        let order = match filter.sort {
            // Few runs cost much: their index, and not the one of times, is the short way. The sign says so.
            Sort::Time if filter.min_cost.is_some() => "+r.start",
            Sort::Time => "r.start",
            Sort::Cost => "r.cost",
            Sort::Tokens => "r.input + r.output",
            Sort::Duration => "coalesce(r.end, 1000000000 * (SELECT unixepoch())) - r.start",
        };
        all.values.push(Value::Integer(whole(limit as u64)));
        let sql = format!("SELECT r.id FROM runs r{} ORDER BY {order} DESC, r.id DESC LIMIT ?", all.sql);
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(all.values), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Runs in which the words stand, newest first; of those that fit, where not all do.
    fn saying(&self, words: &Words, fit: Option<&HashSet<i64>>, most: usize) -> Result<Vec<i64>, Error> {
        let (oldest, newest) = match fit {
            None => (0, i64::MAX),
            Some(fit) => match (fit.iter().min(), fit.iter().max()) {
                (Some(oldest), Some(newest)) => (id(*oldest, 0), range(*newest).1),
                _ => return Ok(Vec::new()),
            },
        };
        let mut walk = self.db.prepare_cached(
            "SELECT rowid FROM said WHERE said MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC",
        )?;
        let mut rows = walk.query(params![words.query(), oldest, newest])?;
        let (mut found, mut last) = (Vec::new(), None);
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            let run = row.get::<_, i64>(0)? >> limits::NUMBER_BITS;
            if last != Some(run) && fit.is_none_or(|fit| fit.contains(&run)) {
                found.push(run);
            }
            last = Some(run);
        }
        Ok(found)
    }

    /// Fills in what stands beside the run's row.
    pub(super) fn name(&self, run: &mut Summary) -> Result<(), Error> {
        let mut statement =
            self.db.prepare_cached("SELECT kind, value FROM tags WHERE run = ?1 ORDER BY value")?;
        let mut rows = statement.query([run.id])?;
        while let Some(row) = rows.next()? {
            let (kind, value): (i64, String) = (row.get(0)?, row.get(1)?);
            match kind {
                1 => run.models.push(value),
                3 => run.providers.push(value),
                4 => run.tools.push(value),
                5 => run.users.push(value),
                6 => run.sessions.push(value),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A row of [`COLUMNS`].
pub(super) fn summary(row: &Row<'_>, here: &str) -> rusqlite::Result<Summary> {
    let number = |place: usize| row.get::<_, i64>(place).map(count);
    let command: String = row.get(4)?;
    let owner = Owner { pid: row.get(30)?, born: row.get(31)?, boot: row.get(32)? };
    let state = match State::read(&row.get::<_, String>(8)?) {
        State::Running if !owner.may_live(here) => State::Lost,
        state => state,
    };
    Ok(Summary {
        id: row.get(0)?,
        trace: row.get(1)?,
        agent: row.get(2)?,
        service: row.get(3)?,
        command: serde_json::from_str(&command).unwrap_or_default(),
        task: row.get(5)?,
        start: Time(number(6)?),
        end: row.get::<_, Option<i64>>(7)?.map(|end| Time(count(end))),
        state,
        reason: row.get(9)?,
        exit: row.get(10)?,
        signal: row.get(11)?,
        spans: number(12)?,
        failed: number(13)?,
        unstored: number(14)?,
        totals: Totals {
            llm_calls: number(15)?,
            tool_calls: number(16)?,
            tool_errors: number(17)?,
            http_calls: number(18)?,
            unread: number(19)?,
            processes: number(20)?,
            input_tokens: number(21)?,
            output_tokens: number(22)?,
            cache_read_tokens: number(23)?,
            reasoning_tokens: number(24)?,
            cost_pico_usd: number(25)?,
            calls_without_cost: number(26)?,
            calls_without_usage: number(27)?,
            lost_facts: number(28)?,
            cache_write_tokens: number(29)?,
            loops: number(35)?,
            retries: number(36)?,
            tools_unanswered: number(37)?,
            // What only the root span says.
            ..Totals::default()
        },
        written: number(29)?,
        pid: owner.pid,
        local: row.get(33)?,
        today: row.get(34)?,
        models: Vec::new(),
        providers: Vec::new(),
        tools: Vec::new(),
        users: Vec::new(),
        sessions: Vec::new(),
    })
}
