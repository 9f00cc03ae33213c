//! What the facts mean: which way reads a process, and what to do next.

use std::path::Path;

use super::facts::{Closed, Facts};
use crate::doctor::{State, checks};
use crate::kernel;

/// How much of a process the tap can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    Partly,
    No,
}

impl Answer {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
        }
    }
}

/// The last lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) tap: Answer,
    pub(super) why: String,
    pub(super) next: String,
    /// What the proxy would do for it.
    pub(super) proxy: String,
    pub(super) proxy_next: String,
}

/// What this machine and our own privileges lack; empty where the tap can be set.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) lacks: Vec<String>,
}

impl Host {
    pub(super) fn here() -> Self {
        let (privileges, enough) = checks::privileges();
        let release = checks::release();
        let mut lacks = Vec::new();
        if let Err(error) = kernel::supported() {
            lacks.push(error.to_string());
        }
        if release.state == State::Less {
            lacks.push(format!("{} is too old: Linux 5.15 or later is needed", release.detail));
        }
        if !enough {
            lacks.push(format!("the tap needs root, and this is {}", privileges.detail));
        }
        Self { lacks }
    }
}

impl Verdict {
    pub(super) fn of(facts: &Facts, host: &Host) -> Self {
        let run = run(facts);
        let attach = format!("sudo trackway attach --pid {}", facts.pid);
        let proxy = "yes, after a restart; a program that pins certificates is reported, not read".to_owned();
        let by_proxy = format!("use trackway run: {run}");
        let no = |why: String, next: &str| Self {
            tap: Answer::No,
            why,
            next: next.to_owned(),
            proxy: proxy.clone(),
            proxy_next: run.clone(),
        };
        match facts.closed {
            None => {}
            Some(Closed::NotOurs) => {
                let next = format!("sudo trackway doctor --pid {}", facts.pid);
                return no("it is another user's, and its files may not be opened".to_owned(), &next);
            }
            Some(Closed::NoImage) => {
                return Self {
                    proxy: "no".to_owned(),
                    proxy_next: "name a process that runs".to_owned(),
                    ..no(
                        "it has no executable: a thread of the kernel, or a process that has ended"
                            .to_owned(),
                        "name a process that runs",
                    )
                };
            }
        }
        let files = &facts.files;
        let refused = || files.iter().flat_map(|file| file.refused.iter().map(move |why| (&file.path, why)));
        let reads = files.iter().any(|file| !file.found.is_empty());
        match (reads, host.lacks.first()) {
            (true, Some(lack)) => {
                return no(
                    format!("its TLS library could be read, but {}", host.lacks.join("; ")),
                    if lack.contains("root") { &attach } else { &by_proxy },
                );
            }
            (true, None) => {}
            (false, _) if facts.java => {
                return no("the JVM speaks TLS itself, in code that no file holds".to_owned(), &by_proxy);
            }
            (false, _) => {
                return match refused().next() {
                    Some((path, why)) => no(reason(path, why), &by_proxy),
                    None => no(
                        "no TLS function is known in what it has loaded".to_owned(),
                        "trackway attach looks again when it loads a library, and into what it starts; TLS of its own is \
                         read by trackway run",
                    ),
                };
            }
        }
        let (tap, why) = if facts.java {
            (Answer::Partly, "what the JVM itself speaks is not read".to_owned())
        } else if let Some((path, why)) = refused().next() {
            (Answer::Partly, reason(path, why))
        } else {
            (Answer::Yes, "what passes through these functions is read, without a restart".to_owned())
        };
        Self { tap, why, next: attach, proxy, proxy_next: run }
    }
}

/// A refusal, without the advice that stands in the next line anyhow.
pub(super) fn reason(path: &Path, why: &str) -> String {
    format!("{}: {}", path.display(), why.strip_suffix("; use the proxy").unwrap_or(why))
}

/// How it would be started under the proxy. What stands behind its first word is the user's to say.
fn run(facts: &Facts) -> String {
    let rest = if facts.command.len() > 1 { " …" } else { "" };
    format!("sudo trackway run -- {}{rest}", facts.name())
}

#[cfg(test)]
mod tests {
    use trackway_image::{Library, Method};

    use super::*;
    use crate::tap::Found;
    use crate::tap::explain::Looked;

    fn facts(name: &str, found: bool, refused: Option<&str>) -> Facts {
        let library = Found {
            library: Library::OpenSsl,
            version: Some("3.0.2".to_owned()),
            method: Method::Dynsym,
            probes: 9,
            cheap: 9,
        };
        let looked = Looked {
            path: format!("/usr/bin/{name}").into(),
            found: found.then_some(library).into_iter().collect(),
            refused: refused.map(str::to_owned).into_iter().collect(),
        };
        let command = vec![name.to_owned(), "x".to_owned()];
        Facts { pid: 7, command, files: vec![looked], ..Facts::default() }
    }

    fn told(facts: &Facts, lacks: &[&str]) -> (Answer, String, String) {
        let host = Host { lacks: lacks.iter().map(|lack| (*lack).to_owned()).collect() };
        let verdict = Verdict::of(facts, &host);
        (verdict.tap, verdict.why, verdict.next)
    }

    #[test]
    fn every_no_has_its_reason_and_the_next_step() {
        let run = "use trackway run: sudo trackway run --";
        let (tap, why, next) = told(&Facts { java: true, ..facts("java", false, None) }, &[]);
        assert_eq!((tap, next), (Answer::No, format!("{run} java …")));
        assert!(why.contains("the JVM speaks TLS itself"), "{why}");
        let stripped = "rustls 0.23.1 is linked in without symbols; use the proxy";
        let (tap, why, next) = told(&facts("codex", false, Some(stripped)), &[]);
        assert_eq!((tap, next), (Answer::No, format!("{run} codex …")));
        assert_eq!(why, "/usr/bin/codex: rustls 0.23.1 is linked in without symbols");
        let (tap, why, next) = told(&facts("cat", false, None), &["the tap needs root"]);
        assert_eq!((tap, why.as_str()), (Answer::No, "no TLS function is known in what it has loaded"));
        assert!(next.contains("attach looks again"), "{next}");
        let (tap, why, next) = told(&facts("python3", true, None), &["the tap needs root, and so on"]);
        assert_eq!((tap, next.as_str()), (Answer::No, "sudo trackway attach --pid 7"));
        assert!(why.ends_with("but the tap needs root, and so on"), "{why}");
        let (_, why, next) = told(&facts("python3", true, None), &["Linux 5.4 is too old"]);
        assert_eq!(next, format!("{run} python3 …"), "{why}");
        let (tap, _, next) = told(
            &Facts { closed: Some(Closed::NotOurs), ..facts("x", false, None) },
            &["the tap needs root"],
        );
        assert_eq!((tap, next.as_str()), (Answer::No, "sudo trackway doctor --pid 7"));
    }

    #[test]
    fn what_is_found_is_read_and_what_is_refused_is_said() {
        let (tap, _, next) = told(&facts("python3", true, None), &[]);
        assert_eq!((tap, next.as_str()), (Answer::Yes, "sudo trackway attach --pid 7"));
        let (tap, why, _) = told(&facts("x", true, Some("rustls 1 is linked in")), &[]);
        assert_eq!((tap, why.as_str()), (Answer::Partly, "/usr/bin/x: rustls 1 is linked in"));
        let (tap, why, _) = told(&Facts { java: true, ..facts("java", true, None) }, &[]);
        assert_eq!((tap, why.as_str()), (Answer::Partly, "what the JVM itself speaks is not read"));
    }
}
