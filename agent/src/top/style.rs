//! How things look: the sixteen colours that every terminal has, or none.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Beside what matters.
pub const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// What matters.
pub const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether there are any.
    pub color: bool,
}

impl Theme {
    fn of(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// Ours.
    pub fn accent(self) -> Style {
        self.of(Color::Cyan)
    }

    /// It went well.
    pub fn good(self) -> Style {
        self.of(Color::Green)
    }

    /// It went badly.
    pub fn bad(self) -> Style {
        let style = self.of(Color::Red);
        if self.color { style } else { style.add_modifier(Modifier::BOLD) }
    }

    /// To look at.
    pub fn warn(self) -> Style {
        self.of(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Money.
    pub fn money(self) -> Style {
        self.of(Color::Yellow)
    }
}

/// A line of the tree, whose only control sequences are the tree's own.
pub fn line(painted: &str, color: bool) -> Line<'static> {
    let theme = Theme { color };
    let mut spans = Vec::new();
    for (place, piece) in painted.split('\u{1b}').enumerate() {
        let (code, words) = match piece.split_once('m').filter(|_| place > 0) {
            Some((code, words)) => (code, words),
            None => ("", piece),
        };
        let style = match code {
            "[1" => BOLD,
            "[2" => DIM,
            "[31" => theme.bad(),
            "[33" => theme.warn(),
            _ => Style::new(),
        };
        if !words.is_empty() {
            spans.push(Span::styled(words.to_owned(), style));
        }
    }
    Line::from(spans)
}
