//! `trackway doctor --pid`: what of one process can be read, by which way, and why not the rest.
//!
//! Nothing is attached: the files are searched as the tap would search them, on this thread.

mod facts;
mod tell;
mod verdict;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};

use crate::cli::Doctor;
use crate::limits::DOCTOR_PATIENCE;
use crate::{say, settings};
use facts::Facts;
use verdict::{Host, Verdict};

/// Explains a process. The exit code is zero where there is one.
pub(super) fn run(pid: u32, options: &Doctor) -> i32 {
    let Some(facts) = Facts::of(pid, |what, file| patiently(what, || file.look())) else {
        say(&format!("there is no process {pid}; its number is in the output of ps, or of pgrep NAME"));
        return 1;
    };
    let verdict = Verdict::of(&facts, &Host::here());
    let mut out = io::stdout();
    let colour = !options.no_color && settings::get(settings::NO_COLOR).is_none() && out.is_terminal();
    let text = if options.json { tell::json(&facts, &verdict) } else { tell::text(&facts, &verdict, colour) };
    out.write_all(text.as_bytes()).ok();
    0
}

/// Does something, and says what it is where that takes more than a moment.
fn patiently<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(DOCTOR_PATIENCE) == Err(RecvTimeoutError::Timeout) {
                say(what);
            }
        });
        let result = work();
        drop(done);
        result
    })
}
