//! `trackway show`: one run.

use std::collections::HashSet;
use std::io::Write;

use trackway_core::names;
use trackway_core::telemetry::{
    Attribute, AttributeValue, Class, Content, Span, SpanId, SpanKind, Status, TraceId,
};

use super::{Error, export, json, now, open, pick, print, stdout_look};
use crate::cli::Show;
use crate::sink::Sink;
use crate::sink::console::{Console, Look, paint_bold, paint_dim, paint_red, text};
use crate::store::{State, Store, Stored, Summary};

/// Prints the run. Returns the exit code.
pub fn run(options: &Show) -> i32 {
    print(|out| {
        let store = open(&options.place)?;
        let run = pick(&store, &options.run)?;
        let policy = options.content.map_or(Content::Full, Into::into);
        let look = stdout_look(options.no_color);
        match (&options.span, options.otlp, options.json) {
            (span, true, _) => otlp(&store, &run, span.as_deref(), policy, out)?,
            (Some(span), _, true) => {
                let span = one(&store, &run, span, policy)?;
                writeln!(out, "{}", json::span(&span))?;
            }
            (Some(span), ..) => whole(&one(&store, &run, span, policy)?, look, out)?,
            (None, _, true) => {
                let mut written = Ok(());
                store.spans(run.id, policy, true, |span| {
                    written = writeln!(out, "{}", json::span(&span));
                    written.is_ok()
                })?;
                written?;
            }
            (None, ..) => tree(&store, &run, policy, look, options.ids, out)?,
        }
        Ok(0)
    })
}

fn otlp(
    store: &Store,
    run: &Summary,
    span: Option<&str>,
    policy: Content,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match span {
        Some(span) => export::line(vec![one(store, run, span, policy)?], out),
        None => export::lines(store, run, policy, out),
    }
}

/// The tree, printed by what prints it when a run ends.
fn tree(
    store: &Store,
    run: &Summary,
    policy: Content,
    look: Look,
    ids: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let standing = match (run.state, &run.reason) {
        (State::Ok, _) => paint_dim(look, "ok"),
        (State::Running, _) => paint_bold(look, "running; what has ended so far"),
        (state, Some(reason)) => paint_red(look, &text::clean(&format!("{state}: {reason}"))),
        (state, None) => paint_red(look, state.word()),
    };
    writeln!(out, "{} {standing}", paint_dim(look, &format!("run {} · {} ·", run.trace, run.local)))?;
    let page = Page::default();
    let mut console = Console::new(Box::new(page.clone()), policy, look).with_ids(ids);
    // The root comes last: without it, what hangs on spans that are not there either hangs on its stand-in.
    let unfinished = matches!(run.state, State::Running | State::Lost);
    let mut known: HashSet<SpanId> = HashSet::new();
    if unfinished {
        store.spans(run.id, Content::None, false, |stored| {
            known.insert(stored.plain().id);
            true
        })?;
    }
    let stand_in = stand_in(run);
    store.spans(run.id, policy, false, |stored| {
        let mut span = stored.plain();
        if unfinished && span.parent.is_some_and(|parent| !known.contains(&parent)) {
            span.parent = Some(stand_in.id);
        }
        console.write(std::slice::from_ref(&span));
        true
    })?;
    if unfinished && !known.contains(&stand_in.id) {
        console.write(&[stand_in]);
    }
    console.finish(&run.totals);
    out.write_all(&page.take())?;
    if run.unstored > 0 {
        writeln!(
            out,
            "{}",
            paint_red(look, &format!("{} spans were not stored", text::count(run.unstored)))
        )?;
    }
    Ok(())
}

