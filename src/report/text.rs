//! The table for a terminal: what a run prints when it is over.

use super::Options;
use super::accuracy;
use super::aligned::{self, Strip};
use super::changes;
use super::columns::{COLUMNS, Cell, Column};
use super::notes::notes;
use super::number;
use crate::clock;
use crate::summary::{Comparison, DRAWN, Stat, Summary, Unit, Verdict};
use crate::text::plain;
use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns of a short table, where any group has them.
const SHOWN: [&str; 27] = [
    "model",
    "source",
    "provider",
    "load",
    "set",
    "ok",
    "failed",
    "load_s",
    "ttft_p50",
    "ttft_p95",
    "decode_tok_s",
    "tok_s",
    "gen_s",
    "goodput",
    "out_tok",
    "total_w",
    "j_tok",
    "prefill_j",
    "decode_j",
    "energy_cost",
    "carbon_g",
    "mem_high",
    "usd",
    "usd_1m",
    "usd_1m_in_list",
    "usd_1m_out_list",
    "finish",
];

/// Of these, what tells the rows apart.
const NAMES: [&str; 5] = ["model", "source", "provider", "load", "set"];

/// The columns that a load adds: what was got through together, beside what was asked.
const OF_LOADS: [&str; 6] =
    ["ttft_p99", "throughput", "requests_s", "offered_rate", "sent_rate", "achieved_concurrency"];

/// The widest a column of words may be, in columns of the terminal.
const WIDEST: usize = 44;

/// How many machines the headline names.
const MACHINES: usize = 8;

/// Writes the table, what failed, and what is doubtful.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    if summary.groups.is_empty() {
        return writeln!(to, "no results: {}", nothing(summary));
    }
    writeln!(to, "{}\n", headline(summary))?;
    let columns = columns(summary, options);
    let mut marked = false;
    let strip = |column: &&Column| {
        let cells = written(summary, column, &mut marked);
        Strip { right: column.unit.is_some(), names: NAMES.contains(&column.key), cells }
    };
    aligned::write(&columns.iter().map(strip).collect::<Vec<_>>(), options.screen, to)?;
    shapes(summary, to)?;
    failures(summary, to)?;
    let notes = notes(summary);
    if !notes.is_empty() {
        writeln!(to)?;
    }
    for note in notes {
        writeln!(to, "{}", plain(&note).trim())?;
    }
    calibrated(summary, options, to)?;
    if let Some(comparison) = &summary.comparison {
        compared(summary, comparison, options, to)?;
    }
    if marked {
        writeln!(to, "\n? the sample is too small, or the meter too coarse, to be sure of this number")?;
    }
    Ok(())
}

/// The columns that were asked for; else those of a short table that any group has.
pub fn columns(summary: &Summary, options: &Options) -> Vec<&'static Column> {
    let loads = summary.groups.iter().any(|group| group.rate.is_some() || group.concurrency.is_some_and(|n| n > 1));
    let asked = |key: &str| match key {
        // A load is judged by its tail.
        "ttft_p95" => !loads,
        key => SHOWN.contains(&key) || (loads && OF_LOADS.contains(&key)),
    };
    let shown = COLUMNS
        .iter()
        .filter(|column| asked(column.key))
        .filter(|column| summary.groups.iter().any(|group| worth((column.of)(group), column.key)));
    options.columns.clone().unwrap_or_else(|| shown.collect())
}

/// How right the client measures on this machine, where that is known.
fn calibrated(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    let Some(accuracy) = &summary.accuracy else { return Ok(()) };
    let rows = accuracy::rows(accuracy);
    let cells =
        |at: usize, head: &str| std::iter::once(head.to_owned()).chain(rows.iter().map(move |row| row[at].clone()));
    let table: Vec<Strip> = accuracy::HEADS
        .iter()
        .enumerate()
        .map(|(at, (head, _))| Strip { right: true, names: at == 0, cells: cells(at, head).collect() })
        .collect();
    writeln!(to)?;
    aligned::write(&table, options.screen, to)?;
    for note in accuracy::notes(accuracy) {
        writeln!(to, "{}", plain(&note))?;
    }
    writeln!(to)?;
    accuracy::sentences(summary).iter().try_for_each(|line| writeln!(to, "{}", plain(line)))
}

