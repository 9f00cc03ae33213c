//! A table that fits the terminal.

use std::io::{self, Write};

use crate::sink::console::{Look, paint_bold, paint_dim, paint_red, text};

/// One column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    right: bool,
    /// Columns that it keeps where there is too little room. Numbers keep all of theirs: half a number is another
    /// number.
    least: usize,
    most: usize,
    /// The larger, the sooner the whole column is left out; 0 never.
    leaves: u8,
}

pub(super) const fn words(title: &'static str, least: usize, most: usize, leaves: u8) -> Column {
    Column { title, right: false, least, most, leaves }
}

pub(super) const fn number(title: &'static str, leaves: u8) -> Column {
    Column { title, right: true, least: usize::MAX, most: usize::MAX, leaves }
}

/// How a row looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Red,
    Bold,
}

/// One row.
pub(super) struct Row<const N: usize> {
    pub(super) cells: [String; N],
    pub(super) tone: Tone,
}

/// Prints titles and rows. A column that says nothing is left out.
pub(super) fn print<const N: usize>(
    columns: &[Column; N],
    rows: &[Row<N>],
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    let widths = widths(columns, rows, look.width);
    let titles = columns.each_ref().map(|column| column.title.to_owned());
    writeln!(out, "{}", paint_dim(look, &line(columns, &titles, &widths, look)))?;
    for row in rows {
        let words = line(columns, &row.cells, &widths, look);
        let words = match row.tone {
            Tone::Plain => words,
            Tone::Red => paint_red(look, &words),
            Tone::Bold => paint_bold(look, &words),
        };
        writeln!(out, "{words}")?;
    }
    Ok(())
}

fn line<const N: usize>(
    columns: &[Column; N],
    cells: &[String; N],
    widths: &[usize; N],
    look: Look,
) -> String {
    let mut line = String::new();
    for ((cell, column), width) in cells.iter().zip(columns).zip(widths).filter(|(_, width)| **width > 0) {
        if !line.is_empty() {
            line.push_str("  ");
        }
        let cell = text::fit(cell, *width);
        let blank = " ".repeat(width.saturating_sub(text::width(&cell)));
        line.extend(if column.right { [blank, cell] } else { [cell, blank] });
    }
    text::fit(line.trim_end(), look.width)
}

fn widths<const N: usize>(columns: &[Column; N], rows: &[Row<N>], room: usize) -> [usize; N] {
    let mut widths = [0; N];
    for (place, (width, column)) in widths.iter_mut().zip(columns).enumerate() {
        let cells = rows.iter().filter_map(|row| row.cells.get(place));
        let widest = cells.map(|cell| text::width(cell)).max().unwrap_or(0);
        if widest > 0 {
            *width = widest.max(column.title.len()).min(column.most);
        }
    }
    // A gap of two stands before each column but the first.
    let room = room + 2;
    let least = |widths: &[usize; N]| {
        let shown = widths.iter().zip(columns).filter(|(width, _)| **width > 0);
        shown.map(|(width, column)| column.least.min(*width) + 2).sum::<usize>()
    };
    while least(&widths) > room {
        let shown = widths.iter_mut().zip(columns).filter(|(width, column)| **width > 0 && column.leaves > 0);
        match shown.max_by_key(|(_, column)| column.leaves) {
            Some((width, _)) => *width = 0,
            None => break,
        }
    }
    // What has most to spare gives first, one column at a time.
    while widths.iter().filter(|width| **width > 0).map(|width| width + 2).sum::<usize>() > room {
        let spare = |(width, column): &(&mut usize, &Column)| width.saturating_sub(column.least);
        match widths.iter_mut().zip(columns).filter(|it| spare(it) > 0).max_by_key(spare) {
            Some((width, _)) => *width -= 1,
            None => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_give_way_before_numbers_do() {
        let columns = [words("id", 4, 8, 0), number("cost", 0), words("task", 6, 40, 1)];
        let row =
            Row { cells: ["abcdefgh", "$0.0012", &"x".repeat(60)].map(str::to_owned), tone: Tone::Plain };
        let print = |width| {
            let mut out = Vec::new();
            super::print(&columns, std::slice::from_ref(&row), Look { width, color: false }, &mut out)
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(30), "id           cost  task\nabcdefgh  $0.0012  xxxxxxxxxx…\n");
        assert_eq!(print(20), "id           cost\nabcdefgh  $0.0012\n");
        assert_eq!(print(100).lines().last().unwrap().len(), 8 + 2 + 7 + 2 + 39 + "…".len());
    }
}
