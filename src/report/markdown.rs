//! Markdown: a table for a README or the summary of a CI job.

use super::Options;
use super::accuracy;
use super::changes;
use super::columns::{Cell, Column};
use super::notes::notes;
use super::number;
use super::text::{columns, headline, nothing};
use crate::summary::{Summary, Unit, Verdict};
use std::io::{self, Write};

/// Writes the headline, the table, what failed, and what is doubtful.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    if summary.groups.is_empty() {
        return writeln!(to, "No results: {}.", nothing(summary));
    }
    let runs: Vec<String> = summary.runs.iter().take(5).map(|run| plain(&run.run)).collect();
    if !runs.is_empty() {
        writeln!(to, "**{}**\n", runs.join(", "))?;
    }
    writeln!(to, "{}\n", plain(&headline(summary)))?;
    let columns = columns(summary, options);
    let head = columns.iter().map(|column| match column.unit.map(|unit| number::scale(unit).0) {
        Some(unit) if !unit.is_empty() => format!("{} ({unit})", column.label),
        _ => column.label.to_owned(),
    });
    writeln!(to, "| {} |", head.collect::<Vec<_>>().join(" | "))?;
    let rule = columns.iter().map(|column| if column.unit.is_some() { "---:" } else { "---" });
    writeln!(to, "| {} |", rule.collect::<Vec<_>>().join(" | "))?;
    let mut marked = false;
    let columns: Vec<Vec<String>> = columns.iter().map(|column| written(summary, column, &mut marked)).collect();
    for line in 0..summary.groups.len() {
        let cells: Vec<&str> = columns.iter().map(|cells| cells[line].as_str()).collect();
        writeln!(to, "| {} |", cells.join(" | "))?;
    }
    let notes = notes(summary);
    if !notes.is_empty() {
        writeln!(to)?;
    }
    for note in notes {
        writeln!(to, "- {}", plain(&note))?;
    }
    if summary.totals.failed > 0 {
        writeln!(to, "\nFailures:\n")?;
        for group in &summary.groups {
            for error in group.error_messages.iter().take(3) {
                let status = error.status.map(|status| format!(" {status}")).unwrap_or_default();
                let message = Some(plain(&number::shortened(&error.message, 200))).filter(|said| !said.is_empty());
                let message = message.map(|said| format!(": {said}")).unwrap_or_default();
                writeln!(to, "- {} × {}{status}: {}{message}", error.n, plain(&error.kind), plain(&group.name()))?;
            }
        }
    }
    calibrated(summary, to)?;
    if let Some(comparison) = &summary.comparison {
        writeln!(to, "\nCompared with {}.\n", plain(&changes::tally(comparison)))?;
        let (untold, told): (Vec<_>, Vec<_>) = changes::said(summary, comparison)
            .into_iter()
            .partition(|said| said.change.verdict == Verdict::NotEnoughData);
        if !told.is_empty() {
            writeln!(to, "| baseline | model | metric | before | now | change | 95 % interval | verdict |")?;
            writeln!(to, "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |")?;
        }
        for said in told {
            let (baseline, model) = (plain(said.baseline), plain(&said.model));
            let verdict = plain(&said.change.verdict.to_string());
            let (old, new) = (plain(&said.old), plain(&said.new));
            writeln!(
                to,
                "| {baseline} | {model} | {} | {old} | {new} | {} | {} | {verdict} |",
                said.metric, said.percent, said.interval
            )?;
        }
        for line in changes::untold(untold.len()).into_iter().chain(changes::missing(comparison)) {
            writeln!(to, "\n{}.", plain(&line))?;
        }
    }
    if marked {
        writeln!(to, "\n? The sample is too small, or the meter too coarse, to be sure of this number.")?;
    }
    Ok(())
}

/// How right the client measures on this machine, where that is known.
fn calibrated(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    let Some(accuracy) = &summary.accuracy else { return Ok(()) };
    let heads = accuracy::HEADS.map(|(head, _)| head);
    writeln!(to, "\n| {} |\n|{}", heads.join(" | "), " ---: |".repeat(heads.len()))?;
    for row in accuracy::rows(accuracy) {
        writeln!(to, "| {} |", row.map(|cell| plain(&cell)).join(" | "))?;
    }
    for line in accuracy::notes(accuracy).into_iter().chain(accuracy::sentences(summary)) {
        writeln!(to, "\n{}", plain(&line))?;
    }
    Ok(())
}

/// A column as texts, a cell per group.
fn written(summary: &Summary, column: &Column, marked: &mut bool) -> Vec<String> {
    let cells: Vec<Cell> = summary.groups.iter().map(column.of).collect();
    let unit = column.unit.unwrap_or(Unit::Count);
    let decimals = number::decimals(unit, cells.iter().filter_map(Cell::value));
    let text = |cell| match cell {
        Cell::Absent => "–".to_owned(),
        Cell::Text(text) => plain(&number::shortened(&text, 90)),
        Cell::Number { value, doubt, .. } => {
            *marked |= doubt.is_some();
            format!("{}{}", number::write(value, unit, decimals), if doubt.is_some() { "?" } else { "" })
        }
    };
    cells.into_iter().map(text).collect()
}

/// Text that is only text in Markdown: one line, nothing that begins a tag, a link, emphasis, code, a cell or a mention.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !number::hidden(*c)) {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // A mention would send somebody a message.
            '@' => safe.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    // Web addresses become links by themselves where the scheme stands whole.
    safe.replace("://", ":&#47;&#47;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        for (text, expect) in [
            ("a|b\nc", "a\\|b c"),
            ("<script>", "&lt;script&gt;"),
            ("[x](http://e)", "\\[x\\](http:&#47;&#47;e)"),
            ("@team `rm` **b**", "&#64;team \\`rm\\` \\*\\*b\\*\\*"),
            ("openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ] {
            assert_eq!(plain(text), expect);
        }
    }
}
