//! `trackway doctor`: what this kernel, these privileges and this environment allow, with the remedies; with
//! `--pid`, what can be read of one process.

mod checks;
mod process;

use std::io::{self, IsTerminal, Write};

use serde_json::json;

use crate::cli::Doctor;
use crate::settings;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// Something works less well, or not at all; `run` still does.
    Less,
    /// Neither good nor bad.
    Info,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub state: State,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Line by line.
    pub findings: Vec<Finding>,
    /// Whether `run` captures by the kernel.
    pub kernel: bool,
    /// Whether `run` works at all.
    pub works: bool,
}

/// Looks and tells. The exit code is zero where `run` works at all, or where the process is there.
pub fn run(options: &Doctor) -> i32 {
    if let Some(pid) = options.pid {
        return process::run(pid, options);
    }
    let report = checks::report();
    let mut out = io::stdout();
    let colour = !options.no_color && settings::get(settings::NO_COLOR).is_none() && out.is_terminal();
    let text = if options.json { report.json() } else { report.text(colour) };
    out.write_all(text.as_bytes()).ok();
    i32::from(!report.works)
}

/// A reason in one line: the kernel's verifier says pages.
pub fn brief(reason: &str) -> String {
    const LONGEST: usize = 160;
    let line = reason.split("Verifier output").next().unwrap_or_default().trim_end_matches([' ', '.', ':']);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

impl Report {
    fn verdict(&self) -> &'static str {
        match (self.works, self.kernel) {
            (true, true) => "trackway run works, with every connection and process of the command",
            (true, false) => {
                "trackway run works by explicit proxying: what honours HTTPS_PROXY is read; child processes are not seen"
            }
            (false, _) => "trackway run does not work here",
        }
    }

    fn text(&self, colour: bool) -> String {
        format!("{}\n{}\n", lines(&self.findings, colour), self.verdict())
    }

    fn json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                let state = match finding.state {
                    State::Good => "good",
                    State::Less => "less",
                    State::Info => "info",
                };
                json!({"name": finding.name, "state": state, "detail": finding.detail, "remedy": finding.remedy})
            })
            .collect();
        let report = json!({"works": self.works, "kernel": self.kernel, "findings": findings});
        format!("{report:#}\n")
    }
}

/// Findings, one below the other.
fn lines(findings: &[Finding], colour: bool) -> String {
    let mut out = String::new();
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
    for finding in findings {
        let (sign, code) = match finding.state {
            State::Good => ("✓", "32"),
            State::Less => ("✗", "31"),
            State::Info => ("·", "2"),
        };
        let sign = if colour { format!("\x1b[{code}m{sign}\x1b[0m") } else { sign.to_owned() };
        out.push_str(&format!("{sign} {:width$}  {}\n", finding.name, brief(&finding.detail)));
        if let Some(remedy) = &finding.remedy {
            out.push_str(&format!("  {:width$}  → {remedy}\n", ""));
        }
    }
    out
}
