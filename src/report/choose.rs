//! Choosing columns and an order of groups on the command line.

use super::columns::{COLUMNS, Cell, Column, Set, column};
use crate::summary::Group;
use crate::text::distance;
use std::cmp::Ordering;

/// Reads a list of columns: `model,tok_s,j_tok`.
///
/// # Errors
/// When one of them is no column, the sentence names those that are nearest; when one stands twice.
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
/// When it is no column; the sentence names those that are nearest.
pub fn parse_order(text: &str) -> Result<Order, String> {
    let (down, key) = text.strip_prefix('-').map_or((false, text), |key| (true, key));
    Ok(Order { column: one(key)?, down })
}

fn one(key: &str) -> Result<&'static Column, String> {
    column(key).ok_or_else(|| {
        let near = nearest(key);
        let is_it = if near.is_empty() { String::new() } else { format!(": is it {}?", near.join(", ")) };
        let sets = SETS.map(|set| {
            let keys = COLUMNS.iter().filter(|column| column.set == set).map(|column| column.key);
            format!("  {:7} {}", set.name(), keys.collect::<Vec<_>>().join(" "))
        });
        format!("no column is called {key}{is_it} There are\n{}", sets.join("\n"))
    })
}

/// The columns by what belongs together, as they are listed.
const SETS: [Set; 6] = [Set::Model, Set::Speed, Set::Energy, Set::Memory, Set::Cost, Set::Answer];

/// How many columns a typo is told it may be.
const NEAR: usize = 4;

/// The columns that a word may mean: those that have it in their key or label, or differ from it in few letters, the nearest
/// first.
fn nearest(word: &str) -> Vec<&'static str> {
    let plainly = |text: &str| text.to_lowercase().replace([' ', '-', '/'], "_");
    let word = plainly(word);
    let far = |column: &&'static Column| {
        let names = [column.key.to_owned(), plainly(column.label)];
        let parts = column.key.split('_').map(str::to_owned);
        let far_of = |name: String| match name {
            name if name == word => 0,
            name if word.chars().count() > 1 && (name.contains(&word) || name.len() > 2 && word.contains(&name)) => 1,
            name => 2 * distance(&word, &name),
        };
        names.into_iter().chain(parts).map(far_of).min().unwrap_or(usize::MAX)
    };
    let limit = (2 * word.chars().count() / 3).max(2);
    let all = COLUMNS.iter().map(|column| (far(&column), distance(&word, column.key), column.key));
    let mut near: Vec<(usize, usize, &'static str)> = all.filter(|(n, ..)| *n <= limit).collect();
    near.sort_by_key(|(n, letters, _)| (*n, *letters));
    near.into_iter().take(NEAR).map(|(.., key)| key).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_told_the_nearest_columns_first_and_then_all_in_lines() {
        for (word, expect) in [
            ("tfft_p50", "ttft_p50"),
            ("ttft", "ttft_p50"),
            ("throughputs", "throughput"),
            ("tok/s", "tok_s"),
            ("requests", "requests_s"),
            ("time p99", "gen_s_p99"),
        ] {
            assert_eq!(nearest(word).first(), Some(&expect), "{word}: {:?}", nearest(word));
        }
        assert_eq!(nearest("zzzzzzzz"), Vec::<&str>::new());
        let said = one("tok_ss").err().unwrap();
        assert!(said.starts_with("no column is called tok_ss: is it tok_s"), "{said}");
        assert!(said.lines().count() == 7 && said.contains("\n  energy  cpu_w "), "{said}");
    }
}
