//! bench-report: results in, a report out.

use anyhow::Context;
use clap::Parser;
use llm_bench::cli::{self, Common, Exit, Input, Records, Talk};
use llm_bench::record::Record;
use llm_bench::report::{self, Column, Format, Gate, Options, Order, input, legacy};
use llm_bench::summary::{self, Collector, Slo, Summary};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

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
    /// Count the requests that keep these limits: any of ttft, itl (mean gap), tpot, e2e (whole request)
    #[arg(long, value_name = "LIMITS", value_parser = slo)]
    slo: Option<Slo>,
    /// Compare with older results: a file or a run folder, may be given several times
    #[arg(long, value_name = "FILE")]
    baseline: Vec<PathBuf>,
    /// Say how right this machine measures at such loads: the folder or the calibration.ndjson that `make calibrate` left
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Exit with 3 when this holds for any model, or cannot be told: 'ttft_p95 > 500ms', 'tok_s < 0.95 * baseline'
    #[arg(long, value_name = "CONDITION", value_parser = Gate::parse)]
    fail_if: Vec<Gate>,
    /// The order of the groups: a column, with - before it for the largest first
    #[arg(long, value_name = "COLUMN", value_parser = report::parse_order, allow_hyphen_values = true)]
    sort: Option<Order>,
    /// The columns of text, markdown and csv, separated by commas
    #[arg(long, value_name = "COLUMNS", value_parser = columns)]
    columns: Option<Columns>,
    /// Write the report anew whenever the input grows, until interrupted
    #[arg(long)]
    follow: bool,
    /// With --follow: how often to look
    #[arg(short, long, value_name = "TIME", default_value = "2s", value_parser = cli::duration_in(Duration::from_millis(100), Duration::from_secs(3600)))]
    interval: Duration,
    /// How many threads read [default: one per processor]; the report is the same whatever their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    common: Common,
}

/// A list of columns as one value of a flag.
#[derive(Clone)]
struct Columns(Vec<&'static Column>);

fn columns(text: &str) -> Result<Columns, String> {
    report::parse(text).map(Columns)
}

fn slo(text: &str) -> Result<Slo, String> {
    Slo::parse(text, |limit| cli::duration(limit).map(|limit| limit.as_secs_f64()))
}

const AFTER: &str = "\
Examples:
  bench-report reports/lmstudio-bench-20261121-155300/ --out index.html
  bench-join results.ndjson --power power.ndjson | bench-report --format text --sort -tok_s
  bench-report --format json monday.ndjson tuesday.ndjson | jq '.groups[] | {model, ok, failed}'
  bench-report new.ndjson --baseline old.ndjson --fail-if 'tok_s < 0.95 * baseline' --format markdown
  bench-report results.ndjson --calibration reports/calibrate-20261121-155300 --out index.html
  bench-report results.ndjson --follow --out index.html

Exit status:
  0  all done
  1  done, but some lines could not be read; the report is of the others
  2  could not do it: usage, unreachable, input or output failed
  3  a --fail-if gate failed; the report is written

Environment:
  NO_COLOR  no colour, no progress

Memory: per thread a quarter of a mebibyte of lines (a longer line whole, at most 256 MiB) and 512 records of them; of all
that was read 20,000 requests one by one and up to 20,000 numbers per group and metric, then counts of classes; and the
report itself. A file given with --output is replaced whole or not at all.";

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    if args.baseline.is_empty() && args.fail_if.iter().any(Gate::needs_baseline) {
        anyhow::bail!("--fail-if: compares with a baseline, and there is none: name one with --baseline");
    }
    let output = args.out.as_deref().or(args.common.output.as_deref()).filter(|path| path.as_os_str() != "-");
    let mut baseline = None;
    if !args.baseline.is_empty() {
        baseline = Some(read(&args.baseline, &args, talk)?.0);
    }
    if args.follow {
        let Some(path) = output else { anyhow::bail!("--follow: needs a file to write anew: name it with --output") };
        let refresh = args.interval.as_secs().max(1);
        let bad = report::follow(&args.files, args.interval, &asked_to_end()?, |last| {
            Ok(write(&args, Some(path), baseline.as_ref(), (!last).then_some(refresh), talk)?.1)
        })?;
        return Ok(Exit::of(bad));
    }
    let (summary, bad) = write(&args, output, baseline.as_ref(), None, talk)?;
    if summary.results == 0 {
        talk.warn("no results in the input: the report is empty");
    }
    let failures: Vec<String> =
        args.fail_if.iter().flat_map(|gate| gate.failures(&summary, baseline.as_ref())).collect();
    failures.iter().for_each(|failure| talk.error(failure));
    Ok(if failures.is_empty() { Exit::of(bad) } else { Exit::Gate })
}

