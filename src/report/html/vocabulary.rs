//! What the page knows of metrics: the columns, the metrics of requests, every name that its filter accepts, and the units.

use crate::record::Percentile;
use crate::summary::{Better, COLUMNS, Column, Metric, names};
use crate::units::{UNITS, scale};
use serde_json::{Map, Value, json};

/// The vocabulary as one object.
pub fn vocabulary() -> Value {
    let names: Map<String, Value> = names().map(|(name, key)| (name.to_owned(), json!(key))).collect();
    json!({
        "columns": COLUMNS.iter().map(column).collect::<Vec<_>>(),
        "metrics": Metric::all().map(metric).collect::<Vec<_>>(),
        "percentiles": Percentile::ALL.iter().map(percentile).collect::<Vec<_>>(),
        "names": names,
        "units": units(),
    })
}

fn column(column: &Column) -> Value {
    let (unit, scale) = column.unit().map_or(("", 1.0), scale);
    json!({
        "key": column.key, "label": column.label, "set": column.row.set.name(), "unit": unit, "scale": scale,
        "numeric": column.unit().is_some(), "metric": column.row.key,
        "statistic": column.of_requests.map(|(_, statistic)| statistic.label()),
        "better": match column.row.better {
            Better::Lower => -1,
            Better::Higher => 1,
            Better::Neither => 0,
        },
    })
}

/// A metric of requests: its field in the rows, and what the page draws and lists of it.
fn metric(metric: Metric) -> Value {
    let ((unit, scale), row, figure) = (scale(metric.unit()), metric.row(), metric.figure());
    json!({
        "name": row.name, "key": row.key, "label": row.label, "unit": unit, "scale": scale,
        "percentiles": figure.has_percentiles(), "listed": figure.listed, "slider": figure.slider,
        "from_due": figure.from_due, "between_chunks": figure.between_chunks,
    })
}

fn percentile(percentile: &Percentile) -> Value {
    json!({ "name": percentile.name, "label": percentile.label, "fraction": percentile.fraction })
}

/// Every spelling of a unit in lower case, with the symbols of the columns that may have it and its size in their base unit.
fn units() -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for (unit, (spelling, size)) in UNITS.iter().flat_map(|unit| unit.spellings().iter().map(move |one| (unit, one))) {
        if !spelling.is_empty() {
            let spelled = all.entry(spelling.to_lowercase()).or_insert_with(|| json!({}));
            spelled[scale(*unit).0] = json!(size);
        }
    }
    all
}
