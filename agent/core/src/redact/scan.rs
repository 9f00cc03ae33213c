//! Finding secrets in text: one pass, rules asked only where a word begins.

use std::ops::Range;

use super::names;

/// A token that its issuer marks: prefix, shortest rest, whether a digit is asked for (so that words with
/// hyphens are left alone).
const ISSUED: &[(&str, usize, bool)] = &[
    ("sk-", 16, true),
    ("sk_live_", 12, false),
    ("sk_test_", 12, false),
    ("rk_live_", 12, false),
    ("AIza", 30, false),
    ("ghp_", 20, false),
    ("gho_", 20, false),
    ("ghu_", 20, false),
    ("ghs_", 20, false),
    ("ghr_", 20, false),
    ("github_pat_", 20, false),
    ("xoxb-", 10, false),
    ("xoxa-", 10, false),
    ("xoxp-", 10, false),
    ("xoxr-", 10, false),
    ("xoxs-", 10, false),
    ("xapp-", 10, false),
    ("glpat-", 16, false),
    ("hf_", 24, false),
    ("gsk_", 24, true),
    ("r8_", 24, false),
    ("pplx-", 24, true),
    ("xai-", 32, true),
    ("npm_", 30, false),
    ("pypi-", 40, true),
    ("tvly-", 20, true),
    ("lsv2_", 24, true),
    ("ya29.", 20, false),
    ("AGE-SECRET-KEY-", 20, false),
];

/// Most bytes of an assigned value that are judged.
const JUDGED_BYTES: usize = 256;

/// The first secret at or after `from`.
pub(super) fn next(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    // What stands before a position decides whether a word begins there.
    let mut before = from.checked_sub(1).and_then(|last| bytes.get(last).copied()).unwrap_or(b' ');
    while let Some(&byte) = bytes.get(at) {
        let begins = !is_word(before);
        let rest = bytes.get(at..)?;
        let found = match byte {
            _ if begins && byte.is_ascii_alphanumeric() => word(rest, before),
            // The letter of an escaped line end may stand before a key's first dash.
            b'-' if before != b'-' => pem(rest).or_else(|| if begins { option(rest) } else { None }),
            b':' => login(rest),
            _ => None,
        };
        if let Some(found) = found {
            return Some(at + found.start..at + found.end);
        }
        // No rule begins inside a word but at a dash: prose is skipped a word at a time.
        let skipped = run(rest, |b| is_word(b) && b != b'-').max(1);
        before = rest.get(skipped - 1).copied().unwrap_or(byte);
        at += skipped;
    }
    None
}

/// The rules for what begins with a letter or a digit.
fn word(rest: &[u8], before: u8) -> Option<Range<usize>> {
    let mark = match rest {
        [first, second, ..] => MARKS[usize::from(first & 0x7f)] >> (second & 0x7f) & 1 == 1,
        _ => false,
    };
    mark.then(|| marked(rest)).flatten().or_else(|| assignment(rest, before))
}

/// First bytes, and for each the second ones, of everything that [`marked`] finds: two bytes rule out nearly
/// every word of a language.
const MARKS: [u128; 128] = {
    const OTHERS: [&str; 13] = ["AK", "AS", "ey", "be", "bE", "Be", "BE", "ba", "bA", "Ba", "BA", "bo", "se"];
    let mut marks = [0; 128];
    let mut at = 0;
    while at < ISSUED.len() {
        let prefix = ISSUED[at].0.as_bytes();
        marks[prefix[0] as usize] |= 1 << prefix[1];
        at += 1;
    }
    let mut at = 0;
    while at < OTHERS.len() {
        let prefix = OTHERS[at].as_bytes();
        marks[prefix[0] as usize] |= 1 << prefix[1];
        at += 1;
    }
    marks[b'w' as usize] |= 1 << b'e';
    marks
};

/// The rules for what says by its beginning that it is a secret.
fn marked(rest: &[u8]) -> Option<Range<usize>> {
    issued(rest).or_else(|| aws(rest)).or_else(|| jwt(rest)).or_else(|| scheme(rest)).or_else(|| hook(rest))
}

