//! The core of the join: lines and readings in, lines out, in order. It knows no thread and no clock: its caller says
//! what time it is.
//!
//! Its memory is bounded by the requests in flight and the readings of the longest of them: what no request can need
//! any more is forgotten at once. Results without `start` records are the exception, and a note says so.

use super::attribute::{self, Known, Request};
use super::idle::{IdleFrom, IdlePower};
use super::input::{InputRecord, ResultView};
use super::line_queue::{LineQueue, Waiting};
use super::loads::{Loads, PendingLoad};
use super::notes::Notes;
use super::output::{LineKind, LinePatch, OutputLine};
use super::requests::{RequestInterval, Requests};
use super::run_clocks::RunClocks;
use super::run_energy::RunEnergy;
use super::run_summary::{ResultTotals, RunView};
use super::sample::Sample;
use super::sample_stream::Role;
use super::samples::Samples;
use super::settings::Settings;
use super::streams::Streams;
use crate::record::{self, Load};

/// An arrival that is older than the start of a request by more than this, in seconds, is that of an earlier try.
const EARLIER_TRY: f64 = 0.1;

/// The join of one stream of results with any number of sample streams.
#[derive(Debug)]
pub struct Joiner {
    settings: Settings,
    samples: Samples,
    clocks: RunClocks,
    requests: Requests,
    loads: Loads,
    run_energy: RunEnergy,
    totals: ResultTotals,
    notes: Notes,
    queue: LineQueue,
    /// Whether something went out that readings were awaited for.
    awaited: bool,
    summarised: bool,
}

impl Joiner {
    /// A join of streams that are read for `roles`; of each, whether it is a file, whose present contents are read first.
    pub fn new(settings: Settings, roles: &[(Role, bool)], now: f64) -> Self {
        let streams = Streams::new(roles, settings.offsets.clone(), now);
        Self {
            clocks: RunClocks::default(),
            requests: Requests::new(settings.attribution),
            loads: Loads::default(),
            run_energy: RunEnergy::default(),
            totals: ResultTotals::default(),
            notes: Notes::default(),
            queue: LineQueue::default(),
            awaited: false,
            summarised: false,
            samples: Samples::new(streams),
            settings,
        }
    }

    /// Takes a line of results.
    pub fn line(&mut self, line: String, record: InputRecord, now: f64) {
        let waiting = match record {
            InputRecord::Start(start) => return self.requests.start(&start, &mut self.clocks),
            InputRecord::Run { run, boot, started_ts } => {
                self.begin_run(run, boot, started_ts);
                Waiting::Line(LineKind::Other, line)
            }
            InputRecord::Load(load) => match self.load(&load) {
                Some(load) => Waiting::Load(line, load),
                None => Waiting::Line(LineKind::Other, line),
            },
            InputRecord::Result(result) => {
                let interval = self.result(&result);
                Waiting::Result(line, result, interval)
            }
            InputRecord::Prompt => Waiting::Line(LineKind::Prompt, line),
            // A summary of what this join replaces would be wrong after it.
            InputRecord::Summary if !self.samples.streams().is_empty() => return,
            InputRecord::Newer(_) | InputRecord::Other | InputRecord::Summary => Waiting::Line(LineKind::Other, line),
        };
        self.queue.push(now, waiting);
    }

    fn begin_run(&mut self, run: String, boot: Option<String>, started_ts: f64) {
        self.totals.run(&run);
        self.requests.begin_run(&run, started_ts, &mut self.clocks);
        self.clocks.begin_run(run, boot);
    }

    fn load(&mut self, load: &Load) -> Option<PendingLoad> {
        let load = PendingLoad::new(load, &mut self.clocks)?;
        self.requests.add_load(load.since(), load.interval.to);
        self.run_energy.add_load(load.interval.from, load.interval.to);
        Some(load)
    }

    fn result(&mut self, result: &ResultView) -> Option<RequestInterval> {
        let streaming = !self.requests.without_starts();
        let interval = self.requests.end(result, &mut self.clocks);
        if streaming && self.requests.without_starts() {
            self.notes
                .add("results without start records: held until the input ends, and memory grows with them".into());
        }
        if let Some(step) = self.clocks.wall_step(result) {
            let run = self.clocks.run_or_last(result.run.as_deref());
            self.notes.add(format!("the wall clock stepped by {step:.3} s during run {run}"));
        }
        interval
    }

