//! The core of the join: lines and readings in, lines out, in order. It knows no thread and no clock: whoever drives it
//! says what time it is.
//!
//! What it holds is bounded by the requests in flight and the readings of the longest of them: what no request can need
//! any more is forgotten at once. Results without `start` records are the exception, and it says so.

use super::active_starts::ActiveStarts;
use super::attribute::{self, Loaded, Loading};
use super::ground_truth::GroundTruthLog;
use super::idle::{IdleFrom, IdlePower};
use super::in_flight::{Claim, InFlight};
use super::input::ResultView;
use super::intake::flow;
use super::memory_series::MemorySeries;
use super::meters::Meters;
use super::output::LinePatch;
use super::output::{LineKind, OutputLine};
use super::run_energy::RunEnergy;
use super::run_summary::ResultTotals;
use super::sample_stream::{Role, SampleStream};
use super::settings::{Attribution, Settings};
use super::time_axis::{StepDetector, TimeAxis};
use crate::record;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Lines may be this late, in seconds: starts and ends are in order of time but for that much.
pub(super) const DISORDER: f64 = 1.0;

/// The most lines that wait behind a result before no more are asked for.
const WAITING: usize = 4096;

/// The most doubts that are remembered.
const NOTES: usize = 100;

/// An arrival that is so much older than the start of a request, in seconds, is that of an earlier try.
const TRIES: f64 = 0.1;

/// Something that goes out when its time has come.
#[derive(Debug)]
pub(super) enum Waiting {
    Line(LineKind, String),
    Load(String, Loading),
    Result(String, Box<ResultView>, Option<Span>),
}

/// When a request ran, on the axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub from: f64,
    pub to: f64,
    pub mono: bool,
}

/// The join of one stream of results with any number of sample streams.
#[derive(Debug)]
pub struct Joiner {
    pub(super) settings: Settings,
    pub(super) axis: TimeAxis,
    pub(super) sources: Vec<SampleStream>,
    pub(super) meters: Meters,
    pub(super) held: MemorySeries,
    pub(super) flights: InFlight,
    pub(super) loaded: HashMap<String, HashMap<String, Rc<Loaded>>>,
    pub(super) ledger: RunEnergy,
    pub(super) totals: ResultTotals,
    pub(super) writs: GroundTruthLog,
    /// The idle power by the latest load's baseline.
    pub(super) baseline: Option<IdlePower>,
    pub(super) queue: VecDeque<(f64, Waiting)>,
    /// What is in flight, by run and number: since when.
    pub(super) open: HashMap<(String, u64), f64>,
    /// What was in flight when another run began: since when, and until when it is counted.
    pub(super) abandoned: HashMap<(String, u64), (f64, f64)>,
    /// The beginnings of everything whose readings are still needed.
    pub(super) needed: ActiveStarts,
    /// The beginnings of what is in flight.
    pub(super) flying: ActiveStarts,
    /// The boots of the runs before this one.
    pub(super) boots: HashMap<String, Option<String>>,
    /// The run whose head came last, and its boot.
    pub(super) run: String,
    /// See `run`.
    pub(super) boot: Option<String>,
    pub(super) last_event: f64,
    /// Notices steps of the wall clock, of one boot at a time.
    pub(super) wall: (Option<String>, StepDetector),
    /// Whether results come without starts, and so wait for the end of the input.
    pub(super) buffering: bool,
    /// Whether something went out that readings were awaited for.
    awaited: bool,
    input_ended: bool,
    summarised: bool,
    notes: Vec<String>,
    said: Vec<String>,
}

impl Joiner {
    /// A join of streams that are read for `roles`; of each, whether it is a file, whose present contents are read first.
    pub fn new(settings: Settings, roles: &[(Role, bool)], now: f64) -> Self {
        let mut counts = HashMap::new();
        let sources = roles
            .iter()
            .map(|&(role, grows)| {
                let count = counts.entry(role as u8).or_insert(0);
                *count += 1;
                SampleStream::new(role, *count - 1, grows, now)
            })
            .collect::<Vec<_>>();
        let of = |role: Role| sources.iter().filter(|source| source.role == role).count();
        Self {
            settings,
            axis: TimeAxis::default(),
            meters: Meters::new(of(Role::Power)),
            held: MemorySeries::new(of(Role::Memory)),
            sources,
            flights: InFlight::default(),
            loaded: HashMap::new(),
            ledger: RunEnergy::default(),
            totals: ResultTotals::default(),
            writs: GroundTruthLog::default(),
            baseline: None,
            queue: VecDeque::new(),
            open: HashMap::new(),
            abandoned: HashMap::new(),
            needed: ActiveStarts::default(),
            flying: ActiveStarts::default(),
            boots: HashMap::new(),
            run: String::new(),
            boot: None,
            last_event: f64::NEG_INFINITY,
            wall: (None, StepDetector::default()),
            buffering: false,
            awaited: false,
            input_ended: false,
            summarised: false,
            notes: Vec::new(),
            said: Vec::new(),
        }
    }

