//! The table for people: a line for each AI call, the totals at the end.

mod column;
mod sum;

use std::io::{self, Write};

use trackway_core::call::{A2a, Call, Completion, Kind, Llm, Mcp};

use self::column::{API, COLUMNS, Column, ID, NOTE, OPERATION, Side, TOOLS};
use self::sum::Sum;
use super::answer;
use crate::limits;
use crate::sink::console::{Look, paint_bold, paint_dim, paint_red, text};

/// Rows that wait for others to be aligned with, and what has been counted so far.
pub(super) struct Table {
    look: Look,
    /// Whether what is no AI call gets a row.
    all: bool,
    rows: Vec<Row>,
    sum: Sum,
}

struct Row {
    cells: [String; COLUMNS.len()],
    failed: bool,
    plain: bool,
}

impl Table {
    pub(super) fn new(look: Look, all: bool) -> Self {
        Self { look, all, rows: Vec::new(), sum: Sum::default() }
    }

    /// Takes one call; prints when many have come.
    pub(super) fn add(&mut self, id: &str, call: &Call, out: &mut impl Write) -> io::Result<()> {
        self.sum.add(call);
        match &call.kind {
            Kind::Llm(llm) => self.rows.push(model(id, call, llm)),
            Kind::Mcp(mcp) => self.rows.push(tool(id, call, mcp)),
            Kind::A2a(a2a) => self.rows.push(agent(id, call, a2a)),
            Kind::Plain if self.all => self.rows.push(plain(id, call)),
            Kind::Plain => {}
        }
        if self.rows.len() >= limits::TABLE_ROWS { self.print(out) } else { Ok(()) }
    }

    /// Prints what is left, and the totals.
    pub(super) fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.print(out)?;
        for line in self.sum.lines(self.all, self.look.width) {
            writeln!(out, "{}", paint_bold(self.look, &line))?;
        }
        Ok(())
    }

    fn print(&mut self, out: &mut impl Write) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let cells: Vec<_> = rows.iter().map(|row| &row.cells).collect();
        let widths = column::widths(&cells, self.look.width);
        let titles = COLUMNS.each_ref().map(|column| column.title.to_owned());
        writeln!(out, "{}", paint_dim(self.look, &self.line(&titles, &widths)))?;
        for row in &rows {
            let line = self.line(&row.cells, &widths);
            let line = match (row.failed, row.plain) {
                (true, _) => paint_red(self.look, &line),
                (false, true) => paint_dim(self.look, &line),
                (false, false) => line,
            };
            writeln!(out, "{line}")?;
        }
        writeln!(out)
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (place, ((cell, Column { side, .. }), width)) in cells.iter().zip(COLUMNS).zip(widths).enumerate()
        {
            if *width == 0 {
                continue;
            }
            if !line.is_empty() {
                line.push_str("  ");
            }
            let cell = if place == ID { column::fit_end(cell, *width) } else { text::fit(cell, *width) };
            let blank = " ".repeat(width.saturating_sub(text::width(&cell)));
            match side {
                Side::Left => line.extend([cell, blank]),
                Side::Right => line.extend([blank, cell]),
            }
        }
        text::fit(line.trim_end(), self.look.width)
    }
}

fn model(id: &str, call: &Call, llm: &Llm) -> Row {
    let (api, operation) = answer::names(llm);
    let number = |value: Option<u64>| value.map(text::count).unwrap_or_default();
    let model = llm.response_model.as_deref().or(llm.request_model.as_deref());
    let mut notes = Vec::new();
    if let Some(error) = &llm.error {
        let kind = Some(error.kind.as_str()).filter(|kind| !kind.is_empty());
        notes.push(format!("✗ {}", kind.unwrap_or(&error.message)));
    } else if let Some(status) = call.http.status.filter(|status| *status >= 400) {
        notes.push(format!("✗ status {status}"));
    }
    match call.completion {
        Completion::Complete => {}
        Completion::Partial => notes.push("cut".to_owned()),
        Completion::Cancelled => notes.push("cancelled".to_owned()),
        Completion::Unanswered => notes.push("no answer".to_owned()),
    }
    notes.extend(
        call.faults.iter().filter(|fault| fault.kind != "truncated").map(|fault| fault.detail.clone()),
    );
    let tools: Vec<&str> = llm.tool_calls().map(|call| call.name.as_str()).collect();
    let cells = [
        id.to_owned(),
        llm.provider.clone(),
        api.to_owned(),
        operation.to_owned(),
        model.unwrap_or("?").to_owned(),
        number(llm.usage.input),
        number(llm.usage.cache_read),
        number(llm.usage.output),
        number(llm.usage.reasoning),
        answer::cost(llm).map(text::dollars).unwrap_or_default(),
        llm.finish_reasons.join(","),
        tools.join(","),
        notes.join("; "),
    ];
    let failed = llm.error.is_some() || call.http.status.is_some_and(|status| status >= 400);
    Row { cells: cells.map(|cell| text::clean(&cell)), failed, plain: false }
}

fn tool(id: &str, call: &Call, mcp: &Mcp) -> Row {
    let error = match &mcp.error {
        Some(error) => Some(error.message.as_str()),
        None => mcp.is_error.then_some("the tool failed"),
    };
    rpc(id, call, ["mcp", mcp.method.as_deref().unwrap_or("session")], mcp.tool_name.as_deref(), error)
}

fn agent(id: &str, call: &Call, a2a: &A2a) -> Row {
    let error = a2a.error.as_ref().map(|error| error.message.as_str());
    rpc(id, call, ["a2a", &a2a.method], None, error)
}

/// A call of a tool's server or of another agent: its protocol, its method, its tool.
fn rpc(id: &str, call: &Call, names: [&str; 2], tool: Option<&str>, error: Option<&str>) -> Row {
    let mut cells = [const { String::new() }; COLUMNS.len()];
    cells[ID] = text::clean(id);
    (cells[API], cells[OPERATION]) = (names[0].to_owned(), text::clean(names[1]));
    cells[TOOLS] = text::clean(tool.unwrap_or_default());
    let status = call.http.status.filter(|status| *status >= 400);
    let failed = error.map(str::to_owned).or_else(|| status.map(|status| format!("status {status}")));
    if let Some(failed) = &failed {
        cells[NOTE] = text::clean(&format!("✗ {failed}"));
    }
    Row { cells, failed: failed.is_some(), plain: false }
}

fn plain(id: &str, call: &Call) -> Row {
    let http = &call.http;
    let status = http.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let mut cells = [const { String::new() }; COLUMNS.len()];
    cells[ID] = text::clean(id);
    cells[NOTE] = text::clean(&format!("{} {}{} {status}", http.method, http.host, http.path));
    Row { cells, failed: false, plain: true }
}

#[cfg(test)]
mod tests;
