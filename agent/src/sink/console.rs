//! The tree on the terminal when a run ends.

use std::io::{IsTerminal, Write};
use std::os::fd::AsRawFd;

use trackway_core::names;
use trackway_core::run::Totals;
use trackway_core::telemetry::{AttributeValue, Content, Span};

use super::{Sink, limits};

mod line;
pub(crate) mod text;
mod tree;

pub use self::tree::{Look, total, tree};
pub(crate) use self::tree::{paint_bold, paint_dim, paint_red, reads};

impl Look {
    /// What fits the standard error stream. `variable` looks up the environment.
    pub fn stderr(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::stream(&std::io::stderr(), variable)
    }

    /// What fits the standard output stream.
    pub fn stdout(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::stream(&std::io::stdout(), variable)
    }

    fn stream(stream: &(impl IsTerminal + AsRawFd), variable: impl Fn(&str) -> Option<String>) -> Self {
        let terminal = stream.is_terminal();
        let width = if terminal { text::terminal_width(stream) } else { None };
        Self::choose(terminal, width, variable)
    }

    fn choose(terminal: bool, width: Option<usize>, variable: impl Fn(&str) -> Option<String>) -> Self {
        // https://no-color.org: set and not empty, whatever the value.
        let no_color = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|value| value == "dumb");
        let columns = variable("COLUMNS").and_then(|value| value.parse().ok());
        let width = columns.or(width).filter(|width| *width > 0).unwrap_or(100);
        Self { width: width.clamp(20, 1000), color: terminal && !no_color && !dumb }
    }
}

/// Collects spans and prints them as a tree at the end.
pub struct Console {
    out: Box<dyn Write + Send>,
    policy: Content,
    look: Look,
    ids: bool,
    spans: Vec<Span>,
    left_out: u64,
}

impl Console {
    /// Prints to `out`, which is the standard error stream unless a test says otherwise.
    pub fn new(out: Box<dyn Write + Send>, policy: Content, look: Look) -> Self {
        Self { out, policy, look, ids: false, spans: Vec::new(), left_out: 0 }
    }

    /// With the first digits of each span's id.
    pub fn with_ids(self, ids: bool) -> Self {
        Self { ids, ..self }
    }
}

impl Sink for Console {
    fn shows(&self) -> Content {
        self.policy
    }

    fn write(&mut self, spans: &[Span]) {
        for span in spans {
            // The root holds the tree together and comes last: it always finds a place.
            if self.spans.len() >= limits::TREE_SPANS && !span.is_root() {
                self.left_out += 1;
                continue;
            }
            let mut kept = span.clone();
            kept.events.retain(|event| event.name == names::LOOP);
            kept.links.clear();
            kept.attributes
                .retain(|attribute| self.policy.shows(attribute.class) && tree::reads(&attribute.key));
            for attribute in &mut kept.attributes {
                if let AttributeValue::Text(text) = &mut attribute.value {
                    text::shorten_bytes(text, limits::TREE_TEXT_BYTES);
                }
            }
            self.spans.push(kept);
        }
    }

    fn finish(&mut self, totals: &Totals) -> Vec<String> {
        let mut lines = tree::lines(&self.spans, self.policy, self.look, self.ids);
        if self.left_out > 0 {
            lines.push(format!("({} more spans are left out here)", self.left_out));
        }
        let length = self.spans.iter().filter(|span| span.is_root()).map(|s| s.end.since(s.start)).max();
        lines.push(total(totals, length.unwrap_or(0), self.look));
        lines.push(String::new());
        match self.out.write_all(lines.join("\n").as_bytes()).and_then(|()| self.out.flush()) {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("the tree could not be printed: {error}")],
        }
    }
}

#[cfg(test)]
mod tests;
