//! Histories that the client replaced by a summary.
//!
//! A client whose history grows too long has it summarised, by a request that carries it, and begins anew with
//! the words of the answer. So the summary's own text ties the two. A program that hands one agent's answer to
//! another looks much the same; here the answer has to be one to a history and the user's words, nothing else
//! may continue it, and who begins anew has to be who asked before: the same process and session, the same kind
//! of client, with tools where it had tools. Where two conversations fit, none is taken.

use std::collections::VecDeque;

use super::sub::{self, text_of};
use super::{CallNumber, Lineage, Rule, Said, Step};
use crate::call::{Call, Completion, Llm};
use crate::limits;

/// Most messages at the beginning of a history in which a summary is looked for.
const FIRST: usize = 8;
/// Longest name of a tag, which clients take out of a summary.
const TAG: usize = 32;

/// The latest answers that may be summaries.
#[derive(Debug, Default)]
pub(super) struct Summaries(VecDeque<Summary>);

#[derive(Debug)]
struct Summary {
    number: CallNumber,
    /// Its texts between tags, without white space.
    pieces: Vec<String>,
}

impl Lineage {
    /// The call whose answer stands in place of the history.
    pub(super) fn compacted(&self, call: &Call, llm: &Llm, said: &Said) -> Option<(CallNumber, Rule)> {
        let known = call.process.is_some() || said.session.is_some();
        if self.summaries.0.is_empty() || !known {
            return None;
        }
        let fits = |summary: &&Summary| {
            let Some(past) = self.calls.get(&summary.number) else { return false };
            let asker = past.previous.and_then(|number| self.calls.get(&number));
            past.scope == said.scope
                && past.session == said.session
                && (past.continued, past.repeated) == (0, false)
                && past.times.1 <= call.start
                && asker.is_some_and(|it| it.client == said.client && it.tools == (llm.tools.pieces() > 0))
        };
        let mut near = self.summaries.0.iter().filter(fits).peekable();
        near.peek()?;
        let first =
            llm.input.iter().filter(|message| !matches!(message.role.as_str(), "system" | "developer"));
        let texts = first.take(FIRST).flat_map(|message| &message.parts).filter_map(text_of);
        let beginning = texts.fold(String::new(), |mut out, text| {
            sub::add(text, &mut out);
            out
        });
        let mut found = near.filter(|summary| summary.pieces.iter().any(|piece| beginning.contains(piece)));
        let number = found.next()?.number;
        found.next().is_none().then_some((number, Rule::Compaction))
    }

    /// Remembers an answer that may be a summary.
    pub(super) fn summarised(&mut self, step: &Step, said: &Said, call: &Call, llm: &Llm) {
        let answers = step.previous.is_some() && said.asks && llm.tool_calls().next().is_none();
        if !answers || call.completion != Completion::Complete {
            return;
        }
        let texts = llm.output.iter().flat_map(|message| &message.parts).filter_map(text_of);
        let mut room = limits::EVIDENCE_BYTES;
        let in_room = |piece: &String| {
            let fits = piece.len() <= room;
            room = room.saturating_sub(piece.len());
            fits
        };
        let pieces: Vec<String> = texts.flat_map(pieces).take_while(in_room).collect();
        if pieces.is_empty() {
            return;
        }
        self.summaries.0.push_back(Summary { number: step.number, pieces });
        if self.summaries.0.len() > limits::SUMMARIES {
            self.summaries.0.pop_front();
        }
    }
}

/// The long pieces of a text between its tags.
fn pieces(text: &str) -> Vec<String> {
    let (mut out, mut rest) = (Vec::new(), text);
    let mut piece = String::new();
    while !rest.is_empty() {
        let (before, tag, after) = match rest.split_once('<') {
            None => (rest, None, ""),
            Some((before, after)) => match after.split_once('>') {
                Some((name, beyond)) if is_tag(name) => (before, Some(name), beyond),
                _ => (rest.get(..=before.len()).unwrap_or(rest), None, after),
            },
        };
        sub::add(before, &mut piece);
        if tag.is_some() {
            out.push(std::mem::take(&mut piece));
        }
        rest = after;
    }
    out.push(piece);
    out.retain(|piece| piece.len() >= limits::SUMMARY_LETTERS);
    out
}

fn is_tag(name: &str) -> bool {
    let name = name.strip_prefix('/').unwrap_or(name);
    (1..=TAG).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_part_a_text_and_other_brackets_do_not() {
        let (long, other) = ("a < b and ".repeat(60), "c> d ".repeat(90));
        let level = |text: &str| text.split_whitespace().collect::<String>();
        let text = format!("<analysis>\n{long}</analysis>short<summary>{other}");
        assert_eq!(pieces(&text), [level(&long), level(&other)]);
        assert_eq!(pieces("<b>short</b>"), Vec::<String>::new());
        assert_eq!(pieces(&"x".repeat(250)), ["x".repeat(250)]);
    }
}
