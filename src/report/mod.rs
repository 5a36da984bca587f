//! Reports: one file per format, each over a finished summary.
//!
//! A format only writes: what a number is was decided by [`crate::summary`], and which columns there are by
//! [`columns`]. Text from models, servers and files is hostile in every format.

mod columns;
pub mod html;
pub mod input;
mod json;
mod number;
mod text;

pub use columns::{COLUMNS, Column, Set, column};

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
    /// An aligned table for a terminal.
    Text,
}

/// Where things are, for the links of a page.
#[derive(Debug, Default)]
pub struct Places {
    /// The folders of the inputs, by the numbers that the rows carry.
    pub folders: Vec<PathBuf>,
    /// The folder that the report is written to; `None` when it goes to standard output.
    pub output: Option<PathBuf>,
}

/// Writes a report.
///
/// # Errors
/// When the output is closed or full.
pub fn write(format: Format, summary: &Summary, places: &Places, to: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Html => html::write(summary, places, to),
        Format::Json => json::write(summary, to),
        Format::Text => text::write(summary, to),
    }
}
