//! bench-report: results in, a report out.

use anyhow::Context;
use clap::{Parser, ValueEnum};
use llm_bench::cli::{self, Common, Exit, Records, Refusals, Talk};
use llm_bench::report::input::{self, Source, Sources};
use llm_bench::report::{self, Format, Gate, Judged, Options, Order, legacy, screens};
use llm_bench::summary::{self, Asked, Collector, Column, GroupBy, Prepared, Slo, Summary, Window};
use llm_bench::text::encoding;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Make a report of results: a page to send around, a summary for programs, or a table for a terminal
///
/// Reads `result` records and what stands around them (`run`, `prompt`, `load`, `model`, `power`, `memory`), groups the
/// requests by model, source, provider, load, settings and machine, and writes what they say together. Warm-up never counts. A
/// percentile that the sample cannot support is marked.
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
    /// What is put together: any of model, source, provider, load, settings, machine, version, quantization, run, prompt,
    /// category, turn, repetition, endpoint, served_model [default: model,source,provider,load,settings,machine,version]
    #[arg(long, value_name = "KEYS", value_parser = GroupBy::parse)]
    group_by: Option<GroupBy>,
    /// What throughput, rates and concurrency are of: the steady part of a load, where there is one, or all of it
    #[arg(long, value_name = "PART", default_value = "steady")]
    window: Part,
    /// Count the requests that keep these limits: ttft=500ms,icl=50ms,e2e=10s, any metric of requests; ttft and e2e of an open
    /// loop count from the moment a request was due, ttft_sent and e2e_sent from its sending
    #[arg(long, value_name = "LIMITS", value_parser = Slo::parse)]
    slo: Option<Slo>,
    /// The price of a kilowatt-hour, for energy that bench-join put no price on
    #[arg(long, value_name = "PRICE", value_parser = price)]
    price_per_kwh: Option<f64>,
    /// Compare with older results: a file or a run folder; may be given several times, each is compared by itself and named
    /// in every line
    #[arg(long, value_name = "FILE")]
    baseline: Vec<PathBuf>,
    /// Say how right this machine measures at such loads: the folder or the accuracy.ndjson that `make accuracy` left
    #[arg(long, value_name = "FILE")]
    accuracy: Option<PathBuf>,
    /// Exit with 3 when this holds for any model, or cannot be told: 'ttft_p95 > 500ms', 'tok_s < 0.95 * baseline' (of several
    /// baselines: when it holds against any of them); may be given several times
    #[arg(long, value_name = "CONDITION", value_parser = Gate::parse)]
    fail_if: Vec<Gate>,
    /// Print the metrics with their units and meaning, and exit: what --columns, --sort, --fail-if and --slo can name
    #[arg(long)]
    list_metrics: bool,
    /// The order of the groups: a column, with - before it for the largest first
    #[arg(long, value_name = "COLUMN", value_parser = report::parse_order, allow_hyphen_values = true)]
    sort: Option<Order>,
    /// The columns of text, markdown and csv, and of `columns` in json, separated by commas
    #[arg(long, value_name = "COLUMNS", value_parser = columns)]
    columns: Option<Columns>,
    /// Show each produced page to a headless Chromium without a network: a picture beside the page (screenshots/NAME.png), whether
    /// anything is to be seen, errors in its console, hosts that it asks for
    #[arg(long)]
    screenshots: bool,
    /// The browser for --screenshots; by default the first of chromium, chromium-browser, google-chrome, chrome on PATH
    #[arg(long, value_name = "PATH", requires = "screenshots")]
    chromium: Option<PathBuf>,
    /// Write the report anew whenever the input changes, until interrupted; what is not there yet is waited for. Gates are
    /// judged when it ends
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

/// The part of a load on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// While as many requests were in flight, or came, as were asked for
    Steady,
    /// From the first start to the last end
    All,
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1e6).contains(&price) { Ok(price) } else { Err("must be from 0 to 1000000".into()) }
}

