//! The inputs: lines of results, and samples of files, FIFOs and pipes.

use crate::args::{Args, Idle};
use anyhow::{Context, bail, ensure};
use llm_bench::cli::{Input, Refusals, Talk};
use llm_bench::join::{
    self, EndSignal, GroundTruthRecord, GrowingFile, IdleFrom, IdlePower, InputRecord, NextLines, OnCaughtUp, Role,
    Sample, SampleInput, SampleParser,
};
use llm_bench::ndjson::{Line, Lines};
use llm_bench::record::{self, Record, SamplerEvent};
use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

/// How inputs are read.
pub struct Inputs {
    strict: bool,
    talk: Talk,
    /// What was refused of each input; some are read on threads that nobody waits for.
    refusals: RefCell<Vec<Refusals>>,
    follow: bool,
}

impl Inputs {
    /// Nothing is read yet.
    pub fn new(args: &Args, talk: Talk) -> Self {
        Self { strict: args.common.strict, talk, refusals: RefCell::default(), follow: args.follow }
    }

    /// Where the bad lines of another input go.
    fn another(&self) -> Refusals {
        let refusals = Refusals::new(self.strict, self.talk);
        self.refusals.borrow_mut().push(refusals.clone());
        refusals
    }

    /// Another input.
    fn input(&self, lines: Lines) -> Input {
        Input::counting(lines, self.another(), self.talk)
    }

    /// The number of bad lines in all inputs; reports those that were only counted.
    pub fn refused(&self) -> u64 {
        let refusals = self.refusals.borrow();
        refusals.iter().for_each(Refusals::sum_up);
        refusals.iter().map(Refusals::bad).sum()
    }

    /// The lines of results. Reports the named files that held no result when all have been read.
    pub fn lines(&self, files: &[PathBuf], stop: &Arc<AtomicBool>) -> anyhow::Result<NextLines> {
        let mut input = if self.follow {
            let [path] = files else { bail!("--follow: needs one file of results") };
            ensure!(path.as_os_str() != "-", "--follow: standard input needs no following");
            let end = EndSignal::default();
            end.also(Arc::clone(stop));
            let file = GrowingFile::new(open(path)?, end, |_| {});
            self.input(Lines::from_reader(&path.display().to_string(), file))
        } else {
            Input::open_counting(files, self.another(), self.talk)?
        };
        let mut without_results: Vec<String> =
            files.iter().filter(|path| path.as_os_str() != "-").map(|path| path.display().to_string()).collect();
        let talk = self.talk;
        Ok(Box::new(move |lines| {
            let more = read_at_hand(&mut input, lines, |input, line| {
                let file = (!without_results.is_empty()).then(|| Arc::clone(&line.place.file));
                let parsed = parse(input, line)?;
                if let (Some(file), Some((_, InputRecord::Result(_)))) = (file, &parsed) {
                    without_results.retain(|name| **name != *file);
                }
                Ok(parsed)
            })?;
            if !more {
                without_results.drain(..).for_each(|name| talk.warn(format!("{name}: 0 results")));
            }
            Ok(more)
        }))
    }

    /// The samples in a file, a FIFO or a pipe, which is opened when it is first read: a FIFO waits for its writer.
    pub fn samples(&self, path: &Path, role: Role) -> anyhow::Result<SampleInput> {
        ensure!(path.as_os_str() != "-", "-: samples are read from files; for a pipe, name /dev/stdin");
        let metadata = wait_for_file(path).with_context(|| path.display().to_string())?;
        ensure!(!metadata.is_dir(), "{}: is a directory", path.display());
        let grows = metadata.is_file();
        let file = if grows { Some(open(path)?) } else { None };
        let (path, refusals, talk, follow) = (path.to_owned(), self.another(), self.talk, self.follow);
        Ok(SampleInput::new(role, grows, move |on_caught_up| {
            let end = EndSignal::default();
            let lines = lines_of(&path, file, &end, on_caught_up)?;
            let mut input = Input::counting(lines, refusals, talk);
            let (mut first, mut parser) = (true, SampleParser::default());
            Ok(Box::new(move |samples| {
                read_at_hand(&mut input, samples, |input, line| {
                    if std::mem::take(&mut first) {
                        refuse_log(&line, "--power", grows)?;
                    }
                    let sample = match role {
                        Role::GroundTruth => ground_truth(input, &line)?,
                        Role::Power | Role::Memory => record(input, &line)?.and_then(|record| parser.sample(record)),
                    };
                    if let Some(Sample::Sampler(sampler)) = &sample {
                        end.finish(sampler.event == SamplerEvent::End && !follow);
                    }
                    Ok(sample)
                })
            }))
        }))
    }

