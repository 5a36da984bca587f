//! The flags of what a run keeps, and of the run it resumes.

use anyhow::{Context, ensure};
use clap::Args;
use llm_bench::cli::Talk;
use llm_bench::ndjson::{Bad, Lines};
use llm_bench::record::{self, Outcome, Phase, Record, RunSettings};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What a run keeps, and the run it resumes.
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
    /// Writes what results keep to the settings of the run.
    pub fn record(&self, settings: &mut RunSettings) {
        settings.save_text = self.save_text.then_some(true);
        settings.save_stream = self.save_stream.then_some(true);
    }

    /// What the run that is resumed has done; with `whole`, also its good results.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn done(&self, whole: bool, strict: bool, talk: Talk) -> anyhow::Result<Earlier> {
        self.resume.as_deref().map_or_else(|| Ok(Earlier::default()), |file| good_results(file, whole, strict, talk))
    }
}

/// The results of the runs that are resumed.
#[derive(Default)]
pub struct Earlier {
    /// The keys of good measured results.
    pub done: HashSet<String>,
    /// The highest number of a request.
    pub last: u64,
    /// The good measured results without their texts, for a search only.
    pub good: Vec<Outcome>,
}

/// Reads the good results of an earlier run. A truncated last line is ignored; other unreadable lines
/// are reported, because their requests are sent again.
fn good_results(file: &Path, whole: bool, strict: bool, talk: Talk) -> anyhow::Result<Earlier> {
    let mut earlier = Earlier::default();
    let (mut unreadable, mut lines, mut records) = (None, 0u64, 0u64);
    for line in Lines::open(&[file])? {
        if let Some(reason) = unreadable.take() {
            ensure!(!strict, "{reason}");
            talk.error(format!("{reason}: what it held is asked again"));
        }
        let line = match line {
            Ok(line) => line,
            Err(Bad::Line(place, error)) => {
                (unreadable, lines) = (Some(format!("{place}: {error}")), lines + 1);
                continue;
            }
            Err(Bad::Input(place, error)) => return Err(error).with_context(|| place.to_string()),
        };
        lines += 1;
        match record::read(&line.text) {
            Ok(record) => {
                records += 1;
                if let Record::Result(result) = record {
                    earlier.last = earlier.last.max(result.id);
                    // A warm-up has the key of a measured request, and does not replace it.
                    let measured = result.phase != Some(Phase::Warmup);
                    if measured && result.error.is_none() && !result.key.is_empty() {
                        let new = earlier.done.insert(result.key.clone());
                        if whole && new {
                            earlier.good.push(numbers(*result));
                        }
                    }
                }
            }
            Err(error) => unreadable = Some(format!("{}: {error}", line.place)),
        }
    }
    ensure!(lines == 0 || records > 0, "--resume {}: no records of a run in it: is this the file?", file.display());
    Ok(earlier)
}

/// A result without the long texts in it.
fn numbers(result: Outcome) -> Outcome {
    Outcome {
        key: result.key,
        start_ts: result.start_ts,
        timing_seconds: result.timing_seconds,
        ttft_seconds: result.ttft_seconds,
        generation_time_seconds: result.generation_time_seconds,
        tpot_corrected_seconds: result.tpot_corrected_seconds,
        inter_chunk_latency_seconds: result.inter_chunk_latency_seconds,
        phase: result.phase,
        ..Outcome::default()
    }
}