/// A list of columns as one value of a flag.
#[derive(Clone)]
struct Columns(Vec<&'static Column>);

fn columns(text: &str) -> Result<Columns, String> {
    report::parse(text).map(Columns)
}

const AFTER: &str = "\
Examples:
  bench-report reports/lmstudio-bench-20261121-155300/ -o index.html
  bench-join results.ndjson --power power.ndjson | bench-report --format text --sort -tok_s
  bench-report --format json monday.ndjson tuesday.ndjson | jq '.groups[] | {model, ok, failed}'
  bench-report new.ndjson --baseline old.ndjson --fail-if 'tok_s < 0.95 * baseline' --format markdown
  bench-report sweep.ndjson --group-by model,load,category --window all --format text
  bench-report results.ndjson --accuracy reports/accuracy-20261121-155300 -o index.html
  bench-report results.ndjson --follow -o index.html
  bench-report reports/lmstudio-bench-20261121-155300/ --screenshots -o index.html

Exit status:
  0  all done
  1  done, but some lines could not be read, or some screenshots not made; the report is of the others
  2  could not do it: usage, unreachable, input or output failed
  3  a --fail-if gate failed; the report is written

Environment:
  NO_COLOR  no colour, no progress
  PATH      where --screenshots looks for a browser

Memory: per thread a quarter of a mebibyte of lines (a longer line whole, at most 256 MiB) and 512 records of them; of all
that was read 20,000 requests one by one, up to 20,000 numbers per group and metric, then counts of classes, and starts
and ends of 500,000 requests of loads, and of 8,192 of the ramps of each group; and the report itself. A file given with
--output is replaced whole or not at all.";

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    if args.list_metrics {
        report::list_metrics(cli::screen_width(), &mut io::stdout().lock()).context("standard output")?;
        return Ok(Exit::Done);
    }
    if args.baseline.is_empty() && args.fail_if.iter().any(Gate::needs_baseline) {
        anyhow::bail!("--fail-if: compares with a baseline, and there is none: name one with --baseline");
    }
    if let Some(program) = args.chromium.as_deref().filter(|program| !screens::is_program(program)) {
        anyhow::bail!("--chromium {}: no program: name the browser's program file", program.display());
    }
    let output = args.common.output.as_deref().filter(|path| path.as_os_str() != "-");
    let each = args.baseline.iter().map(|file| {
        let sources = input::sources(std::slice::from_ref(file))?;
        Ok((input::name(file, &args.baseline), read(&sources, &args, talk)?.0))
    });
    let baselines = each.collect::<anyhow::Result<Vec<(String, Summary)>>>()?;
    let (summary, bad) = if args.follow {
        let Some(path) = output else { anyhow::bail!("--follow: needs a file to write anew: name it with --output") };
        follow(&args, path, &baselines, talk)?
    } else {
        write(&args, &input::sources(&args.files)?, output, &baselines, None, talk)?
    };
    if summary.results == 0 {
        talk.warn("no results in the input: the report is empty");
    }
    summary.doubled.iter().for_each(|doubled| talk.warn(doubled.said()));
    let judged: Vec<Judged> = args.fail_if.iter().map(|gate| gate.judge(&summary, &baselines)).collect();
    judged.iter().flat_map(|judged| &judged.doubts).for_each(|doubt| talk.warn(doubt));
    let mut failures = judged.iter().flat_map(|judged| &judged.failures).peekable();
    let passed = failures.peek().is_none();
    failures.for_each(|failure| talk.error(failure));
    Ok(if passed { Exit::of(bad) } else { Exit::Gate })
}

/// Writes the report whenever its inputs change. Lines that cannot be read are told in full when it is over; before, only
/// that there are some.
fn follow(args: &Args, path: &Path, baselines: &[(String, Summary)], talk: Talk) -> anyhow::Result<(Summary, u64)> {
    let (refresh, mut most_bad) = (args.interval.as_secs().max(1), 0);
    let missing = |file: &Path| talk.warn(format!("{}: not there yet: waiting for it", file.display()));
    report::follow(&args.files, args.interval, &asked_to_end()?, missing, |there, last| {
        // No operand is not standard input here.
        let sources = if there.is_empty() { Sources::default() } else { input::sources(there)? };
        let (refresh, quiet) = if last { (None, talk) } else { (Some(refresh), talk.hushed()) };
        let unended = input::unended(&sources);
        let (summary, bad) = write(args, &sources, Some(path), baselines, refresh, quiet)?;
        let sure = bad.saturating_sub(unended.max(input::unended(&sources)));
        if !last && sure > most_bad {
            most_bad = sure;
            talk.warn(format!("{sure} could not be read or shown so far: told when this ends"));
        }
        Ok((summary, bad))
    })
}

