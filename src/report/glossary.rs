//! The registry of metrics as documents: the list of `--list-metrics`, the table of columns in `docs/reporting.md`, and
//! `docs/glossary.md`.

use super::aligned::{self, Strip};
use crate::summary::{Better, COLUMNS, Column, Figure, MetricDef, PEERS, Set, metrics};
use crate::units::scale;
use std::fmt::Write as _;
use std::io::{self, Write};

fn better(row: &MetricDef) -> &'static str {
    match row.better {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::Neither => "",
    }
}

fn unit(row: &MetricDef) -> &'static str {
    row.unit.map_or("words", |unit| scale(unit).0)
}

/// Writes the list of metrics, for a screen of so many columns where there is one.
///
/// # Errors
/// When the output is closed or full.
pub fn list_metrics(screen: Option<usize>, to: &mut dyn Write) -> io::Result<()> {
    let strip = |head: &str, of: &dyn Fn(&Column) -> String| {
        let cells = COLUMNS.iter().map(of);
        Strip { right: false, names: head == "key", cells: std::iter::once(head.to_owned()).chain(cells).collect() }
    };
    let strips = [
        strip("key", &|column| column.key.clone()),
        strip("label", &|column| column.label.clone()),
        strip("unit", &|column| unit(column.row).to_owned()),
        strip("better", &|column| better(column.row).to_owned()),
        strip("meaning", &|column| column.help.clone()),
    ];
    aligned::write(&strips, screen, to)?;
    writeln!(
        to,
        "\nA metric of requests has more statistics than are listed: _mean, _min, _max, _sum and every percentile may stand\n\
         behind its key, as in decode_tok_s_p95. Names of other tools are accepted too: docs/glossary.md."
    )
}

/// The tables of columns for `docs/reporting.md`.
pub fn columns_table() -> String {
    let mut text = String::new();
    for set in Set::ALL {
        let name = set.name();
        let _ = writeln!(text, "**{}{}**\n", name[..1].to_uppercase(), &name[1..]);
        text.push_str("| key | label | unit | better | what it is |\n|---|---|---|---|---|\n");
        for column in COLUMNS.iter().filter(|column| column.row.set == set) {
            let Column { key, label, help, row, .. } = column;
            let _ = writeln!(text, "| `{key}` | {label} | {} | {} | {help} |", unit(row), better(row));
        }
        text.push('\n');
    }
    text
}

/// `docs/glossary.md`.
pub fn glossary() -> String {
    let mut text = String::from(
        "# Glossary of metrics\n\n\
         One row per metric: what it is called here, in which unit it is shown, how it is computed, and what other tools call it.\n\
         Every name of a row is accepted wherever a metric is named (`--columns`, `--sort`, `--fail-if`, `--slo`, `--search`, the\n\
         filter of the page), with a statistic behind it or before it (`ttft_p95`, `p95_ttft_ms`), unless it is the key of another\n\
         row. An empty cell means that the tool has no such number. `make bless` writes this file from the registry.\n\n",
    );
    let peers = PEERS.map(|peer| format!(" {peer} |")).concat();
    let _ = writeln!(text, "| key | label | JSON name | unit | formula |{peers}");
    let _ = writeln!(text, "|---|---|---|---|---|{}", "---|".repeat(PEERS.len()));
    for row in metrics().filter(|row| row.unit.is_some()) {
        let peers = row.peers.map(|name| if name.is_empty() { " |".into() } else { format!(" `{name}` |") }).concat();
        let (unit, formula) = (unit(row), row.formula.replace('|', "\\|"));
        let _ = writeln!(text, "| `{}` | {} | `{}` | {unit} | {formula} |{peers}", row.key, row.label, row.name);
    }
    let words = metrics().filter(|row| matches!(row.figure, Figure::Words(_) | Figure::Tally { .. }));
    let keys: Vec<String> = words.map(|row| format!("`{}`", row.key)).collect();
    let _ = writeln!(text, "\nColumns of words, which are no metrics: {}.", keys.join(", "));
    text
}
