//! The table for a terminal: what a run prints when it is over.

use super::Options;
use super::calibration;
use super::changes;
use super::columns::{COLUMNS, Cell, Column};
use super::number;
use crate::clock;
use crate::summary::{Comparison, Metric, Summary, Unit, Verdict};
use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns of a short table, where any group has them.
const SHOWN: [&str; 20] = [
    "model",
    "source",
    "provider",
    "load",
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
    "mem_high",
    "usd",
    "usd_1m",
    "finish",
];

/// The widest a column of words may be, in columns of the terminal.
const WIDEST: usize = 44;

/// Writes the table, what failed, and what is doubtful.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    if summary.groups.is_empty() {
        return writeln!(to, "no results");
    }
    writeln!(to, "{}\n", headline(summary))?;
    let columns = columns(summary, options);
    let mut marked = false;
    let table: Vec<(bool, Vec<String>)> =
        columns.iter().map(|column| (column.unit.is_some(), written(summary, column, &mut marked))).collect();
    aligned(&table, to)?;
    shapes(summary, to)?;
    failures(summary, to)?;
    calibrated(summary, to)?;
    if let Some(comparison) = &summary.comparison {
        compared(summary, comparison, to)?;
    }
    if marked {
        writeln!(to, "\n? the sample is too small, or the meter too coarse, to be sure of this number")?;
    }
    Ok(())
}

/// The columns that were asked for; else those of [`SHOWN`] that any group has.
pub fn columns(summary: &Summary, options: &Options) -> Vec<&'static Column> {
    let shown = COLUMNS
        .iter()
        .filter(|column| SHOWN.contains(&column.key))
        .filter(|column| summary.groups.iter().any(|group| worth((column.of)(group), column.key)));
    options.columns.clone().unwrap_or_else(|| shown.collect())
}

/// Writes columns of equal length side by side: numbers to the right, words to the left.
fn aligned(table: &[(bool, Vec<String>)], to: &mut dyn Write) -> io::Result<()> {
    let widths: Vec<usize> =
        table.iter().map(|(_, cells)| cells.iter().map(|cell| cell.width()).max().unwrap_or(0)).collect();
    for line in 0..table.first().map_or(0, |(_, cells)| cells.len()) {
        let mut text = String::new();
        for ((right, cells), width) in table.iter().zip(&widths) {
            let space = " ".repeat(width.saturating_sub(cells[line].width()));
            let (before, after) = if *right { (space.as_str(), "") } else { ("", space.as_str()) };
            text.push_str(&format!("{before}{}{after}  ", cells[line]));
        }
        writeln!(to, "{}", text.trim_end())?;
    }
    Ok(())
}

/// How right the client measures on this machine, where that is known.
fn calibrated(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    let Some(calibration) = &summary.calibration else { return Ok(()) };
    let rows = calibration::rows(calibration);
    let cells =
        |at: usize, head: &str| std::iter::once(head.to_owned()).chain(rows.iter().map(move |row| row[at].clone()));
    let table: Vec<(bool, Vec<String>)> =
        calibration::HEADS.iter().enumerate().map(|(at, (head, _))| (true, cells(at, head).collect())).collect();
    writeln!(to)?;
    aligned(&table, to)?;
    for note in calibration::notes(calibration) {
        writeln!(to, "{}", plain(&note))?;
    }
    writeln!(to)?;
    calibration::sentences(summary).iter().try_for_each(|line| writeln!(to, "{}", plain(line)))
}

/// How times are spread: a small histogram for each group with enough requests, all on one scale.
fn shapes(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const BINS: usize = 24;
    const ENOUGH: usize = 20;
    for (metric, words) in [(Metric::Ttft, "ttft"), (Metric::GenerationTime, "time")] {
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); summary.groups.len()];
        for row in summary.rows.iter().filter(|row| row.ok() && !row.warmup) {
            values[row.group].extend(row.value(metric));
        }
        let shown: Vec<usize> = (0..values.len()).filter(|at| values[*at].len() >= ENOUGH).collect();
        let all = || shown.iter().flat_map(|at| &values[*at]).copied();
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        if shown.is_empty() || low >= high {
            continue;
        }
        let say = |value| number::alone(value, Unit::Seconds);
        writeln!(to, "\n{words}, {} to {}", say(low), say(high))?;
        for at in shown {
            let mut bins = [0usize; BINS];
            for value in &values[at] {
                bins[(((value - low) / (high - low) * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
            let most = bins.iter().max().copied().unwrap_or(1).max(1);
            let bar = |n: &usize| if *n == 0 { ' ' } else { BARS[(n * (BARS.len() - 1)).div_ceil(most)] };
            let group = &summary.groups[at];
            let name =
                [Some(plain(&group.model)), group.key().load()].into_iter().flatten().collect::<Vec<_>>().join(" · ");
            writeln!(to, "{} {}", bins.iter().map(bar).collect::<String>(), cut(&name, 60))?;
        }
    }
    Ok(())
}

/// The changes against the baseline; of very many only those that are more than noise.
fn compared(summary: &Summary, comparison: &Comparison, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\ncompared with the baseline: {}\n", changes::tally(comparison))?;
    let all = changes::said(summary, comparison);
    let many = all.len() > 60;
    let told = |said: &&changes::Said| !many || matches!(said.change.verdict, Verdict::Better | Verdict::Worse);
    let shown: Vec<&changes::Said> = all.iter().filter(told).collect();
    let column = |right: bool, head: &str, of: fn(&changes::Said) -> String| {
        (right, [head.to_owned()].into_iter().chain(shown.iter().map(|said| of(said))).collect())
    };
    let table = [
        column(false, "model", |said| cut(&plain(&said.model), WIDEST)),
        column(false, "metric", |said| said.metric.clone()),
        column(true, "before", |said| said.old.clone()),
        column(true, "now", |said| said.new.clone()),
        column(true, "change", |said| said.percent.clone()),
        column(true, "95 % interval", |said| said.interval.clone()),
        column(false, "verdict", |said| said.change.verdict.word().to_owned()),
    ];
    aligned(&table, to)?;
    for line in changes::missing(comparison) {
        writeln!(to, "\n{}", cut(&plain(&line), 200))?;
    }
    Ok(())
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
    parts.join(" · ")
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
            let message = cut(&plain(&error.message), 100);
            writeln!(to, "{} × {}{status}: {}: {message}", error.n, error.kind, cut(&plain(&group.model), WIDEST))?;
        }
    }
    Ok(())
}

/// Text that cannot drive a terminal, nor turn its reading order around.
fn plain(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !super::number::hidden(*c)).collect();
    text.trim().to_owned()
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
        assert_eq!(plain("a\x1b[2J\u{202e}b\r\nc\u{200b}"), "a[2Jb  c");
    }
}
