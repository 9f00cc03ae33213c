//! `trackway decode`: what recorded exchanges meant. For who has a capture and no kernel to watch.

mod answer;
mod runs;
mod source;
mod table;

use std::io::{self, BufWriter, Write};
use std::path::Path;

use trackway_core::call::Call;
use trackway_core::capture::{Broken, Exchange};
use trackway_core::flow::Time;
use trackway_core::price::Book;

use crate::cli::Decode;
use crate::sink::console::Look;
use crate::{limits, prices, say, settings};
use answer::Answer;
use runs::Runs;
use table::Table;

/// Reads the files and prints. The exit code is 1 where anything could not be read.
pub fn run(options: &Decode) -> i32 {
    let mut look = Look::stdout(settings::get);
    look.color &= !options.no_color;
    let prices = match prices::book(options.prices.as_deref()) {
        Ok(prices) => prices,
        Err(error) => {
            say(&error.to_string());
            return 2;
        }
    };
    let out = BufWriter::new(io::stdout().lock());
    let form = match (options.json, options.runs) {
        (_, true) => Form::Runs(Box::default()),
        (true, false) => Form::Json,
        (false, false) => Form::Table(Box::new(Table::new(look, options.all))),
    };
    let mut page = Page { out, form, prices, printing: Ok(()) };
    let mut whole = true;
    for file in &options.files {
        whole &= read(file, &mut page);
        if page.printing.is_err() {
            break;
        }
    }
    match page.finish() {
        // Whoever listened has heard enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => i32::from(!whole),
        Err(error) => {
            say(&format!("the output could not be written: {error}"));
            1
        }
        Ok(()) => i32::from(!whole),
    }
}

/// Reads one file; false where something in it could not be read.
fn read(file: &Path, page: &mut Page<impl Write>) -> bool {
    let name = source::name(file);
    let mut broken = 0_u64;
    let result = source::read(file, |number, exchange| {
        match exchange {
            Ok(exchange) => page.exchange(&name, number, exchange),
            Err(error) => {
                broken += 1;
                if broken <= limits::BROKEN_NAMED {
                    say(&format!("{name} {number}: {error}"));
                }
            }
        }
        page.printing.is_ok()
    });
    if broken > limits::BROKEN_NAMED {
        say(&format!("{name}: {broken} lines or entries in all could not be read"));
    }
    if let Err(error) = &result {
        say(&format!("{name}: {error}"));
    }
    result.is_ok() && broken == 0
}

/// What is printed.
enum Form {
    /// A line for each call, and the totals.
    Table(Box<Table>),
    /// An object for each call.
    Json,
    /// An object for each run.
    Runs(Box<Runs>),
}

/// Where the answers go.
struct Page<W> {
    out: W,
    form: Form,
    prices: Book,
    printing: io::Result<()>,
}

impl<W: Write> Page<W> {
    fn exchange(&mut self, file: &str, number: source::Number, exchange: Exchange) {
        let id = exchange.id.clone().unwrap_or_else(|| format!("{file}#{}", number.0));
        let dated = exchange.times.is_some();
        let mut calls: Vec<Call> = exchange.replay();
        for call in &mut calls {
            let (start, priced) = (call.start, if dated { call.start } else { now() });
            call.start = priced;
            self.prices.apply(call);
            call.start = start;
        }
        if let Form::Runs(runs) = &mut self.form {
            return runs.add(&id, &mut calls, dated);
        }
        let several = calls.len() > 1;
        for (index, call) in calls.iter().enumerate() {
            // A WebSocket carries many calls.
            let id = if several { format!("{id}.{}", index + 1) } else { id.clone() };
            let written = match &mut self.form {
                Form::Table(table) => table.add(&id, call, &mut self.out),
                Form::Json | Form::Runs(_) => json(&Answer::new(&id, call), &mut self.out),
            };
            if self.printing.is_ok() {
                self.printing = written;
            }
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.printing?;
        match self.form {
            Form::Table(table) => table.finish(&mut self.out)?,
            Form::Runs(runs) => runs.finish(&mut self.out)?,
            Form::Json => {}
        }
        self.out.flush()
    }
}

/// What a file does not date is priced as of today.
fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn json(answer: &Answer<'_>, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n")
}

/// What reading a file can end with.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no capture, or breaks off.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// An archive that is too large.
    #[error("an archive of more than {} bytes", limits::ARCHIVE_BYTES)]
    Large,
    /// There is nothing in it.
    #[error("no exchange in it")]
    Empty,
}
