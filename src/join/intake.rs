//! What comes in, put in its place on the axis.

use super::attribute::Loading;
use super::in_flight::TokenFlow;
use super::input::{InputRecord, RequestStart, ResultView};
use super::joiner::{DISORDER, Joiner, Span, Waiting};
use super::output::LineKind;
use super::sample::Sample;
use super::sample_stream::Role;
use super::settings::Attribution;
use super::time_axis::{ClockStamp, StepDetector};
use crate::clock::micros;
use crate::record::{Load, SamplerEvent};
use std::collections::HashMap;

/// The most readings per domain that are kept while nothing is in flight to need them.
const SPARE: usize = 1 << 16;

impl Joiner {
    /// Takes a line of results.
    pub fn line(&mut self, line: String, heard: InputRecord, now: f64) {
        let waiting = match heard {
            InputRecord::Start(start) => return self.start(start),
            InputRecord::Run { run, boot, started_ts } => {
                self.totals.run(&run);
                self.abandon(&run, started_ts);
                let former = std::mem::replace(&mut self.run, run);
                let boot = std::mem::replace(&mut self.boot, boot);
                self.boots.insert(former, boot);
                Waiting::Line(LineKind::Other, line)
            }
            InputRecord::Load(load) => match self.load(&load) {
                Some(loading) => Waiting::Load(line, loading),
                None => Waiting::Line(LineKind::Other, line),
            },
            InputRecord::Result(asked) => self.result(line, asked),
            InputRecord::Prompt => Waiting::Line(LineKind::Prompt, line),
            // A summary of what this join replaces would be wrong after it.
            InputRecord::Summary if !self.sources.is_empty() => return,
            InputRecord::Newer(_) | InputRecord::Other | InputRecord::Summary => Waiting::Line(LineKind::Other, line),
        };
        self.queue.push_back((now, waiting));
    }

    /// Where a stamp of a run stands, and whether its monotonic clock says so; `None` for what can be no moment.
    fn place(&mut self, run: &str, ts: f64, mono: Option<f64>) -> Option<(f64, bool)> {
        let boot = if run == self.run { &self.boot } else { self.boots.get(run).unwrap_or(&None) };
        let boot = boot.as_deref();
        let stamp = ClockStamp { ts, mono, boot };
        stamp.sane().then(|| (self.axis.place(stamp), mono.is_some() && boot.is_some()))
    }

