//! `trackway runs`: which runs there are.

use std::io::Write;

use super::table::{self, Column, Row, Tone, number, words};
use super::{Error, json, moment, now, open, print, stdout_look, usd, when};
use crate::cli::{Order, Runs, Standing};
use crate::sink::console::{Look, paint_dim, text};
use crate::store::{Day, Filter, Sort, State, Store, Summary, Words};

const COLUMNS: [Column; 13] = [
    words("when", 16, 16, 0),
    words("run", 8, 8, 0),
    words("agent", 8, 24, 0),
    words("status", 7, 10, 0),
    number("took", 3),
    number("calls", 0),
    number("tools", 0),
    number("in", 2),
    number("cached", 6),
    number("out", 2),
    number("cost", 0),
    words("models", 8, 32, 4),
    words("task", 12, 80, 5),
];

/// Prints the runs. Returns the exit code.
pub fn run(options: &Runs) -> i32 {
    print(|out| {
        let store = open(&options.place)?;
        let look = stdout_look(options.no_color);
        if options.days { days(&store, options, look, out) } else { runs(&store, options, look, out) }
    })
}

fn runs(store: &Store, options: &Runs, look: Look, out: &mut dyn Write) -> Result<i32, Error> {
    let found = store.runs(&filter(store, options)?)?;
    if options.json {
        for run in &found {
            serde_json::to_writer(&mut *out, &json::run(run, now()))?;
            out.write_all(b"\n")?;
        }
        return Ok(0);
    }
    if found.is_empty() {
        let path = store.path().display();
        writeln!(out, "{}", paint_dim(look, &format!("no such run in {path}")))?;
        return Ok(0);
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    table::print(&COLUMNS, &rows, look, out)?;
    if found.len() == options.limit {
        let more = format!("(the first {}; --limit N for more)", options.limit);
        writeln!(out, "{}", paint_dim(look, &more))?;
    }
    Ok(0)
}

fn filter(store: &Store, options: &Runs) -> Result<Filter, Error> {
    let words = |text: &String| Words::new(text).ok_or_else(|| Error::Words(text.clone()));
    let states = match options.failed {
        true => vec![State::Error, State::Lost],
        false => options.status.iter().map(|standing| state(*standing)).collect(),
    };
    Ok(Filter {
        since: moment(store, options.since.as_deref(), false)?,
        until: moment(store, options.until.as_deref(), true)?,
        agent: options.agent.clone(),
        model: options.model.clone(),
        tool: options.tool.clone(),
        user: options.user.clone(),
        session: options.session.clone(),
        states,
        min_cost: options.min_cost,
        max_cost: options.max_cost,
        text: options.text.as_ref().map(words).transpose()?,
        sort: match options.sort {
            Order::Time => Sort::Time,
            Order::Cost => Sort::Cost,
            Order::Tokens => Sort::Tokens,
            Order::Duration => Sort::Duration,
        },
        limit: options.limit,
    })
}

fn state(standing: Standing) -> State {
    match standing {
        Standing::Ok => State::Ok,
        Standing::Error => State::Error,
        Standing::Running => State::Running,
        Standing::Lost => State::Lost,
    }
}

fn row(run: &Summary) -> Row<13> {
    let totals = &run.totals;
    let known = totals.llm_calls > totals.calls_without_usage;
    let tokens = |number: u64| if known || number > 0 { text::count(number) } else { String::new() };
    let tools = match totals.tool_errors {
        0 => text::count(totals.tool_calls),
        failed => format!("{} ✗{}", text::count(totals.tool_calls), text::count(failed)),
    };
    let cost = match (totals.cost_pico_usd, totals.calls_without_cost) {
        (0, _) => String::new(),
        (cost, 0) => text::dollars(usd(cost)),
        (cost, _) => format!("{}+", text::dollars(usd(cost))),
    };
    let status = match (run.state, run.exit, run.signal) {
        (State::Error, Some(code), _) => format!("error {code}"),
        (State::Error, _, Some(signal)) => format!("signal {signal}"),
        (state, ..) => state.to_string(),
    };
    let task = run.task.clone().unwrap_or_else(|| run.command.join(" "));
    let cells = [
        when(&run.local, run.today).to_owned(),
        run.short().to_owned(),
        run.agent.clone(),
        status,
        text::duration(run.length(now())),
        text::count(totals.llm_calls),
        tools,
        tokens(totals.input_tokens),
        Some(totals.cache_read_tokens).filter(|number| *number > 0).map(text::count).unwrap_or_default(),
        tokens(totals.output_tokens),
        cost,
        run.models.join(", "),
        task,
    ];
    let tone = match run.state {
        State::Error | State::Lost => Tone::Red,
        State::Running => Tone::Bold,
        State::Ok => Tone::Plain,
    };
    Row { cells: cells.map(|cell| text::clean(&cell)), tone }
}

const DAYS: [Column; 11] = [
    words("day", 10, 10, 0),
    words("agent", 8, 24, 0),
    number("runs", 0),
    number("failed", 0),
    number("calls", 0),
    number("tools", 3),
    number("in", 0),
    number("cached", 4),
    number("out", 0),
    number("cost", 0),
    words("models", 8, 60, 2),
];

fn days(store: &Store, options: &Runs, look: Look, out: &mut dyn Write) -> Result<i32, Error> {
    let days = store.days(moment(store, options.since.as_deref(), false)?)?;
    if options.json {
        for day in &days {
            serde_json::to_writer(&mut *out, &json::day(day))?;
            out.write_all(b"\n")?;
        }
        return Ok(0);
    }
    if days.is_empty() {
        writeln!(out, "{}", paint_dim(look, "no run has ended yet"))?;
        return Ok(0);
    }
    // The rows of one day and agent stand together, the one of no model first.
    let groups = days.chunk_by(|a, b| a.day == b.day && a.agent == b.agent);
    let rows: Vec<_> = groups.map(day).collect();
    table::print(&DAYS, &rows, look, out)?;
    Ok(0)
}

fn day(rows: &[Day]) -> Row<11> {
    let sum = |number: fn(&Day) -> u64| rows.iter().map(number).fold(0, u64::saturating_add);
    let own =
        |number: fn(&Day) -> u64| rows.iter().filter(|row| row.model.is_empty()).map(number).sum::<u64>();
    let some = |number: u64| if number > 0 { text::count(number) } else { String::new() };
    let first = rows.first();
    let models: Vec<&str> = rows.iter().map(|row| row.model.as_str()).filter(|it| !it.is_empty()).collect();
    let cost = match (sum(|row| row.cost), sum(|row| row.unpriced)) {
        (0, _) => String::new(),
        (cost, 0) => text::dollars(usd(cost)),
        (cost, _) => format!("{}+", text::dollars(usd(cost))),
    };
    let cells = [
        first.map(|row| row.day.clone()).unwrap_or_default(),
        first.map(|row| row.agent.clone()).unwrap_or_default(),
        text::count(own(|row| row.runs)),
        some(own(|row| row.failed)),
        text::count(sum(|row| row.calls)),
        text::count(own(|row| row.tool_calls)),
        text::count(sum(|row| row.input)),
        some(sum(|row| row.cached)),
        text::count(sum(|row| row.output)),
        cost,
        models.join(", "),
    ];
    Row { cells: cells.map(|cell| text::clean(&cell)), tone: Tone::Plain }
}
