//! The table of what is read of which client: one row for each test that saw it, in `ARCHITECTURE.md`.
//!
//! With `TRACKWAY_COVERAGE=FILE` each test puts its row into a table in FILE. Without it, the row must stand in
//! `ARCHITECTURE.md` between `<!-- coverage -->` and `<!-- /coverage -->`; versions may differ there, because
//! they come from the machine.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io};

use anyhow::{Context, Result, ensure};

const HEAD: &str = "| client | version | TLS library | found by | plane | read | calls equal |\n\
                    |---|---|---|---|---|---|---|\n";
const BEGIN: &str = "<!-- coverage -->";
const END: &str = "<!-- /coverage -->";

/// The column that is not compared.
const VERSION: usize = 1;

/// Tests run at once, and each changes the file.
static FILE: Mutex<()> = Mutex::new(());

/// What one test saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client's label.
    pub client: String,
    /// As it says it itself.
    pub version: String,
    /// Which TLS library it uses, as the trace tells.
    pub library: String,
    /// How the library's functions were found, as the trace tells.
    pub method: String,
    /// The plane that brought its bytes.
    pub plane: String,
    /// `exactly`, or `unread, reported` with the reason.
    pub read: String,
    /// Which of its calls were told as they were: `all` or `none`.
    pub equal: String,
}

impl Row {
    fn line(&self) -> String {
        let Self { client, version, library, method, plane, read, equal } = self;
        format!("| {client} | {version} | {library} | {method} | {plane} | {read} | {equal} |")
    }
}

/// Writes `row` down, or holds it against what is written. `order` is the labels of all clients.
pub fn tell(row: &Row, order: &[String]) -> Result<()> {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = env::var_os("TRACKWAY_COVERAGE") {
        let before = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        return Ok(fs::write(path, with(&before, row, order))?);
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    compare(&fs::read_to_string(page)?, row)
}

/// The table `text` with `row` in its place.
fn with(text: &str, row: &Row, order: &[String]) -> String {
    let rows = text.lines().skip(HEAD.lines().count()).filter(|line| label(line) != row.client);
    let mut rows: Vec<String> = rows.map(ToOwned::to_owned).chain([row.line()]).collect();
    rows.sort_by_key(|line| order.iter().position(|known| known == label(line)).unwrap_or(usize::MAX));
    format!("{HEAD}{}\n", rows.join("\n"))
}

/// Fails unless `page` has `row`, whatever the version.
fn compare(page: &str, row: &Row) -> Result<()> {
    let table = page.split(BEGIN).nth(1).and_then(|rest| rest.split(END).next());
    let table = table.with_context(|| format!("ARCHITECTURE.md has no {BEGIN} … {END}"))?;
    let told = row.line();
    let stands = table.lines().find(|line| label(line) == row.client).unwrap_or("nothing");
    let without_version = |line: &str| {
        let cells = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).enumerate();
        cells.filter(|(column, _)| *column != VERSION).map(|(_, cell)| cell.to_owned()).collect::<Vec<_>>()
    };
    ensure!(
        without_version(stands) == without_version(&told),
        "ARCHITECTURE.md has\n{stands}\nbut it is\n{told}\n\
         make the table again: TRACKWAY_COVERAGE=FILE cargo test --package trackway-tests --test tap"
    );
    Ok(())
}

/// The first cell of a row.
fn label(line: &str) -> &str {
    line.split('|').nth(1).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, Row, compare, with};

    fn row(client: &str, version: &str, read: &str) -> Row {
        let [client, version, read] = [client, version, read].map(str::to_owned);
        let [library, method, plane] = ["OpenSSL", "symbols", "tap"].map(str::to_owned);
        Row { client, version, library, method, plane, read, equal: "all".to_owned() }
    }

    #[test]
    fn rows_keep_their_order_and_are_replaced() {
        let order = ["curl", "wget"].map(str::to_owned);
        let one = with("", &row("wget", "1", "exactly"), &order);
        let two = with(&one, &row("curl", "1", "exactly"), &order);
        let three = with(&two, &row("wget", "2", "exactly"), &order);
        let lines: Vec<&str> = three.lines().skip(2).collect();
        assert_eq!(
            lines,
            [row("curl", "1", "exactly").line(), row("wget", "2", "exactly").line()],
            "{three}"
        );
    }

    #[test]
    fn a_version_may_differ_and_nothing_else() {
        let order = ["wget".to_owned()];
        let page = format!("text\n{BEGIN}\n{}{END}\n", with("", &row("wget", "1", "exactly"), &order));
        assert!(compare(&page, &row("wget", "2", "exactly")).is_ok());
        assert!(compare(&page, &row("wget", "1", "unread, reported: no_symbols")).is_err());
        assert!(compare(&page, &row("curl", "1", "exactly")).is_err());
        assert!(compare("no table", &row("wget", "1", "exactly")).is_err());
    }
}
