//! What is kept of a run, and what is taken up from an earlier one.

use anyhow::{Context, ensure};
use clap::Args;
use llm_bench::cli::Talk;
use llm_bench::ndjson::{Bad, Lines};
use llm_bench::record::{self, Phase, Record};
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
    pub fn done(&self, strict: bool, talk: Talk) -> anyhow::Result<(HashSet<String>, u64)> {
        self.resume.as_deref().map_or_else(|| Ok((HashSet::new(), 0)), |file| good_results(file, strict, talk))
    }
}

/// The keys of the good results of an earlier run that count, and its highest number. A torn last line is forgiven; others that cannot be
/// read are told, for what they held is asked again.
fn good_results(file: &Path, strict: bool, talk: Talk) -> anyhow::Result<(HashSet<String>, u64)> {
    let (mut done, mut last) = (HashSet::new(), 0);
    let (mut torn, mut lines, mut records) = (None, 0u64, 0u64);
    for line in Lines::open(&[file])? {
        if let Some(why) = torn.take() {
            ensure!(!strict, "{why}");
            talk.error(format!("{why}: what it held is asked again"));
        }
        let line = match line {
            Ok(line) => line,
            Err(Bad::Line(place, why)) => {
                (torn, lines) = (Some(format!("{place}: {why}")), lines + 1);
                continue;
            }
            Err(Bad::Input(place, why)) => return Err(why).with_context(|| place.to_string()),
        };
        lines += 1;
        match record::read(&line.text) {
            Ok(record) => {
                records += 1;
                if let Record::Result(result) = record {
                    last = last.max(result.id);
                    // What only warmed the server has the key of what was to be measured, and does not stand for it.
                    let counts = result.phase != Some(Phase::Warmup);
                    if counts && result.error.is_none() && !result.key.is_empty() {
                        done.insert(result.key.clone());
                    }
                }
            }
            Err(why) => torn = Some(format!("{}: {why}", line.place)),
        }
    }
    ensure!(lines == 0 || records > 0, "--resume {}: no records of a run in it: is this the file?", file.display());
    Ok((done, last))
}
