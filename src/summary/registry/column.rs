//! Columns: the rows of the registry and the statistics of requests' metrics, as every table and format has them.

use super::cells;
use super::{Columns, Figure, Metric, MetricDef, RequestFigure, Show, Statistic, metrics};
use crate::record::Percentile;
use crate::summary::group::Group;
use crate::units::Unit;
use std::sync::LazyLock;

/// What stands in a column for a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Not measured.
    Absent,
    /// Words.
    Text(String),
    /// A number in the column's base unit.
    Number {
        /// The number.
        value: f64,
        /// Why it is doubtful; `None` for a number that is not.
        doubt: Option<String>,
        /// What else there is to say of it: its spread, its bounds.
        more: Option<String>,
    },
}

impl Cell {
    /// A number without a doubt.
    pub(super) fn number(value: Option<f64>) -> Self {
        value.map_or(Cell::Absent, |value| Cell::Number { value, doubt: None, more: None })
    }

    pub(super) fn text(text: Option<String>) -> Self {
        text.map_or(Cell::Absent, Cell::Text)
    }

    /// Why the number is doubtful, where it is.
    pub fn doubt(&self) -> Option<&str> {
        match self {
            Cell::Number { doubt, .. } => doubt.as_deref(),
            _ => None,
        }
    }

    /// The number, where it is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Cell::Number { value, .. } => Some(*value),
            _ => None,
        }
    }
}

/// A column: a metric, and of a request's metric one statistic.
pub struct Column {
    /// Its name everywhere: the key of the metric, with the statistic where it has several.
    pub key: String,
    /// Its head.
    pub label: String,
    /// What it means, in one sentence.
    pub help: String,
    /// Its metric.
    pub row: &'static MetricDef,
    /// The metric and the statistic, where it is of requests' numbers.
    pub of_requests: Option<(Metric, Statistic)>,
    /// Where it is shown unasked.
    pub show: Show,
}

/// Every column of a whole table, in order.
pub static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| metrics().flat_map(listed).collect());

/// Columns that are only there when asked for: the other statistics of requests' metrics.
pub(super) static ASKED: LazyLock<Vec<Column>> = LazyLock::new(|| {
    let asked = |metric: Metric| {
        Statistic::all().map(move |statistic| {
            of_requests(metric, statistic, format!("{}_{}", metric.row().key, statistic.name()), Show::HIDDEN)
        })
    };
    let known = |column: &Column| {
        COLUMNS.iter().any(|known| known.row.key == column.row.key && known.of_requests == column.of_requests)
    };
    Metric::all().flat_map(asked).filter(|column| !known(column)).collect()
});

fn listed(row: &'static MetricDef) -> Vec<Column> {
    match (&row.figure, Metric::of_row(row)) {
        (Figure::Request(RequestFigure { columns: Columns::Percentiles(shown), .. }), Some(metric)) => {
            let column = |percentile: &Percentile| {
                let show =
                    shown.iter().find(|(name, _)| *name == percentile.name).map_or(Show::HIDDEN, |(_, show)| *show);
                let key = format!("{}_{}", row.key, percentile.name);
                of_requests(metric, Statistic::Percentile(percentile.fraction), key, show)
            };
            Percentile::ALL.iter().map(column).collect()
        }
        (Figure::Request(RequestFigure { columns: Columns::One(statistic, show), .. }), Some(metric)) => {
            vec![of_requests(metric, *statistic, row.key.to_owned(), *show)]
        }
        _ => {
            let (key, label, help) = (row.key.to_owned(), row.label.to_owned(), row.help.to_owned());
            vec![Column { key, label, help, row, of_requests: None, show: row.show }]
        }
    }
}

fn of_requests(metric: Metric, statistic: Statistic, key: String, show: Show) -> Column {
    let (row, figure) = (metric.row(), metric.figure());
    // The head of the column that stands for the metric needs no statistic.
    let plain = match figure.columns {
        Columns::Percentiles(_) => statistic == Statistic::MEDIAN,
        Columns::One(one, _) => statistic == one,
    };
    let label = if plain { row.label.to_owned() } else { format!("{} {}", row.label, statistic.label()) };
    let whole = if figure.once_per_run { ", once per run" } else { "" };
    let help = format!("{}: {}{whole}.", row.help.trim_end_matches('.'), statistic.words());
    Column { key, label, help, row, of_requests: Some((metric, statistic)), show }
}

impl Column {
    /// Its cell for a group.
    pub fn cell(&self, group: &Group) -> Cell {
        match (&self.row.figure, self.of_requests) {
            (Figure::Request(figure), Some((metric, statistic))) => {
                (figure.note)(group, cells::statistic(group, metric, statistic))
            }
            (Figure::Request(_), None) => Cell::Absent,
            (Figure::Rate(of), _) => cells::rate(group, *of),
            (Figure::Group(of), _) => of(group),
            (Figure::Words(of), _) => Cell::text(of(group)),
            (Figure::Tally { of, counted, .. }, _) => Cell::text(cells::tally(of(group), *counted)),
        }
    }

    /// The unit of its numbers; `None` for words.
    pub fn unit(&self) -> Option<Unit> {
        self.row.unit
    }

    /// The unit beside its head; empty where the head names it.
    pub fn unit_beside(&self) -> &'static str {
        let symbol = self.row.unit.map_or("", |unit| crate::units::scale(unit).0);
        if symbol.len() > 1 && self.label.contains(symbol) { "" } else { symbol }
    }

    /// Why its cell for a group is empty; without a group, why all of its cells are.
    pub fn why_empty(&self, group: Option<&Group>) -> &'static str {
        let single = |group: &Group, metric, statistic| {
            let one = group.stat(metric).is_some_and(|stat| stat.quantiles.count == 1);
            one && matches!(statistic, Statistic::Percentile(_)) && statistic != Statistic::MEDIAN
        };
        match (group, self.of_requests) {
            (Some(group), _) if group.ok == 0 && self.row.set != super::Set::Model => "no request succeeded",
            (Some(group), Some((metric, statistic))) if single(group, metric, statistic) => {
                "one measurement has no such percentile"
            }
            _ if self.row.empty.is_empty() => self.row.set.words()[1],
            _ => self.row.empty,
        }
    }
}