fn issued(rest: &[u8]) -> Option<Range<usize>> {
    let (prefix, shortest, digit) = ISSUED.iter().find(|(prefix, ..)| rest.starts_with(prefix.as_bytes()))?;
    let tail = rest.get(prefix.len()..)?;
    let length = run(tail, is_word);
    let has_digit = tail.iter().take(length).any(u8::is_ascii_digit);
    (length >= *shortest && (!digit || has_digit)).then_some(0..prefix.len() + length)
}

/// Access key ids: `AKIA` or `ASIA` and sixteen capitals or digits.
fn aws(rest: &[u8]) -> Option<Range<usize>> {
    let known = rest.starts_with(b"AKIA") || rest.starts_with(b"ASIA");
    let length = if known { run(rest, |b| b.is_ascii_uppercase() || b.is_ascii_digit()) } else { 0 };
    (length == 20 && !rest.get(20).copied().is_some_and(is_word)).then_some(0..20)
}

/// RFC 7519: three base64url parts; the first is an object and so begins with `eyJ`.
fn jwt(rest: &[u8]) -> Option<Range<usize>> {
    if !rest.starts_with(b"eyJ") {
        return None;
    }
    let mut end = 0;
    for shortest in [10, 4, 10] {
        if end > 0 {
            end += usize::from(rest.get(end) == Some(&b'.'));
        }
        let length = run(rest.get(end..)?, is_word);
        if length < shortest {
            return None;
        }
        end += length;
    }
    Some(0..end)
}

/// RFC 9110 section 11.4: an authentication scheme and its credentials.
fn scheme(rest: &[u8]) -> Option<Range<usize>> {
    let name = [&b"bearer"[..], b"basic"].into_iter().find(|name| starts_with(rest, name))?;
    let blank = run(rest.get(name.len()..)?, |b| b == b' ');
    let start = name.len() + blank;
    let token = rest.get(start..)?;
    let length = run(token, |b| is_word(b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'='));
    let mixed = token.iter().take(length).any(|b| b.is_ascii_digit() || *b == b'=');
    (blank > 0 && length >= 8 && mixed).then_some(start..start + length)
}

/// Addresses that are secrets by themselves: Telegram's `bot<id>:<token>`, Slack's and Discord's hooks.
fn hook(rest: &[u8]) -> Option<Range<usize>> {
    let path = |b: u8| is_word(b) || b == b'/';
    if let Some(tail) = rest.strip_prefix(b"bot") {
        let id = run(tail, |b| b.is_ascii_digit());
        let token = tail.get(id + 1..).map_or(0, |token| run(token, is_word));
        return (id >= 6 && tail.get(id) == Some(&b':') && token >= 30).then_some(3..3 + id + 1 + token);
    }
    if rest.starts_with(b"services/T") || rest.starts_with(b"webhooks/") {
        let start = rest.iter().position(|b| *b == b'/')? + 1;
        let length = run(rest.get(start..)?, path);
        let parts = rest.get(start..start + length)?.split(|b| *b == b'/');
        let long = parts.clone().filter(|part| part.len() >= 8).count();
        return (long >= 2 && length >= 40).then_some(start..start + length);
    }
    None
}

