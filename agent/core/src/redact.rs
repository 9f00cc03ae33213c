//! Secrets out of everything that leaves: URLs, arguments, messages.
//!
//! Every function is linear in its input and borrows where there is nothing to hide. What is recognised is
//! what names itself: tokens by their issuers' prefixes, values by the names that they are assigned to.

mod names;
mod scan;

use std::borrow::Cow;

use serde_json::Value;

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";

/// Replaces what looks like a credential (`sk-…`, `Bearer …`, `AKIA…`, `key=…` in URLs, PEM private keys, …).
pub fn text(input: &str) -> Cow<'_, str> {
    let Some(mut found) = scan::next(input, 0) else { return Cow::Borrowed(input) };
    let mut out = String::with_capacity(input.len());
    let mut copied = 0;
    loop {
        out.push_str(input.get(copied..found.start).unwrap_or_default());
        out.push_str(REDACTED);
        copied = found.end;
        match scan::next(input, copied) {
            Some(next) => found = next,
            None => break,
        }
    }
    out.push_str(input.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// A query string with the values of secret parameters replaced.
pub fn query(input: &str) -> Cow<'_, str> {
    joined(input, '&', |pair| match pair.split_once('=') {
        Some((name, value)) if names::parameter(name) && !value.is_empty() => {
            Cow::Owned(format!("{name}={REDACTED}"))
        }
        _ => text(pair),
    })
}

/// A URL without its user's name and password, its query's secrets replaced.
pub fn url(input: &str) -> Cow<'_, str> {
    let (rest, fragment) = input.split_once('#').map_or((input, None), |(rest, tail)| (rest, Some(tail)));
    let (base, search) = rest.split_once('?').map_or((rest, None), |(base, tail)| (base, Some(tail)));
    let clean = userinfo(base);
    let search = search.map(query);
    let fragment = fragment.map(query);
    let touched = [Some(&clean), search.as_ref(), fragment.as_ref()];
    if touched.into_iter().flatten().all(|part| matches!(part, Cow::Borrowed(_))) {
        return Cow::Borrowed(input);
    }
    let mut out = clean.into_owned();
    for (sign, part) in [('?', search), ('#', fragment)] {
        if let Some(part) = part {
            out.push(sign);
            out.push_str(&part);
        }
    }
    Cow::Owned(out)
}

/// Command-line arguments with the values of secret options replaced.
pub fn arguments(argv: &[String]) -> Vec<String> {
    let program = argv.first().map_or("", |first| first.rsplit('/').next().unwrap_or(first));
    let mut secret_next = false;
    let mut user_next = false;
    let mut out = Vec::with_capacity(argv.len());
    for argument in argv {
        if std::mem::take(&mut secret_next) && !argument.is_empty() {
            out.push(REDACTED.to_owned());
            continue;
        }
        if std::mem::take(&mut user_next)
            && let Some((user, _)) = argument.split_once(':')
        {
            out.push(format!("{user}:{REDACTED}"));
            continue;
        }
        secret_next =
            argument.strip_prefix('-').is_some_and(|rest| names::assigned(rest.trim_start_matches('-')));
        // Only here is `-u` certain to be a user and a password.
        user_next = program == "curl" && matches!(argument.as_str(), "-u" | "--user" | "-U" | "--proxy-user");
        out.push(argument_alone(argument));
    }
    out
}

/// Every string in a JSON value, in place; a value whose key names a secret goes as a whole.
pub fn value(value: &mut Value) {
    match value {
        Value::String(string) => {
            if let Cow::Owned(clean) = text(string) {
                *string = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(self::value),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(string) if names::assigned(name) && !string.is_empty() => {
                        REDACTED.clone_into(string);
                    }
                    member => self::value(member),
                }
            }
        }
        _ => {}
    }
}

/// One argument by itself: `--token=X`, `API_KEY=X`, `Authorization: X`, or text with secrets in it.
fn argument_alone(argument: &str) -> String {
    if let Some((name, value)) = argument.split_once('=') {
        let bare = name.trim_start_matches('-');
        if !value.is_empty() && !bare.contains(char::is_whitespace) && names::assigned(bare) {
            return format!("{name}={REDACTED}");
        }
    }
    if let Some((name, value)) = argument.split_once(':') {
        let bare = name.strip_prefix("-H").unwrap_or(name).trim();
        let one_word = !bare.contains(|c: char| c.is_whitespace() || c == '\'');
        if !value.trim().is_empty() && one_word && names::header(bare) {
            return format!("{name}: {REDACTED}");
        }
    }
    if argument.contains("://") && !argument.contains(char::is_whitespace) {
        return url(argument).into_owned();
    }
    text(argument).into_owned()
}

/// The part of a URL before its query, without user and password.
fn userinfo(base: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = base.split_once("://") else { return text(base) };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => {
            let after = rest.get(user.len()..).unwrap_or_default();
            Cow::Owned(format!("{scheme}://{REDACTED}{}", text(after)))
        }
        None => text(base),
    }
}

/// Applies `each` to the pieces between separators; borrows where none changed.
fn joined<'a>(input: &'a str, separator: char, each: impl Fn(&'a str) -> Cow<'a, str>) -> Cow<'a, str> {
    let pieces: Vec<Cow<'a, str>> = input.split(separator).map(each).collect();
    if pieces.iter().all(|piece| matches!(piece, Cow::Borrowed(_))) {
        return Cow::Borrowed(input);
    }
    let mut out = String::with_capacity(input.len());
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            out.push(separator);
        }
        out.push_str(piece);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
