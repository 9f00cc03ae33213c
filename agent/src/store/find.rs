//! What was said, by its words.

use rusqlite::params;
use trackway_core::flow::Time;

use super::text::Place;
use super::{Error, Store, count, id, limits, range, whole};

/// Words that a text must hold, in the language of the index. What somebody typed cannot break it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// All of the words. What stands in double quotes is a phrase; the last word, and one that ends in `*`, may be the
    /// beginning of a longer one. `None` where there is no letter and no digit.
    pub fn new(text: &str) -> Option<Self> {
        let mut query: Vec<String> = Vec::new();
        for (place, piece) in text.split('"').enumerate() {
            let phrase = place % 2 == 1;
            let words: Vec<&str> = if phrase { vec![piece] } else { piece.split_whitespace().collect() };
            let last = text.ends_with(piece).then(|| words.last().copied()).flatten();
            for word in words {
                // The index drops everything else, and a word of nothing would match nothing.
                if query.len() >= limits::WORDS || !word.chars().any(char::is_alphanumeric) {
                    continue;
                }
                // Half of all words begin with one letter or another.
                let long = word.len() >= limits::BEGINNING_BYTES;
                let open = !phrase && (word.ends_with('*') || (long && last == Some(word)));
                // NUL ends a query for SQLite.
                query.push(format!("\"{}\"{}", word.replace('\0', " "), if open { "*" } else { "" }));
            }
        }
        (!query.is_empty()).then(|| Self(query.join(" AND ")))
    }

    pub(super) fn query(&self) -> &str {
        &self.0
    }
}

/// Which texts.
#[derive(Clone, Debug)]
pub struct Search {
    /// The words.
    pub words: Words,
    /// In this run alone.
    pub run: Option<i64>,
    /// Of runs begun at or after, in nanoseconds.
    pub since: Option<u64>,
    /// How many at most.
    pub limit: usize,
}

/// One text that was found.
#[derive(Clone, Debug)]
pub struct Match {
    /// The run's trace, in hexadecimal.
    pub trace: String,
    /// Its agent.
    pub agent: String,
    /// The span, in hexadecimal.
    pub span: String,
    /// Its name.
    pub name: String,
    /// Its start.
    pub time: Time,
    /// That in local time.
    pub local: String,
    /// Whether that is today.
    pub today: bool,
    /// Where it was said.
    pub place: Place,
    /// The words around, what matches between [`Match::MARKS`].
    pub snippet: String,
}

impl Match {
    /// What stands before and after a match. No text that people read holds them.
    pub const MARKS: [char; 2] = ['\u{2}', '\u{3}'];
}

impl Store {
    /// The texts that hold the words, newest run first.
    pub fn find(&self, search: &Search) -> Result<Vec<Match>, Error> {
        let (from, to) = match (search.run, search.since) {
            (Some(run), _) => range(run),
            (None, Some(since)) => {
                let mut oldest = self.db.prepare_cached("SELECT min(id) FROM runs WHERE start >= ?1")?;
                let oldest: Option<i64> = oldest.query_row([whole(since)], |row| row.get(0))?;
                let Some(oldest) = oldest else { return Ok(Vec::new()) };
                (id(oldest, 0), i64::MAX)
            }
            (None, None) => (0, i64::MAX),
        };
        let [open, close] = Match::MARKS;
        let sql = format!(
            "SELECT r.trace, r.agent, lower(hex(s.span)), s.name, s.start,
                    datetime(s.start / 1000000000, 'unixepoch', 'localtime'),
                    date(s.start / 1000000000, 'unixepoch', 'localtime') = date('now', 'localtime'),
                    t.place, t.snippet
             FROM (SELECT rowid, span, place, snippet(said, 0, '{open}', '{close}', '…', {}) AS snippet
                   FROM said WHERE said MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC LIMIT ?4) t
             JOIN spans s ON s.id = t.span JOIN runs r ON r.id = t.rowid >> {} ORDER BY t.rowid DESC",
            limits::SNIPPET_WORDS,
            limits::NUMBER_BITS
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let limit = whole(search.limit as u64);
        let rows = statement.query_map(params![search.words.query(), from, to, limit], |row| {
            Ok(Match {
                trace: row.get(0)?,
                agent: row.get(1)?,
                span: row.get(2)?,
                name: row.get(3)?,
                time: Time(count(row.get(4)?)),
                local: row.get(5)?,
                today: row.get(6)?,
                place: Place::read(row.get(7)?),
                snippet: row.get(8)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn query(text: &str) -> Option<String> {
        Words::new(text).map(|words| words.0)
    }

    #[test]
    fn any_text_is_words() {
        let check = |text: &str, expect: &str| assert_eq!(query(text).as_deref(), Some(expect));
        check("rate limit", r#""rate" AND "limit"*"#);
        check("say \"rate limit\" now", r#""say" AND "rate limit" AND "now"*"#);
        check("say \"rate limit\"", r#""say" AND "rate limit""#);
        check("it's a-b NEAR( OR: *", r#""it's" AND "a-b" AND "NEAR(" AND "OR:""#);
        check("time* out", r#""time*"* AND "out"*"#);
        check("a ab 東", r#""a" AND "ab" AND "東"*"#);
        assert_eq!(query("\"open").as_deref(), Some("\"open\""));
        assert_eq!(query(" -- \"\" * ("), None);
        assert_eq!(query("größe").as_deref(), Some("\"größe\"*"));
    }
}