    /// Takes a sample of the stream with that number.
    pub fn sample(&mut self, stream: usize, sample: Sample, now: f64) {
        self.samples.add(stream, sample, now, &mut self.clocks, &mut self.notes);
        if !self.requests.need_readings() {
            self.samples.cap(stream);
        }
    }

    /// The stream with that number was read to its present end; it was last written to `quiet` seconds ago.
    pub fn caught_up(&mut self, stream: usize, quiet: f64, now: f64) {
        self.samples.caught_up(stream, quiet, now);
    }

    /// The stream with that number has ended.
    pub fn stream_ended(&mut self, stream: usize) {
        self.samples.end(stream);
    }

    /// No more lines of results will come.
    pub fn input_ended(&mut self) {
        self.queue.end();
    }

    /// Whether the end of the results was announced.
    pub fn input_has_ended(&self) -> bool {
        self.queue.has_ended()
    }

    /// The numbers of the streams that were awaited and gave no usable record.
    pub fn empty_streams(&self) -> Vec<usize> {
        let empty = |&stream: &usize| self.awaited && self.samples.streams().get(stream).samples == 0;
        (0..self.samples.streams().len()).filter(empty).collect()
    }

    /// Whether all that will ever go out has gone.
    pub fn finished(&self) -> bool {
        self.queue.is_finished() && (self.summarised || self.samples.streams().is_empty())
    }

    /// The notes since the last call. None comes twice.
    pub fn notes(&mut self) -> Vec<String> {
        self.notes.take_new()
    }

    /// Whether more lines of results are of use now; otherwise they would only wait.
    pub fn wants_lines(&self) -> bool {
        self.queue.wants_more(&self.requests)
    }

    /// Whether more samples of the stream with that number are of use now.
    pub fn wants(&self, stream: usize) -> bool {
        self.queue.needs_readings_until(&self.requests).is_some_and(|until| !self.reaches(stream, until))
    }

    /// Whether the stream with that number has what the next line needs, which is all until `until`; or, of a log of the
    /// ground truth, the next result's request.
    fn reaches(&self, stream: usize, until: f64) -> bool {
        let stream = self.samples.streams().get(stream);
        let arrived = || {
            let (result, interval) = self.queue.next_result()?;
            Some(self.samples.arrival(&self.request_name(result))? >= interval.from - EARLIER_TRY)
        };
        stream.reaches(until) || stream.role == Role::GroundTruth && arrived().unwrap_or(false)
    }

    /// The name under which a request was sent.
    fn request_name(&self, result: &ResultView) -> String {
        format!("{}-{}", self.clocks.run_or_last(result.run.as_deref()), result.id)
    }

