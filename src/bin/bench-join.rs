//! bench-join: what each request drew and held.

use anyhow::{Context, bail, ensure};
use clap::{Parser, ValueEnum};
use llm_bench::artifacts::JsonFiles;
use llm_bench::cli::{self, Common, EXIT_STATUS, Exit, Input, Refusals, Talk};
use llm_bench::join::{
    self, Attribution, EndSignal, EnergyRates, GroundTruthRecord, GrowingFile, IdleFrom, IdlePower, InputRecord,
    Joiner, LineKind, NextLines, OutputLine, Role, Sample, SampleInput, SampleParser, Settings,
};
use llm_bench::ndjson::{Line, Lines, Out};
use llm_bench::record::{self, Record, SamplerEvent};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

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
    ground_truth: Option<PathBuf>,
    /// The longest to wait for the reading that covers the end of a request [default: three intervals of the sampler]
    #[arg(long, value_name = "TIME", value_parser = cli::duration)]
    wait: Option<Duration>,
    /// Go on reading the file of results, and sample files, as they grow, until a signal comes
    #[arg(long)]
    follow: bool,
    /// Seconds to add to the time of every reading, or of those in FILE, for a sampler whose clock is off
    #[arg(long, value_name = "[FILE=]SECONDS", allow_hyphen_values = true, value_parser = offset)]
    offset: Vec<(Option<PathBuf>, f64)>,
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

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let reading = Inputs { strict: args.common.strict, talk, refusals: RefCell::default(), follow: args.follow };
    let stop = signals(args.follow)?;
    let settings = Settings {
        attribution: args.attribution,
        wait: args.wait.map(|wait| wait.as_secs_f64()),
        offsets: offsets(&args)?,
        idle: idle(&args, &reading)?,
        rates: EnergyRates {
            price_per_kwh: args.price_per_kwh,
            carbon_g_per_kwh: args.carbon_g_per_kwh,
            pue: args.pue,
        },
    };
    let samples = samples(&args);
    let feeds = samples.iter().map(|(path, role)| reading.feed(path, *role)).collect::<Result<Vec<_>, _>>()?;
    let lines = reading.lines(&args.files, &stop)?;
    let mut files = args.json_dir.as_deref().map(JsonFiles::new);
    let read = args.files.iter().map(PathBuf::as_path).chain(samples.iter().map(|(path, _)| *path));
    cli::distinct(args.common.output.as_deref(), read)?;
    let mut out = Out::open(args.common.output.as_deref())?;
    let mut emit = |emission: Option<&OutputLine>| {
        let Some(emission) = emission else { return Ok(out.flush()?) };
        match (&mut files, emission.kind) {
            (Some(files), LineKind::Result) => return Ok(out.hold(&[&files.result(&emission.line)?])?),
            (Some(files), LineKind::Prompt) => files.prompt(&emission.line)?,
            _ => {}
        }
        Ok(out.hold(&[&emission.line])?)
    };
    let mut core = Joiner::new(settings, &feeds.iter().map(SampleInput::role).collect::<Vec<_>>(), join::now());
    join::run_live(&mut core, lines, feeds, &stop, &mut emit, &|note| talk.warn(note))?;
    for source in core.empty_sources() {
        let (path, role) = samples[source];
        talk.warn(format!("{}: 0 {}", path.display(), role.records()));
    }
    Ok(Exit::of(reading.refused()))
}

