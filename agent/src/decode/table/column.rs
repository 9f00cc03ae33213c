//! The table's columns, and how wide each may be.

use crate::sink::console::text;

/// On which side a column's cells stand.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
}

/// One column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) side: Side,
    /// Columns that it keeps where there is too little room. Numbers keep all of theirs: half a number is
    /// another number.
    least: usize,
    /// Columns that it takes at most.
    most: usize,
}

const fn words(title: &'static str, least: usize, most: usize) -> Column {
    Column { title, side: Side::Left, least, most }
}

const fn number(title: &'static str) -> Column {
    Column { title, side: Side::Right, least: usize::MAX, most: usize::MAX }
}

/// All of them, in order.
pub(super) const COLUMNS: [Column; 13] = [
    words("id", 10, 32),
    words("provider", 8, 18),
    words("api", 12, 26),
    words("operation", 6, 18),
    words("model", 14, 40),
    number("in"),
    number("cached"),
    number("out"),
    number("reasoning"),
    number("cost"),
    words("finish", 8, 24),
    words("tools", 8, 40),
    words("note", 12, usize::MAX),
];

/// The place of the identifiers, of which the end tells most.
pub(super) const ID: usize = 0;
/// Place of the wire format.
pub(super) const API: usize = 2;
/// Place of the operation.
pub(super) const OPERATION: usize = 3;
/// Place of the tools.
pub(super) const TOOLS: usize = COLUMNS.len() - 2;
/// The place of the notes.
pub(super) const NOTE: usize = COLUMNS.len() - 1;

/// What is left out, in this order, where not even the least of everything has room: operation, provider,
/// identifier, API, tools.
const LEAVING: [usize; 5] = [3, 1, ID, 2, 11];

/// How wide each column is. One that says nothing, or has no room, has none.
pub(super) fn widths(rows: &[&[String; COLUMNS.len()]], room: usize) -> [usize; COLUMNS.len()] {
    let mut widths = [0; COLUMNS.len()];
    for (place, column) in COLUMNS.iter().enumerate() {
        let widest = rows.iter().map(|row| text::width(&row[place])).max().unwrap_or(0);
        if widest > 0 {
            widths[place] = widest.max(column.title.len()).min(column.most);
        }
    }
    // A gap of two stands before each column but the first.
    let room = room + 2;
    let least = |widths: &[usize; COLUMNS.len()]| {
        let both = widths.iter().zip(&COLUMNS).filter(|(width, _)| **width > 0);
        both.map(|(width, column)| column.least.min(*width) + 2).sum::<usize>()
    };
    for place in LEAVING {
        if least(&widths) > room {
            widths[place] = 0;
        }
    }
    let over = |widths: &[usize; COLUMNS.len()]| {
        let taken = widths.iter().filter(|width| **width > 0).map(|width| width + 2).sum::<usize>();
        taken.saturating_sub(room)
    };
    // The note gives first, then whichever has most to spare, one column at a time.
    let spare =
        |widths: &[usize; COLUMNS.len()], place: usize| widths[place].saturating_sub(COLUMNS[place].least);
    widths[NOTE] -= over(&widths).min(spare(&widths, NOTE));
    while over(&widths) > 0 {
        match (0..COLUMNS.len())
            .filter(|place| spare(&widths, *place) > 0)
            .max_by_key(|place| spare(&widths, *place))
        {
            Some(place) => widths[place] -= 1,
            None => break,
        }
    }
    widths
}

/// The text's end in so many columns, with `…` where something is missing.
pub(super) fn fit_end(words: &str, columns: usize) -> String {
    if text::width(words) <= columns {
        return words.to_owned();
    }
    for (at, c) in words.char_indices() {
        let after = words.get(at + c.len_utf8()..).unwrap_or_default();
        if text::width(after) < columns {
            return format!("…{after}");
        }
    }
    String::new()
}
