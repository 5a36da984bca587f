//! Choosing columns and an order of groups on the command line.

use super::columns::{COLUMNS, Cell, Column, column};
use crate::summary::Group;
use std::cmp::Ordering;

/// Reads a list of columns: `model,tok_s,j_tok`.
///
/// # Errors
/// When one of them is no column, the sentence lists them; when one stands twice.
pub fn parse(text: &str) -> Result<Vec<&'static Column>, String> {
    let mut columns: Vec<&'static Column> = Vec::new();
    for column in text.split(',').map(|key| one(key.trim())) {
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
/// When it is no column; the sentence lists them.
pub fn parse_order(text: &str) -> Result<Order, String> {
    let (down, key) = text.strip_prefix('-').map_or((false, text), |key| (true, key));
    Ok(Order { column: one(key)?, down })
}

fn one(key: &str) -> Result<&'static Column, String> {
    column(key).ok_or_else(|| {
        let keys: Vec<&str> = COLUMNS.iter().map(|column| column.key).collect();
        format!("no column is called {key}; there are {}", keys.join(", "))
    })
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
        match ((self.column.of)(a), (self.column.of)(b)) {
            (Cell::Absent, Cell::Absent) => Ordering::Equal,
            (Cell::Absent, _) => Ordering::Greater,
            (_, Cell::Absent) => Ordering::Less,
            (Cell::Number { value: a, .. }, Cell::Number { value: b, .. }) => turned(a.total_cmp(&b)),
            (Cell::Text(a), Cell::Text(b)) => turned(a.cmp(&b)),
            _ => Ordering::Equal,
        }
    }
}
