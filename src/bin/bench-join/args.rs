//! The arguments, and what follows from them alone.

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use llm_bench::cli::{self, Common, EXIT_STATUS};
use llm_bench::join::{Attribution, Role};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MORE: [&str; 2] = [
    "\
Examples:
  llm-models lmstudio | llm-run --suite website | bench-join --power <(power-sample) --mem <(mem-sample) > results.ndjson
  bench-join --power power.ndjson --idle auto --json-dir run results.ndjson | jq 'select(.type == \"result\").power.energy_joules'
  bench-join --power socket.ndjson --offset -2.5 --price-per-kwh 0.30 --carbon-g-per-kwh 380 results.ndjson
  bench-join --power gpu.ndjson --power socket.ndjson --offset socket.ndjson=-2.5 results.ndjson
  bench-join --power <(power-sample --from powermetrics.log) results.ndjson

Each result goes out, in order, as soon as the readings cover its end, at the latest after --wait. SIGTERM ends the input;
SIGINT does so with --follow, and otherwise waits for the input to end, so that nothing of an interrupted run is lost. A
second signal leaves at once.

Environment:
  NO_COLOR  no colour, no progress

Memory: bounded by the requests in flight and the readings of the longest of them; plus every prompt and every file's
name once with --json-dir, and the readings of --idle-file. Results without start records are held until the input ends,
and so are the readings they need.
",
    EXIT_STATUS,
];

/// Add to each result what the machine drew and held while the request ran
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-join", version, after_long_help = MORE.join("\n"))]
pub struct Args {
    /// Results of llm-run; none, or -, is standard input
    pub files: Vec<PathBuf>,
    /// Power samples: a file, finished or growing, a FIFO, or <(power-sample); may stand several times
    #[arg(long, value_name = "FILE")]
    pub power: Vec<PathBuf>,
    /// Memory samples: a file, finished or growing, a FIFO, or <(mem-sample); may stand several times
    #[arg(long, value_name = "FILE")]
    pub mem: Vec<PathBuf>,
    /// llm-sim's log of what it wrote, to tell the error of every measurement
    #[arg(long, value_name = "FILE")]
    pub ground_truth: Option<PathBuf>,
    /// The longest to wait for the reading that covers the end of a request [default: three intervals of the sampler]
    #[arg(long, value_name = "TIME", value_parser = cli::duration)]
    pub wait: Option<Duration>,
    /// Go on reading the file of results, and sample files, as they grow, until a signal comes
    #[arg(long)]
    pub follow: bool,
    /// Seconds to add to the time of every reading, or of those in FILE, for a sampler whose clock is off
    #[arg(long, value_name = "[FILE=]SECONDS", allow_hyphen_values = true, value_parser = offset)]
    pub offset: Vec<(Option<PathBuf>, f64)>,
    /// How energy is shared among requests that ran at once
    #[arg(long, value_name = "HOW", default_value = "time")]
    pub attribution: Attribution,
    /// Tell net energy too, less the idle power that the stream itself shows
    #[arg(long, value_name = "HOW", group = "idling")]
    pub idle: Option<Idle>,
    /// Tell net energy too, less this idle power in watts
    #[arg(long, value_name = "WATTS", group = "idling", value_parser = not_negative)]
    pub idle_watts: Option<f64>,
    /// Tell net energy too, less the median power of this recording of the idle machine
    #[arg(long, value_name = "FILE", group = "idling")]
    pub idle_file: Option<PathBuf>,
    /// Tell what the energy cost, in any money
    #[arg(long, value_name = "PRICE", value_parser = not_negative)]
    pub price_per_kwh: Option<f64>,
    /// Tell the grams of CO2 equivalent that the energy emitted
    #[arg(long, value_name = "GRAMS", value_parser = not_negative)]
    pub carbon_g_per_kwh: Option<f64>,
    /// Multiply cost and carbon by the power usage effectiveness of the building
    #[arg(long, value_name = "FACTOR", value_parser = at_least_one)]
    pub pue: Option<f64>,
    /// Write each joined result to DIR/MODEL.json, with the text of its prompt
    #[arg(long, value_name = "DIR")]
    pub json_dir: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Idle {
    /// The baseline marks of the latest load, else the gaps without requests so far
    Auto,
}

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| "not a number".to_owned())
}

/// Beyond this, an amount is a slip of the hand, and what is computed from it soon no number any more.
const MOST: f64 = 1e9;

fn within(text: &str, least: f64) -> Result<f64, String> {
    let value = finite(text)?;
    if (least..=MOST).contains(&value) { Ok(value) } else { Err(format!("not from {least} to {MOST:e}")) }
}

fn not_negative(text: &str) -> Result<f64, String> {
    within(text, 0.0)
}

fn at_least_one(text: &str) -> Result<f64, String> {
    within(text, 1.0)
}

fn offset(text: &str) -> Result<(Option<PathBuf>, f64), String> {
    let (file, seconds) = match text.rsplit_once('=') {
        Some((file, seconds)) => (Some(file.into()), seconds),
        None => (None, text),
    };
    Ok((file, within(seconds, -MOST)?))
}

impl Args {
    /// The files of samples in the order of the streams, and what each is read for.
    pub fn samples(&self) -> Vec<(&Path, Role)> {
        let power = self.power.iter().map(|path| (path, Role::Power));
        let mem = self.mem.iter().map(|path| (path, Role::Memory));
        let truth = self.ground_truth.iter().map(|path| (path, Role::GroundTruth));
        power.chain(mem).chain(truth).map(|(path, role)| (path.as_path(), role)).collect()
    }

    /// Seconds to add to the times of each stream of samples: the last that was given for its file, else for all.
    pub fn offsets(&self) -> anyhow::Result<Vec<f64>> {
        let files: Vec<&PathBuf> = self.power.iter().chain(&self.mem).collect();
        for file in self.offset.iter().filter_map(|(file, _)| file.as_ref()) {
            ensure!(files.contains(&file), "--offset {}: is no file of --power or --mem", file.display());
        }
        let given = |name: Option<&PathBuf>| self.offset.iter().rev().find(|(file, _)| file.as_ref() == name);
        let offset = |file: &PathBuf| given(Some(file)).or_else(|| given(None)).map_or(0.0, |(_, seconds)| *seconds);
        Ok(files.into_iter().map(offset).collect())
    }
}
