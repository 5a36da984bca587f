//! bench-report: results in, a report out.

use anyhow::Context;
use clap::Parser;
use llm_bench::cli::{self, Common, Exit, Input, Talk};
use llm_bench::report::{self, Format, Places, input, legacy};
use llm_bench::summary::Collector;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a report of results: a page to send around, a summary for programs, or a table for a terminal
///
/// Reads `result` records and what stands around them (`run`, `prompt`, `load`, `model`, `power`, `memory`), groups the
/// requests by model, source, provider and load, and writes what they say together. Warm-up never counts. A percentile
/// that the sample cannot support is marked.
///
/// FILE is a file of records, `-` for standard input, or a run folder: then its results.ndjson, and the models.ndjson,
/// power.ndjson and memory.ndjson beside it. A folder of MODEL.json files by the earlier Python scripts is read too.
#[derive(Parser)]
#[command(name = "bench-report", version, after_long_help = AFTER)]
struct Args {
    /// Files of records or run folders; none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to write
    #[arg(short, long, value_name = "FORMAT", default_value = "html")]
    format: Format,
    /// The same as --output
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

const AFTER: &str = "\
Examples:
  bench-report reports/lmstudio-bench-20261121-155300/ --out index.html
  llm-run --models-file models.ndjson | bench-join --power power.ndjson | bench-report --format text
  bench-report --format json monday.ndjson tuesday.ndjson | jq '.groups[] | {model, ok, failed}'

Exit status:
  0  all done
  1  done, but some lines could not be read; the report is of the others
  2  could not do it: usage, unreachable, input or output failed

Memory: 20,000 requests one by one, up to 20,000 numbers per group and metric, then counts of classes; and the report
itself. A file given with --output is replaced whole or not at all.";

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let sources = input::sources(&args.files)?;
    let open = |file: &input::Source| Input::open(std::slice::from_ref(&file.path), args.common.strict, talk);
    let inputs = sources.files.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let (mut collector, mut bad) = (Collector::default(), 0);
    for (mut input, source) in inputs.into_iter().zip(&sources.files) {
        if source.legacy {
            let text = std::fs::read_to_string(&source.path).with_context(|| source.path.display().to_string())?;
            match legacy::records(&text) {
                Ok(records) => records.into_iter().for_each(|record| collector.add(record, source.folder)),
                Err(why) => input.refuse(&format!("{}: {why:#}", source.path.display()))?,
            }
        } else {
            while let Some((_, record)) = input.next()? {
                collector.add(record, source.folder);
            }
        }
        bad += input.bad();
    }
    let summary = collector.finish();
    if summary.results == 0 {
        talk.warn("no results in the input: the report is empty");
    }
    let output = args.out.or(args.common.output).filter(|path| path.as_os_str() != "-");
    let places = Places { folders: sources.folders, output: output.as_deref().map(folder_of) };
    let mut report = Vec::new();
    report::write(args.format, &summary, &places, &mut report)?;
    match output {
        None => io::stdout().write_all(&report).and_then(|()| io::stdout().flush()).context("standard output")?,
        // A device or a pipe cannot be replaced, only written to.
        Some(path) if path.exists() && !path.is_file() => {
            std::fs::write(&path, &report).with_context(|| path.display().to_string())?;
        }
        Some(path) => llm_bench::artifacts::write_atomic(&path, &report)?,
    }
    Ok(Exit::of(bad))
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn main() -> ExitCode {
    cli::main(run)
}