/// `password=…`, `api_key: "…"`, `"client_secret": "…"`, `?key=…`: a name, a sign, a value that is no word.
fn assignment(rest: &[u8], before: u8) -> Option<Range<usize>> {
    let length = run(rest, is_word);
    // In prose a word is followed by a blank and another word.
    let sign_follows = match rest.get(length)? {
        b'=' | b':' | b'"' | b'\'' | b'\\' => true,
        b' ' => matches!(rest.get(length + 1), Some(b' ' | b'=' | b':')),
        _ => false,
    };
    let name = rest.get(..length).filter(|name| sign_follows && name.len() <= 64)?;
    let mut at = length;
    at += quote(rest.get(at..)?);
    at += run(rest.get(at..)?, |b| b == b' ');
    let sign = *rest.get(at)?;
    if !matches!(sign, b'=' | b':') {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    // `key` and its like are secrets in a query only.
    let in_query = matches!(before, b'?' | b'&') && sign == b'=' && at == length;
    if !(names::assigned(name) || in_query && names::parameter(name)) {
        return None;
    }
    at += 1;
    at += run(rest.get(at..)?, |b| b == b' ');
    at += quote(rest.get(at..)?);
    let value = rest.get(at..)?;
    let length = assigned(value)?;
    Some(at..at + length)
}

/// The length of an assigned value that looks like a secret.
fn assigned(value: &[u8]) -> Option<usize> {
    // Judged by its beginning, so that text full of signs does not cost a look to its end at each of them.
    let start = value.get(..value.len().min(JUDGED_BYTES))?;
    let judged = run(start, is_value);
    // A call, an index or a template is code, not a value.
    let code = matches!(value.get(judged), Some(b'(' | b'[' | b'{'));
    (!code && looks_secret(start.get(..judged)?)).then(|| run(value, is_value))
}

/// `--api-key VALUE` inside a command line that is one string.
fn option(rest: &[u8]) -> Option<Range<usize>> {
    let dashes = run(rest, |b| b == b'-');
    let length = run(rest.get(dashes..)?, is_word);
    let name = std::str::from_utf8(rest.get(dashes..dashes + length)?).ok()?;
    let mut at = dashes + length;
    let sign = *rest.get(at)?;
    if !matches!(sign, b' ' | b'=') || dashes > 2 || length == 0 || length > 64 || !names::assigned(name) {
        return None;
    }
    at += run(rest.get(at..)?, |b| b == sign);
    at += quote(rest.get(at..)?);
    let value = rest.get(at..)?;
    let length = assigned(value)?;
    Some(at..at + length)
}

/// `://user:password@`.
fn login(rest: &[u8]) -> Option<Range<usize>> {
    let authority = rest.strip_prefix(b"://")?;
    let length = run(authority, |b| {
        b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
    });
    let authority = authority.get(..length)?;
    let at = authority.iter().rposition(|b| *b == b'@')?;
    let has_password = authority.get(..at)?.contains(&b':') || at >= 20;
    has_password.then_some(3..3 + at)
}

/// RFC 7468: a private key from its first line to its last, or to the end where that is missing.
fn pem(rest: &[u8]) -> Option<Range<usize>> {
    let label = rest.strip_prefix(b"-----BEGIN ")?;
    let length =
        run(label.get(..label.len().min(64))?, |b| b.is_ascii_uppercase() || b == b' ' || b.is_ascii_digit());
    let label = label.get(..length)?;
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let end = [b"-----END ", label, b"-----"].concat();
    // The end line begins with a dash, so that only dashes are looked at closely.
    let close = rest
        .iter()
        .enumerate()
        .skip(1)
        .find(|(at, b)| **b == b'-' && rest.get(*at..).is_some_and(|tail| tail.starts_with(&end)));
    Some(0..close.map_or(rest.len(), |(at, _)| at + end.len()))
}

/// Long enough, and no word of a language: letters with digits among them, or very long.
fn looks_secret(value: &[u8]) -> bool {
    let digits = value.iter().any(u8::is_ascii_digit);
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    let signs =
        value.iter().any(|b| matches!(b, b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'*' | b'+' | b'/'));
    value.len() >= 6 && letters && (digits || signs) || value.len() >= 24 && !value.contains(&b'.')
}

/// Asked of every byte, hence a table.
const WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        word[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        byte += 1;
    }
    word
};

fn is_word(byte: u8) -> bool {
    WORD[usize::from(byte)]
}

fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'\''
                | b'`'
                | b','
                | b';'
                | b'&'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'<'
                | b'>'
                | b'\\'
                | b'$'
        )
}

/// An opening or closing quote, maybe escaped: `"`, `'`, `\"`.
fn quote(rest: &[u8]) -> usize {
    match rest {
        [b'\\', b'"' | b'\'', ..] => 2,
        [b'"' | b'\'', ..] => 1,
        _ => 0,
    }
}

fn run(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|b| !wanted(*b)).unwrap_or(bytes.len())
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_issued_prefix_is_looked_at() {
        for (prefix, shortest, _) in ISSUED {
            let token = format!("{prefix}{}", "a1".repeat(*shortest));
            let text = format!("it says {token}, so");
            assert_eq!(next(&text, 0), Some(8..8 + token.len()), "{prefix}");
        }
        for text in ["AKIA", "ASIA"] {
            assert_eq!(next(&format!("({text}ABCDEFGHIJKLMNOP)"), 0), Some(1..21));
        }
        for text in ["bearer", "Bearer", "BEARER", "Basic", "BASIC", "basic"] {
            assert!(next(&format!("{text} dXNlcjpwYXNzd29yZA=="), 0).is_some(), "{text}");
        }
    }
}