    /// The stream with that number was read to its present end; it was last written to `quiet` seconds ago.
    pub fn caught_up(&mut self, source: usize, quiet: f64, now: f64) {
        self.sources[source].caught_up(quiet, now);
    }

    /// The stream with that number has ended.
    pub fn source_ended(&mut self, source: usize) {
        self.sources[source].end();
    }

    /// No more lines of results will come.
    pub fn input_ended(&mut self) {
        self.input_ended = true;
    }

    /// The numbers of the streams that were awaited and gave no usable record.
    pub fn empty_sources(&self) -> Vec<usize> {
        let empty = |&source: &usize| self.awaited && self.sources[source].samples == 0;
        (0..self.sources.len()).filter(empty).collect()
    }

    /// Whether that has been said.
    pub fn input_has_ended(&self) -> bool {
        self.input_ended
    }

    /// Whether all that will ever go out has gone.
    pub fn finished(&self) -> bool {
        self.input_ended && self.queue.is_empty() && (self.summarised || self.sources.is_empty())
    }

    /// Whether more lines of results are of use now; otherwise they would only wait.
    pub fn wants_lines(&self) -> bool {
        self.queue.len() < WAITING || self.buffering || self.settings.attribution == Attribution::Tokens
    }

    /// Whether more readings of the stream with that number are of use now.
    pub fn wants(&self, source: usize) -> bool {
        self.head().is_some_and(|until| !self.sources[source].reaches(until)) && !self.told(source)
    }

    /// Whether a log of the truth has told already what the next result needs.
    fn told(&self, source: usize) -> bool {
        let Some((_, Waiting::Result(_, asked, Some(span)))) = self.queue.front() else { return false };
        let told = |name: &str| self.writs.arrival(name).is_some_and(|at| at >= span.from - TRIES);
        self.sources[source].role == Role::GroundTruth && told(&self.request_name(asked))
    }

    /// The name under which a request was sent.
    pub(super) fn request_name(&self, asked: &ResultView) -> String {
        format!("{}-{}", self.run_of(asked), asked.id)
    }

    /// To where the readings must have come for the next line to go out.
    fn head(&self) -> Option<f64> {
        match &self.queue.front()?.1 {
            Waiting::Line(..) => None,
            Waiting::Load(_, loading) => Some(loading.span.to),
            Waiting::Result(_, _, span) => {
                if self.buffering && !self.input_ended {
                    return None;
                }
                span.map(|span| span.to)
            }
        }
    }

    /// What is to be said to people, since it was last asked for. Nothing is said twice.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Notes something doubtful, once.
    pub(super) fn note(&mut self, text: String) {
        if self.said.len() < NOTES && !self.said.contains(&text) {
            self.said.push(text.clone());
            self.notes.push(text);
        }
    }

