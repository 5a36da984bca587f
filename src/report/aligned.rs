//! A table that is folded where it is wider than the screen.

use crate::text::table::{GAP, aligned};
use std::collections::BTreeSet;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// A column of a table: its cells, the head first.
pub struct Strip {
    /// Whether it holds numbers, which stand to the right.
    pub right: bool,
    /// Whether it tells the rows apart: such columns stand first in every part of a table that is folded.
    pub names: bool,
    /// The cells.
    pub cells: Vec<String>,
}

impl Strip {
    /// Its width with the gap after it.
    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.width()).max().unwrap_or(0) + usize::from(GAP)
    }
}

/// Writes columns of equal length side by side. What is wider than `screen` columns is folded: written in parts below one
/// another, each with as many names as tell its rows apart. Where there is no screen, each row stays one line, for whoever cuts or searches it.
///
/// # Errors
/// When the output is closed or full.
pub fn write(table: &[Strip], screen: Option<usize>, to: &mut dyn Write) -> io::Result<()> {
    for (number, part) in parts(table, screen.unwrap_or(usize::MAX)).iter().enumerate() {
        if number > 0 {
            writeln!(to)?;
        }
        let lines = part.first().map_or(0, |strip| strip.cells.len());
        let rows = (0..lines).map(|line| part.iter().map(move |strip| strip.cells[line].clone()));
        let right: Vec<bool> = part.iter().map(|strip| strip.right).collect();
        writeln!(to, "{}", aligned(rows, &right))?;
    }
    Ok(())
}

/// The columns of each part, in their order: as many as fit, and at least one beside the names.
fn parts(table: &[Strip], screen: usize) -> Vec<Vec<&Strip>> {
    let (names, others): (Vec<&Strip>, Vec<&Strip>) = table.iter().partition(|strip| strip.names);
    // The last column has no gap after it.
    let width =
        |strips: &[&Strip]| strips.iter().map(|strip| strip.width()).sum::<usize>().saturating_sub(usize::from(GAP));
    let all: Vec<&Strip> = table.iter().collect();
    if names.is_empty() || others.is_empty() || width(&all) <= screen {
        return vec![all];
    }
    let again = telling(&names);
    let mut parts = vec![names];
    for strip in others {
        match parts.last_mut() {
            Some(part) if width(part) + strip.width() <= screen => part.push(strip),
            _ => parts.push(again.iter().copied().chain([strip]).collect()),
        }
    }
    parts
}

/// Of the names, those without which rows could not be told apart, and the first.
fn telling<'a>(names: &[&'a Strip]) -> Vec<&'a Strip> {
    let mut kept = names.to_vec();
    let rows = |names: &[&Strip]| -> usize {
        let lines = names.first().map_or(0, |strip| strip.cells.len());
        (0..lines)
            .map(|at| names.iter().map(|strip| &strip.cells[at]).collect::<Vec<_>>())
            .collect::<BTreeSet<_>>()
            .len()
    };
    for at in (1..names.len()).rev() {
        let without: Vec<&Strip> = kept.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, s)| *s).collect();
        if rows(&without) == rows(names) {
            kept = without;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::indoc;

    fn table() -> Vec<Strip> {
        let strip = |right, names, cells: [&str; 3]| Strip { right, names, cells: cells.map(str::to_owned).to_vec() };
        vec![
            strip(false, true, ["model", "wren-1b", "鳥"]),
            strip(false, true, ["load", "1", "1"]),
            strip(true, false, ["ttft", "1.5", "12.25"]),
            strip(true, false, ["tok/s", "9", "-"]),
            strip(false, false, ["finish", "stop", "length"]),
        ]
    }

    fn written(screen: Option<usize>) -> String {
        let mut to = Vec::new();
        write(&table(), screen, &mut to).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn what_fits_or_goes_to_no_screen_is_one_table() {
        let whole = indoc! {"
            model    load   ttft  tok/s  finish
            wren-1b  1       1.5      9  stop
            鳥       1     12.25      -  length
        "};
        assert_eq!(written(None), whole);
        assert_eq!(written(Some(35)), whole, "the widest line fits");
    }

    #[test]
    fn what_is_wider_than_the_screen_is_folded_and_each_part_names_its_rows() {
        assert_eq!(
            written(Some(34)),
            indoc! {"
                model    load   ttft  tok/s
                wren-1b  1       1.5      9
                鳥       1     12.25      -

                model    finish
                wren-1b  stop
                鳥       length
            "}
        );
        let narrow = written(Some(1));
        assert_eq!(narrow.matches("model").count(), 4, "a column at a time where nothing fits: {narrow}");
        assert_eq!(narrow.matches("load").count(), 1, "what is the same in all rows is told once: {narrow}");
    }
}
