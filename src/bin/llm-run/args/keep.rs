//! What is kept of a run, and what is taken up from an earlier one.

use clap::Args;
use llm_bench::ndjson::Lines;
use llm_bench::record::{self, Record};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What is kept of a run, and what is taken up from an earlier one.
#[derive(Args)]
#[command(next_help_heading = "What is kept")]
pub struct KeepArgs {
    /// Write each answer to DIR, as MODEL.txt and, where it is a page, MODEL.html
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Keep the answer's text in its record
    #[arg(long)]
    pub save_text: bool,
    /// Keep offset, size and kind of every chunk in the record
    #[arg(long)]
    pub save_stream: bool,
    /// Leave out what FILE holds a good result of; ask again what failed there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "duration"])]
    pub resume: Option<PathBuf>,
    /// The run's id: letters, digits, - _ . [default: bench-YYYYMMDD-HHMMSS]
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub run_id: Option<String>,
    /// Print the requests, without keys, and send none
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

fn run_id(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if plain && (1..=100).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("1 to 100 letters, digits, - _ .".into())
    }
}

impl KeepArgs {
    /// The keys of the good results of the run that is resumed, and its highest number; nothing and 0 without one.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn done(&self) -> anyhow::Result<(HashSet<String>, u64)> {
        self.resume.as_deref().map_or_else(|| Ok((HashSet::new(), 0)), good_results)
    }
}

/// The keys of the good results of an earlier run, and its highest number. A torn last line is forgiven.
fn good_results(file: &Path) -> anyhow::Result<(HashSet<String>, u64)> {
    let (mut done, mut last) = (HashSet::new(), 0);
    for line in Lines::open(&[file])? {
        let Ok(line) = line else { continue };
        if let Ok(Record::Result(result)) = record::read(&line.text) {
            last = last.max(result.id);
            if result.error.is_none() && !result.key.is_empty() {
                done.insert(result.key.clone());
            }
        }
    }
    Ok((done, last))
}
