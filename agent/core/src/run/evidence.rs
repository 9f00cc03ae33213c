//! Whether a tool call's arguments name a command or a URL.
//!
//! Quotes, backslashes and white space are levelled on both sides, so that a command is found again inside
//! JSON text, inside a script of another language, or split into an argument vector.

use serde_json::Value;

use crate::limits::EVIDENCE_BYTES;

/// Members of arguments that hold a command as a whole.
const COMMAND_KEYS: [&str; 6] = ["command", "cmd", "script", "code", "input", "commands"];
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ash", "ksh", "fish", "busybox"];

/// How well a text fits; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    /// False where the whole string is the command.
    partial: bool,
    /// Characters beside the match.
    excess: usize,
}

/// The texts of one tool call's arguments, levelled.
#[derive(Clone, Debug, Default)]
pub(super) struct Haystack {
    texts: Vec<(String, bool)>,
    room: usize,
}

/// What a process was started with, levelled.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    script: Option<String>,
    line: String,
}

impl Haystack {
    pub(super) fn new(arguments: &Value) -> Self {
        let mut it = Self { texts: Vec::new(), room: EVIDENCE_BYTES };
        // Free-form input of a custom tool is its command.
        it.collect(arguments, true);
        it
    }

    fn collect(&mut self, value: &Value, command: bool) {
        match value {
            Value::String(text) => self.add(text, command),
            Value::Array(items) => {
                let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                if words.len() == items.len() && words.len() > 1 {
                    self.add(&words.join(" "), command);
                }
                items.iter().for_each(|item| self.collect(item, false));
            }
            Value::Object(members) => {
                for (key, member) in members {
                    self.collect(member, COMMAND_KEYS.contains(&key.as_str()));
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str, command: bool) {
        let text = text.get(..text.floor_char_boundary(self.room)).unwrap_or_default();
        self.room -= text.len();
        let text = level(text);
        if text.len() > 1 {
            self.texts.push((text, command));
        }
    }

    /// Whether the arguments say themselves what is run.
    pub(super) fn has_command(&self) -> bool {
        self.texts.iter().any(|(_, command)| *command)
    }

    /// Whether they say themselves what is run or fetched.
    pub(super) fn says(&self) -> bool {
        self.texts.iter().any(|(text, command)| *command || text.contains("://"))
    }

    /// How well the arguments name a command.
    pub(super) fn names(&self, needle: &Needle) -> Option<Fit> {
        let forward = |text: &str| {
            [needle.script.as_deref(), Some(&needle.line)]
                .into_iter()
                .flatten()
                .filter_map(|n| fit(text, n, command_ends))
                .min()
        };
        // A shell that an agent wraps around its command: the script contains the argument.
        let wrapped = |text: &str, command: bool| {
            let script = needle.script.as_deref().filter(|_| command && text.len() > 2)?;
            fit(script, text, |_| true).map(|fit| Fit { partial: true, ..fit })
        };
        self.texts
            .iter()
            .filter_map(|(text, command)| forward(text).or_else(|| wrapped(text, *command)))
            .min()
    }

    /// Whether the arguments are a program that calls a tool of this name, as part of a longer one
    /// (`server.add(…)`, `tools.mcp__server__add(…)`).
    pub(super) fn calls(&self, tool: &str) -> bool {
        let called = |text: &str, at: usize| {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at + tool.len()..).unwrap_or_default();
            (before.ends_with("__") || before.ends_with(['.', '/', ':']))
                && after.trim_start_matches(']').starts_with('(')
        };
        let fits = |text: &str| text.match_indices(tool).any(|(at, _)| called(text, at));
        !tool.is_empty() && self.texts.iter().any(|(text, command)| *command && fits(text))
    }

    /// How well the arguments name a URL.
    pub(super) fn holds(&self, url: &str) -> Option<Fit> {
        let url = level(url);
        self.texts.iter().filter_map(|(text, _)| fit(text, &url, |_| true)).min()
    }
}

impl Needle {
    pub(super) fn new(argv: &[String]) -> Option<Self> {
        let (first, rest) = argv.split_first()?;
        let name = basename(first);
        let line = std::iter::once(name).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        let line = level(&line);
        let script = if SHELLS.contains(&name) { script(rest).map(level) } else { None };
        (line.len() > 1).then_some(Self { script: script.filter(|script| script.len() > 1), line })
    }
}

/// The last component of a path; login shells put a dash before it.
pub(super) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_start_matches('-')
}

/// The command string of `sh -c …`, `bash -lc …`, `bash -c -l …`.
fn script(arguments: &[String]) -> Option<&str> {
    let is_c = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('c');
    let at = arguments.iter().position(is_c)?;
    arguments.iter().skip(at + 1).find(|word| !word.starts_with('-')).map(String::as_str)
}

/// Where a needle stands in a text as whole words, and what comes after it is as it should be.
fn fit(text: &str, needle: &str, after: impl Fn(&str) -> bool) -> Option<Fit> {
    if needle.is_empty() {
        return None;
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let whole = |at: usize| {
        let before = text.get(..at).and_then(|s| s.chars().next_back());
        let rest = text.get(at + needle.len()..).unwrap_or_default();
        !before.is_some_and(|c| word(c) || c == '.') && !rest.chars().next().is_some_and(word) && after(rest)
    };
    let excess = text.len() - needle.len().min(text.len());
    text.match_indices(needle).any(|(at, _)| whole(at)).then_some(Fit { partial: excess > 0, excess })
}

/// Whether a simple command ends before this text: `wc -l` is not the command in `wc -l notes.txt`.
fn command_ends(rest: &str) -> bool {
    let rest = rest.trim_start();
    let redirected = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.is_empty()
        || redirected.starts_with(['<', '>'])
        || rest.starts_with([';', '|', '&', '(', ')', '{', '}', '[', ']', ',', '#'])
}

/// Without quotes and backslashes, white space as one space, and ends of lines as `;`.
fn level(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next_if(|next| matches!(next, 'n' | 't' | 'r')) {
                Some('n') => '\n',
                Some(_) => ' ',
                None => continue,
            },
            '"' | '\'' | '`' => continue,
            c => c,
        };
        match c {
            '\n' => {
                out.truncate(out.trim_end().len());
                if !out.is_empty() && !out.ends_with(';') {
                    out.push(';');
                }
            }
            c if c.is_whitespace() => {
                if !out.is_empty() && !out.ends_with([' ', ';']) {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end_matches([' ', ';']).len());
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(arguments: Value, argv: &[&str], expect: bool) {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        let needle = Needle::new(&argv).unwrap();
        assert_eq!(Haystack::new(&arguments).names(&needle).is_some(), expect, "{arguments} {argv:?}");
    }

    #[test]
    fn commands_are_found_in_the_forms_that_agents_give_them() {
        check(json!({"command": "ls -la"}), &["/usr/bin/ls", "-la"], true);
        check(json!({"command": "ls -la"}), &["bash", "-lc", "ls -la"], true);
        check(json!({"command": ["bash", "-lc", "echo \"hi\""]}), &["bash", "-lc", "echo \"hi\""], true);
        check(json!({"cmd": "echo 'a  b'\n"}), &["/bin/sh", "-c", "echo 'a  b'"], true);
        let source = json!("const r = await tools.exec_command({cmd: \"echo \\\"x\\\" | wc\"}); r");
        check(source, &["bash", "-lc", "echo \"x\" | wc"], true);
        let wrapper = "source /tmp/snapshot.sh && eval 'git status' < /dev/null && pwd -P >| /tmp/cwd";
        check(json!({"command": "git status"}), &["/bin/bash", "-c", "-l", wrapper], true);
        check(json!({"command": "cd x && git status"}), &["git", "status"], true);
        check(json!({"command": "make -j4 2>&1 | tail"}), &["make", "-j4"], true);
        check(json!({"command": "ls\nwc -l\ndate"}), &["wc", "-l"], true);
        check(json!("await run({cmd: 'ls -la', workdir: '/x'})"), &["ls", "-la"], true);
    }

    #[test]
    fn other_commands_are_not() {
        check(json!({"command": "lsof"}), &["ls"], false);
        check(json!({"command": "wc -l notes.txt"}), &["wc", "-l"], false);
        check(json!({"command": "wc -l 5"}), &["wc", "-l"], false);
        check(json!({"command": "git status"}), &["git", "stash"], false);
        check(json!({"path": "src"}), &["bash", "-c", "ls src"], false);
        check(json!({"city": "Paris"}), &["date"], false);
    }

    #[test]
    fn the_whole_string_fits_better_than_a_part() {
        let needle = Needle::new(&["sh".into(), "-c".into(), "make".into()]).unwrap();
        let whole = Haystack::new(&json!({"cmd": "make"})).names(&needle).unwrap();
        let part = Haystack::new(&json!({"cmd": "make && make test"})).names(&needle).unwrap();
        assert!(whole < part);
    }

    #[test]
    fn urls_are_found() {
        let haystack = Haystack::new(&json!({"url": "https://example.org/a?b=1"}));
        assert!(haystack.holds("https://example.org/a").is_some());
        assert!(haystack.holds("https://example.com/a").is_none());
    }
}
