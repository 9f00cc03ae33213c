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
    words("id", 6, 32),
    words("provider", 4, 18),
    words("api", 6, 26),
    words("operation", 4, 18),
    words("model", 10, 40),
    number("in"),
    number("cached"),
    number("out"),
    number("reasoning"),
    number("cost"),
    words("finish", 4, 24),
    words("tools", 5, 40),
    words("note", 8, usize::MAX),
];

/// Columns that give way first, by their places. Of each other it is the widest that gives.
const NOTE: usize = COLUMNS.len() - 1;

/// How wide each column is. One that says nothing has none.
pub(super) fn widths(rows: &[&[String; COLUMNS.len()]], room: usize) -> [usize; COLUMNS.len()] {
    let mut widths = [0; COLUMNS.len()];
    for (place, column) in COLUMNS.iter().enumerate() {
        let widest = rows.iter().map(|row| text::width(&row[place])).max().unwrap_or(0);
        if widest > 0 {
            widths[place] = widest.max(column.title.len()).min(column.most);
        }
    }
    let taken =
        |widths: &[usize]| widths.iter().filter(|width| **width > 0).map(|width| width + 2).sum::<usize>();
    // The note takes what is left; then the widest of the others give, one column at a time.
    let room = room + 2;
    let over = taken(&widths).saturating_sub(room);
    widths[NOTE] = widths[NOTE].min(widths[NOTE].saturating_sub(over).max(COLUMNS[NOTE].least));
    while taken(&widths) > room {
        let spare = |place: &usize| widths[*place].saturating_sub(COLUMNS[*place].least);
        match (0..COLUMNS.len()).filter(|place| spare(place) > 0).max_by_key(spare) {
            Some(place) => widths[place] -= 1,
            None => break,
        }
    }
    widths
}