/// How times are spread: a small histogram for each group with enough requests, all on one scale.
fn shapes(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const BINS: usize = 24;
    const ENOUGH: u64 = 20;
    for (metric, words) in DRAWN.into_iter().zip(["ttft", "decode", "time"]) {
        let shown: Vec<(usize, &Stat)> = summary
            .groups
            .iter()
            .enumerate()
            .filter_map(|(at, group)| Some((at, group.stat(metric)?)))
            .filter(|(_, stat)| stat.quantiles.count >= ENOUGH)
            .collect();
        let low = shown.iter().filter_map(|(_, stat)| stat.quantiles.min).fold(f64::INFINITY, f64::min);
        let high = shown.iter().filter_map(|(_, stat)| stat.quantiles.max).fold(f64::NEG_INFINITY, f64::max);
        if shown.is_empty() || low >= high {
            continue;
        }
        let say = |value| number::alone(value, metric.unit());
        writeln!(to, "\n{words}, {} to {}", say(low), say(high))?;
        // Of the requests themselves while all are there; of the classes that all were counted in when they are not.
        let mut exact = vec![[0u64; BINS]; summary.groups.len()];
        for row in summary.rows.iter().filter(|row| row.ok() && !row.warmup) {
            if let Some(value) = row.value(metric) {
                exact[row.group][(((value - low) / (high - low) * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
        }
        for (at, _) in shown {
            let shape = summary.groups[at].shape(metric).filter(|_| summary.sampled());
            let bins = shape.map_or_else(|| exact[at].to_vec(), |shape| shape.bins(low, high, BINS));
            let most = bins.iter().max().copied().unwrap_or(1).max(1);
            let bar =
                |n: &u64| if *n == 0 { ' ' } else { BARS[(*n as usize * (BARS.len() - 1)).div_ceil(most as usize)] };
            let name = cut(&plain(&summary.groups[at].name()), 80);
            writeln!(to, "{} {name}", bins.iter().map(bar).collect::<String>())?;
        }
    }
    Ok(())
}

/// The changes against the baseline; of very many only those that are more than noise.
fn compared(summary: &Summary, comparison: &Comparison, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\ncompared with {}\n", plain(&changes::tally(comparison)))?;
    let all = changes::said(summary, comparison);
    let sure = |said: &&changes::Said| said.change.verdict != Verdict::NotEnoughData;
    let untold = all.len() - all.iter().filter(sure).count();
    let many = all.len() - untold > 60;
    let told = |said: &&changes::Said| {
        sure(said) && (!many || matches!(said.change.verdict, Verdict::Better | Verdict::Worse))
    };
    let shown: Vec<&changes::Said> = all.iter().filter(told).collect();
    let column = |right: bool, head: &str, of: fn(&changes::Said) -> String| {
        let names = matches!(head, "baseline" | "model" | "metric");
        Strip { right, names, cells: [head.to_owned()].into_iter().chain(shown.iter().map(|said| of(said))).collect() }
    };
    let table = [
        column(false, "baseline", |said| cut(&plain(said.baseline), WIDEST)),
        column(false, "model", |said| cut(&plain(&said.model), WIDEST)),
        column(false, "metric", |said| said.metric.clone()),
        column(true, "before", |said| said.old.clone()),
        column(true, "now", |said| said.new.clone()),
        column(true, "change", |said| said.percent.clone()),
        column(true, "95 % interval", |said| said.interval.clone()),
        column(false, "verdict", |said| said.change.verdict.to_string()),
    ];
    if !shown.is_empty() {
        aligned::write(&table, options.screen, to)?;
    }
    if let Some(line) = changes::untold(untold) {
        writeln!(to, "{line}")?;
    }
    for line in changes::missing(comparison) {
        writeln!(to, "\n{}", cut(&plain(&line), 200))?;
    }
    Ok(())
}

/// Why there are no results, without a full stop.
pub fn nothing(summary: &Summary) -> String {
    match summary.unreadable {
        0 => "no line of the input is of type result".into(),
        1 => "a line of the input could not be read, and no other is of type result".into(),
        n => format!("{n} lines of the input could not be read, and no other is of type result"),
    }
}

/// What was run, in one line.
pub fn headline(summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut parts = vec![format!("{} request{}", totals.requests, if totals.requests == 1 { "" } else { "s" })];
    if totals.failed > 0 {
        parts.push(format!("{} failed", totals.failed));
    }
    if summary.warmups > 0 {
        parts.push(format!("{} of warm-up not counted", summary.warmups));
    }
    if let Some(seconds) = totals.seconds {
        parts.push(number::lasting(seconds));
    }
    if let Some(at) = totals.started_ts.and_then(clock::rfc3339) {
        parts.push(at);
    }
    let machines = summary.machines();
    if machines.len() > 1 {
        let named: Vec<String> = machines.iter().take(MACHINES).map(|machine| number::shortened(machine, 80)).collect();
        let more = if machines.len() > MACHINES { ", …" } else { "" };
        parts.push(format!("{} machines: {}{more}", machines.len(), named.join(", ")));
    }
    plain(&parts.join(" · "))
}

/// Whether a cell is reason enough to show its column.
fn worth(cell: Cell, key: &str) -> bool {
    match cell {
        Cell::Absent => false,
        Cell::Number { value, .. } => key != "failed" || value > 0.0,
        Cell::Text(_) => true,
    }
}

/// A column as texts: its label, its unit, then a cell per group.
fn written(summary: &Summary, column: &Column, marked: &mut bool) -> Vec<String> {
    let cells: Vec<Cell> = summary.groups.iter().map(column.of).collect();
    let unit = column.unit.unwrap_or(Unit::Count);
    let decimals = number::decimals(unit, cells.iter().filter_map(Cell::value));
    // Where one number is marked, the others leave the mark's place empty, so that digits stand under digits.
    let any_mark = cells.iter().any(|cell| matches!(cell, Cell::Number { doubt: Some(_), .. }));
    let blank = if any_mark { " " } else { "" };
    *marked |= any_mark;
    let mut texts = vec![format!("{}{blank}", column.label), format!("{}{blank}", number::scale(unit).0)];
    texts.extend(cells.into_iter().map(|cell| match cell {
        Cell::Absent => format!("{}{blank}", if column.unit.is_some() { "-" } else { "" }),
        Cell::Text(text) => cut(&plain(&text), WIDEST),
        Cell::Number { value, doubt, .. } => {
            format!("{}{}", number::write(value, unit, decimals), if doubt.is_some() { "?" } else { blank })
        }
    }));
    texts
}

fn failures(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    if summary.totals.failed == 0 {
        return Ok(());
    }
    writeln!(to)?;
    for group in &summary.groups {
        for error in group.error_messages.iter().take(3) {
            let status = error.status.map(|status| format!(" {status}")).unwrap_or_default();
            let message = Some(cut(&plain(&error.message), 100)).filter(|said| !said.trim().is_empty());
            let message = message.map(|said| format!(": {said}")).unwrap_or_default();
            writeln!(to, "{} × {}{status}: {}{message}", error.n, error.kind, cut(&plain(&group.name()), WIDEST))?;
        }
    }
    Ok(())
}

/// At most `width` columns of a text.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_the_columns_it_takes_and_cannot_drive_the_terminal() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(plain("a\x1b[2J\u{202e}b\r\nc\u{200b}"), "a[2Jb c");
    }
}
