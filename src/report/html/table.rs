//! The table: its heads, its rows, and why a cell or a whole column is empty.

use super::parts::{Link, first_files, links, sub};
use crate::record::Source;
use crate::report::columns::{COLUMNS, Cell, Column, MAIN, Set};
use crate::report::{Options, number};
use crate::summary::{Group, Summary, Unit};
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
    let some = |column: &&Column| summary.groups.iter().any(|group| (column.of)(group) != Cell::Absent);
    COLUMNS.iter().filter(some).collect()
}

/// The others, and what would fill them.
pub fn not_measured(summary: &Summary, shown: &[&Column]) -> Vec<NotMeasured> {
    if summary.groups.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<NotMeasured> = Vec::new();
    for column in COLUMNS.iter().filter(|column| shown.iter().all(|one| one.key != column.key)) {
        let (why, one) = (absent(column, None), (column.key, label(column)));
        match all.iter_mut().find(|reason| reason.why == why) {
            Some(reason) => reason.columns.push(one),
            None => all.push(NotMeasured { why, columns: vec![one] }),
        }
    }
    all
}

/// Why a cell is empty; without a group, why a whole column is.
fn absent(column: &Column, group: Option<&Group>) -> &'static str {
    if group.is_some_and(|group| group.ok == 0) && column.set != Set::Model {
        return "no request succeeded";
    }
    match column.key {
        "usd_1m_in_list" | "usd_1m_out_list" => "no price is listed: the models' records (llm-models) carry prices",
        "goodput" => "no limits were asked for (--slo)",
        "ttft_sched_p50" | "ttft_sched_p99" | "offered_rate" => "nothing was sent at a rate (llm-run --rate)",
        "load_s" => "no model was loaded",
        "set" => "nothing was set otherwise for one row than for another",
        "provider" => "nobody told who served behind a router",
        "outliers" => "nothing lies far out, or a row has fewer than 8 requests",
        "no_power" => "nothing tells why there is no power",
        "reasoning_tok" => "the server told no reasoning tokens",
        "rendered" | "console_errors" | "hosts" => "no page was shown to a browser (--screenshots)",
        "errors" => "nothing failed",
        "j_tok_net" | "j_tok_net_lower" | "j_tok_net_upper" | "idle_j" => {
            "not joined with readings and an idle power (bench-join --power, --idle auto)"
        }
        "artifacts" => "no files were written (llm-run --artifacts, --json-dir)",
        "warnings" => "nothing is doubtful",
        _ => match column.set {
            Set::Model => "not told",
            Set::Speed | Set::Answer => "not measured",
            Set::Energy => "not joined with readings that tell it (bench-join --power)",
            Set::Memory => "not joined with readings that tell it (bench-join --mem)",
            Set::Cost => "the server told no cost, and no price is known",
        },
    }
}

/// The page loads models and puts load on servers: the column of the latter is called by what it is.
fn label(column: &Column) -> &'static str {
    match column.key {
        "load" => "requests",
        _ => column.label,
    }
}

/// The switches.
pub fn sets(shown: &[&Column]) -> Vec<SetSwitch> {
    [
        (Set::Model, ""),
        (Set::Speed, "Nothing was measured."),
        (Set::Energy, "No request was joined with a power meter: see bench-join --power."),
        (Set::Memory, "No request was joined with memory readings: see bench-join --mem."),
        (Set::Cost, "No request has a cost, and no model a price."),
        (Set::Answer, "No request was answered."),
    ]
    .into_iter()
    .filter(|(set, _)| *set != Set::Model)
    .map(|(set, missing)| SetSwitch { name: set.name(), any: shown.iter().any(|column| column.set == set), missing })
    .collect()
}

/// The head of a column.
pub fn head(column: &Column, loaded: bool) -> Head {
    Head {
        key: column.key,
        label: label(column),
        unit: column.unit.map_or("", |unit| number::scale(unit).0),
        set: column.set.name(),
        help: column.help,
        numeric: column.unit.is_some(),
        main: main(column, loaded),
    }
}

/// Whether the page is of a load test: a rate, or several levels of one model.
pub fn loaded(summary: &Summary) -> bool {
    let mut seen: HashMap<Server, Option<u64>> = HashMap::new();
    summary.groups.iter().any(|group| {
        group.rate.is_some() || *seen.entry(server(group)).or_insert(group.concurrency) != group.concurrency
    })
}

/// Whether a column is shown at first. Of a load test, what was asked for and what came of it, too.
fn main(column: &Column, loaded: bool) -> bool {
    let of_load =
        ["ttft_p99", "throughput", "requests_s", "offered_rate", "sent_rate", "achieved_rate", "achieved_concurrency"];
    MAIN.contains(&column.key) || loaded && of_load.contains(&column.key)
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
        let cells: Vec<Cell> = groups.iter().map(column.of).collect();
        let unit = column.unit.unwrap_or(Unit::Count);
        let decimals = number::decimals(unit, cells.iter().filter_map(Cell::value));
        for ((line, cell), group) in lines.iter_mut().zip(cells).zip(groups) {
            line.cells.push(cell_text(column, cell, group, loaded, decimals, marked));
        }
    }
    lines
}

fn cell_text(column: &Column, cell: Cell, group: &Group, loaded: bool, decimals: usize, marked: &mut bool) -> CellText {
    let mut class = String::from(if column.unit.is_some() { "n" } else { "words" });
    if !main(column, loaded) {
        class.push_str(" hidden");
    }
    let mut text = CellText { class, value: String::new(), text: String::new(), title: String::new(), doubt: false };
    match cell {
        Cell::Absent => {
            text.class.push_str(" absent");
            text.text = "–".into();
            text.title = absent(column, Some(group)).into();
        }
        Cell::Text(words) => {
            text.text = number::shortened(&words, if column.key == "model" { 160 } else { 90 });
            if text.text != words {
                text.title = number::shortened(&words, 2000);
            }
        }
        Cell::Number { value, doubt, more } => {
            text.value = format!("{value}");
            text.text = number::write(value, column.unit.unwrap_or(Unit::Count), decimals);
            *marked |= doubt.is_some();
            text.doubt = doubt.is_some();
            text.title = doubt.into_iter().chain(more).collect::<Vec<_>>().join("; ");
            if column.key == "failed" && value > 0.0 {
                text.class.push_str(" bad");
            }
        }
    }
    text
}
