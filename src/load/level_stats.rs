//! The statistics of a load level: what was sent and when, how many requests ran at once, and how late
//! schedule and client were. Updated when a request is sent and when it ends, never in between.

use super::event_loop::EventLoops;
use super::level::Level;
use super::search::SloSamples;
use crate::clock::{self, between, micros};
use crate::locks::locked;
use crate::record::{FailureKind, LoadLevel, Outcome, Phase, Quantiles};
use crate::stats::Histogram;
use std::sync::{Mutex, MutexGuard};

/// The statistics of the level that runs.
#[derive(Debug, Default)]
pub struct LevelStats(Mutex<LevelState>);

#[derive(Debug, Default)]
struct LevelState {
    in_flight: InFlight,
    counts: LevelCounts,
    /// What a search judges the level by.
    samples: Option<SloSamples>,
    began_ns: u64,
    began_cpu: f64,
}

/// The number of requests in flight over time.
#[derive(Debug, Default)]
struct InFlight {
    running: u64,
    max: u64,
    /// Request-seconds until `updated_ns`.
    area: f64,
    updated_ns: u64,
    /// Time and area of the first and the last measured start.
    first: Option<(u64, f64)>,
    last: (u64, f64),
    sent: u64,
}

/// The counts of measured requests, and of the chunks of all.
#[derive(Debug, Default)]
struct LevelCounts {
    ok: u64,
    failed: u64,
    not_sent: u64,
    /// Those of them that were due.
    due_not_sent: u64,
    chunks: u64,
    started_ts: Option<f64>,
    ended_ts: Option<f64>,
    schedule_lag: Option<Histogram>,
}

impl InFlight {
    fn update(&mut self, ns: u64) {
        // Stamps of several event loops may be slightly out of order.
        if self.updated_ns > 0 {
            self.area += self.running as f64 * ns.saturating_sub(self.updated_ns) as f64 / 1e9;
        }
        self.updated_ns = self.updated_ns.max(ns);
    }

    fn sent(&mut self, ns: u64, measured: bool) {
        self.update(ns);
        self.running += 1;
        self.max = self.max.max(self.running);
        if measured {
            self.sent += 1;
            self.first.get_or_insert((ns, self.area));
            self.last = (ns, self.area);
        }
    }

    fn ended(&mut self, ns: u64) {
        self.update(ns);
        self.running = self.running.saturating_sub(1);
    }

    /// Seconds and request-seconds from the first to the last measured start.
    fn span(&self) -> Option<(f64, f64)> {
        let (ns, area) = self.first?;
        let seconds = between(ns, self.last.0);
        (seconds > 0.0).then_some((seconds, self.last.1 - area))
    }
}

impl LevelCounts {
    fn add(&mut self, result: &Outcome) {
        self.chunks += result.chunks.as_ref().map_or(0, |chunks| chunks.count);
        if result.phase != Some(Phase::Measure) {
            return;
        }
        // As in the counts of the run: a request given up before it was sent is not sent, and one
        // without a connection failed.
        match &result.error {
            None => self.ok += 1,
            Some(error) if result.start_ts.is_none() && error.kind == FailureKind::Cancelled => {
                self.not_sent += 1;
                self.due_not_sent += 1;
            }
            Some(_) => self.failed += 1,
        }
        let timing = result.timing_seconds.as_ref();
        if let Some(start) = result.start_ts {
            let end = start + timing.and_then(|timing| timing.end).unwrap_or(0.0);
            self.started_ts = Some(self.started_ts.map_or(start, |first| first.min(start)));
            self.ended_ts = Some(self.ended_ts.map_or(end, |last| last.max(end)));
        }
        if let Some(scheduled) = timing.and_then(|timing| timing.scheduled) {
            let late = (-scheduled).max(0.0);
            self.schedule_lag.get_or_insert_default().add_ns((late * 1e9) as u64);
        }
    }
}