    /// Where the idle power is taken from.
    pub fn idle(&self, args: &Args) -> anyhow::Result<IdleFrom> {
        if let Some(watts) = args.idle_watts {
            return Ok(IdleFrom::Known(IdlePower::given(watts)));
        }
        let Some(path) = &args.idle_file else {
            return Ok(args.idle.map_or(IdleFrom::Nowhere, |Idle::Auto| IdleFrom::Auto));
        };
        let mut input = self.input(Lines::open(std::slice::from_ref(path))?);
        let (mut records, mut first) = (Vec::new(), true);
        while let Some(line) = input.next_line()? {
            if std::mem::take(&mut first) {
                refuse_log(&line, "--idle-file", path.is_file())?;
            }
            records.extend(record(&mut input, &line)?);
        }
        let idle = join::idle_of(records);
        let idle = idle.with_context(|| format!("{}: fewer than three power readings", path.display()))?;
        Ok(IdleFrom::Known(idle))
    }
}

/// The lines of a stream of samples: of a file that may grow, where `file` is one.
fn lines_of(path: &Path, file: Option<File>, end: &EndSignal, on_caught_up: OnCaughtUp) -> anyhow::Result<Lines> {
    let name = path.display().to_string();
    Ok(match file {
        Some(file) => Lines::from_reader(&name, GrowingFile::new(file, end.clone(), on_caught_up)),
        None => Lines::from_reader(&name, open(path)?),
    })
}

/// Waits for a line of `input`, and adds what `read` makes of it and of those that are at hand; `false` at the end.
fn read_at_hand<T>(
    input: &mut Input,
    items: &mut Vec<T>,
    mut read: impl FnMut(&mut Input, Line) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<bool> {
    loop {
        let Some(line) = input.next_or_refused()? else { return Ok(false) };
        if let Some(line) = line {
            items.extend(read(input, line)?);
        }
        if !input.at_hand() {
            return Ok(true);
        }
    }
}

fn parse(input: &mut Input, line: Line) -> anyhow::Result<Option<(String, InputRecord)>> {
    match join::parse(&line.text) {
        Ok(record) => {
            if let InputRecord::Newer(v) = record {
                input.newer(&line, v);
            }
            let text = if let InputRecord::Start(_) = record { String::new() } else { line.text };
            Ok(Some((text, record)))
        }
        Err(error) => input.refuse(&line.place, &error.to_string()).map(|()| None),
    }
}

/// Refuses the log of a power meter, whose every line would be refused otherwise.
fn refuse_log(first: &Line, flag: &str, file: bool) -> anyhow::Result<()> {
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
        Err(error) => input.refuse(&line.place, &error.to_string()).map(|()| None),
    }
}

fn ground_truth(input: &mut Input, line: &Line) -> anyhow::Result<Option<Sample>> {
    match GroundTruthRecord::read(&line.text) {
        Ok(record) => Ok(record.map(|record| Sample::GroundTruth(Box::new(record)))),
        Err(error) => input.refuse(&line.place, &error.to_string()).map(|()| None),
    }
}

/// The metadata of a file of samples. One whose writer starts at the same time (`power-sample > power.ndjson &`) may not be
/// there yet: it is waited for a moment.
fn wait_for_file(path: &Path) -> io::Result<Metadata> {
    const SOON: Duration = Duration::from_secs(2);
    let start = Instant::now();
    loop {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && start.elapsed() < SOON => {
                thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| path.display().to_string())
}
