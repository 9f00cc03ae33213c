//! `trackway find`: where something was said.

use std::io::Write;

use super::{Error, json, moment, open, pick, print, stdout_look, when};
use crate::cli::Find;
use crate::sink::console::{Look, paint_bold, paint_dim, text};
use crate::store::{Match, Search, Words};

/// Prints the matches. The exit code is 1 where there are none.
pub fn run(options: &Find) -> i32 {
    print(|out| {
        let typed = options.text.join(" ");
        let words = Words::new(&typed).ok_or_else(|| Error::Words(typed.clone()))?;
        let store = open(&options.place)?;
        let run = options.run.as_deref().map(|name| pick(&store, name)).transpose()?.map(|run| run.id);
        let since = moment(&store, options.since.as_deref(), false)?;
        let found = store.find(&Search { words, run, since, limit: options.limit })?;
        let look = stdout_look(options.no_color);
        let mut last = "";
        for hit in &found {
            if options.json {
                serde_json::to_writer(&mut *out, &json::hit(hit))?;
                out.write_all(b"\n")?;
            } else {
                if last != hit.trace {
                    head(hit, look, out)?;
                }
                last = &hit.trace;
                line(hit, look, out)?;
            }
        }
        if !options.json && !found.is_empty() && found.len() == options.limit {
            let more = format!("(the first {}; --limit N for more)", options.limit);
            writeln!(out, "{}", paint_dim(look, &more))?;
        }
        Ok(i32::from(found.is_empty()))
    })
}

/// The run, above its matches.
fn head(hit: &Match, look: Look, out: &mut dyn Write) -> Result<(), Error> {
    let short = hit.trace.get(..8).unwrap_or_default();
    let time = when(&hit.local, hit.today);
    writeln!(
        out,
        "{} {}",
        paint_bold(look, &format!("{short} {}", text::clean(&hit.agent))),
        paint_dim(look, time)
    )?;
    Ok(())
}

fn line(hit: &Match, look: Look, out: &mut dyn Write) -> Result<(), Error> {
    let span = hit.span.get(..8).unwrap_or_default();
    let name = text::fit(&text::clean(&hit.name), 32);
    let before = format!("  {span}  {:<9}  {name}  ", hit.place);
    let room = look.width.saturating_sub(text::width(&before)).max(24);
    writeln!(out, "{}{}", paint_dim(look, &before), marked(&hit.snippet, room, look))?;
    Ok(())
}

/// The words around a match on one line, what matches in bold: without colours, between brackets.
fn marked(snippet: &str, room: usize, look: Look) -> String {
    let [open, close] = Match::MARKS;
    // The first match stays in sight where the line is short.
    let mut rest = snippet.to_owned();
    let whole = text::width(&text::clean(&snippet.replace([open, close], ""))) + 2;
    if let Some(at) = snippet.find(open).filter(|_| whole > room) {
        let before = snippet.get(..at).unwrap_or_default();
        let start = before.char_indices().rev().nth(room / 3).map_or(0, |(start, _)| start);
        // From the next word on.
        let next = before.get(start..).and_then(|cut| cut.find(char::is_whitespace)).map_or(0, |at| at + 1);
        if start > 0 {
            rest = format!("…{}", snippet.get(start + next..).unwrap_or(snippet));
        }
    }
    let (mut out, mut left) = (String::new(), room);
    for (place, piece) in rest.split([open, close]).enumerate() {
        let hit = place % 2 == 1;
        // Spaces at the seams are words' borders; `clean` would drop them.
        let (front, back) = (piece.starts_with(char::is_whitespace), piece.ends_with(char::is_whitespace));
        let words = text::clean(piece);
        let mut words = format!("{}{words}", if front && !words.is_empty() { " " } else { "" });
        if back {
            words.push(' ');
        }
        let marks = if hit && !look.color { 2 } else { 0 };
        if left <= marks {
            break;
        }
        let words = text::fit(&words, left - marks);
        left -= (text::width(&words) + marks).min(left);
        match (hit, look.color) {
            (true, true) => out.push_str(&paint_bold(look, &words)),
            (true, false) => out.extend(["[", &words, "]"]),
            (false, _) => out.push_str(&words),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_marked_and_stays_in_sight() {
        let plain = Look { width: 80, color: false };
        assert_eq!(marked("the \u{2}rate\u{3} limit\n was  hit", 40, plain), "the [rate] limit was hit");
        let long = format!("{} \u{2}needle\u{3} and more", "hay ".repeat(30));
        let line = marked(&long, 30, plain);
        assert!(line.contains("[needle]") && text::width(&line) <= 30, "{line:?}");
        let color = Look { width: 80, color: true };
        assert_eq!(marked("a \u{2}b\u{3}\u{1b}[2J", 40, color), "a \u{1b}[1mb\u{1b}[0m[2J");
    }
}