/// Reads, summarizes and writes once.
fn write(
    args: &Args,
    sources: &Sources,
    output: Option<&Path>,
    baselines: &[(String, Summary)],
    refresh: Option<u64>,
    talk: Talk,
) -> anyhow::Result<(Summary, u64)> {
    let (mut summary, mut bad, folders) = read(sources, args, talk)?;
    if refresh.is_some() {
        // A line that is still being written is not one that cannot be read.
        summary.unreadable = summary.unreadable.saturating_sub(input::unended(sources));
    }
    if args.screenshots {
        bad += shoot(&mut summary, &folders, args, talk);
    }
    if let Some(order) = args.sort {
        summary.order_groups(|a, b| order.of(a, b));
    }
    if let Some(path) = &args.accuracy {
        summary.accuracy = Some(input::accuracy(path)?);
    }
    if !baselines.is_empty() {
        let named = baselines.iter().map(|(name, baseline)| (name.as_str(), baseline));
        summary.comparison = Some(summary::compare(&summary, named));
    }
    let columns = args.columns.as_ref().map(|columns| columns.0.clone());
    let screen = if output.is_none() { cli::screen_width() } else { None };
    let options = Options { folders, files: sources.named(), output: output.map(folder_of), columns, refresh, screen };
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
fn read(sources: &Sources, args: &Args, talk: Talk) -> anyhow::Result<(Summary, u64, Vec<PathBuf>)> {
    // All are opened before any is read; documents are read at once.
    let open = |source: &Source| match source.legacy {
        true => Ok(None),
        false => Records::open(std::slice::from_ref(&source.path), args.common.strict, talk).map(Some),
    };
    let opened = sources.files.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let (mut collector, mut bad) = (Collector::new(asked(args)), 0);
    let refusals = Refusals::new(args.common.strict, talk);
    for (records, source) in opened.into_iter().zip(&sources.files) {
        if source.legacy {
            let name = source.path.display().to_string();
            let text = encoding::read_to_string(&source.path).with_context(|| name.clone())?;
            match legacy::records(&text) {
                Ok(records) => records.into_iter().for_each(|record| collector.add(record, source.folder)),
                Err(why) => refusals.count(&name.as_str().into(), 1, &format!("{name}: {why:#}"))?,
            }
        }
        if let Some(records) = records {
            let mut fold = |record| collector.fold(record, source.folder);
            bad += records.each(threads, summary::read, Prepared::newer, &mut fold)?;
        }
    }
    let mut summary = collector.finish();
    bad += refusals.bad();
    summary.unreadable = bad;
    Ok((summary, bad, sources.folders.clone()))
}

fn asked(args: &Args) -> Asked {
    let window = match args.window {
        Part::Steady => Window::Steady,
        Part::All => Window::All,
    };
    Asked {
        slo: args.slo.clone(),
        by: args.group_by.clone().unwrap_or_default(),
        window,
        price_per_kwh: args.price_per_kwh,
    }
}

/// Shows the pages to a browser; how many could not be shown, one where there is no browser.
fn shoot(summary: &mut Summary, folders: &[PathBuf], args: &Args, talk: Talk) -> u64 {
    let Some(program) = args.chromium.clone().or_else(|| screens::find(std::env::var_os("PATH").as_deref())) else {
        talk.warn(format!(
            "--screenshots: no browser: none of {} is on PATH: install one, or name it with --chromium PATH; the report has no screenshots",
            screens::NAMES.join(", ")
        ));
        return 1;
    };
    if screens::unboxed() {
        talk.warn("--screenshots: as root, Chromium runs without its own sandbox: prefer another user for pages that you do not trust");
    }
    let failed = screens::shoot(summary, folders, &program, &|page| talk.note(format!("screenshot of {page}")));
    failed.iter().for_each(|why| talk.error(why));
    failed.len() as u64
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