    /// Whether the next line may go out; otherwise, when to ask again (for ever, when only a new line or reading can
    /// change it).
    fn ready(&mut self, now: f64) -> Result<(), f64> {
        let Some(arrived) = self.queue.arrived() else { return Err(f64::INFINITY) };
        if self.queue.waits_for_lines(&self.requests) {
            return Err(f64::INFINITY);
        }
        let Some(until) = self.queue.needs_readings_until(&self.requests) else { return Ok(()) };
        let mut soonest: Option<f64> = None;
        for stream in 0..self.samples.streams().len() {
            if self.reaches(stream, until) {
                continue;
            }
            if let Some(due) = self.samples.awaited(stream, until, arrived, self.settings.wait, now) {
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
        if self.queue.is_finished() && !self.finished() {
            self.summarised = true;
            return Ok(Ok(OutputLine { kind: LineKind::Summary, line: self.summary()? }));
        }
        if let Err(due) = self.ready(now) {
            return Ok(Err(due));
        }
        let Some(waiting) = self.queue.pop() else { return Ok(Err(f64::INFINITY)) };
        Ok(Ok(match waiting {
            Waiting::Line(kind, line) => OutputLine { kind, line },
            Waiting::Load(line, load) => {
                self.finish_load(load);
                OutputLine { kind: LineKind::Other, line }
            }
            Waiting::Result(line, result, interval) => {
                let line = if self.samples.streams().is_empty() { line } else { self.join(&line, &result, interval)? };
                if let Some(interval) = interval {
                    self.awaited = true;
                    self.release(interval.from);
                }
                OutputLine { kind: LineKind::Result, line }
            }
        }))
    }

    fn finish_load(&mut self, load: PendingLoad) {
        self.awaited = true;
        let meters = self.samples.streams().has(Role::Power).then(|| self.samples.meters());
        let figures = load.measure(meters, self.samples.memory());
        self.totals.load(&figures);
        if let (IdleFrom::Auto, Some((from, to))) = (&self.settings.idle, load.baseline) {
            self.loads.set_idle(IdlePower::of(&self.samples.meters().idle_readings(from, to), "baseline"));
        }
        let since = load.since();
        self.loads.add(load, figures);
        self.release(since);
    }

    /// A result's line with what the samples tell of it.
    fn join(
        &mut self,
        line: &str,
        result: &ResultView,
        interval: Option<RequestInterval>,
    ) -> Result<String, serde_json::Error> {
        if self.settings.idle == IdleFrom::Auto {
            // The gaps up to here are known now, and with them the idle power.
            self.add_run_energy();
        }
        let mut line = LinePatch::new(line, result.enriched)?;
        let ground_truth = if self.samples.streams().has(Role::GroundTruth) {
            self.samples.take_ground_truth(&self.request_name(result))
        } else {
            None
        };
        let idle = self.idle();
        let flow = interval.and_then(|interval| self.requests.flow_of(result, interval));
        let changed = self.requests.take_changed();
        let until = interval.map_or(f64::NEG_INFINITY, |interval| interval.to);
        let in_flight = self.requests.in_flight(until);
        self.samples.sum_up(until, changed, in_flight);
        let run = self.clocks.run_or_last(result.run.as_deref());
        let load = self.loads.of(run, result);
        let (boot, streams) = (self.clocks.boot_of(run), self.samples.streams());
        let request = Request { result, boot, interval, flow, load: load.as_deref(), streams };
        let (meters, memory) = (self.samples.meters(), self.samples.memory());
        let known = Known { meters, in_flight, idle, rates: self.settings.rates, memory, ground_truth };
        attribute::join(&mut line, &request, &known, &mut self.totals)?;
        line.line()
    }

    /// The idle power, as far as it is known now.
    fn idle(&self) -> Option<IdlePower> {
        match &self.settings.idle {
            IdleFrom::Nowhere => None,
            IdleFrom::Known(idle) => Some(idle.clone()),
            IdleFrom::Auto => self.loads.idle().cloned().or_else(|| self.run_energy.idle()),
        }
    }

    /// Adds up the energy of the run to where nothing can change any more, and returns where that is.
    fn add_run_energy(&mut self) -> f64 {
        let until = self.requests.settled();
        let first_start = self.requests.first_start();
        let in_flight = self.requests.in_flight(until);
        self.run_energy.add(until, false, self.samples.meters(), in_flight, first_start);
        until
    }

    /// Forgets what only something that began at `from` needed.
    fn release(&mut self, from: f64) {
        self.requests.release(from);
        let settled = self.add_run_energy();
        let added_up = self.run_energy.cursor().map_or(settled, |cursor| cursor.min(settled));
        self.samples.forget(added_up, settled);
        self.requests.forget(added_up);
    }

    /// The summary of everything that went out.
    fn summary(&mut self) -> Result<String, serde_json::Error> {
        let (first, last) = (self.requests.first_start(), self.requests.last_event());
        if first.is_some_and(|first| last > first) {
            let in_flight = self.requests.in_flight(last);
            self.run_energy.add(last, true, self.samples.meters(), in_flight, first);
        }
        let run = RunView {
            requests: &self.requests,
            clocks: &self.clocks,
            streams: self.samples.streams(),
            energy: &self.run_energy,
            idle: self.idle(),
            total_domain: self.samples.meters().total_name(),
            attribution: self.settings.attribution,
            rates: self.settings.rates,
            warnings: self.notes.all(),
        };
        record::line(&self.totals.finish(&run))
    }
}

#[cfg(test)]
mod tests;
