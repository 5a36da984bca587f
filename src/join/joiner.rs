//! The core of the join: lines and readings in, lines out, in order. It knows no thread and no clock: whoever drives it
//! says what time it is.
//!
//! What it holds is bounded by the requests in flight and the readings of the longest of them: what no request can need
//! any more is forgotten at once. Results without `start` records are the exception, and it says so.

use super::axis::{Axis, Stamped, Steps};
use super::drive::Sample;
use super::enrich::Patch;
use super::flights::{Claim, Flights, Flow};
use super::heard::{Asked, Heard, Start};
use super::idle::{IdleFrom, Level};
use super::ledger::Ledger;
use super::memory::Held;
use super::power::{Meters, round};
use super::source::{Role, Source};
use super::summary::Totals;
use super::truth::Writs;
use super::verdict::{self, Loaded, Loading};
use crate::clock::micros;
use crate::record::{self, EnergyCost, Load, Record, SamplerEvent};
use clap::ValueEnum;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The most readings per domain that are kept while nothing is in flight to need them.
const SPARE: usize = 1 << 16;

/// Lines may be this late, in seconds: starts and ends are in order of time but for that much.
const DISORDER: f64 = 1.0;

/// The most lines that wait behind a result before no more are asked for.
const WAITING: usize = 4096;

/// The most doubts that are remembered.
const NOTES: usize = 100;

/// An arrival that is so much older than the start of a request, in seconds, is that of an earlier try.
const TRIES: f64 = 0.1;

/// How energy is shared among requests that ran at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attribution {
    /// Equal parts of every moment.
    Time,
    /// By the tokens that each emitted; equal parts where nobody did. Waits for all that overlapped.
    Tokens,
    /// Nothing is shared: only a request that ran alone has an energy.
    Exclusive,
}

/// What the join is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How energy is shared.
    pub attribution: Attribution,
    /// How long to wait for a reading, in seconds; three intervals when not given.
    pub wait: Option<f64>,
    /// Seconds that are added to the time of every reading.
    pub offset: f64,
    /// Where the idle power is taken from.
    pub idle: IdleFrom,
    /// What energy costs and emits.
    pub rates: Rates,
}

/// What energy costs and emits; what is not known is not computed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Money per kilowatt-hour.
    pub price_per_kwh: Option<f64>,
    /// Grams of CO₂ equivalent per kilowatt-hour.
    pub carbon_g_per_kwh: Option<f64>,
    /// Power usage effectiveness: what the building draws for each joule that the machine does.
    pub pue: Option<f64>,
}

impl Rates {
    fn amount(&self, energy: Option<f64>, per_kwh: Option<f64>) -> Option<EnergyCost> {
        let (energy, per_kwh) = energy.zip(per_kwh)?;
        let amount = round(energy / JOULES_PER_KWH * per_kwh * self.pue.unwrap_or(1.0));
        Some(EnergyCost { amount, per_kwh, pue: self.pue })
    }

    /// What `energy` joules cost.
    pub(super) fn cost(&self, energy: Option<f64>) -> Option<EnergyCost> {
        self.amount(energy, self.price_per_kwh)
    }

    /// What `energy` joules emit.
    pub(super) fn carbon(&self, energy: Option<f64>) -> Option<EnergyCost> {
        self.amount(energy, self.carbon_g_per_kwh)
    }
}

const JOULES_PER_KWH: f64 = 3.6e6;

/// A line that goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// What it is.
    pub kind: Kind,
    /// The line, without its newline.
    pub line: String,
}

/// What goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A result, joined.
    Result,
    /// A prompt, as it came.
    Prompt,
    /// The summary of the join.
    Summary,
    /// Anything else, as it came.
    Other,
}

