//! What a run is called.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use trackway_core::flow::Time;
use trackway_core::names;
use trackway_core::run::{Above, Identity, Scope};
use trackway_core::telemetry::{Content, TraceId};

use super::resource;
use crate::cli::Output;
use crate::settings;

/// Programs whose first argument that is no option is the program that matters.
const INTERPRETERS: [&str; 14] = [
    "python", "python3", "node", "bun", "deno", "ruby", "perl", "php", "bash", "sh", "tsx", "ts-node", "npx",
    "bunx",
];

/// Programs that start what their arguments name, with words of their own in between.
const STARTERS: [(&str, &str); 6] =
    [("env", ""), ("uvx", ""), ("uv", "run"), ("poetry", "run"), ("deno", "run"), ("bun", "run")];

/// The identity of a run that begins now. Its root process is filled in by the recorder.
pub(super) fn of(options: &Output, command: &[OsString], above: Option<Above>, start: Time) -> Identity {
    let said = resource::said(settings::get(settings::RESOURCE_ATTRIBUTES).as_deref());
    let stated = || said.iter().find(|(key, _)| key == names::SERVICE_NAME).map(|(_, value)| value.clone());
    let service = settings::get(settings::SERVICE_NAME).or_else(stated);
    let own = name(command);
    let name = options.name.clone().or_else(|| service.clone()).unwrap_or(own);
    let mut trace = [0; 16];
    random(&mut trace);
    Identity {
        trace: above.map_or(TraceId(trace), |above| above.trace),
        above,
        scope: options.scope.map_or(Scope::Auto, Into::into),
        command: command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        root: None,
        content: Content::Full,
        start,
        resource: Arc::new(resource::of(service.unwrap_or_else(|| name.clone()), said)),
        name,
    }
}

/// Fills with random bytes.
pub(super) fn random(bytes: &mut [u8]) {
    // Falls back to the clock and the process where the kernel gives none: ids must differ, not be secret.
    if ring::default_provider().secure_random.fill(bytes).is_err() {
        let seed = super::now().0 ^ u64::from(std::process::id()) << 40;
        bytes.iter_mut().zip(seed.to_le_bytes().iter().cycle()).for_each(|(byte, seed)| *byte = *seed);
    }
}

/// The command's own name: the script of an interpreter, the module of `python -m`, else the executable.
pub(super) fn name(command: &[OsString]) -> String {
    let words: Vec<String> = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut words: &[String] = &words;
    loop {
        let Some((first, rest)) = words.split_first() else { return "command".to_owned() };
        let first = file_name(first);
        if let Some((_, verb)) = STARTERS.iter().find(|(name, _)| *name == first)
            && (verb.is_empty() || rest.first().is_some_and(|word| word == verb))
        {
            let own = |word: &String| word == verb || word.starts_with('-') || word.contains('=');
            let skip = rest.iter().take_while(|word| own(word)).count();
            words = rest.get(skip..).unwrap_or_default();
            if words.is_empty() {
                return first.to_owned();
            }
            continue;
        }
        if !INTERPRETERS.contains(&first) && !first.starts_with("python3.") {
            return first.to_owned();
        }
        let mut rest = rest.iter().map(String::as_str);
        return match rest.find(|word| !word.starts_with('-') || matches!(*word, "-m" | "-c" | "-e")) {
            Some("-m") => rest.next().unwrap_or(first).to_owned(),
            Some("-c" | "-e") | None => first.to_owned(),
            Some(script) => file_name(script).to_owned(),
        };
    }
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::name;

    fn check(command: &[&str], expect: &str) {
        let command: Vec<_> = command.iter().map(Into::into).collect();
        assert_eq!(name(&command), expect, "{command:?}");
    }

    #[test]
    fn names_what_runs() {
        check(&["codex", "exec", "fix"], "codex");
        check(&["/usr/bin/python3", "agent.py", "--fast"], "agent.py");
        check(&["python3.12", "-u", "src/agent.py"], "agent.py");
        check(&["python", "-m", "my.agent", "x"], "my.agent");
        check(&["python", "-c", "print(1)"], "python");
        check(&["env", "A=1", "node", "--inspect", "agent.js"], "agent.js");
        check(&["uv", "run", "agent.py"], "agent.py");
        check(&["uv", "run", "python", "agent.py"], "agent.py");
        check(&["uv", "sync"], "uv");
        check(&["npx", "-y", "@google/gemini-cli"], "gemini-cli");
        check(&["bash"], "bash");
        check(&[], "command");
    }
}