    fn start(&mut self, start: RequestStart) {
        let run = start.run.unwrap_or_else(|| self.run.clone());
        let Some((at, _)) = self.place(&run, start.start_ts, start.start_mono) else { return };
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

    /// A run begins: what other runs have in flight will, most likely, never be heard of again, and must not count as
    /// company for ever. Should it be heard of after all, as with runs that are merged line by line, it is taken back.
    fn abandon(&mut self, run: &str, ts: f64) {
        if !self.open.keys().any(|(of, _)| of != run) {
            return;
        }
        let Some((now, _)) = self.place("", ts, None) else { return };
        let (gone, open) = std::mem::take(&mut self.open).into_iter().partition(|((of, _), _)| of != run);
        self.open = open;
        let gone: HashMap<(String, u64), f64> = gone;
        for (key, from) in gone {
            let until = now.max(from);
            self.flights.fly(until, -1);
            self.needed.remove(from);
            self.flying.remove(from);
            self.abandoned.insert(key, (from, until));
        }
    }

    /// Takes back what was abandoned too early.
    fn resume(&mut self, key: &(String, u64)) -> Option<f64> {
        let (from, until) = self.abandoned.remove(key)?;
        self.flights.fly(until, 1);
        self.needed.insert(from);
        self.flying.insert(from);
        Some(from)
    }

    /// How many requests were started and not heard of again.
    pub(super) fn unfinished(&self) -> u64 {
        (self.open.len() + self.abandoned.len()) as u64
    }

    /// Something begins whose readings are needed.
    fn begin(&mut self, at: f64) {
        self.needed.insert(at);
        self.last_event = self.last_event.max(at);
        self.ledger.begun = Some(self.ledger.begun.map_or(at, |begun| begun.min(at)));
    }

    fn load(&mut self, load: &Load) -> Option<Loading> {
        let (from, mono) = self.place(&load.run, load.started_ts, Some(load.started_mono))?;
        let (to, _) = self.place(&load.run, load.ended_ts, Some(load.ended_mono))?;
        let baseline = load.baseline_ts.and_then(|ts| {
            let mono = load.baseline_mono;
            let mut place = |i: usize| Some(self.place(&load.run, ts[i], mono.map(|mono| mono[i]))?.0);
            Some((place(0)?, place(1)?))
        });
        let since = baseline.map_or(from, |(since, _)| since.min(from));
        self.needed.insert(since);
        self.last_event = self.last_event.max(to);
        if to > from {
            self.ledger.loads.fly(from, 1);
            self.ledger.loads.fly(to, -1);
        }
        let key = (load.run.clone(), load.model.clone());
        Some(Loading { key, span: Span { from, to, mono }, baseline, since })
    }

    fn result(&mut self, line: String, asked: Box<ResultView>) -> Waiting {
        let run = asked.run.clone().unwrap_or_else(|| self.run.clone());
        let key = (run, asked.id);
        let started = self.open.remove(&key).or_else(|| self.resume(&key));
        let run = key.0;
        let placed = asked.start_ts.and_then(|ts| self.place(&run, ts, asked.start_mono));
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
        let boot = if run == self.run { &self.boot } else { self.boots.get(&run).unwrap_or(&None) };
        let boot = boot.as_deref();
        if self.wall.0.as_deref() != boot {
            self.wall = (boot.map(str::to_owned), StepDetector::default());
        }
        let stamp = asked.start_ts.filter(|_| boot.is_some());
        if let Some(step) = stamp.and_then(|ts| self.wall.1.observe(ts, asked.start_mono)) {
            self.note(format!("the wall clock stepped by {step:.3} s during run {run}"));
        }
        Waiting::Result(line, asked, span)
    }

    /// Takes a reading, or a sampler's word, of the stream with that number.
    pub fn sample(&mut self, source: usize, sample: Sample, now: f64) {
        let from = &mut self.sources[source];
        let (role, index) = (from.role, from.index);
        match (sample, role) {
            (Sample::Sampler(sampler), _) if sampler.event == SamplerEvent::Start => {
                from.starts(sampler.boot.clone(), sampler.interval_seconds, now);
                if role == Role::Power {
                    self.meters.sampler(index, &sampler);
                }
            }
            (Sample::Power(power), Role::Power) => {
                let Some(at) = self.stamp(source, power.ts, power.mono) else { return };
                if let Err(what) = self.meters.add(index, at, &power) {
                    self.note(format!("readings of {} were left out: {what}", power.meter.source));
                }
                self.sources[source].read(&power.meter.source, at, now);
            }
            (Sample::Memory(memory), Role::Memory) => {
                let Some(at) = self.stamp(source, memory.ts, memory.mono) else { return };
                self.held.add(index, at, &memory);
                self.sources[source].read("", at, now);
            }
            (Sample::GroundTruth(written), _) => {
                let Some((at, _)) = self.place("", written.arrival_ts, None) else { return };
                let end = at + (written.end_ts() - written.arrival_ts);
                // The log is written in the order of ends, but for the time that threads take to get there.
                self.sources[source].read("", end - DISORDER, now);
                self.writs.add(at, *written);
            }
            _ => {}
        }
        // Nobody may ever need it: a sampler that runs for days before the first request must not fill the memory.
        if self.needed.first().is_none() {
            match role {
                Role::Power => self.meters.cap(index, SPARE),
                Role::Memory => self.held.cap(index, SPARE),
                Role::GroundTruth => {}
            }
        }
    }

    fn stamp(&mut self, source: usize, ts: f64, mono: Option<f64>) -> Option<f64> {
        let offset = self.settings.offsets.get(source).copied().unwrap_or(0.0);
        let from = &mut self.sources[source];
        let stamp = ClockStamp { ts, mono, boot: from.boot.as_deref() };
        let at = stamp.sane().then(|| micros(self.axis.place(stamp) + offset))?;
        from.mono = mono.is_some() && from.boot.is_some();
        let stepped = from.steps.observe(ts, mono).filter(|_| !std::mem::replace(&mut from.stepped, true));
        if let Some(step) = stepped {
            self.note(format!("the wall clock stepped by {step:.3} s while it was sampled"));
        }
        Some(at)
    }
}

/// The tokens of a request, spread evenly from its first to its last; from its start to its end where it does not say.
pub(super) fn flow(asked: &ResultView, span: Span) -> Option<TokenFlow> {
    let tokens = asked.output.filter(|&tokens| tokens > 0)? as f64;
    let (from, to) = match (asked.first_token, asked.last_token) {
        (Some(first), Some(last)) if last > first => (micros(span.from + first), micros(span.from + last).min(span.to)),
        _ => (span.from, span.to),
    };
    (to > from).then(|| TokenFlow { from, to, rate: tokens / (to - from) })
}