/// Something that goes out when its time has come.
#[derive(Debug)]
enum Waiting {
    Line(Kind, String),
    Load(String, Loading),
    Result(String, Box<Asked>, Option<Span>),
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
    pub(super) axis: Axis,
    pub(super) sources: Vec<Source>,
    pub(super) meters: Meters,
    pub(super) held: Held,
    pub(super) flights: Flights,
    pub(super) loaded: HashMap<(String, String), Loaded>,
    pub(super) ledger: Ledger,
    pub(super) totals: Totals,
    pub(super) writs: Writs,
    /// The idle power by the latest load's baseline.
    pub(super) baseline: Option<Level>,
    queue: VecDeque<(f64, Waiting)>,
    /// What is in flight, by run and number: since when.
    pub(super) open: HashMap<(String, u64), f64>,
    /// The beginnings of everything whose readings are still needed.
    needed: Moments,
    /// The beginnings of what is in flight.
    flying: Moments,
    boots: HashMap<String, Option<String>>,
    run: String,
    pub(super) last_event: f64,
    wall: Steps,
    /// Whether results come without starts, and so wait for the end of the input.
    buffering: bool,
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
                Source::new(role, *count - 1, grows, now)
            })
            .collect::<Vec<_>>();
        let of = |role: Role| sources.iter().filter(|source| source.role == role).count();
        Self {
            settings,
            axis: Axis::default(),
            meters: Meters::new(of(Role::Power)),
            held: Held::new(of(Role::Memory)),
            sources,
            flights: Flights::default(),
            loaded: HashMap::new(),
            ledger: Ledger::default(),
            totals: Totals::default(),
            writs: Writs::default(),
            baseline: None,
            queue: VecDeque::new(),
            open: HashMap::new(),
            needed: Moments::default(),
            flying: Moments::default(),
            boots: HashMap::new(),
            run: String::new(),
            last_event: f64::NEG_INFINITY,
            wall: Steps::default(),
            buffering: false,
            input_ended: false,
            summarised: false,
            notes: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Takes a line of results.
    pub fn line(&mut self, line: String, heard: Heard, now: f64) {
        let waiting = match heard {
            Heard::Start(start) => return self.start(start),
            Heard::Run { run, boot, .. } => {
                self.boots.insert(run.clone(), boot);
                self.totals.run(&run);
                self.run = run;
                Waiting::Line(Kind::Other, line)
            }
            Heard::Load(load) => self.load(line, &load),
            Heard::Result(asked) => self.result(line, asked),
            Heard::Prompt => Waiting::Line(Kind::Prompt, line),
            // A summary of what this join replaces would be wrong after it.
            Heard::Summary if !self.sources.is_empty() => return,
            Heard::Newer(_) | Heard::Other | Heard::Summary => Waiting::Line(Kind::Other, line),
        };
        self.queue.push_back((now, waiting));
    }

    fn place(&mut self, run: &str, ts: f64, mono: Option<f64>) -> (f64, bool) {
        let boot = self.boots.get(run).cloned().flatten();
        let at = self.axis.place(Stamped { ts, mono, boot: boot.as_deref() });
        (at, mono.is_some() && boot.is_some())
    }

    fn start(&mut self, start: Start) {
        let run = start.run.unwrap_or_else(|| self.run.clone());
        let (at, _) = self.place(&run, start.start_ts, start.start_mono);
        self.flights.fly(at, 1);
        self.begin(at);
        self.flying.insert(at);
        if let Some(again) = self.open.insert((run, start.id), at) {
            // The same number anew: the former try ended, at the latest, now.
            self.flights.fly(at.max(again), -1);
            self.needed.remove(again);
            self.flying.remove(again);
        }
    }

    /// Something begins whose readings are needed.
    fn begin(&mut self, at: f64) {
        self.needed.insert(at);
        self.last_event = self.last_event.max(at);
        self.ledger.begun = Some(self.ledger.begun.map_or(at, |begun| begun.min(at)));
    }

    fn load(&mut self, line: String, load: &Load) -> Waiting {
        let (from, mono) = self.place(&load.run, load.started_ts, Some(load.started_mono));
        let (to, _) = self.place(&load.run, load.ended_ts, Some(load.ended_mono));
        let baseline = load.baseline_ts.map(|ts| {
            let mono = load.baseline_mono;
            let mut place = |i: usize| self.place(&load.run, ts[i], mono.map(|mono| mono[i])).0;
            (place(0), place(1))
        });
        let since = baseline.map_or(from, |(since, _)| since.min(from));
        self.needed.insert(since);
        self.last_event = self.last_event.max(to);
        if to > from {
            self.ledger.loads.fly(from, 1);
            self.ledger.loads.fly(to, -1);
        }
        let key = (load.run.clone(), load.model.clone());
        Waiting::Load(line, Loading { key, span: Span { from, to, mono }, baseline, since })
    }

    fn result(&mut self, line: String, asked: Box<Asked>) -> Waiting {
        let run = asked.run.clone().unwrap_or_else(|| self.run.clone());
        let started = self.open.remove(&(run.clone(), asked.id));
        let placed = asked.start_ts.map(|ts| self.place(&run, ts, asked.start_mono));
        let span = placed
            .zip(asked.end)
            .map(|((from, mono), length)| Span { from: started.unwrap_or(from), to: micros(from + length), mono })
            .filter(|span| span.to >= span.from);
        if let Some(at) = started {
            self.flying.remove(at);
        }
        match (started, span) {
            (Some(at), None) => {
                // It says no end: it cannot be counted as company of others.
                self.flights.fly(at, -1);
                self.needed.remove(at);
            }
            (None, Some(span)) => {
                self.flights.fly(span.from, 1);
                self.begin(span.from);
                if !std::mem::replace(&mut self.buffering, true) {
                    self.note(
                        "results without start records: held until the input ends, and memory grows with them".into(),
                    );
                }
            }
            _ => {}
        }
        if let Some(span) = span {
            self.flights.fly(span.to, -1);
            self.last_event = self.last_event.max(span.to);
            if let (Attribution::Tokens, Some(flow)) = (self.settings.attribution, flow(&asked, span)) {
                self.flights.flow(flow);
            }
        }
        if let (Some(ts), true) = (asked.start_ts, self.boots.get(&run).is_some_and(Option::is_some)) {
            if let Some(step) = self.wall.see(ts, asked.start_mono) {
                self.note(format!("the wall clock stepped by {step:.3} s during run {run}"));
            }
        }
        Waiting::Result(line, asked, span)
    }

    /// Takes a reading, or a sampler's word, of the stream with that number.
    pub fn sample(&mut self, source: usize, sample: Sample, now: f64) {
        let record = match sample {
            Sample::Record(record) => record,
            Sample::Truth(written) => {
                let at = self.axis.place(Stamped { ts: written.arrival_ts, mono: None, boot: None });
                let end = at + (written.end_ts() - written.arrival_ts);
                // The log is written in the order of ends, but for the time that threads take to get there.
                self.sources[source].read("", end - DISORDER, now);
                self.writs.add(at, *written);
                return;
            }
        };
        let from = &mut self.sources[source];
        let (role, index) = (from.role, from.index);
        match (&record, role) {
            (Record::Sampler(sampler), _) if sampler.event == SamplerEvent::Start => {
                from.starts(sampler.boot.clone(), sampler.interval_seconds, now);
                if role == Role::Power {
                    self.meters.sampler(index, sampler);
                }
            }
            (Record::Power(power), Role::Power) => {
                let at = self.stamp(source, power.ts, power.mono);
                self.meters.add(index, at, power);
                self.sources[source].read(&power.source, at, now);
            }
            (Record::Memory(memory), Role::Memory) => {
                let at = self.stamp(source, memory.ts, memory.mono);
                self.held.add(index, at, memory);
                self.sources[source].read("", at, now);
            }
            _ => {}
        }
        // Nobody may ever need it: a sampler that runs for days before the first request must not fill the memory.
        if self.needed.first().is_none() {
            match role {
                Role::Power => self.meters.cap(index, SPARE),
                Role::Memory => self.held.cap(index, SPARE),
                Role::Truth => {}
            }
        }
    }

    fn stamp(&mut self, source: usize, ts: f64, mono: Option<f64>) -> f64 {
        let from = &mut self.sources[source];
        from.mono = mono.is_some() && from.boot.is_some();
        let stepped = from.steps.see(ts, mono).filter(|_| !std::mem::replace(&mut from.stepped, true));
        if let Some(step) = stepped {
            self.note(format!("the wall clock stepped by {step:.3} s while it was sampled"));
        }
        let from = &self.sources[source];
        let boot = from.boot.clone();
        micros(self.axis.place(Stamped { ts, mono, boot: boot.as_deref() }) + self.settings.offset)
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
        self.sources[source].role == Role::Truth && told(&self.request_name(asked))
    }

    /// The name under which a request was sent.
    pub(super) fn request_name(&self, asked: &Asked) -> String {
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
    fn note(&mut self, text: String) {
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
    pub fn next(&mut self, now: f64) -> Result<Result<Emission, f64>, serde_json::Error> {
        if self.input_ended && self.queue.is_empty() && !self.finished() {
            self.summarised = true;
            let line = record::line(&self.summary())?;
            return Ok(Ok(Emission { kind: Kind::Summary, line }));
        }
        if let Err(due) = self.ready(now) {
            return Ok(Err(due));
        }
        let Some((_, waiting)) = self.queue.pop_front() else { return Ok(Err(f64::INFINITY)) };
        Ok(Ok(match waiting {
            Waiting::Line(kind, line) => Emission { kind, line },
            Waiting::Load(line, loading) => {
                let loaded = verdict::load(self, &loading);
                self.totals.load(&loaded);
                if let (IdleFrom::Auto, Some((from, to))) = (&self.settings.idle, loading.baseline) {
                    self.baseline =
                        Level::of(&self.meters.idle_readings(from, to), "baseline").or(self.baseline.take());
                }
                self.loaded.insert(loading.key, loaded);
                self.release(loading.since);
                Emission { kind: Kind::Other, line }
            }
            Waiting::Result(line, asked, span) => {
                let mut line = Patch::new(line, asked.enriched)?;
                if !self.sources.is_empty() {
                    // The gaps up to here are known now, and with them the idle power.
                    self.account();
                    verdict::result(self, &asked, span, &mut line)?;
                }
                if let Some(span) = span {
                    self.release(span.from);
                }
                Emission { kind: Kind::Result, line: line.line()? }
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
    pub(super) fn idle(&self) -> Option<Level> {
        match &self.settings.idle {
            IdleFrom::Nowhere => None,
            IdleFrom::Level(level) => Some(level.clone()),
            IdleFrom::Auto => self.baseline.clone().or_else(|| self.ledger.gaps.level()),
        }
    }

    /// The claim of a request on the power while it ran.
    pub(super) fn claim(&self, asked: &Asked, span: Span) -> Claim {
        match self.settings.attribution {
            Attribution::Time => Claim::Time,
            Attribution::Tokens => Claim::Tokens(flow(asked, span)),
            Attribution::Exclusive => Claim::Whole,
        }
    }

    /// The run that a result is of.
    pub(super) fn run_of<'a>(&'a self, asked: &'a Asked) -> &'a str {
        asked.run.as_deref().unwrap_or(&self.run)
    }

    /// The boot that the stamps of a result are of.
    pub(super) fn boot_of(&self, asked: &Asked) -> Option<&str> {
        self.boots.get(self.run_of(asked))?.as_deref()
    }
}

/// The tokens of a request, spread evenly from its first to its last; from its start to its end where it does not say.
fn flow(asked: &Asked, span: Span) -> Option<Flow> {
    let tokens = asked.output.filter(|&tokens| tokens > 0)? as f64;
    let (from, to) = match (asked.first_token, asked.last_token) {
        (Some(first), Some(last)) if last > first => (micros(span.from + first), micros(span.from + last).min(span.to)),
        _ => (span.from, span.to),
    };
    (to > from).then(|| Flow { from, to, rate: tokens / (to - from) })
}

/// A set of moments, each as often as it was put in.
#[derive(Debug, Default)]
struct Moments(BTreeMap<Moment, u64>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment(f64);

impl Eq for Moment {}
impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Moments {
    fn insert(&mut self, at: f64) {
        *self.0.entry(Moment(at)).or_default() += 1;
    }

    fn remove(&mut self, at: f64) {
        if let Some(count) = self.0.get_mut(&Moment(at)) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&Moment(at));
            }
        }
    }

    fn first(&self) -> Option<f64> {
        self.0.first_key_value().map(|(at, _)| at.0)
    }
}

#[cfg(test)]
mod tests;
