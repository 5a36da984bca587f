//! bench-join: what each request drew and held.

use anyhow::{Context, bail, ensure};
use clap::{Parser, ValueEnum};
use llm_bench::artifacts::JsonFiles;
use llm_bench::cli::{self, Common, EXIT_STATUS, Exit, Input, Talk};
use llm_bench::join::{
    self, Attribution, Emission, Ends, Feed, IdleFrom, Joiner, Kind, Level, NextLine, Rates, Role, Sample, Settings,
    Tail, Written,
};
use llm_bench::ndjson::{Lines, Out};
use llm_bench::record::{Record, SamplerEvent};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const MORE: [&str; 2] = [
    "\
Examples:
  llm-models lmstudio | llm-run --suite website | bench-join --power <(power-sample) --mem <(mem-sample) > results.ndjson
  bench-join --power power.ndjson --idle auto --json-dir run results.ndjson | jq 'select(.type == \"result\").power.energy_joules'
  bench-join --power socket.ndjson --offset -2.5 --price-per-kwh 0.30 --carbon-g-per-kwh 380 results.ndjson

Each result goes out, in order, as soon as the readings cover its end, at the latest after --wait. SIGTERM ends the input;
SIGINT does so with --follow, and otherwise waits for the input to end, so that nothing of an interrupted run is lost. A
second signal leaves at once.

Environment:
  NO_COLOR  no colour, no progress

Memory: bounded by the requests in flight and the readings of the longest of them; plus every prompt once with
--json-dir. Results without start records are held until the input ends, and so are the readings they need.
",
    EXIT_STATUS,
];

/// Add to each result what the machine drew and held while the request ran
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-join", version, after_long_help = MORE.join("\n"))]
struct Args {
    /// Results of llm-run; none, or -, is standard input
    files: Vec<PathBuf>,
    /// Power samples: a file, finished or growing, a FIFO, or <(power-sample); may stand several times
    #[arg(long, value_name = "FILE")]
    power: Vec<PathBuf>,
    /// Memory samples: a file, finished or growing, a FIFO, or <(mem-sample); may stand several times
    #[arg(long, value_name = "FILE")]
    mem: Vec<PathBuf>,
    /// llm-sim's log of what it wrote, to tell the error of every measurement
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// The longest to wait for the reading that covers the end of a request [default: three intervals of the sampler]
    #[arg(long, value_name = "TIME", value_parser = cli::duration)]
    wait: Option<Duration>,
    /// Go on reading the file of results, and sample files, as they grow, until a signal comes
    #[arg(long)]
    follow: bool,
    /// Seconds to add to the time of every reading, for a sampler whose clock is off
    #[arg(long, value_name = "SECONDS", default_value = "0", allow_negative_numbers = true, value_parser = finite)]
    offset: f64,
    /// How energy is shared among requests that ran at once
    #[arg(long, value_name = "HOW", default_value = "time")]
    attribution: Attribution,
    /// Tell net energy too, less the idle power that the stream itself shows
    #[arg(long, value_name = "HOW", group = "idling")]
    idle: Option<Idle>,
    /// Tell net energy too, less this idle power in watts
    #[arg(long, value_name = "WATTS", group = "idling", value_parser = not_negative)]
    idle_watts: Option<f64>,
    /// Tell net energy too, less the median power of this recording of the idle machine
    #[arg(long, value_name = "FILE", group = "idling")]
    idle_file: Option<PathBuf>,
    /// Tell what the energy cost, in any money
    #[arg(long, value_name = "PRICE", value_parser = not_negative)]
    price_per_kwh: Option<f64>,
    /// Tell the grams of CO2 equivalent that the energy emitted
    #[arg(long, value_name = "GRAMS", value_parser = not_negative)]
    carbon_g_per_kwh: Option<f64>,
    /// Multiply cost and carbon by the power usage effectiveness of the building
    #[arg(long, value_name = "FACTOR", value_parser = at_least_one)]
    pue: Option<f64>,
    /// Write each joined result to DIR/MODEL.json, with the text of its prompt
    #[arg(long, value_name = "DIR")]
    json_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Idle {
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

fn not_negative(text: &str) -> Result<f64, String> {
    finite(text).and_then(|value| if value >= 0.0 { Ok(value) } else { Err("not 0 or more".to_owned()) })
}

fn at_least_one(text: &str) -> Result<f64, String> {
    finite(text).and_then(|value| if value >= 1.0 { Ok(value) } else { Err("not 1 or more".to_owned()) })
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let reading = Reading { strict: args.common.strict, talk, bad: Arc::default(), follow: args.follow };
    let stop = signals(args.follow)?;
    let settings = Settings {
        attribution: args.attribution,
        wait: args.wait.map(|wait| wait.as_secs_f64()),
        offset: args.offset,
        idle: idle(&args, &reading)?,
        rates: Rates { price_per_kwh: args.price_per_kwh, carbon_g_per_kwh: args.carbon_g_per_kwh, pue: args.pue },
    };
    let power = args.power.iter().map(|path| (path, Role::Power));
    let mem = args.mem.iter().map(|path| (path, Role::Memory));
    let truth = args.truth.iter().map(|path| (path, Role::Truth));
    let feeds =
        power.chain(mem).chain(truth).map(|(path, role)| reading.feed(path, role)).collect::<Result<Vec<_>, _>>()?;
    let lines = reading.lines(&args.files, &stop)?;
    let mut files = args.json_dir.as_deref().map(JsonFiles::new);
    let read = args.files.iter().chain(&args.power).chain(&args.mem).chain(&args.truth);
    cli::distinct(args.common.output.as_deref(), read.map(PathBuf::as_path))?;
    let mut out = Out::open(args.common.output.as_deref())?;
    let mut emit = |Emission { kind, mut line }| {
        match (&mut files, kind) {
            (Some(files), Kind::Prompt) => files.prompt(&line)?,
            (Some(files), Kind::Result) => line = files.result(&line)?,
            _ => {}
        }
        Ok(out.line(&line)?)
    };
    let mut core = Joiner::new(settings, &feeds.iter().map(Feed::role).collect::<Vec<_>>(), join::now());
    join::drive(&mut core, lines, feeds, &stop, &mut emit, &|note| talk.warn(note))?;
    Ok(Exit::of(reading.bad.load(Ordering::Relaxed)))
}

/// A flag that ends the input: set by SIGTERM, and by SIGINT where nothing else would end it. A second signal leaves.
fn signals(follow: bool) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = if follow { Arc::clone(&stop) } else { Arc::default() };
    for (signal, flag) in [(SIGTERM, &stop), (SIGINT, &interrupted)] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(stop)
}

fn idle(args: &Args, reading: &Reading) -> anyhow::Result<IdleFrom> {
    if let Some(watts) = args.idle_watts {
        return Ok(IdleFrom::Level(Level::given(watts)));
    }
    let Some(path) = &args.idle_file else {
        return Ok(args.idle.map_or(IdleFrom::Nowhere, |Idle::Auto| IdleFrom::Auto));
    };
    let mut input = Input::open(std::slice::from_ref(path), reading.strict, reading.talk)?;
    let mut records = Vec::new();
    while let Some((_, record)) = input.next_record()? {
        records.push(record);
    }
    reading.bad.fetch_add(input.bad(), Ordering::Relaxed);
    let level = join::idle_of(records);
    let level = level.with_context(|| format!("{}: fewer than three power readings", path.display()))?;
    Ok(IdleFrom::Level(level))
}

/// How inputs are read.
struct Reading {
    strict: bool,
    talk: Talk,
    bad: Arc<AtomicU64>,
    follow: bool,
}

impl Reading {
    /// The lines of results.
    fn lines(&self, files: &[PathBuf], stop: &Arc<AtomicBool>) -> anyhow::Result<NextLine> {
        let mut input = if self.follow {
            let [path] = files else { bail!("--follow: needs one file of results") };
            ensure!(path.as_os_str() != "-", "--follow: standard input needs no following");
            let ends = Ends::default();
            ends.also(Arc::clone(stop));
            let tail = Tail::new(open(path)?, ends, |_| {});
            Input::from_lines(Lines::from_reader(&path.display().to_string(), tail), self.strict, self.talk)
        } else {
            Input::open(files, self.strict, self.talk)?
        };
        let bad = Arc::clone(&self.bad);
        Ok(Box::new(move || {
            let before = input.bad();
            let next = loop {
                let Some(line) = input.next_line()? else { break None };
                match join::hear(&line.text) {
                    Ok(heard) => {
                        if let join::Heard::Newer(v) = heard {
                            input.newer(&line, v);
                        }
                        break Some((line.text, heard));
                    }
                    Err(why) => input.refuse(&format!("{}: {why}", line.place))?,
                }
            };
            bad.fetch_add(input.bad() - before, Ordering::Relaxed);
            Ok(next)
        }))
    }

