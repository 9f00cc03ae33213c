//! The run that is open: what it came to, what stands out, and its tree.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::activity::Mark;
use super::super::board::Row;
use super::super::style::{BOLD, DIM};
use super::super::view::View;
use super::super::words;
use super::{label, row, rule, spinner, table};
use crate::sink::console::text;
use crate::store::State;
use trackway_core::flow::Time;

/// Draws it.
pub(super) fn draw(view: &mut View, area: Rect, buffer: &mut Buffer) {
    let Some(mut opened) = view.opened.take() else { return };
    match view.board.rows.get(&opened.run) {
        Some(run) => {
            let used = head(view, run, area, buffer);
            let place = Rect { y: area.y + used, height: area.height.saturating_sub(used), ..area };
            let page = usize::from(place.height).max(1);
            let columns = usize::from(area.width).saturating_sub(2);
            let (first, follow) = (opened.first, opened.follow);
            let lines = opened.lines(&run.run, columns, view.theme.color);
            let last = lines.len().saturating_sub(page);
            let first = if follow { last } else { first.min(last) };
            let inner = Rect { x: place.x + 1, width: place.width.saturating_sub(1), ..place };
            for (at, line) in (0..place.height).zip(lines.iter().skip(first)) {
                line.render(row(inner, at), buffer);
            }
            if last > first {
                let more = Line::styled(format!(" ↓ {} more ", last - first), view.theme.accent());
                let width = u16::try_from(more.width()).unwrap_or(0).min(place.width);
                let x = place.right().saturating_sub(width + 1);
                more.render(Rect { x, y: place.bottom().saturating_sub(1), width, height: 1 }, buffer);
            }
            view.page = page;
        }
        None => Line::styled(" this run is gone", DIM).render(row(area, 0), buffer),
    }
    view.opened = Some(opened);
}

/// Gives the lines that it took.
fn head(view: &View, run: &Row, area: Rect, buffer: &mut Buffer) -> u16 {
    let (theme, totals) = (view.theme, &run.run.totals);
    let (sign, style) = match run.run.state {
        State::Running => (spinner(view), theme.accent()),
        State::Ok => ("✓", theme.good()),
        State::Error => ("✗", theme.bad()),
        State::Lost => ("?", theme.warn()),
    };
    let mut first = vec![
        Span::styled(format!(" {sign} "), style),
        Span::styled(text::clean(&run.run.agent), BOLD),
        label(&format!("  {}  ", run.run.short())),
        Span::raw(text::clean(&run.run.models.join(", "))),
    ];
    if run.run.end.is_some() || run.run.state == State::Running {
        first.push(label(&format!("  {}", words::time(run.run.length(Time(view.now))))));
    }
    let number = |words: String| Span::styled(words, BOLD);
    let (steps, tools) = (totals.llm_calls, totals.tool_calls);
    let mut second = vec![Span::raw(" "), number(words::short(steps))];
    second.push(label(if steps == 1 { " step  " } else { " steps  " }));
    second.extend([number(words::short(tools)), label(if tools == 1 { " tool  " } else { " tools  " })]);
    if totals.tool_errors > 0 {
        second.push(Span::styled(format!("✗{}  ", words::short(totals.tool_errors)), theme.bad()));
    }
    second.extend([label("in "), number(words::short(totals.input_tokens))]);
    if totals.cache_read_tokens > 0 {
        let share = words::share(totals.cache_read_tokens, totals.input_tokens);
        second.push(label(&format!(" ({share} cached)")));
    }
    second.extend([label("  out "), number(words::short(totals.output_tokens))]);
    if let Some(context) = run.activity.context {
        second.extend([label("  context "), number(words::short(context.tokens))]);
        second.extend(context.growth.map(|growth| label(&format!(" {}", words::signed(growth)))));
    }
    let money = words::money(totals.cost_pico_usd, totals.calls_without_cost);
    second.extend([Span::raw("  "), Span::styled(money, theme.money())]);
    let mut lines = vec![Line::from(first), Line::from(second)];
    // What it does, unless the first line says all: an ended run has a task, which the tree tells.
    let mut third = vec![Span::raw(" ")];
    third.extend(table::doing(view, run));
    lines.push(Line::from(third));
    let told = |mark: &Mark, sign: &str, style: Style| {
        let ago = words::time(view.now.saturating_sub(mark.time));
        Line::from(vec![
            Span::styled(format!(" {sign} "), style),
            Span::styled(mark.words.clone(), style),
            label(&format!("  {ago} ago")),
        ])
    };
    lines.extend(run.activity.newest_loop.as_ref().map(|mark| told(mark, "⟳", theme.warn())));
    lines.extend(run.activity.trouble.as_ref().map(|mark| told(mark, "✗", theme.bad())));
    let used = u16::try_from(lines.len()).unwrap_or(0);
    for (at, line) in (0..used).zip(lines) {
        line.render(row(area, at), buffer);
    }
    rule(row(area, used), buffer);
    used + 1
}
