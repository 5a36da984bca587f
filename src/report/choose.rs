//! Choosing columns and an order of groups on the command line.

use super::Options;
use crate::summary::{Cell, Column, Group, Summary, column};
use std::cmp::Ordering;

/// Reads a list of columns: `model,tok_s,j_tok`.
///
/// # Errors
/// When one of them is no column, the sentence names those that are nearest; when one stands twice.
pub fn parse(text: &str) -> Result<Vec<&'static Column>, String> {
    let mut columns: Vec<&'static Column> = Vec::new();
    for column in text.split(',').map(|name| column(name.trim())) {
        let column = column?;
        if columns.iter().any(|known| known.key == column.key) {
            return Err(format!("{}: stands twice", column.key));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// Reads an order of groups: a column, with `-` before it for the largest first.
///
/// # Errors
/// When it is no column; the sentence names those that are nearest.
pub fn parse_order(text: &str) -> Result<Order, String> {
    let (down, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    Ok(Order { column: column(name)?, down })
}

/// An order of groups.
#[derive(Clone, Copy)]
pub struct Order {
    column: &'static Column,
    down: bool,
}

impl Order {
    /// Which of two groups comes first; what was not measured comes last, whichever way.
    pub fn of(&self, a: &Group, b: &Group) -> Ordering {
        let turned = |order: Ordering| if self.down { order.reverse() } else { order };
        match (self.column.cell(a), self.column.cell(b)) {
            (Cell::Absent, Cell::Absent) => Ordering::Equal,
            (Cell::Absent, _) => Ordering::Greater,
            (_, Cell::Absent) => Ordering::Less,
            (Cell::Number { value: a, .. }, Cell::Number { value: b, .. }) => turned(a.total_cmp(&b)),
            (Cell::Text(a), Cell::Text(b)) => turned(a.cmp(&b)),
            _ => Ordering::Equal,
        }
    }
}

/// Why columns that were asked for are empty in every row, a sentence for each.
pub fn empty(summary: &Summary, options: &Options) -> Vec<String> {
    let groups = &summary.groups;
    let absent = |column: &&&Column| groups.iter().all(|group| column.cell(group) == Cell::Absent);
    let say = |column: &&Column| {
        format!("{}: {}", column.key, column.why_empty(groups.first().filter(|_| groups.len() == 1)))
    };
    options.columns.iter().flatten().filter(absent).map(say).collect()
}
