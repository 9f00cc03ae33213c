//! Spans as the lines of a tree. Pure, so that a stored run can be shown the same way.

use std::collections::{HashMap, HashSet};

use trackway_core::names;
use trackway_core::run::Totals;
use trackway_core::telemetry::{Content, Span, SpanId};

use super::line::{Line, Style, View};
use super::text;
use crate::sink::limits;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Whether colours are wanted.
    pub color: bool,
}

/// Whether the tree makes use of an attribute.
pub(crate) fn reads(key: &str) -> bool {
    const READ: [&str; 37] = [
        names::RUN_STATUS,
        names::RETRY_OF,
        names::OPERATION_NAME,
        names::AGENT_NAME,
        names::REQUEST_MODEL,
        names::RESPONSE_MODEL,
        names::FINISH_REASONS,
        names::TIME_TO_FIRST_CHUNK,
        names::INPUT_TOKENS,
        names::OUTPUT_TOKENS,
        names::CACHE_READ_TOKENS,
        names::REASONING_TOKENS,
        names::COST,
        names::MCP_METHOD_NAME,
        names::MCP_RESOURCE_URI,
        names::PROMPT_NAME,
        names::RPC_METHOD,
        names::TOOL_NAME,
        names::TOOL_ARGUMENTS,
        names::TOOL_RESULT,
        names::DECISION_RATIONALE,
        names::ERROR_TYPE,
        names::PROCESS_PID,
        names::PROCESS_COMMAND,
        names::PROCESS_COMMAND_ARGS,
        names::PROCESS_EXECUTABLE,
        names::PROCESS_EXIT_CODE,
        names::EXIT_SIGNAL,
        names::HTTP_METHOD,
        names::HTTP_METHOD_ORIGINAL,
        names::HTTP_STATUS,
        names::HTTP_RESPONSE_BODY_SIZE,
        names::URL_FULL,
        names::URL_PATH,
        names::SERVER_ADDRESS,
        names::UNREAD_REASON,
        names::UNREAD_BYTES_OUT,
    ];
    READ.contains(&key) || key == names::UNREAD_BYTES_IN
}

/// The lines of the tree. A span whose parent is not there stands at the top.
pub fn tree(spans: &[Span], policy: Content, look: Look) -> Vec<String> {
    lines(spans, policy, look, false)
}

/// The same; with `ids`, each line also has the first digits of its span's id.
pub(super) fn lines(spans: &[Span], policy: Content, look: Look, ids: bool) -> Vec<String> {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
    let mut children: HashMap<Option<SpanId>, Vec<&Span>> = HashMap::new();
    for span in spans {
        let parent = span.parent.filter(|parent| known.contains(parent) && *parent != span.id);
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| span.start);
    }
    let mut page = Page { children, policy, look, ids, lines: Vec::new() };
    page.siblings(None, "", 0);
    // Only spans that are each other's ancestors are left; they are shown all the same.
    while let Some(parent) = page.children.keys().min().copied() {
        page.siblings(parent, "", 0);
    }
    page.lines
}

struct Page<'a> {
    children: HashMap<Option<SpanId>, Vec<&'a Span>>,
    policy: Content,
    look: Look,
    ids: bool,
    lines: Vec<String>,
}

impl Page<'_> {
    fn siblings(&mut self, parent: Option<SpanId>, indent: &str, depth: usize) {
        // Removed, so that ids that occur twice or in a circle are shown once and end.
        let siblings = self.children.remove(&parent).unwrap_or_default();
        let mut rows: Vec<(Line, u64, SpanId, bool)> = Vec::new();
        for span in siblings {
            let line = View { span, policy: self.policy }.line();
            let leaf = !self.children.contains_key(&Some(span.id));
            match rows.last_mut() {
                Some((last, times, _, true)) if leaf && same(last, &line) => {
                    *times += 1;
                    last.length = last.length.saturating_add(line.length);
                }
                _ => rows.push((line, 1, span.id, leaf)),
            }
        }
        let count = rows.len();
        for (index, (line, times, id, leaf)) in rows.into_iter().enumerate() {
            let (branch, below) = match (depth, index + 1 == count) {
                (0, _) => ("", ""),
                (_, true) => ("└─ ", "   "),
                (_, false) => ("├─ ", "│  "),
            };
            let shallow = depth < limits::TREE_DEPTH;
            let inner = if shallow { format!("{indent}{below}") } else { indent.to_owned() };
            let shown = self.ids.then_some(id);
            self.print(&line, times, &format!("{indent}{branch}"), depth, shown);
            let stem = if leaf { "   " } else { "│  " };
            let below = format!("{inner}{stem}");
            if let Some(error) = &line.error {
                self.note(Style::Red, error, &below);
            }
            for note in &line.notes {
                self.note(Style::Dim, note, &below);
            }
            self.siblings(Some(id), &inner, depth + 1);
        }
    }

    fn print(&mut self, line: &Line, times: u64, prefix: &str, depth: usize, id: Option<SpanId>) {
        let mut tail = line.tail.join("  ");
        if !tail.is_empty() {
            tail.push_str("  ");
        }
        tail.push_str(&text::duration(line.length));
        if times > 1 {
            tail.push_str(&format!("  × {times}"));
        }
        if let Some(id) = id {
            tail.push_str(&format!("  {}", id.to_string().get(..8).unwrap_or_default()));
        }
        let failed = line.error.is_some();
        let mark = if failed { "✗ " } else { "" };
        let room = self.look.width.saturating_sub(text::width(prefix) + text::width(mark));
        let head = text::fit(&line.head, room.saturating_sub(text::width(&tail) + 2).max(16).min(room));
        let used = text::width(&head) + 2;
        let left = room.saturating_sub(used + text::width(&tail) + 1);
        let middle = if left >= 4 { text::fit(&line.middle, left) } else { String::new() };
        let gap = if middle.is_empty() { "" } else { " " };
        let tail = text::fit(&tail, room.saturating_sub(used + text::width(&middle) + gap.len()));
        let style = match (failed, depth) {
            (true, _) => Style::Red,
            (false, 0) => Style::Bold,
            (false, _) => Style::Plain,
        };
        let words = self.paint(style, &format!("{mark}{head}{gap}{middle}"));
        let tail = self.paint(Style::Dim, &tail);
        let prefix = self.paint(Style::Dim, prefix);
        self.lines.push(format!("{prefix}{words}  {tail}").trim_end().to_owned());
    }

    fn note(&mut self, style: Style, note: &str, prefix: &str) {
        let note = text::fit(note, self.look.width.saturating_sub(text::width(prefix)));
        let line = format!("{}{}", self.paint(Style::Dim, prefix), self.paint(style, &note));
        self.lines.push(line);
    }

    fn paint(&self, style: Style, words: &str) -> String {
        paint(self.look, style, words)
    }
}