/// The files of samples in the order of the streams, and what each is read for.
fn samples(args: &Args) -> Vec<(&Path, Role)> {
    let power = args.power.iter().map(|path| (path, Role::Power));
    let mem = args.mem.iter().map(|path| (path, Role::Memory));
    let truth = args.ground_truth.iter().map(|path| (path, Role::GroundTruth));
    power.chain(mem).chain(truth).map(|(path, role)| (path.as_path(), role)).collect()
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

/// What is added to the times of each stream of readings: what was said of its file, else of all. Of what is said twice,
/// the last counts.
fn offsets(args: &Args) -> anyhow::Result<Vec<f64>> {
    let files: Vec<&PathBuf> = args.power.iter().chain(&args.mem).collect();
    for file in args.offset.iter().filter_map(|(file, _)| file.as_ref()) {
        ensure!(files.contains(&file), "--offset {}: is no file of --power or --mem", file.display());
    }
    let said = |of: Option<&PathBuf>| args.offset.iter().rev().find(|(file, _)| file.as_ref() == of);
    let of = |file: &PathBuf| said(Some(file)).or_else(|| said(None)).map_or(0.0, |(_, seconds)| *seconds);
    Ok(files.into_iter().map(of).collect())
}

fn idle(args: &Args, reading: &Inputs) -> anyhow::Result<IdleFrom> {
    if let Some(watts) = args.idle_watts {
        return Ok(IdleFrom::Known(IdlePower::given(watts)));
    }
    let Some(path) = &args.idle_file else {
        return Ok(args.idle.map_or(IdleFrom::Nowhere, |Idle::Auto| IdleFrom::Auto));
    };
    let mut input = reading.input(Lines::open(std::slice::from_ref(path))?);
    let (mut records, mut first) = (Vec::new(), true);
    while let Some(line) = input.next_line()? {
        if std::mem::take(&mut first) {
            no_log(&line, "--idle-file", path.is_file())?;
        }
        records.extend(record(&mut input, &line)?);
    }
    let level = join::idle_of(records);
    let level = level.with_context(|| format!("{}: fewer than three power readings", path.display()))?;
    Ok(IdleFrom::Known(level))
}

/// How inputs are read.
struct Inputs {
    strict: bool,
    talk: Talk,
    /// What was refused of each input; some are read on threads that nobody waits for.
    refusals: RefCell<Vec<Refusals>>,
    follow: bool,
}

impl Inputs {
    /// Where lines of another input are refused.
    fn another(&self) -> Refusals {
        let refusals = Refusals::new(self.strict, self.talk);
        self.refusals.borrow_mut().push(refusals.clone());
        refusals
    }

    /// The records of another input.
    fn input(&self, lines: Lines) -> Input {
        Input::counting(lines, self.another(), self.talk)
    }

    /// How many lines of all inputs were refused; says what was only counted.
    fn refused(&self) -> u64 {
        let refusals = self.refusals.borrow();
        refusals.iter().for_each(Refusals::sum_up);
        refusals.iter().map(Refusals::bad).sum()
    }

    /// The lines of results. Reports the named files that held no result when all have been read.
    fn lines(&self, files: &[PathBuf], stop: &Arc<AtomicBool>) -> anyhow::Result<NextLines> {
        let mut input = if self.follow {
            let [path] = files else { bail!("--follow: needs one file of results") };
            ensure!(path.as_os_str() != "-", "--follow: standard input needs no following");
            let ends = EndSignal::default();
            ends.also(Arc::clone(stop));
            let tail = GrowingFile::new(open(path)?, ends, |_| {});
            self.input(Lines::from_reader(&path.display().to_string(), tail))
        } else {
            Input::open_counting(files, self.another(), self.talk)?
        };
        let mut without_results: Vec<String> =
            files.iter().filter(|path| path.as_os_str() != "-").map(|path| path.display().to_string()).collect();
        let talk = self.talk;
        Ok(Box::new(move |to| {
            let more = at_hand(&mut input, to, |input, line| {
                let file = (!without_results.is_empty()).then(|| Arc::clone(&line.place.file));
                let heard = parse(input, line)?;
                if let (Some(file), Some((_, InputRecord::Result(_)))) = (file, &heard) {
                    without_results.retain(|name| **name != *file);
                }
                Ok(heard)
            })?;
            if !more {
                without_results.drain(..).for_each(|name| talk.warn(format!("{name}: 0 results")));
            }
            Ok(more)
        }))
    }

    /// The samples in a file, a FIFO or a pipe, which is opened when it is first read: a FIFO waits for its writer.
    fn feed(&self, path: &Path, role: Role) -> anyhow::Result<SampleInput> {
        ensure!(path.as_os_str() != "-", "-: samples are read from files; for a pipe, name /dev/stdin");
        let meta = made(path).with_context(|| path.display().to_string())?;
        ensure!(!meta.is_dir(), "{}: is a directory", path.display());
        let grows = meta.is_file();
        let file = if grows { Some(open(path)?) } else { None };
        let (path, refusals, talk, follow) = (path.to_owned(), self.another(), self.talk, self.follow);
        Ok(SampleInput::new(role, grows, move |catch| {
            let name = path.display().to_string();
            let ends = EndSignal::default();
            let lines = match file {
                Some(file) => Lines::from_reader(&name, GrowingFile::new(file, ends.clone(), catch)),
                None => Lines::from_reader(&name, open(&path)?),
            };
            let mut input = Input::counting(lines, refusals, talk);
            let (mut first, mut sampling) = (true, SampleParser::default());
            Ok(Box::new(move |to| {
                at_hand(&mut input, to, |input, line| {
                    if std::mem::take(&mut first) {
                        no_log(&line, "--power", grows)?;
                    }
                    let sample = match role {
                        Role::GroundTruth => truth(input, &line)?,
                        Role::Power | Role::Memory => record(input, &line)?.and_then(|record| sampling.sample(record)),
                    };
                    if let Some(Sample::Sampler(sampler)) = &sample {
                        ends.finish(sampler.event == SamplerEvent::End && !follow);
                    }
                    Ok(sample)
                })
            }))
        }))
    }
}

/// Waits for a line of `input`, and takes it with those that are at hand, as far as each says something; `false` at the
/// end.
fn at_hand<T>(
    input: &mut Input,
    to: &mut Vec<T>,
    mut read: impl FnMut(&mut Input, Line) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<bool> {
    loop {
        let Some(line) = input.next_or_refused()? else { return Ok(false) };
        if let Some(line) = line {
            to.extend(read(input, line)?);
        }
        if !input.at_hand() {
            return Ok(true);
        }
    }
}

fn parse(input: &mut Input, line: Line) -> anyhow::Result<Option<(String, InputRecord)>> {
    match join::parse(&line.text) {
        Ok(heard) => {
            if let InputRecord::Newer(v) = heard {
                input.newer(&line, v);
            }
            let text = if let InputRecord::Start(_) = heard { String::new() } else { line.text };
            Ok(Some((text, heard)))
        }
        Err(why) => input.refuse(&line.place, &why.to_string()).map(|()| None),
    }
}

/// Refuses the log of a power meter, of which every line would be refused otherwise.
fn no_log(first: &Line, flag: &str, file: bool) -> anyhow::Result<()> {
    let Some(log) = join::foreign_log(&first.text) else { return Ok(()) };
    let name = &first.place.file;
    let from = if file { name } else { "-" };
    bail!("{name}: {log}, not records: let power-sample read it: {flag} <(power-sample --from {from})");
}

fn record(input: &mut Input, line: &Line) -> anyhow::Result<Option<Record>> {
    match record::read(&line.text) {
        Ok(record) => {
            if let Record::Newer(v) = record {
                input.newer(line, v);
            }
            Ok(Some(record))
        }
        Err(why) => input.refuse(&line.place, &why.to_string()).map(|()| None),
    }
}

fn truth(input: &mut Input, line: &Line) -> anyhow::Result<Option<Sample>> {
    match GroundTruthRecord::read(&line.text) {
        Ok(written) => Ok(written.map(|written| Sample::GroundTruth(Box::new(written)))),
        Err(why) => input.refuse(&line.place, &why.to_string()).map(|()| None),
    }
}

/// What is known of a file of samples. One that was begun in the same breath (`power-sample > power.ndjson &`) may not be there
/// yet: it is waited for a moment.
fn made(path: &Path) -> io::Result<Metadata> {
    const SOON: Duration = Duration::from_secs(2);
    let began = Instant::now();
    loop {
        match std::fs::metadata(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound && began.elapsed() < SOON => {
                thread::sleep(Duration::from_millis(20));
            }
            known => return known,
        }
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| path.display().to_string())
}
