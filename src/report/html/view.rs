//! What the template shows, as texts: it decides nothing and computes nothing.

use super::badges::{Badge, badges};
use super::gallery::{Gallery, gallery};
use super::names;
use super::parts::{
    ChangeText, Failure, Link, PromptText, RunText, change, failures, first_files, joined, links, load, meter, prompt,
    run, sub,
};
use crate::clock;
use crate::report::columns::{COLUMNS, Cell, Column, MAIN, Set};
use crate::report::{Options, changes, number};
use crate::summary::{Better, Group, Summary, Unit};
use askama::Template;

/// How many meters, loads and runs are told.
const HEADS: usize = 200;

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
pub struct Page {
    pub policy: String,
    pub style: &'static str,
    pub script: &'static str,
    pub data: String,
    pub version: &'static str,
    title: String,
    facts: Vec<String>,
    badges: Vec<Badge>,
    standouts: Vec<Standout>,
    sets: Vec<SetSwitch>,
    columns: Vec<Head>,
    rows: Vec<Line>,
    marked: bool,
    refresh: u64,
    compared: Vec<ChangeText>,
    compared_tally: String,
    compared_missing: Vec<String>,
    failures: Vec<Failure>,
    gallery: Gallery,
    prompts: Vec<PromptText>,
    prompts_asked: usize,
    runs: Vec<RunText>,
    meters: Vec<String>,
    loads: Vec<String>,
    joined: Vec<String>,
}

struct Standout {
    what: &'static str,
    value: String,
    unit: &'static str,
    doubted: bool,
    who: String,
}

struct SetSwitch {
    name: &'static str,
    any: bool,
    missing: &'static str,
}

struct Head {
    key: &'static str,
    label: &'static str,
    unit: &'static str,
    set: &'static str,
    help: &'static str,
    numeric: bool,
    main: bool,
}

struct Line {
    sub: String,
    links: Vec<Link>,
    cells: Vec<CellText>,
}

struct CellText {
    key: &'static str,
    class: String,
    value: String,
    text: String,
    title: String,
    doubt: bool,
}

impl Page {
    /// The texts of a page, all but its frame: policy, style, script and data.
    pub fn of(summary: &Summary, options: &Options) -> Self {
        let shown: Vec<&Column> = COLUMNS
            .iter()
            .filter(|column| summary.groups.iter().any(|group| (column.of)(group) != Cell::Absent))
            .collect();
        let mut marked = false;
        let names = names(&summary.groups);
        Self {
            policy: String::new(),
            style: "",
            script: "",
            data: String::new(),
            version: env!("CARGO_PKG_VERSION"),
            title: title(summary),
            facts: facts(summary),
            badges: badges(summary),
            standouts: standouts(&summary.groups, &names),
            sets: sets(&shown),
            columns: shown.iter().map(|column| head(column)).collect(),
            rows: lines(summary, options, &shown, &mut marked),
            marked,
            refresh: options.refresh.unwrap_or(0),
            compared: summary.comparison.iter().flat_map(|c| changes::said(summary, c)).map(change).collect(),
            compared_tally: summary.comparison.as_ref().map(changes::tally).unwrap_or_default(),
            compared_missing: summary.comparison.as_ref().map(changes::missing).unwrap_or_default(),
            failures: failures(summary, &names),
            gallery: gallery(summary, options, &names),
            prompts: summary.prompts.iter().map(prompt).collect(),
            prompts_asked: summary.prompts.iter().filter(|prompt| !prompt.shared_prefix).count(),
            runs: summary.runs.iter().take(HEADS).map(run).collect(),
            meters: summary.samplers.iter().take(HEADS).map(meter).collect(),
            joined: summary.joined.iter().take(HEADS).flat_map(joined).collect(),
            loads: summary.loads.iter().take(HEADS).map(load).collect(),
        }
    }
}

fn title(summary: &Summary) -> String {
    match &summary.runs[..] {
        [one] => number::shortened(&one.run, 120),
        [] => "Benchmark of language models".into(),
        [first, rest @ ..] => format!("{} and {} more runs", number::shortened(&first.run, 100), rest.len()),
    }
}

