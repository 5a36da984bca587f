//! The requests of a stream of results: which are in flight, and from when on readings are still needed.

use super::active_starts::ActiveStarts;
use super::in_flight::InFlight;
use super::input::{RequestStart, ResultView};
use super::run_clocks::RunClocks;
use super::shares::{Attribution, TokenFlow};
use crate::clock::micros;
use std::collections::HashMap;

/// Lines may be this late, in seconds: starts and ends are in order of time but for that much.
pub const DISORDER: f64 = 1.0;

/// A request by its run and its number.
type Key = (String, u64);

/// When a request ran, on the axis.
#[derive(Debug, Clone, Copy)]
pub struct RequestInterval {
    /// From, in seconds.
    pub from: f64,
    /// To.
    pub to: f64,
    /// Whether the monotonic clock says so.
    pub mono: bool,
}

/// The requests that have started, and what is known of their times.
#[derive(Debug)]
pub struct Requests {
    in_flight: InFlight,
    /// The start of each request in flight.
    started: HashMap<Key, f64>,
    /// The start of each request that was in flight when another run began, and until when it is counted.
    presumed_lost: HashMap<Key, (f64, f64)>,
    /// The beginnings of everything whose readings are still needed.
    needed: ActiveStarts,
    /// The beginnings of what is in flight.
    running: ActiveStarts,
    first_start: Option<f64>,
    last_event: f64,
    without_starts: bool,
}

impl Requests {
    /// No request yet.
    pub fn new(attribution: Attribution) -> Self {
        Self {
            in_flight: InFlight::new(attribution),
            started: HashMap::new(),
            presumed_lost: HashMap::new(),
            needed: ActiveStarts::default(),
            running: ActiveStarts::default(),
            first_start: None,
            last_event: f64::NEG_INFINITY,
            without_starts: false,
        }
    }

    /// A request is sent. A start that can be no moment is left out.
    pub fn start(&mut self, start: &RequestStart, clocks: &mut RunClocks) {
        let run = clocks.run_or_last(start.run.as_deref()).to_owned();
        let Some((at, _)) = clocks.place(&run, start.start_ts, start.start_mono) else { return };
        let key = (run, start.id);
        self.in_flight.add(at);
        self.begin(at);
        self.running.insert(at);
        if let Some(before) = self.started.insert(key, at) {
            // The same number anew: the former try ended, at the latest, now.
            self.in_flight.remove(at.max(before));
            self.needed.remove(before);
            self.running.remove(before);
        }
    }

    /// A run begins: what other runs have in flight will, most likely, get no result, and must not count as company for
    /// ever. Should one come after all, as with runs that are merged line by line, it is taken back.
    pub fn begin_run(&mut self, run: &str, started_ts: f64, clocks: &mut RunClocks) {
        if self.started.keys().all(|(other, _)| other == run) {
            return;
        }
        let Some((now, _)) = clocks.place("", started_ts, None) else { return };
        for (key, from) in self.started.extract_if(|(other, _), _| other != run) {
            let until = now.max(from);
            self.in_flight.remove(until);
            self.needed.remove(from);
            self.running.remove(from);
            self.presumed_lost.insert(key, (from, until));
        }
    }

    /// Takes back what was presumed lost too early.
    fn resume(&mut self, key: &Key) -> Option<f64> {
        let (from, until) = self.presumed_lost.remove(key)?;
        self.in_flight.add(until);
        self.needed.insert(from);
        self.running.insert(from);
        Some(from)
    }

    /// Something begins whose readings are needed.
    fn begin(&mut self, at: f64) {
        self.needed.insert(at);
        self.last_event = self.last_event.max(at);
        self.first_start = Some(self.first_start.map_or(at, |first| first.min(at)));
    }

