//! Pages of words: the keys, and what to do where there is nothing to see.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::style::{BOLD, DIM};
use super::super::view::View;
use super::row;
use crate::sink::console::text;

const KEYS: [(&str, &str); 11] = [
    ("↑ ↓ j k", "another run, or another line of the tree"),
    ("↵", "open a run: its tree follows the end, as it grows"),
    ("esc q", "back, or out"),
    ("/", "only agents and models whose names hold this"),
    ("s", "sort by time, cost, tokens"),
    ("steps", "calls of models; tools: ✗ failed ones"),
    ("context", "tokens that the latest call read"),
    ("grown", "by how many more than the call before it"),
    ("doing", "the tool asked for that has not answered yet"),
    ("  model", "all tools have answered, the model has not"),
    ("⟳", "same tools, same arguments, again and again"),
];

/// The keys and the columns.
pub(super) fn help(view: &View, area: Rect, buffer: &mut Buffer) {
    let mut lines = vec![
        Line::from(vec![
            Span::styled("trackway top", view.theme.accent().patch(BOLD)),
            Span::styled("  every run of this machine, as it goes on", DIM),
        ]),
        Line::raw(""),
    ];
    for (key, words) in KEYS {
        let key = format!("{key:<9}");
        lines.push(Line::from(vec![Span::styled(key, view.theme.accent()), Span::raw(words)]));
    }
    block(lines, area, buffer);
}

/// Nothing to see, and what fills it.
pub(super) fn nothing(view: &View, why: &str, area: Rect, buffer: &mut Buffer) {
    let command = |words: &'static str, meaning: &'static str| {
        Line::from(vec![
            Span::styled(format!("  {words:<31}"), view.theme.accent()),
            Span::styled(meaning, DIM),
        ])
    };
    // Of a message, the remedy stands below in more words.
    let why = text::clean(why.split_once(';').map_or(why, |(why, _)| why));
    let title = if why.starts_with("no run") { "No run to show yet" } else { "The store cannot be read" };
    let mut lines = vec![
        Line::styled(title, BOLD),
        Line::raw(""),
        Line::styled(why, DIM),
        Line::raw(""),
        Line::raw("Start one in another terminal; it shows up here:"),
        Line::raw(""),
        command("trackway demo", "no key, no root, no network"),
        command("trackway run -- COMMAND", "your agent"),
    ];
    if !nix::unistd::geteuid().is_root() {
        lines.push(command("sudo trackway top", "runs that were begun with sudo"));
    }
    block(lines, area, buffer);
}

/// Lines in the middle of an area.
fn block(lines: Vec<Line<'_>>, area: Rect, buffer: &mut Buffer) {
    let width = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(area.width.saturating_sub(2));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    for (at, line) in (0..height).zip(lines) {
        line.render(row(place, at), buffer);
    }
}
