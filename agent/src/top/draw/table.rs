//! One line for each run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::activity::Doing;
use super::super::board::Row;
use super::super::style::{BOLD, DIM};
use super::super::view::View;
use super::super::words;
use super::{head_height, row, spinner};
use crate::sink::console::text;
use crate::store::State;
use trackway_core::flow::Time;

/// Columns for what a run is doing: a quarter of all, within these.
const DOING: (usize, usize) = (20, 60);

/// A column: its head, its width (least and most), and what goes first where there is no room (0 never goes).
struct Column {
    head: &'static str,
    least: usize,
    most: usize,
    drop: u8,
    right: bool,
    cell: fn(&View, &Row) -> Vec<Span<'static>>,
}

const COLUMNS: [Column; 11] = [
    Column { head: "time", least: 5, most: 5, drop: 0, right: true, cell: age },
    Column { head: "agent", least: 10, most: 20, drop: 0, right: false, cell: agent },
    Column { head: "model", least: 10, most: 24, drop: 4, right: false, cell: model },
    Column { head: "steps", least: 5, most: 5, drop: 2, right: true, cell: steps },
    Column { head: "tools", least: 5, most: 9, drop: 3, right: true, cell: tools },
    Column { head: "in", least: 5, most: 5, drop: 7, right: true, cell: input },
    Column { head: "out", least: 5, most: 5, drop: 7, right: true, cell: output },
    Column { head: "context", least: 7, most: 7, drop: 5, right: true, cell: context },
    Column { head: "grown", least: 5, most: 6, drop: 6, right: true, cell: growth },
    Column { head: "cost", least: 7, most: 9, drop: 1, right: true, cell: cost },
    Column { head: "run", least: 8, most: 8, drop: 9, right: false, cell: id },
];

/// Lines that so many runs take, with everything around them.
pub fn height(runs: usize) -> u16 {
    let plain = u16::try_from(runs).unwrap_or(u16::MAX - 8);
    let small = plain + head_height(0) + 2;
    if small < super::TALL { small } else { plain + head_height(u16::MAX) + 2 }
}

/// Draws the table.
pub(super) fn draw(view: &View, shown: &[&Row], area: Rect, buffer: &mut Buffer) {
    let columns = fit(view, shown, usize::from(area.width));
    let mut head = vec![Span::raw("   ")];
    for (column, width) in &columns {
        head.extend(pad(vec![Span::raw(column.head)], *width, column.right));
        head.push(Span::raw("  "));
    }
    head.push(Span::raw("doing"));
    Line::from(head).style(DIM).render(row(area, 0), buffer);
    if shown.is_empty() {
        let words = format!("   no agent and no model is named like “{}”", view.board.filter);
        Line::styled(words, DIM).render(row(area, 1), buffer);
        return;
    }
    let lines = usize::from(area.height.saturating_sub(1));
    let place = view.board.place(shown);
    let first = (place + 1).saturating_sub(lines);
    for ((line, run), index) in (1..area.height).zip(shown.iter().skip(first)).zip(first..) {
        let chosen = index == place;
        let mut spans = vec![
            Span::styled(if chosen { "▸" } else { " " }, view.theme.accent()),
            state(view, run),
            Span::raw(" "),
        ];
        for (column, width) in &columns {
            spans.extend(pad((column.cell)(view, run), *width, column.right));
            spans.push(Span::raw("  "));
        }
        spans.extend(doing(view, run));
        let over = run.run.state != State::Running;
        let style = if chosen {
            BOLD
        } else if over {
            DIM
        } else {
            Style::new()
        };
        Line::from(spans).style(style).render(row(area, line), buffer);
    }
}

/// The columns that have room, with their widths.
fn fit(view: &View, shown: &[&Row], width: usize) -> Vec<(&'static Column, usize)> {
    let natural = |column: &'static Column| {
        let cells = shown.iter().map(|row| (column.cell)(view, row).iter().map(Span::width).sum());
        let widest: usize = cells.max().unwrap_or(0);
        (column, widest.max(column.head.len()).clamp(column.least, column.most))
    };
    // A column in which nothing stands says nothing.
    let empty =
        |column: &Column| shown.iter().all(|row| (column.cell)(view, row).iter().all(|it| it.width() == 0));
    let doing = (width / 4).clamp(DOING.0, DOING.1);
    let mut columns: Vec<(&Column, usize)> =
        COLUMNS.iter().filter(|column| column.drop == 0 || !empty(column)).map(natural).collect();
    let taken =
        |columns: &[(&Column, usize)]| columns.iter().map(|(_, width)| width + 2).sum::<usize>() + 3 + doing;
    loop {
        let over = taken(&columns).saturating_sub(width);
        if over == 0 {
            return columns;
        }
        // First what is wider than it must be, then what matters least.
        if let Some((column, width)) = columns.iter_mut().max_by_key(|(column, width)| *width - column.least)
            && *width > column.least
        {
            *width -= over.min(*width - column.least);
            continue;
        }
        let last = columns.iter().map(|(column, _)| column.drop).max().unwrap_or(0);
        if last == 0 {
            return columns;
        }
        columns.retain(|(column, _)| column.drop != last);
    }
}