/// Reads, summarizes and writes once.
fn write(
    args: &Args,
    output: Option<&Path>,
    baseline: Option<&Summary>,
    refresh: Option<u64>,
    talk: Talk,
) -> anyhow::Result<(Summary, u64)> {
    let (mut summary, bad, folders) = read(&args.files, args, talk)?;
    if let Some(order) = args.sort {
        summary.order_groups(|a, b| order.of(a, b));
    }
    if let Some(path) = &args.calibration {
        summary.calibration = Some(input::calibration(path)?);
    }
    summary.comparison = baseline.map(|baseline| summary::compare(&summary, baseline));
    let columns = args.columns.as_ref().map(|columns| columns.0.clone());
    let options = Options { folders, output: output.map(folder_of), columns, refresh };
    let mut text = Vec::new();
    report::write(args.format, &summary, &options, &mut text)?;
    match output {
        None => io::stdout().write_all(&text).and_then(|()| io::stdout().flush()).context("standard output")?,
        // A device or a pipe cannot be replaced, only written to.
        Some(path) if path.exists() && !path.is_file() => {
            std::fs::write(path, &text).with_context(|| path.display().to_string())?;
        }
        Some(path) => llm_bench::artifacts::write_atomic(path, &text)?,
    }
    Ok((summary, bad))
}

/// The summary of files and folders, how many lines could not be read, and the folders that paths are relative to.
fn read(files: &[PathBuf], args: &Args, talk: Talk) -> anyhow::Result<(Summary, u64, Vec<PathBuf>)> {
    let sources = input::sources(files)?;
    let open = |source: &input::Source| {
        let (file, strict) = (std::slice::from_ref(&source.path), args.common.strict);
        Ok(if source.legacy {
            (Some(Input::open(file, strict, talk)?), None)
        } else {
            (None, Some(Records::open(file, strict, talk)?))
        })
    };
    // All are opened before any is read.
    let opened = sources.files.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let (mut collector, mut bad) = (Collector::with_slo(args.slo), 0);
    for ((document, records), source) in opened.into_iter().zip(&sources.files) {
        if let Some(mut input) = document {
            let text = std::fs::read_to_string(&source.path).with_context(|| source.path.display().to_string())?;
            match legacy::records(&text) {
                Ok(records) => records.into_iter().for_each(|record| collector.add(record, source.folder)),
                Err(why) => input.refuse(&format!("{}: {why:#}", source.path.display()))?,
            }
            bad += input.bad();
        }
        if let Some(records) = records {
            bad += records.each(threads, summary::read, &mut |record| match record {
                Record::Result(o) => {
                    collector.result(&o, source.folder);
                    Some(o)
                }
                other => {
                    collector.add(other, source.folder);
                    None
                }
            })?;
        }
    }
    Ok((collector.finish(), bad, sources.folders))
}

/// A channel that speaks when the program is asked to end.
fn asked_to_end() -> anyhow::Result<std::sync::mpsc::Receiver<i32>> {
    let (send, stop) = std::sync::mpsc::channel();
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    std::thread::spawn(move || signals.forever().try_for_each(|signal| send.send(signal)));
    Ok(stop)
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn main() -> ExitCode {
    cli::main(run)
}
