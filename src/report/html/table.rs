//! The table: its heads, its rows, and why a cell or a whole column is empty.

use super::parts::{Link, first_files, links, sub};
use crate::record::Source;
use crate::report::{Options, number};
use crate::summary::{COLUMNS, Cell, Column, Group, Set, Summary};
use std::collections::HashMap;

/// How many rows a page has: what a browser can hold. CSV and JSON have them all.
pub const ROWS: usize = 2000;

/// A switch for a set of columns.
pub struct SetSwitch {
    pub name: &'static str,
    pub any: bool,
    pub missing: &'static str,
}

/// The head of a column.
pub struct Head {
    pub key: &'static str,
    pub label: &'static str,
    pub unit: &'static str,
    pub set: &'static str,
    pub help: &'static str,
    pub numeric: bool,
    pub main: bool,
}

/// Columns that no row has a value for, for one reason: keys and labels.
pub struct NotMeasured {
    pub why: &'static str,
    pub columns: Vec<(&'static str, &'static str)>,
}

/// A row.
pub struct Line {
    pub sub: String,
    pub links: Vec<Link>,
    pub cells: Vec<CellText>,
}

/// A cell.
pub struct CellText {
    pub class: String,
    pub value: String,
    pub text: String,
    pub title: String,
    pub doubt: bool,
}

/// The columns that have anything to show.
pub fn shown(summary: &Summary) -> Vec<&'static Column> {
    let some = |column: &&Column| summary.groups.iter().any(|group| column.cell(group) != Cell::Absent);
    COLUMNS.iter().filter(some).collect()
}

/// The others, and what would fill them.
pub fn not_measured(summary: &Summary, shown: &[&'static Column]) -> Vec<NotMeasured> {
    if summary.groups.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<NotMeasured> = Vec::new();
    for column in COLUMNS.iter().filter(|column| shown.iter().all(|one| one.key != column.key)) {
        let (why, one) = (column.why_empty(None), (column.key.as_str(), column.label.as_str()));
        match all.iter_mut().find(|reason| reason.why == why) {
            Some(reason) => reason.columns.push(one),
            None => all.push(NotMeasured { why, columns: vec![one] }),
        }
    }
    all
}

/// The switches.
pub fn sets(shown: &[&Column]) -> Vec<SetSwitch> {
    let switch = |set: Set| SetSwitch {
        name: set.name(),
        any: shown.iter().any(|column| column.row.set == set),
        missing: set.missing(),
    };
    Set::ALL.into_iter().filter(|set| *set != Set::Model).map(switch).collect()
}

/// The head of a column.
pub fn head(column: &'static Column, loaded: bool) -> Head {
    Head {
        key: &column.key,
        label: &column.label,
        unit: column.unit_beside(),
        set: column.row.set.name(),
        help: &column.help,
        numeric: column.unit().is_some(),
        main: column.show.page.holds(loaded),
    }
}

/// Whether the page is of a load test: a rate, or several levels of one model.
pub fn loaded(summary: &Summary) -> bool {
    let mut seen: HashMap<Server, Option<u64>> = HashMap::new();
    summary.groups.iter().any(|group| {
        group.rate.is_some() || *seen.entry(server(group)).or_insert(group.concurrency) != group.concurrency
    })
}

/// A model where it is served.
type Server<'a> = (&'a str, Option<Source>, Option<&'a str>);

fn server(group: &Group) -> Server<'_> {
    (&group.model, group.source, group.provider.as_deref())
}

/// The rows.
pub fn lines(summary: &Summary, options: &Options, shown: &[&Column], marked: &mut bool) -> Vec<Line> {
    let groups = &summary.groups[..summary.groups.len().min(ROWS)];
    // One request at once goes without saying, unless there are other levels.
    let mut levels: HashMap<Server, usize> = HashMap::new();
    groups.iter().for_each(|group| *levels.entry(server(group)).or_default() += 1);
    let files = first_files(summary);
    let mut lines: Vec<Line> = groups
        .iter()
        .zip(files)
        .map(|(group, row)| Line {
            sub: sub(group, levels[&server(group)] > 1),
            links: row.map(|row| links(row, options)).unwrap_or_default(),
            cells: Vec::new(),
        })
        .collect();
    let loaded = loaded(summary);
    for column in shown {
        let cells: Vec<Cell> = groups.iter().map(|group| column.cell(group)).collect();
        let decimals = number::decimals(column.row.unit(), cells.iter().filter_map(Cell::value));
        for ((line, cell), group) in lines.iter_mut().zip(cells).zip(groups) {
            line.cells.push(cell_text(column, cell, group, loaded, decimals, marked));
        }
    }
    lines
}

fn cell_text(column: &Column, cell: Cell, group: &Group, loaded: bool, decimals: usize, marked: &mut bool) -> CellText {
    let mut class = String::from(if column.unit().is_some() { "n" } else { "words" });
    if !column.show.page.holds(loaded) {
        class.push_str(" hidden");
    }
    let mut text = CellText { class, value: String::new(), text: String::new(), title: String::new(), doubt: false };
    match cell {
        Cell::Absent => {
            text.class.push_str(" absent");
            text.text = "–".into();
            text.title = column.why_empty(Some(group)).into();
        }
        Cell::Text(words) => {
            text.text = number::shortened(&words, if column.row.key == "model" { 160 } else { 90 });
            if text.text != words {
                text.title = number::shortened(&words, 2000);
            }
        }
        Cell::Number { value, doubt, more } => {
            text.value = format!("{value}");
            text.text = number::write(value, column.row.unit(), decimals);
            *marked |= doubt.is_some();
            text.doubt = doubt.is_some();
            text.title = doubt.into_iter().chain(more).collect::<Vec<_>>().join("; ");
            if column.row.key == "failed" && value > 0.0 {
                text.class.push_str(" bad");
            }
        }
    }
    text
}