impl LevelStats {
    fn state(&self) -> MutexGuard<'_, LevelState> {
        locked(&self.0)
    }

    /// Begins a level, with what a search judges it by.
    pub fn begin(&self, samples: Option<SloSamples>) {
        let mut state = self.state();
        let running = state.in_flight.running;
        *state = LevelState {
            in_flight: InFlight { running, ..InFlight::default() },
            counts: LevelCounts::default(),
            samples,
            began_ns: clock::mono_ns(),
            began_cpu: clock::cpu_seconds(),
        };
    }

    /// Begins a round of a level that is searched.
    pub fn begin_round(&self) {
        if let Some(samples) = &mut self.state().samples {
            samples.queue.begin_round();
        }
    }

    /// Adds a start, in monotonic nanoseconds.
    pub fn sent(&self, ns: u64, phase: Phase) {
        self.state().in_flight.sent(ns, phase == Phase::Measure);
    }

    /// Adds the end of a request that was sent, in monotonic nanoseconds.
    pub fn ended(&self, ns: u64) {
        self.state().in_flight.ended(ns);
    }

    /// Adds a result.
    pub fn add(&self, result: &Outcome) {
        let mut state = self.state();
        state.counts.add(result);
        if let Some(samples) = state.samples.as_mut().filter(|_| result.phase == Some(Phase::Measure)) {
            samples.add(result);
        }
    }

    /// Adds measured requests that were planned, are not sent, and have no result.
    pub fn add_not_sent(&self, requests: u64) {
        self.state().counts.not_sent += requests;
    }

    /// Reads what a search judges the level by.
    pub fn samples<T>(&self, read: impl FnOnce(&SloSamples) -> T) -> Option<T> {
        self.state().samples.as_ref().map(read)
    }

    /// The record of the level, which ran in these event loops.
    pub fn finish(&self, run: &str, level: Level, models: Vec<String>, loops: &EventLoops) -> LoadLevel {
        let state = self.state();
        let (in_flight, counts) = (&state.in_flight, &state.counts);
        let mut loop_lag = Histogram::new();
        let now_ns = clock::mono_ns();
        for event_loop in loops.iter() {
            event_loop.lag.add_to(state.began_ns, now_ns, &mut loop_lag);
        }
        let seconds = counts.started_ts.zip(counts.ended_ts).map(|(from, to)| to - from);
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        // A closed loop with fewer than two rounds is all rise and fall.
        let steady = match level {
            Level::Closed { concurrency } => in_flight.sent >= concurrency.saturating_mul(2),
            Level::Open { .. } => in_flight.sent > 1,
        };
        let span = in_flight.span();
        LoadLevel {
            run: run.to_owned(),
            models,
            concurrency: level.concurrency(),
            rate: level.rate(),
            skipped: None,
            started_ts: counts.started_ts,
            ended_ts: counts.ended_ts.map(micros),
            sent: in_flight.sent,
            failed: counts.failed,
            not_sent: counts.not_sent,
            due_not_sent: level.rate().map(|_| counts.due_not_sent),
            sent_per_second: span.map(|(seconds, _)| (in_flight.sent - 1) as f64 / seconds),
            requests_per_second: seconds.map(|seconds| counts.ok as f64 / seconds),
            in_flight_mean: span.filter(|_| steady).map(|(seconds, area)| area / seconds),
            in_flight_max: Some(in_flight.max).filter(|max| *max > 0),
            chunks: Some(counts.chunks),
            cpu_seconds: Some(micros(clock::cpu_seconds() - state.began_cpu)),
            peak_bytes: None,
            schedule_lag_seconds: counts.schedule_lag.as_ref().and_then(quantiles),
            loop_lag_seconds: quantiles(&loop_lag),
        }
    }
}

/// The quantiles of a histogram with the histogram; `None` for an empty one.
fn quantiles(histogram: &Histogram) -> Option<Quantiles> {
    let quantiles = histogram.quantiles()?;
    let mean = quantiles.mean.map(micros);
    Some(Quantiles { mean, histogram: Some(histogram.encode()), ..quantiles })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Chunks, Timing, fixture};

    #[test]
    fn in_flight_is_counted_between_measured_starts() {
        let mut in_flight = InFlight::default();
        let second = 1_000_000_000;
        in_flight.sent(second, false);
        in_flight.sent(2 * second, true);
        in_flight.sent(3 * second, true);
        in_flight.ended(5 * second);
        in_flight.sent(6 * second, true);
        in_flight.ended(9 * second);
        // Two until 3 s, three until 5 s, two until 6 s; nothing before and after.
        assert_eq!(in_flight.span(), Some((4.0, 2.0 + 6.0 + 2.0)));
        assert_eq!((in_flight.sent, in_flight.max, in_flight.running), (3, 3, 2));
        assert_eq!(InFlight::default().span(), None);
    }

    #[test]
    fn stamps_out_of_order_subtract_nothing() {
        let mut in_flight = InFlight::default();
        in_flight.sent(2_000, true);
        in_flight.sent(1_000, true);
        in_flight.ended(500);
        assert!(in_flight.area >= 0.0 && in_flight.running == 1);
        assert_eq!(in_flight.span(), None, "no time has passed");
    }

    #[test]
    fn warm_up_adds_only_chunks() {
        let stats = LevelStats::default();
        stats.begin(None);
        let result = |phase, start_ts, late: f64| {
            let timing = Timing { scheduled: Some(-late), end: Some(0.5), ..Timing::default() };
            let chunks = Chunks { count: 7, ..Chunks::default() };
            fixture::result(1, "m")
                .phase(phase)
                .timing(timing)
                .set(|o| (o.start_ts, o.chunks) = (start_ts, Some(chunks)))
        };
        stats.add(&result(Phase::Warmup, Some(1.0), 0.0));
        stats.add(&result(Phase::Measure, Some(2.0), 0.002));
        stats.add(&result(Phase::Measure, Some(3.0), 0.004));
        for kind in [FailureKind::Cancelled, FailureKind::Connect] {
            stats.add(&result(Phase::Measure, None, 0.0).failed(kind));
        }
        stats.add_not_sent(6);
        let state = stats.state();
        let counts = &state.counts;
        assert_eq!((counts.chunks, counts.ok, counts.failed, counts.not_sent, counts.due_not_sent), (35, 2, 1, 7, 1));
        assert_eq!((counts.started_ts, counts.ended_ts), (Some(2.0), Some(3.5)));
        let late = quantiles(counts.schedule_lag.as_ref().unwrap()).unwrap();
        assert!((late.max.unwrap() - 0.004).abs() < 1e-5 && late.count == 4, "{late:?}");
    }
}