/// The root comes last; what stands for it until then, or where it never came.
pub(crate) fn stand_in(run: &Summary) -> Span {
    let trace = TraceId(u128::from_str_radix(&run.trace, 16).unwrap_or_default().to_be_bytes());
    let text = |key: &'static str, value: &str| Attribute {
        key: key.into(),
        value: AttributeValue::Text(value.to_owned()),
        class: Class::Plain,
    };
    Span {
        trace,
        id: SpanId::derive(trace, &[b"root"]),
        parent: None,
        name: format!("invoke_agent {}", run.agent),
        kind: SpanKind::Internal,
        start: run.start,
        end: run.end.unwrap_or_else(now),
        status: Status::Unset,
        attributes: vec![text(names::OPERATION_NAME, "invoke_agent"), text(names::AGENT_NAME, &run.agent)],
        events: Vec::new(),
        links: Vec::new(),
        resource: std::sync::Arc::default(),
    }
}

/// The one span whose id begins so.
fn one(store: &Store, run: &Summary, name: &str, policy: Content) -> Result<Stored, Error> {
    let name = name.to_ascii_lowercase();
    let mut found: Vec<Stored> = Vec::new();
    store.spans(run.id, policy, true, |span| {
        if span.id().starts_with(&name) {
            found.push(span);
        }
        found.len() < 2
    })?;
    let run = run.short().to_owned();
    match (found.pop(), found.is_empty()) {
        (Some(span), true) => Ok(span),
        (Some(_), false) => Err(Error::Span { what: format!("several spans begin with {name}"), run }),
        (None, _) => Err(Error::Span { what: format!("no span begins with {name}"), run }),
    }
}

/// Everything of one span.
fn whole(stored: &Stored, look: Look, out: &mut dyn Write) -> Result<(), Error> {
    let span = &stored.span;
    let length = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    let head = format!("{}  {}", text::clean(&span.name), text::duration(length));
    writeln!(out, "{}", paint_bold(look, &head))?;
    if let Some(error) = stored.error() {
        let words = if error.is_empty() { "failed" } else { error };
        writeln!(out, "{}", paint_red(look, &text::clean(words)))?;
    }
    let parent = Some(stored.parent()).filter(|id| !id.is_empty()).unwrap_or_else(|| "none".to_owned());
    writeln!(out, "{} {}  {} {parent}", paint_dim(look, "span"), stored.id(), paint_dim(look, "parent"))?;
    list("", &span.attributes, look, out)?;
    for event in &span.events {
        let after = event.time_unix_nano.saturating_sub(span.start_time_unix_nano);
        let head = format!("event {} after {}", text::clean(&event.name), text::duration(after));
        writeln!(out, "\n{}", paint_bold(look, &head))?;
        list("", &event.attributes, look, out)?;
    }
    writeln!(out, "\n{}", paint_bold(look, "resource"))?;
    list("", &stored.resource.attributes, look, out)
}

fn list(
    indent: &str,
    attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue],
    look: Look,
    out: &mut dyn Write,
) -> Result<(), Error> {
    for attribute in attributes {
        let value = json::value(attribute.value.as_ref());
        let key = paint_dim(look, &text::clean(&attribute.key));
        let Some(words) = value.as_str() else {
            writeln!(out, "{indent}{key} {}", text::clean(&value.to_string()))?;
            continue;
        };
        // Messages are JSON in a text: laid out, they can be read.
        let laid_out = serde_json::from_str::<serde_json::Value>(words)
            .ok()
            .filter(|inner| inner.is_array() || inner.is_object())
            .and_then(|inner| serde_json::to_string_pretty(&inner).ok());
        let words = laid_out.as_deref().unwrap_or(words);
        if words.contains('\n') {
            writeln!(out, "{indent}{key}")?;
            for line in words.lines() {
                writeln!(out, "{indent}    {}", harmless(line))?;
            }
        } else {
            writeln!(out, "{indent}{key} {}", harmless(words))?;
        }
    }
    Ok(())
}

/// A line with its spaces, but without what steers a terminal.
fn harmless(line: &str) -> String {
    let blank = line.len() - line.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(blank), text::clean(line))
}

/// What the tree is printed to.
#[derive(Clone, Default)]
struct Page(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Page {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
