//! Times as people write them. SQLite knows the calendar and the local time.

use rusqlite::OptionalExtension;

use super::{Error, Store, count};

const SECOND: u64 = 1_000_000_000;

impl Store {
    /// A time in UTC, as ISO 8601 writes it; empty where SQLite knows no such time.
    pub fn iso(&self, nanoseconds: u64) -> String {
        let (seconds, rest) = (nanoseconds / SECOND, nanoseconds % SECOND / 1_000_000);
        let date = "SELECT strftime('%Y-%m-%dT%H:%M:%S', ?1, 'unixepoch')";
        let date: rusqlite::Result<Option<String>> =
            self.db.query_row(date, [super::whole(seconds)], |row| row.get(0));
        date.ok().flatten().map_or_else(String::new, |date| format!("{date}.{rest:03}Z"))
    }

    /// The moment that a word means: so long ago (`90s`, `30m`, `2h`, `7d`, `2w`), `today`, `yesterday`, a time of
    /// today (`14:30`), a day, or a day and a time. In local time, unless it ends in `Z`. `end`: a day means its end.
    pub fn moment(&self, word: &str, now: u64, end: bool) -> Result<Option<u64>, Error> {
        if let Some(ago) = ago(word) {
            return Ok(Some(now.saturating_sub(ago)));
        }
        let today = |days: &str| {
            self.db.query_row("SELECT date('now', 'localtime', ?1)", [days], |row| row.get::<_, String>(0))
        };
        let (text, day) = match word {
            "today" => (today("+0 days")?, true),
            "yesterday" => (today("-1 days")?, true),
            _ if word.len() <= 8 && word.contains(':') => (format!("{} {word}", today("+0 days")?), false),
            // Anything else that SQLite takes for a time, such as a number, is none here.
            _ if !word.contains('-') => return Ok(None),
            _ => (word.to_owned(), !word.contains(':')),
        };
        let shift = if day && end { "+1 days" } else { "+0 days" };
        let seconds: Option<i64> = self
            .db
            .query_row("SELECT unixepoch(?1, ?2, 'utc')", [text.as_str(), shift], |row| row.get(0))
            .optional()?
            .flatten();
        Ok(seconds.map(|seconds| count(seconds) * SECOND))
    }
}

fn ago(word: &str) -> Option<u64> {
    let unit = word.chars().last()?;
    let number: u64 = word.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number.checked_mul(seconds)?.checked_mul(SECOND)
}
