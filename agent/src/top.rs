//! `trackway top`: the runs of this machine, as they go on.
//!
//! Invariants: nothing is written, so that no run is disturbed; only what changed is read; the terminal is given back
//! as it was, however this ends. The store is the only source: runs of any number of `trackway run`s are shown, and
//! nothing is asked of them.

pub mod activity;
pub mod board;
pub mod draw;
pub mod feed;
pub mod limits;
pub mod opened;
pub mod style;
mod terminal;
pub mod view;
pub mod words;

use std::io::{self, BufWriter, IsTerminal, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::activity::Doing;
use self::board::Row;
use self::feed::Feed;
use self::style::Theme;
use self::view::View;
use crate::cli::Top;
use crate::look::{json, now};
use crate::sink::console::{Look, text};
use crate::store::{self, place};
use crate::{say, settings};

/// Why there is no live view.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is to be none.
    #[error(
        "there is no local store: TRACKWAY_STORE says none, or there is no home for it; name one with --store FILE"
    )]
    NoStore,
    /// The terminal.
    #[error("the terminal cannot be used: {0}; trackway top --once prints one frame")]
    Terminal(#[from] io::Error),
}

/// Shows the runs. Returns the exit code.
pub fn run(options: &Top) -> i32 {
    match show(options) {
        Ok(()) => 0,
        Err(Error::Terminal(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            say(&error.to_string());
            1
        }
    }
}

fn show(options: &Top) -> Result<(), Error> {
    let path = place::of(options.place.store.as_deref()).ok_or(Error::NoStore)?;
    let mut look = Look::stdout(settings::get);
    look.color &= !options.no_color;
    let mut view = View::new(path.display().to_string(), Theme { color: look.color });
    let mut feed = Feed::new(path);
    if options.json {
        return objects(&mut feed, &mut view);
    }
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if !options.once && terminal {
        return Ok(terminal::run(&mut feed, &mut view)?);
    }
    once(&mut feed, &mut view, look.width)?;
    if !options.once {
        say("no terminal: this is one frame; trackway top in a terminal goes on, --json is for programs");
    }
    Ok(())
}

/// Everything that there is to read now.
fn fill(feed: &mut Feed, view: &mut View) -> Result<(), Error> {
    view.now = now().0;
    loop {
        match feed.look(&mut view.board, None) {
            Err(store::Error::Missing { .. }) => {
                view.fault = Some(format!("no run is stored in {} yet", view.source));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
            Ok(_) if feed.behind() => {}
            Ok(_) => return Ok(()),
        }
    }
}

/// One frame as plain text, as high as it takes.
fn once(feed: &mut Feed, view: &mut View, width: usize) -> Result<(), Error> {
    fill(feed, view)?;
    let width = u16::try_from(width).unwrap_or(u16::MAX).max(60);
    let height = if view.board.rows.is_empty() { 15 } else { draw::table_height(view.board.rows.len()) };
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw::frame(view, area, &mut buffer);
    let mut out = BufWriter::new(io::stdout().lock());
    // The last line explains keys, and nobody presses any.
    for line in lines(&buffer).iter().take(usize::from(height) - 1) {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// The lines of a frame. A wide character takes two cells, of which the second holds nothing.
pub fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let line = |y: u16| {
        let (mut line, mut skip) = (String::new(), 0);
        for x in area.left()..area.right() {
            let sign = buffer.cell((x, y)).map_or(" ", |cell| cell.symbol());
            if skip == 0 {
                line.push_str(sign);
                skip = text::width(sign).max(1);
            }
            skip -= 1;
        }
        line.truncate(line.trim_end().len());
        line
    };
    (area.top()..area.bottom()).map(line).collect()
}

/// One object per run, on one line.
fn objects(feed: &mut Feed, view: &mut View) -> Result<(), Error> {
    fill(feed, view)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for row in view.board.shown() {
        writeln!(out, "{}", object(row, view.now))?;
    }
    Ok(out.flush()?)
}

fn object(row: &Row, now: u64) -> serde_json::Value {
    let mut object = json::run(&row.run, trackway_core::flow::Time(now));
    let (doing, tool, since) = match row.activity.doing(row.run.state) {
        Doing::Starting => ("starting", None, None),
        Doing::Tool(ask, _) => ("tool", Some(ask.clone()), Some(ask.since)),
        Doing::Tools(since) => ("tool", None, Some(since)),
        Doing::Model(since) => ("model", None, Some(since)),
        Doing::Idle(since) => ("idle", None, Some(since)),
        Doing::Ended => ("ended", None, None),
    };
    object["doing"] = doing.into();
    object["doing_since"] = since.into();
    object["tool"] = tool.as_ref().map(|ask| ask.name.clone()).into();
    object["tool_arguments"] = tool.map(|ask| ask.arguments).into();
    object["context_tokens"] = row.activity.context.map(|context| context.tokens).into();
    object["context_growth"] = row.activity.context.and_then(|context| context.growth).into();
    object["loops"] = row.activity.loops.into();
    object["newest_loop"] = row.activity.newest_loop.as_ref().map(|mark| mark.words.clone()).into();
    object["newest_error"] = row.activity.trouble.as_ref().map(|mark| mark.words.clone()).into();
    object
}
