//! One run as a tree that grows.

use std::collections::{HashSet, VecDeque};

use ratatui::text::Line;
use trackway_core::telemetry::{AttributeValue, Content, Span};

use super::{limits, style};
use crate::look::show::stand_in;
use crate::sink::console::{self, Look, text};
use crate::store::{Error, Store, Summary};

/// The run that is open.
#[derive(Debug)]
pub struct Opened {
    /// Its number.
    pub run: i64,
    /// The first line that is shown, unless the end is followed.
    pub first: usize,
    /// Whether the end is followed.
    pub follow: bool,
    spans: VecDeque<Span>,
    left_out: u64,
    read: Option<i64>,
    page: Option<(usize, Vec<Line<'static>>)>,
}

impl Opened {
    /// Opens a run. Nothing of it has been read yet.
    pub fn new(run: i64) -> Self {
        Self { run, first: 0, follow: true, spans: VecDeque::new(), left_out: 0, read: None, page: None }
    }

    /// Takes what came since.
    pub fn read(&mut self, store: &Store) -> Result<bool, Error> {
        let mut read = match self.read {
            Some(read) => read,
            None => store.before_last(self.run, limits::TREE_SPANS)?,
        };
        let mut spans = Vec::new();
        store.spans_after(self.run, read, limits::TREE_SPANS, |fresh| {
            read = fresh.number;
            spans.push(fresh.stored.plain());
        })?;
        if self.read.is_none() {
            // Numbers have gaps where a write came to nothing; the rest is counted well enough for a hint.
            self.left_out = u64::try_from(read + 1).unwrap_or(0).saturating_sub(spans.len() as u64);
        }
        self.read = Some(read);
        let changed = !spans.is_empty();
        spans.into_iter().for_each(|span| self.take(span));
        Ok(changed)
    }

    /// Takes one span.
    pub fn take(&mut self, mut span: Span) {
        span.attributes.retain(|attribute| console::reads(&attribute.key));
        for attribute in &mut span.attributes {
            if let AttributeValue::Text(text) = &mut attribute.value {
                text::shorten_bytes(text, crate::sink::limits::TREE_TEXT_BYTES);
            }
        }
        self.spans.push_back(span);
        if self.spans.len() > limits::TREE_SPANS {
            self.spans.pop_front();
            self.left_out += 1;
        }
        self.page = None;
    }

    /// The lines of the tree, so many columns wide.
    pub fn lines(&mut self, run: &Summary, width: usize, color: bool) -> &[Line<'static>] {
        let fits = self.page.as_ref().is_some_and(|(known, _)| *known == width);
        if !fits {
            let mut lines: Vec<Line<'static>> =
                self.tree(run, width).iter().map(|line| style::line(line, color)).collect();
            if self.left_out > 0 {
                let words = format!(
                    "({} earlier spans are left out here: trackway show {})",
                    text::count(self.left_out),
                    run.short()
                );
                lines.insert(0, Line::styled(words, style::DIM));
            }
            self.page = Some((width, lines));
        }
        self.page.as_ref().map_or(&[], |(_, lines)| lines)
    }

    /// A span whose parent has not ended yet hangs below the root, which comes last of all.
    fn tree(&self, run: &Summary, width: usize) -> Vec<String> {
        let known: HashSet<_> = self.spans.iter().map(|span| span.id).collect();
        let root = self.spans.iter().find(|span| span.parent.is_none()).cloned();
        let root = root.unwrap_or_else(|| {
            // As long as what is seen of it: the lines stay until something comes.
            let latest = self.spans.iter().map(|span| span.end).max();
            let mut root = stand_in(run);
            root.end = run.end.or(latest).unwrap_or(run.start);
            root
        });
        let mut spans = vec![root.clone()];
        spans.extend(self.spans.iter().filter(|span| span.id != root.id).cloned().map(|mut span| {
            if span.parent.is_none_or(|parent| !known.contains(&parent)) {
                span.parent = Some(root.id);
            }
            span
        }));
        console::tree(&spans, Content::Full, Look { width, color: true })
    }

    /// Scrolls by so many lines. `page`: lines that are shown at once.
    pub fn scroll(&mut self, by: isize, page: usize) {
        let last = self.page.as_ref().map_or(0, |(_, lines)| lines.len()).saturating_sub(page);
        let from = if self.follow { last } else { self.first.min(last) };
        self.first = from.saturating_add_signed(by).min(last);
        self.follow = self.first == last;
    }
}