    /// Everything doubtful that was noted.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.said.clone()
    }

    /// Whether the next line may go out; otherwise, when to ask again (for ever, when only a new line or reading can
    /// change it).
    fn ready(&mut self, now: f64) -> Result<(), f64> {
        let Some((arrived, waiting)) = self.queue.front() else { return Err(f64::INFINITY) };
        let arrived = *arrived;
        let until = match waiting {
            Waiting::Line(..) => return Ok(()),
            Waiting::Load(_, loading) => loading.span.to,
            Waiting::Result(_, _, span) => {
                if self.buffering && !self.input_ended {
                    return Err(f64::INFINITY);
                }
                let Some(span) = span else { return Ok(()) };
                let company = self.flying.first().is_some_and(|since| since < span.to);
                if self.settings.attribution == Attribution::Tokens && company && !self.input_ended {
                    return Err(f64::INFINITY);
                }
                span.to
            }
        };
        let wait = self.settings.wait;
        let mut soonest: Option<f64> = None;
        for i in 0..self.sources.len() {
            if self.sources[i].reaches(until) || self.told(i) {
                continue;
            }
            if let Some(due) = self.sources[i].awaited(until, arrived, wait, now) {
                soonest = Some(soonest.map_or(due, |soonest| soonest.min(due)));
            }
        }
        soonest.map_or(Ok(()), Err)
    }

    /// The next line that may go out at `now`; otherwise, when to ask again.
    ///
    /// # Errors
    /// When a record cannot be written as JSON.
    pub fn next(&mut self, now: f64) -> Result<Result<OutputLine, f64>, serde_json::Error> {
        if self.input_ended && self.queue.is_empty() && !self.finished() {
            self.summarised = true;
            let line = record::line(&self.summary())?;
            return Ok(Ok(OutputLine { kind: LineKind::Summary, line }));
        }
        if let Err(due) = self.ready(now) {
            return Ok(Err(due));
        }
        let Some((_, waiting)) = self.queue.pop_front() else { return Ok(Err(f64::INFINITY)) };
        Ok(Ok(match waiting {
            Waiting::Line(kind, line) => OutputLine { kind, line },
            Waiting::Load(line, loading) => {
                self.awaited = true;
                let loaded = attribute::load(self, &loading);
                self.totals.load(&loaded);
                if let (IdleFrom::Auto, Some((from, to))) = (&self.settings.idle, loading.baseline) {
                    self.baseline =
                        IdlePower::of(&self.meters.idle_readings(from, to), "baseline").or(self.baseline.take());
                }
                let (run, model) = loading.key;
                self.loaded.entry(run).or_default().insert(model, Rc::new(loaded));
                self.release(loading.since);
                OutputLine { kind: LineKind::Other, line }
            }
            Waiting::Result(mut line, asked, span) => {
                if !self.sources.is_empty() {
                    if self.settings.idle == IdleFrom::Auto {
                        // The gaps up to here are known now, and with them the idle power.
                        self.account();
                    }
                    let mut patch = LinePatch::new(&line, asked.enriched)?;
                    attribute::result(self, &asked, span, &mut patch)?;
                    line = patch.line()?;
                }
                if let Some(span) = span {
                    self.awaited = true;
                    self.release(span.from);
                }
                OutputLine { kind: LineKind::Result, line }
            }
        }))
    }

    /// Keeps the account up to where nothing can change any more, and says where that is.
    fn account(&mut self) -> f64 {
        let before = self.needed.first().unwrap_or(self.last_event).min(self.last_event) - DISORDER;
        self.ledger.account(before, false, &self.meters, &self.flights);
        before
    }

    /// Forgets what only something that began at `from` needed.
    fn release(&mut self, from: f64) {
        self.needed.remove(from);
        let before = self.account();
        let accounted = self.ledger.cursor().map_or(before, |cursor| cursor.min(before));
        self.meters.forget(accounted);
        self.held.forget(before);
        self.flights.forget(accounted);
        self.writs.forget(before);
    }

    /// The idle power, as far as it is known now.
    pub(super) fn idle(&self) -> Option<IdlePower> {
        match &self.settings.idle {
            IdleFrom::Nowhere => None,
            IdleFrom::IdlePower(level) => Some(level.clone()),
            IdleFrom::Auto => self.baseline.clone().or_else(|| self.ledger.gaps.level()),
        }
    }

    /// The claim of a request on the power while it ran.
    pub(super) fn claim(&self, asked: &ResultView, span: Span) -> Claim {
        match self.settings.attribution {
            Attribution::Time => Claim::Time,
            Attribution::Tokens => Claim::Tokens(flow(asked, span)),
            Attribution::Exclusive => Claim::Whole,
        }
    }

    /// The run that a result is of.
    pub(super) fn run_of<'a>(&'a self, asked: &'a ResultView) -> &'a str {
        asked.run.as_deref().unwrap_or(&self.run)
    }

    /// The boot that the stamps of a result are of.
    pub(super) fn boot_of(&self, asked: &ResultView) -> Option<&str> {
        let run = self.run_of(asked);
        if run == self.run { self.boot.as_deref() } else { self.boots.get(run)?.as_deref() }
    }
}

#[cfg(test)]
mod tests;