fn facts(summary: &Summary) -> Vec<String> {
    let totals = &summary.totals;
    let mut facts = Vec::new();
    if let Some(ts) = totals.started_ts.or(summary.runs.first().map(|run| run.started_ts)) {
        facts.extend(date(ts));
    }
    if let Some(host) = summary.runs.first().map(|run| &run.host) {
        facts.extend(host.cpu.clone());
        facts
            .extend(host.gpu.clone().filter(|gpu| !host.cpu.as_ref().is_some_and(|cpu| gpu.starts_with(cpu.as_str()))));
        facts.extend(host.ram_bytes.map(|bytes| format!("{:.0} GiB", bytes as f64 / f64::from(1 << 30))));
        facts.extend(host.os.clone());
    }
    let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    if totals.requests > 0 {
        let models: std::collections::BTreeSet<_> = summary.groups.iter().map(|group| &group.model).collect();
        facts.push(format!("{}, {}", plural(models.len() as u64, "model"), plural(totals.requests, "request")));
    }
    facts.extend(totals.seconds.filter(|s| *s > 0.0).map(number::lasting));
    if let Some(run) = summary.runs.first() {
        facts.push(format!("{} {}", run.tool.name, run.tool.version));
    }
    facts.iter().map(|fact| number::shortened(fact, 80)).collect()
}

/// A moment, for people, in universal time: the page says the same wherever it is read.
fn date(ts: f64) -> Option<String> {
    let text = clock::rfc3339(ts)?;
    Some(format!("{} {} UTC", text.get(..10)?, text.get(11..16)?))
}

fn standouts(groups: &[Group], names: &[String]) -> Vec<Standout> {
    let best = |(what, key): (&'static str, &str)| {
        let column = COLUMNS.iter().find(|column| column.key == key)?;
        let values: Vec<(f64, usize)> =
            groups.iter().enumerate().filter_map(|(at, group)| Some(((column.of)(group).value()?, at))).collect();
        // The best of one, or of equals, is no news.
        if values.iter().all(|(value, _)| *value == values[0].0) {
            return None;
        }
        let order = |a: &&(f64, usize), b: &&(f64, usize)| a.0.total_cmp(&b.0);
        let (value, at) = match column.better {
            Better::Higher => values.iter().max_by(order),
            _ => values.iter().min_by(order),
        }?;
        let unit = column.unit?;
        let doubted = matches!((column.of)(&groups[*at]), Cell::Number { doubt: Some(_), .. });
        let text = number::write(*value, unit, number::decimals(unit, [*value]));
        let (before, after) = if unit == Unit::Usd { ("$", "") } else { ("", number::scale(unit).0) };
        Some(Standout { what, value: format!("{before}{text}"), unit: after, doubted, who: names[*at].clone() })
    };
    [
        ("fastest decode", "decode_tok_s"),
        ("first token soonest", "ttft_p50"),
        ("done soonest", "gen_s"),
        ("least energy per token", "j_tok"),
        ("least memory", "mem_high"),
        ("cheapest per 1M tokens", "usd_1m"),
    ]
    .into_iter()
    .filter_map(best)
    .collect()
}

fn sets(shown: &[&Column]) -> Vec<SetSwitch> {
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

fn head(column: &Column) -> Head {
    Head {
        key: column.key,
        label: column.label,
        unit: column.unit.map_or("", |unit| number::scale(unit).0),
        set: column.set.name(),
        help: column.help,
        numeric: column.unit.is_some(),
        main: MAIN.contains(&column.key),
    }
}

fn lines(summary: &Summary, options: &Options, shown: &[&Column], marked: &mut bool) -> Vec<Line> {
    // One request at once goes without saying, unless there are other levels.
    let levels = |group: &Group| {
        let same = |other: &&Group| {
            (&other.model, other.source, &other.provider) == (&group.model, group.source, &group.provider)
        };
        summary.groups.iter().filter(same).count() > 1
    };
    let mut lines: Vec<Line> = summary
        .groups
        .iter()
        .enumerate()
        .map(|(at, group)| Line {
            sub: sub(group, levels(group)),
            links: first_files(summary, at).map(|row| links(row, options)).unwrap_or_default(),
            cells: Vec::new(),
        })
        .collect();
    for column in shown {
        let cells: Vec<Cell> = summary.groups.iter().map(column.of).collect();
        let unit = column.unit.unwrap_or(Unit::Count);
        let decimals = number::decimals(unit, cells.iter().filter_map(Cell::value));
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.cells.push(cell_text(column, cell, decimals, marked));
        }
    }
    lines
}

fn cell_text(column: &Column, cell: Cell, decimals: usize, marked: &mut bool) -> CellText {
    let mut class = String::from(if column.unit.is_some() { "n" } else { "words" });
    if !MAIN.contains(&column.key) {
        class.push_str(" hidden");
    }
    let mut text = CellText {
        key: column.key,
        class,
        value: String::new(),
        text: String::new(),
        title: String::new(),
        doubt: false,
    };
    match cell {
        Cell::Absent => {
            text.class.push_str(" absent");
            text.text = "–".into();
            text.title = "not measured".into();
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
