//! Reports: one file per format, each over a finished summary.
//!
//! A format only writes: what a number is was decided by [`crate::summary`], and which columns there are by
//! `columns`. Text from models, servers and files is hostile in every format.

pub mod accuracy;
mod aligned;
mod changes;
mod choose;
mod columns;
mod csv;
mod follow;
mod gates;
mod html;
pub mod input;
mod json;
pub mod legacy;
mod markdown;
mod notes;
mod number;
mod openmetrics;
pub mod screens;
mod search;
mod text;
mod work;

pub use choose::{Order, parse, parse_order};
pub use columns::{COLUMNS, Column, Set, column};
pub use follow::follow;
pub use gates::{Gate, Judged};

use crate::summary::Summary;
use clap::ValueEnum;
use std::io::{self, Write};
use std::path::PathBuf;

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One self-contained page.
    Html,
    /// The summary fields of the token-rate harness, and the groups with all their spreads.
    Json,
    /// A line per group.
    Csv,
    /// A line per request.
    CsvRequests,
    /// A table for a README or the summary of a CI job.
    Markdown,
    /// An aligned table for a terminal.
    Text,
    /// Gauges for Prometheus and its relatives.
    Openmetrics,
    /// Of results with llm-sim's truth beside them: how right the client measured, as a `accuracy` record.
    Accuracy,
}

/// What a report needs to know besides its numbers.
#[derive(Default)]
pub struct Options {
    /// The folders of the inputs, by the numbers that the rows carry.
    pub folders: Vec<PathBuf>,
    /// The files of the input that lie in these folders: the number of the folder, and the name.
    pub files: Vec<(usize, String)>,
    /// The folder that the report is written to; `None` when it goes to standard output.
    pub output: Option<PathBuf>,
    /// The columns of a table or of a CSV; `None` for those that it has by itself.
    pub columns: Option<Vec<&'static Column>>,
    /// After how many seconds an open page looks whether it was written anew; `None` for a page that is done.
    pub refresh: Option<u64>,
    /// How many columns the terminal has that a text is written to; `None` where it goes elsewhere.
    pub screen: Option<usize>,
}

/// Writes a report.
///
/// # Errors
/// When the output is closed or full.
pub fn write(format: Format, summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Html => html::write(summary, options, to),
        Format::Json => json::write(summary, options, to),
        Format::Csv => csv::groups(summary, options, to),
        Format::CsvRequests => csv::requests(summary, to),
        Format::Markdown => markdown::write(summary, options, to),
        Format::Text => text::write(summary, options, to),
        Format::Openmetrics => openmetrics::write(summary, to),
        Format::Accuracy => accuracy::write(summary, to),
    }
}