/// Words that stand out.
pub(crate) fn paint_bold(look: Look, words: &str) -> String {
    paint(look, Style::Bold, words)
}

/// Words beside others.
pub(crate) fn paint_dim(look: Look, words: &str) -> String {
    paint(look, Style::Dim, words)
}

/// What went wrong.
pub(crate) fn paint_red(look: Look, words: &str) -> String {
    paint(look, Style::Red, words)
}

fn paint(look: Look, style: Style, words: &str) -> String {
    let code = match style {
        Style::Plain => return words.to_owned(),
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Red => "31",
    };
    match look.color && !words.is_empty() {
        true => format!("\u{1b}[{code}m{words}\u{1b}[0m"),
        false => words.to_owned(),
    }
}

fn same(a: &Line, b: &Line) -> bool {
    let key = |line: &Line| (line.head.clone(), line.middle.clone(), line.tail.clone(), line.error.clone());
    a.folds && b.folds && key(a) == key(b)
}

/// The last line: what the run came to.
pub fn total(totals: &Totals, length: u64, look: Look) -> String {
    let mut parts = vec![text::plural(totals.llm_calls, "model call", "model calls")];
    if totals.llm_calls > totals.calls_without_usage {
        let detail = |name: &str, number: u64| match number {
            0 => String::new(),
            _ => format!(" ({name} {})", text::count(number)),
        };
        parts.push(format!(
            "in {}{} out {}{}",
            text::count(totals.input_tokens),
            detail("cached", totals.cache_read_tokens),
            text::count(totals.output_tokens),
            detail("reasoning", totals.reasoning_tokens)
        ));
    }
    if totals.cost_pico_usd > 0 {
        #[expect(clippy::cast_precision_loss, reason = "dollars to twelve places")]
        let cost = text::dollars(totals.cost_pico_usd as f64 / 1e12);
        let unknown = match totals.calls_without_cost {
            0 => String::new(),
            calls => format!(" and {} of unknown cost", text::plural(calls, "call", "calls")),
        };
        parts.push(format!("{cost}{unknown}"));
    }
    if totals.calls_without_usage > 0 {
        let calls = text::plural(totals.calls_without_usage, "call", "calls");
        parts.push(format!("tokens of {calls} unknown"));
    }
    let failed = match totals.tool_errors {
        0 => String::new(),
        failed => format!(" ({} failed)", text::count(failed)),
    };
    parts.push(text::plural(totals.tool_calls, "tool", "tools") + &failed);
    if totals.loops > 0 {
        parts.push(text::plural(totals.loops, "loop", "loops"));
    }
    if totals.retries > 0 {
        parts.push(text::plural(totals.retries, "retry", "retries"));
    }
    parts.push(text::plural(totals.processes, "process", "processes"));
    if totals.http_calls > 0 {
        parts.push(text::plural(totals.http_calls, "HTTP call", "HTTP calls"));
    }
    if totals.unread > 0 {
        parts.push(text::plural(totals.unread, "connection not read", "connections not read"));
    }
    if totals.lost_facts > 0 {
        parts.push(text::plural(totals.lost_facts, "process event lost", "process events lost"));
    }
    parts.push(text::duration(length));
    paint(look, Style::Bold, &parts.join(" · "))
}
