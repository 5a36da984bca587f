//! CSV: a line per group, or per request, for spreadsheets and for programs that read nothing else.

use super::Options;
use crate::summary::{COLUMNS, Cell, Metric, Row, Summary};
use csv::Writer;
use std::io::{self, Write};

/// Writes a line per group: every column, or those that are asked for; numbers in base units, empty where nothing was measured.
/// The last column names those of the others whose number is doubtful.
///
/// # Errors
/// When the output is closed or full.
pub fn groups(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    let columns = options.columns.clone().unwrap_or_else(|| COLUMNS.iter().collect());
    let mut csv = Writer::from_writer(to);
    csv.write_record(columns.iter().map(|column| column.key.as_str()).chain(["doubtful"])).map_err(plain)?;
    for group in &summary.groups {
        let mut doubtful = Vec::new();
        let mut cells: Vec<String> = Vec::new();
        for column in &columns {
            let cell = column.cell(group);
            if cell.doubt().is_some() {
                doubtful.push(column.key.as_str());
            }
            cells.push(match cell {
                Cell::Absent => String::new(),
                Cell::Text(text) => defused(&text),
                Cell::Number { value, .. } => number(value),
            });
        }
        cells.push(doubtful.join(" "));
        csv.write_record(cells).map_err(plain)?;
    }
    csv.flush()
}

/// Writes a line per request, warm-up included and marked.
///
/// # Errors
/// When the output is closed or full.
pub fn requests(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    let mut csv = Writer::from_writer(to);
    let words = WORDS.iter().map(|(name, _)| *name);
    csv.write_record(words.chain(Metric::all().map(Metric::name))).map_err(plain)?;
    for row in &summary.rows {
        let words = WORDS.iter().map(|(_, of)| of(summary, row));
        let numbers = Metric::all().map(|metric| row.value(metric).map(number).unwrap_or_default());
        csv.write_record(words.chain(numbers)).map_err(plain)?;
    }
    csv.flush()
}

type Word = (&'static str, fn(&Summary, &Row) -> String);

/// What is known of a request besides its metrics.
const WORDS: [Word; 32] = [
    ("run", |_, r| defused(&r.run)),
    ("id", |_, r| r.id.to_string()),
    ("source", |_, r| r.source.map(|source| source.to_string()).unwrap_or_default()),
    ("model", |_, r| defused(&r.model)),
    ("provider", |_, r| words(r.provider.as_deref())),
    ("pinned_provider", |_, r| words(r.pinned_provider.as_deref())),
    ("concurrency", |_, r| count(r.concurrency)),
    ("rate", |_, r| r.figures.rate.map(number).unwrap_or_default()),
    ("settings", |s, r| words(s.groups[r.group].sub.as_deref())),
    ("phase", |_, r| if r.warmup { "warmup" } else { "measure" }.into()),
    ("prompt", |_, r| words(r.prompt.as_deref())),
    ("conversation", |_, r| count(r.conversation)),
    ("turn", |_, r| count(r.turn)),
    ("repetition", |_, r| count(r.repetition)),
    ("timestamp", |_, r| words(r.timestamp.as_deref())),
    ("start_ts", |_, r| r.figures.start_ts.map(|ts| format!("{ts:.6}")).unwrap_or_default()),
    ("in_flight", |_, r| count(r.in_flight)),
    ("attempts", |_, r| r.attempts.to_string()),
    ("success", |_, r| r.ok().to_string()),
    ("finish_reason", |_, r| words(r.finish_reason.as_deref())),
    ("error_kind", |_, r| r.figures.failure.as_ref().map(|failure| failure.kind.to_owned()).unwrap_or_default()),
    ("error", |_, r| r.figures.failure.as_ref().map(|failure| defused(&failure.message)).unwrap_or_default()),
    ("warnings", |_, r| defused(&r.figures.warnings.join(" "))),
    ("power_reason", |_, r| words(r.power_reason.as_deref())),
    ("memory_reason", |_, r| words(r.memory_reason.as_deref())),
    ("rendered", |_, r| r.screen.as_ref().and_then(|s| s.rendered).map(|seen| seen.to_string()).unwrap_or_default()),
    ("console_errors", |_, r| {
        r.screen.as_ref().and_then(|s| s.console_errors).map(|n| n.to_string()).unwrap_or_default()
    }),
    ("hosts", |_, r| {
        let hosts = r.screen.iter().flat_map(|screen| screen.hosts.iter().map(String::as_str));
        defused(&hosts.collect::<Vec<_>>().join(" "))
    }),
    ("html", |_, r| words(r.html.as_deref())),
    ("text", |_, r| words(r.text_file.as_deref())),
    ("json", |_, r| words(r.json.as_deref())),
    ("power_log", |_, r| words(r.power_log.as_deref())),
];

fn words(text: Option<&str>) -> String {
    defused(text.unwrap_or_default())
}

fn count(n: Option<u64>) -> String {
    n.map(|n| n.to_string()).unwrap_or_default()
}

fn number(value: f64) -> String {
    super::json::number(Some(value)).to_string()
}

/// A text that a spreadsheet does not compute: one that begins like a formula, whatever blanks are before that, gets an
/// apostrophe before it (OWASP, CSV injection; some take the wide forms of the signs for the signs). Control characters are left out.
fn defused(text: &str) -> String {
    let text: String = text.chars().filter(|c| !super::number::hidden(*c) || *c == '\n').collect();
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if formula { format!("'{text}") } else { text }
}

/// Csv's error with the I/O error that it hides, so that a closed pipe is found.
fn plain(why: csv::Error) -> io::Error {
    match why.into_kind() {
        csv::ErrorKind::Io(why) => why,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_a_formula_is_made_a_text() {
        for (text, expect) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("-1+1", "'-1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'=1"),
            ("  =1+1", "'  =1+1"),
            ("\n=1+1", "'\n=1+1"),
            ("＝1+1", "'＝1+1"),
            ("a=1", "a=1"),
            ("gpt-oss", "gpt-oss"),
            ("", ""),
        ] {
            assert_eq!(defused(text), expect);
        }
    }
}
