//! One frame. Pure: a view and a size in, cells out.

mod graph;
mod pages;
mod table;
mod tree;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

pub use self::table::height as table_height;
use super::board::Sum;
use super::style::{BOLD, DIM};
use super::view::View;
use super::words;
use crate::sink::console::text;

/// From so many lines on, the head has room to breathe.
const TALL: u16 = 20;
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Draws the view.
pub fn frame(view: &mut View, area: Rect, buffer: &mut Buffer) {
    if area.width < 20 || area.height < 4 {
        Line::raw("too small").render(row(area, 0), buffer);
        return;
    }
    let foot = row(area, area.height - 1);
    let above = Rect { height: area.height - 1, ..area };
    if view.help {
        pages::help(view, above, buffer);
    } else if view.opened.is_some() {
        tree::draw(view, above, buffer);
    } else if let Some(fault) = &view.fault {
        pages::nothing(view, fault, above, buffer);
    } else if view.board.rows.is_empty() {
        pages::nothing(view, &format!("no run is stored in {} yet", view.source), above, buffer);
    } else {
        let shown = view.board.shown();
        let sum = view.board.sum(&shown, view.now);
        let used = head(view, &sum, above, buffer);
        let rest = Rect { y: above.y + used, height: above.height - used, ..above };
        table::draw(view, &shown, rest, buffer);
        let page = usize::from(rest.height.saturating_sub(1)).max(1);
        view.page = page;
    }
    Line::from(keys(view)).render(foot, buffer);
}

/// Lines that the head takes.
pub fn head_height(height: u16) -> u16 {
    if height < TALL { 2 } else { 4 }
}

/// What the shown runs come to. Gives the lines that it took.
fn head(view: &View, sum: &Sum, area: Rect, buffer: &mut Buffer) -> u16 {
    let tall = area.height + 1 >= TALL;
    let theme = view.theme;
    let mut first = vec![Span::styled(" trackway ", theme.accent().patch(BOLD))];
    match sum.running {
        0 => first.push(Span::styled("nothing runs", DIM)),
        running => {
            first.push(Span::styled(spinner(view), theme.accent()));
            first.push(Span::styled(format!(" {running} running"), BOLD));
        }
    }
    first.push(Span::styled(format!(" · {} ended", sum.ended), DIM));
    if !view.board.filter.is_empty() {
        first.push(Span::styled(format!(" · only “{}”", view.board.filter), theme.warn()));
    }
    let mut second = vec![
        label(if area.width < 80 { " in " } else { " tokens in " }),
        Span::styled(words::short(sum.input), BOLD),
    ];
    if sum.cached > 0 {
        second.push(label(&format!(" ({} cached)", words::share(sum.cached, sum.input))));
    }
    second.extend([label("  out "), Span::styled(words::short(sum.output), BOLD)]);
    let money = words::money(sum.pico, sum.unpriced);
    if !money.is_empty() {
        second.extend([Span::raw("  "), Span::styled(money, theme.money().patch(BOLD))]);
    }
    second.extend([Span::raw("  "), Span::styled(sum.calls.to_string(), BOLD), label(" calls/min")]);
    let (first, second) = (Line::from(first), Line::from(second));
    // The graph takes what the words leave, and not more than half.
    let lines = if tall { 3 } else { 2 };
    let left = usize::from(area.width).saturating_sub(first.width().max(second.width()) + 3);
    let columns = u16::try_from(left).unwrap_or(u16::MAX).min(area.width / 2);
    if columns >= 8 {
        let place = Rect { x: area.right() - columns - 1, y: area.y, width: columns, height: lines };
        graph::draw(&sum.graph, theme, place, buffer);
    }
    let words = Rect { width: area.width - columns.min(area.width), ..area };
    first.render(row(words, 0), buffer);
    second.render(row(words, 1), buffer);
    if !tall {
        return 2;
    }
    rule(row(area, 3), buffer);
    if columns >= 24 {
        let what = if view.board.sort == super::board::Sort::Cost { "cost" } else { "tokens" };
        let minutes = u64::from(columns) * super::limits::BEAT.as_secs() / 60;
        let words = Line::styled(format!(" {what}, the last {minutes} min "), DIM);
        let width = u16::try_from(words.width()).unwrap_or(0);
        let place = Rect { x: area.right() - width - 2, y: area.y + 3, width, height: 1 };
        words.render(place, buffer);
    }
    4
}

fn keys(view: &View) -> Vec<Span<'static>> {
    if view.typing {
        return vec![
            Span::styled(" / ", view.theme.accent().patch(BOLD)),
            Span::raw(view.board.filter.clone()),
            Span::styled("▏", view.theme.accent()),
            label("   agent or model · ↵ keep · esc drop"),
        ];
    }
    let keys: &[(&str, &str)] = match (view.help, view.opened.is_some()) {
        (true, _) => &[("any key", "back")],
        (_, true) => &[("esc", "back"), ("↑↓", "scroll"), ("end", "follow"), ("?", "help")],
        _ => &[("↵", "open"), ("/", "filter"), ("s", "sort"), ("?", "help"), ("q", "quit")],
    };
    let mut out = vec![Span::raw(" ")];
    for (key, words) in keys {
        out.push(Span::styled(*key, view.theme.accent()));
        let words =
            if *words == "sort" { format!("sort: {}", view.board.sort.word()) } else { (*words).to_owned() };
        out.push(Span::styled(format!(" {words}   "), DIM));
    }
    if view.opened.is_some() && view.fault.is_some() {
        out.push(Span::styled(text::clean(view.fault.as_deref().unwrap_or_default()), view.theme.bad()));
    }
    out
}

fn spinner(view: &View) -> &'static str {
    SPINNER.get(view.tick % SPINNER.len()).copied().unwrap_or("·")
}

fn label(words: &str) -> Span<'static> {
    Span::styled(words.to_owned(), DIM)
}

fn rule(area: Rect, buffer: &mut Buffer) {
    Line::styled("─".repeat(usize::from(area.width)), DIM).render(area, buffer);
}

/// One line of an area; an empty one where it has none.
fn row(area: Rect, line: u16) -> Rect {
    let there = line < area.height;
    Rect { y: area.y + line.min(area.height), height: u16::from(there), ..area }
}