/// Cuts or fills a cell to its width.
fn pad(cell: Vec<Span<'static>>, width: usize, right: bool) -> Vec<Span<'static>> {
    let mut left = width;
    let mut out = Vec::with_capacity(cell.len() + 1);
    for mut span in cell {
        span.content = text::fit(&span.content, left).into();
        left -= span.width().min(left);
        out.push(span);
    }
    let fill = Span::raw(" ".repeat(left));
    if right {
        out.insert(0, fill)
    } else {
        out.push(fill)
    }
    out
}

fn state(view: &View, row: &Row) -> Span<'static> {
    match row.run.state {
        State::Running => Span::styled(spinner(view), view.theme.accent()),
        State::Ok => Span::styled("✓", view.theme.good()),
        State::Error => Span::styled("✗", view.theme.bad()),
        State::Lost => Span::styled("?", view.theme.warn()),
    }
}

fn age(view: &View, row: &Row) -> Vec<Span<'static>> {
    // Of a lost run nobody knows how long it was.
    let known = row.run.end.is_some() || row.run.state == State::Running;
    let words = if known { words::time(row.run.length(Time(view.now))) } else { "?".to_owned() };
    vec![Span::raw(words)]
}

fn agent(_: &View, row: &Row) -> Vec<Span<'static>> {
    let style = if row.run.state == State::Running { BOLD } else { Style::new() };
    vec![Span::styled(text::clean(&row.run.agent), style)]
}

fn model(_: &View, row: &Row) -> Vec<Span<'static>> {
    vec![Span::raw(text::clean(&row.run.models.join(", ")))]
}

fn steps(_: &View, row: &Row) -> Vec<Span<'static>> {
    vec![Span::raw(words::short(row.run.totals.llm_calls))]
}

fn tools(view: &View, row: &Row) -> Vec<Span<'static>> {
    let totals = &row.run.totals;
    let mut out = vec![Span::raw(words::short(totals.tool_calls))];
    if totals.tool_errors > 0 {
        out.push(Span::styled(format!(" ✗{}", words::short(totals.tool_errors)), view.theme.bad()));
    }
    out
}

fn tokens(row: &Row, number: u64) -> Vec<Span<'static>> {
    let totals = &row.run.totals;
    let known = number > 0 || totals.llm_calls > totals.calls_without_usage;
    vec![Span::raw(if known { words::short(number) } else { String::new() })]
}

fn input(_: &View, row: &Row) -> Vec<Span<'static>> {
    tokens(row, row.run.totals.input_tokens)
}

fn output(_: &View, row: &Row) -> Vec<Span<'static>> {
    tokens(row, row.run.totals.output_tokens)
}

fn context(_: &View, row: &Row) -> Vec<Span<'static>> {
    row.activity.context.map(|context| Span::raw(words::short(context.tokens))).into_iter().collect()
}

fn growth(_: &View, row: &Row) -> Vec<Span<'static>> {
    let growth = row.activity.context.and_then(|context| context.growth);
    growth.map(|growth| Span::styled(words::signed(growth), DIM)).into_iter().collect()
}

fn cost(view: &View, row: &Row) -> Vec<Span<'static>> {
    let totals = &row.run.totals;
    vec![Span::styled(words::money(totals.cost_pico_usd, totals.calls_without_cost), view.theme.money())]
}

fn id(_: &View, row: &Row) -> Vec<Span<'static>> {
    vec![Span::styled(row.run.short().to_owned(), DIM)]
}

/// What the run is doing, or how it ended.
pub(super) fn doing(view: &View, row: &Row) -> Vec<Span<'static>> {
    let theme = view.theme;
    let ago = |since: u64| words::time(view.now.saturating_sub(since));
    let mut out = Vec::new();
    if row.activity.loops > 0 {
        out.push(Span::styled("⟳ ", theme.warn()));
    }
    match row.activity.doing(row.run.state) {
        Doing::Starting => out.push(Span::styled("no call yet", DIM)),
        Doing::Model(since) => {
            out.extend([
                Span::styled("model", theme.accent()),
                Span::styled(format!(" {}", ago(since)), DIM),
            ]);
        }
        Doing::Idle(since) => out.push(Span::styled(format!("idle {}", ago(since)), DIM)),
        Doing::Tools(since) => {
            out.extend([Span::styled("tools", theme.good()), Span::styled(format!(" {}", ago(since)), DIM)]);
        }
        Doing::Tool(ask, others) => {
            out.push(Span::styled(ask.name, theme.good().patch(BOLD)));
            let more = if others > 0 { format!(" +{others}") } else { String::new() };
            out.push(Span::styled(format!("{more} {}  ", ago(ask.since)), DIM));
            out.push(Span::raw(ask.arguments));
        }
        Doing::Ended => match (row.run.state, &row.run.reason) {
            (State::Lost, _) => {
                out.push(Span::styled("lost: trackway was killed before it ended", theme.warn()))
            }
            (State::Error, Some(reason)) => out.push(Span::styled(text::clean(reason), theme.bad())),
            _ => {
                let task = row.run.task.clone().unwrap_or_else(|| row.run.command.join(" "));
                out.push(Span::styled(text::clean(&task), DIM));
            }
        },
    }
    out
}
