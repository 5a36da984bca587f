//! What the template shows, as texts: it decides nothing and computes nothing.

use super::badges::{Badge, badges};
use super::data::FILES;
use super::links::href;
use super::{answers, names};
use crate::clock;
use crate::record::{Load, Prompt, Run, Sampler};
use crate::report::columns::{COLUMNS, Cell, Column, MAIN, Set};
use crate::report::{Options, changes, number};
use crate::summary::{Better, Group, Row, Summary, Unit, Verdict};
use askama::Template;
use serde_json::Value;

/// How many answers the gallery holds, how many failures are listed, and how many meters, loads and runs.
const ANSWERS: usize = 200;
const FAILURES: usize = 100;
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
    answers: Vec<Answer>,
    answers_left: usize,
    prompts: Vec<PromptText>,
    runs: Vec<RunText>,
    meters: Vec<String>,
    loads: Vec<String>,
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

struct Link {
    text: &'static str,
    href: String,
}

struct CellText {
    key: &'static str,
    class: String,
    value: String,
    text: String,
    title: String,
    doubt: bool,
}

struct ChangeText {
    model: String,
    metric: String,
    old: String,
    new: String,
    percent: String,
    interval: String,
    class: &'static str,
    verdict: &'static str,
}

struct Failure {
    n: u64,
    kind: String,
    model: String,
    message: String,
}

struct Answer {
    model: String,
    sub: String,
    html: String,
    markdown: String,
    links: Vec<Link>,
}

struct PromptText {
    id: String,
    category: String,
    system: String,
    text: String,
}

struct RunText {
    id: String,
    facts: Vec<(String, String)>,
    command: String,
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
        let (answers, answers_left) = gallery(summary, options, &names);
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
            answers,
            answers_left,
            prompts: summary.prompts.iter().map(prompt).collect(),
            runs: summary.runs.iter().take(HEADS).map(run).collect(),
            meters: summary.samplers.iter().take(HEADS).map(meter).collect(),
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
        // The best of one is no news.
        if values.len() < 2 {
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
    let levels = summary.groups.iter().any(|group| group.concurrency != summary.groups[0].concurrency);
    let mut lines: Vec<Line> = summary
        .groups
        .iter()
        .enumerate()
        .map(|(at, group)| Line {
            sub: sub(group, levels),
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

/// What a group is besides its model.
fn sub(group: &Group, levels: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(group.source.map(|source| source.to_string()));
    parts.extend(group.provider.clone());
    parts.extend(group.details.quantization.clone());
    parts.extend(group.details.parameters.clone());
    parts.extend(group.key().load().filter(|_| levels || group.rate.is_some() || group.concurrency != Some(1)));
    parts.iter().map(|part| number::shortened(part, 48)).collect::<Vec<_>>().join(" · ")
}

/// The first request of a group that has files.
fn first_files(summary: &Summary, group: usize) -> Option<&Row> {
    let rows = || summary.rows.iter().filter(|row| row.group == group && !row.warmup);
    rows()
        .find(|row| row.html.is_some())
        .or_else(|| rows().find(|row| FILES.iter().any(|(_, file)| file(row).is_some())))
}

fn links(row: &Row, options: &Options) -> Vec<Link> {
    FILES.iter().filter_map(|(text, file)| Some(Link { text, href: href(options, row.folder, file(row)?)? })).collect()
}

fn change(said: changes::Said) -> ChangeText {
    let class = match said.change.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Same | Verdict::NotEnoughData => "",
    };
    ChangeText {
        model: said.model,
        metric: said.metric,
        old: said.old,
        new: said.new,
        percent: said.percent,
        interval: said.interval,
        class,
        verdict: said.change.verdict.word(),
    }
}

fn failures(summary: &Summary, names: &[String]) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for (group, name) in summary.groups.iter().zip(names) {
        failures.extend(group.error_messages.iter().map(|error| Failure {
            n: error.n,
            kind: format!("{}{}", error.kind, error.status.map(|s| format!(" {s}")).unwrap_or_default()),
            model: name.clone(),
            message: error.message.clone(),
        }));
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.n));
    failures.truncate(FAILURES);
    failures
}

fn gallery(summary: &Summary, options: &Options, names: &[String]) -> (Vec<Answer>, usize) {
    let several = |row: &Row| summary.groups[row.group].requests() > 1;
    let mut answers = Vec::new();
    let mut left = 0;
    for row in summary.rows.iter().filter(|row| !row.warmup) {
        let html = row.html.as_deref().and_then(|file| href(options, row.folder, file));
        if html.is_none() && row.text.is_none() {
            continue;
        }
        if answers.len() == ANSWERS {
            left += 1;
            continue;
        }
        let sub = if several(row) {
            format!("request {}{}", row.id, row.prompt.as_ref().map(|p| format!(" · {p}")).unwrap_or_default())
        } else {
            sub(&summary.groups[row.group], false)
        };
        answers.push(Answer {
            model: names[row.group].clone(),
            sub,
            html: html.unwrap_or_default(),
            markdown: row.text.as_deref().map(answers::safe).unwrap_or_default(),
            links: links(row, options),
        });
    }
    (answers, left)
}

fn prompt(prompt: &Prompt) -> PromptText {
    PromptText {
        id: prompt.id.clone(),
        category: prompt.category.clone().unwrap_or_default(),
        system: prompt.system.clone().unwrap_or_default(),
        text: prompt.text.clone(),
    }
}

fn run(run: &Run) -> RunText {
    let mut facts = Vec::new();
    let mut say = |what: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            facts.push((what.to_owned(), text));
        }
    };
    say("started", clock::rfc3339(run.started_ts));
    say("tool", Some(format!("{} {}", run.tool.name, run.tool.version)));
    say("processor", run.host.cpu.clone());
    say("cores", run.host.cores.map(|n| n.to_string()));
    say("graphics", run.host.gpu.clone());
    say("memory", run.host.ram_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))));
    say("system", run.host.os.clone());
    for (name, value) in &run.settings {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        say(name, Some(text));
    }
    RunText {
        id: run.run.clone(),
        facts,
        command: run.argv.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" "),
    }
}

/// An argument as a shell reads it back.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) { arg.to_owned() } else { format!("'{}'", arg.replace('\'', r"'\''")) }
}

fn meter(sampler: &Sampler) -> String {
    let mut parts = vec![format!("{} {}: {}", sampler.tool.name, sampler.tool.version, sampler.sources.join(", "))];
    parts.extend(sampler.machine.clone());
    parts.extend(sampler.measures.as_ref().map(|m| format!("measures {}", m.join(", "))));
    parts.extend(sampler.total_domain.as_ref().map(|d| format!("total {d}")));
    parts.extend(sampler.total_label.clone());
    parts.extend(sampler.interval_seconds.map(|s| format!("every {s} s")));
    parts.extend(sampler.estimated.then(|| "estimated".to_owned()));
    parts.extend(sampler.simulated.then(|| "simulated".to_owned()));
    parts.join(" · ")
}

fn load(load: &Load) -> String {
    let took = match (load.load_time_seconds, &load.error) {
        (Some(seconds), _) => number::alone(seconds, Unit::Seconds),
        (None, Some(error)) => format!("failed: {error}"),
        (None, None) => "time unknown".into(),
    };
    let mut parts = vec![format!("{}: {took}", load.model)];
    parts.extend(load.gpu_setting.as_ref().map(|gpu| format!("gpu {gpu}")));
    parts.extend(load.context_length.map(|n| format!("context {n}")));
    parts.join(" · ")
}