    /// The samples in a file, a FIFO or a pipe, which is opened when it is first read: a FIFO waits for its writer.
    fn feed(&self, path: &Path, role: Role) -> anyhow::Result<Feed> {
        ensure!(path.as_os_str() != "-", "-: samples are read from files; for a pipe, name /dev/stdin");
        let meta = std::fs::metadata(path).with_context(|| path.display().to_string())?;
        ensure!(!meta.is_dir(), "{}: is a directory", path.display());
        let grows = meta.is_file();
        let file = if grows { Some(open(path)?) } else { None };
        let (path, strict, talk, follow) = (path.to_owned(), self.strict, self.talk, self.follow);
        let bad = Arc::clone(&self.bad);
        Ok(Feed::new(role, grows, move |catch| {
            let name = path.display().to_string();
            let ends = Ends::default();
            let lines = match file {
                Some(file) => Lines::from_reader(&name, Tail::new(file, ends.clone(), catch)),
                None => Lines::from_reader(&name, open(&path)?),
            };
            let mut input = Input::from_lines(lines, strict, talk);
            Ok(Box::new(move || {
                let before = input.bad();
                let next = if role == Role::Truth {
                    truth(&mut input)
                } else {
                    input.next_record().map(|next| next.map(|(_, r)| Sample::Record(r)))
                };
                bad.fetch_add(input.bad() - before, Ordering::Relaxed);
                let next = next?;
                if let Some(Sample::Record(Record::Sampler(sampler))) = &next {
                    ends.finish(sampler.event == SamplerEvent::End && !follow);
                }
                Ok(next)
            }))
        }))
    }
}

fn truth(input: &mut Input) -> anyhow::Result<Option<Sample>> {
    while let Some(line) = input.next_line()? {
        match Written::read(&line.text) {
            Ok(Some(written)) => return Ok(Some(Sample::Truth(Box::new(written)))),
            Ok(None) => {}
            Err(why) => input.refuse(&format!("{}: {why}", line.place))?,
        }
    }
    Ok(None)
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| path.display().to_string())
}