    /// A request has a result. Returns when it ran, if that is known.
    pub fn end(&mut self, result: &ResultView, clocks: &mut RunClocks) -> Option<RequestInterval> {
        let key = (clocks.run_or_last(result.run.as_deref()).to_owned(), result.id);
        let started = self.started.remove(&key).or_else(|| self.resume(&key));
        let placed = result.start_ts.and_then(|ts| clocks.place(&key.0, ts, result.start_mono));
        let interval = placed
            .zip(result.end)
            .map(|((from, mono), length)| RequestInterval {
                from: started.unwrap_or(from),
                to: micros(from + length),
                mono,
            })
            .filter(|interval| interval.to >= interval.from);
        self.count_end(started, interval);
        if let Some(flow) = interval.and_then(|interval| self.flow_of(result, interval)) {
            self.in_flight.add_flow(flow);
        }
        interval
    }

    fn count_end(&mut self, started: Option<f64>, interval: Option<RequestInterval>) {
        if let Some(at) = started {
            self.running.remove(at);
        }
        match (started, interval) {
            (Some(at), None) => {
                // Without an end, it cannot be counted as company of others.
                self.in_flight.remove(at);
                self.needed.remove(at);
            }
            (None, Some(interval)) => {
                self.in_flight.add(interval.from);
                self.begin(interval.from);
                self.without_starts = true;
            }
            _ => {}
        }
        if let Some(interval) = interval {
            self.in_flight.remove(interval.to);
            self.last_event = self.last_event.max(interval.to);
        }
    }

    /// Whether energy is shared by tokens.
    pub fn share_by_tokens(&self) -> bool {
        self.in_flight.attribution() == Attribution::Tokens
    }

    /// The tokens of a request, where energy is shared by them.
    pub fn flow_of(&self, result: &ResultView, interval: RequestInterval) -> Option<TokenFlow> {
        self.share_by_tokens().then(|| token_flow(result, interval)).flatten()
    }

    /// A model is loaded: readings are needed since `since`, and until `to`.
    pub fn add_load(&mut self, since: f64, to: f64) {
        self.needed.insert(since);
        self.last_event = self.last_event.max(to);
    }

    /// Forgets what only something that began at `from` needed.
    pub fn release(&mut self, from: f64) {
        self.needed.remove(from);
    }

    /// Up to where nothing can change any more.
    pub fn settled(&self) -> f64 {
        self.needed.first().unwrap_or(self.last_event).min(self.last_event) - DISORDER
    }

    /// The requests in flight, settled until `until`.
    pub fn in_flight(&mut self, until: f64) -> &InFlight {
        self.in_flight.settle(until);
        &self.in_flight
    }

    /// The earliest moment that has changed since the last call.
    pub fn take_changed(&mut self) -> f64 {
        self.in_flight.take_changed()
    }

    /// Drops what was in flight before `before`.
    pub fn forget(&mut self, before: f64) {
        self.in_flight.forget(before);
    }

    /// Whether readings are needed of anything.
    pub fn need_readings(&self) -> bool {
        self.needed.first().is_some()
    }

    /// Whether something is still in flight that began before `at`.
    pub fn running_before(&self, at: f64) -> bool {
        self.running.first().is_some_and(|since| since < at)
    }

    /// Whether results come without starts, and so wait for the end of the input.
    pub fn without_starts(&self) -> bool {
        self.without_starts
    }

    /// The first start of a request.
    pub fn first_start(&self) -> Option<f64> {
        self.first_start
    }

    /// The latest start or end.
    pub fn last_event(&self) -> f64 {
        self.last_event
    }

    /// How many requests were started and have no result.
    pub fn unfinished(&self) -> u64 {
        (self.started.len() + self.presumed_lost.len()) as u64
    }
}

/// The tokens of a request, spread evenly from its first to its last; from its start to its end where it does not say.
fn token_flow(result: &ResultView, interval: RequestInterval) -> Option<TokenFlow> {
    let tokens = result.output.filter(|&tokens| tokens > 0)? as f64;
    let (from, to) = match (result.first_token, result.last_token) {
        (Some(first), Some(last)) if last > first => {
            (micros(interval.from + first), micros(interval.from + last).min(interval.to))
        }
        _ => (interval.from, interval.to),
    };
    (to > from).then(|| TokenFlow { from, to, rate: tokens / (to - from) })
}
